/** Evaluates the recipes of lower.ts in float64 and rounds once. Large weights stay views of the file. */
import { deviationOf } from '../layers/batch-norm.ts';
import type { AffineStep, ParameterId } from '../layers/operation.ts';
import type { ParameterData } from '../operations/program.ts';
import type { ParameterRecipe } from './lower.ts';

/** The source of a net's blobs: their bytes as in the file. */
export type BlobSource = (parameter: ParameterId) => {
  readonly bytes: Uint8Array;
  readonly dtype: 'float32' | 'float64';
};

/** The net's blobs that recipes need, in the order in which packWeights first reads them. */
export function sourcesOf(recipes: readonly ParameterRecipe[]): ReadonlySet<ParameterId> {
  const ids = recipes.flatMap((recipe): (ParameterId | null)[] => {
    if (recipe.kind === 'zeros' || recipe.kind === 'one' || recipe.kind === 'file') return [];
    if (recipe.kind === 'blob') return [recipe.parameter];
    const first =
      recipe.kind === 'folded-weights' ? recipe.weights : recipe.kind === 'folded-bias' ? recipe.bias : null;
    const affine = recipe.affine.flatMap((step) =>
      step.kind === 'batchNorm' ? [step.factor, step.variance, step.mean] : [step.gamma, step.beta],
    );
    return [first, ...affine];
  });
  return new Set(ids.filter((id) => id !== null));
}

/** One ParameterData for each recipe; null: zeros, or the content of a separate file, which compile.ts reads. */
export function packWeights(
  recipes: readonly ParameterRecipe[],
  source: BlobSource,
): (ParameterData | null)[] {
  return recipes.map((recipe) => {
    if (recipe.kind === 'zeros' || recipe.kind === 'file') return null;
    if (recipe.kind === 'one')
      return { bytes: new Uint8Array(Float32Array.of(1).buffer), dtype: 'float32', channelScale: null };
    if (recipe.kind === 'blob') return { ...source(recipe.parameter), channelScale: null };
    if (recipe.kind === 'folded-weights') {
      const { bytes, dtype } = source(recipe.weights);
      return { bytes, dtype, channelScale: evaluate(recipe.affine, null, source).scale };
    }
    const { scale, bias } = evaluate(
      recipe.affine,
      recipe.kind === 'folded-bias' ? recipe.bias : null,
      source,
      recipe.channels,
    );
    const values = Float32Array.from(recipe.kind === 'affine-scale' ? scale : bias);
    return { bytes: new Uint8Array(values.buffer), dtype: 'float32', channelScale: null };
  });
}

function evaluate(
  affine: readonly AffineStep[],
  firstBias: ParameterId | null,
  source: BlobSource,
  channels = channelsOf(affine, source),
) {
  const scale = new Float64Array(channels).fill(1);
  const bias = firstBias === null ? new Float64Array(channels) : values(firstBias, source);
  for (const step of affine) {
    const [a, b] =
      step.kind === 'batchNorm'
        ? normalisation(step, source)
        : [
            step.gamma === null ? null : values(step.gamma, source),
            step.beta === null ? null : values(step.beta, source),
          ];
    for (let c = 0; c < channels; c++) {
      scale[c]! *= a?.[c] ?? 1;
      bias[c] = bias[c]! * (a?.[c] ?? 1) + (b?.[c] ?? 0);
    }
  }
  return { scale, bias };
}

// batch_norm_layer.cpp: a factor of 0 (a net that never trained) makes mean and variance 0.
function normalisation(
  step: Extract<AffineStep, { kind: 'batchNorm' }>,
  source: BlobSource,
): [Float64Array, Float64Array] {
  const factor = step.factor === null ? 1 : values(step.factor, source)[0]!;
  const inverse = factor === 0 ? 0 : 1 / factor;
  const a = values(step.variance, source).map((variance) => 1 / deviationOf(step, variance * inverse));
  const b = values(step.mean, source).map((mean, c) => -mean * inverse * a[c]!);
  return [a, b];
}

function channelsOf(affine: readonly AffineStep[], source: BlobSource): number {
  for (const step of affine) {
    const parameter = step.kind === 'batchNorm' ? step.mean : (step.gamma ?? step.beta);
    if (parameter !== null) return values(parameter, source).length;
  }
  return 0;
}

function values(parameter: ParameterId, source: BlobSource): Float64Array {
  const { bytes, dtype } = source(parameter);
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return dtype === 'float64' ? new Float64Array(copy) : Float64Array.from(new Float32Array(copy));
}
