/** The work of `resnode evaluate`, from its flags or from a result to be repeated. */
import { ArgumentError } from '../base/errors.ts';
import type { DeviceKind } from '../device/device.ts';
import type { DecodeLimits } from '../images/decode.ts';
import { fileHash, recordedMean } from '../images/evaluate/recipe.ts';
import type { EvaluationResult, EvaluationSource } from '../images/evaluate/result.ts';
import { readMean } from '../images/mean-file.ts';
import type { Preprocess } from '../images/preprocess.ts';
import { loadPreprocess } from '../images/preprocess-file.ts';
import { type AnyPrecisionFlags, type DeviceFlags, precisionOf } from './options.ts';
import { choosePreprocess, limitsOf, type PreprocessFlags } from './preprocess-options.ts';

export interface EvaluateFlags extends DeviceFlags, AnyPrecisionFlags, PreprocessFlags {
  model?: string;
  weights?: string;
  images?: string;
  labels?: string;
  crops: 1 | 10;
  multiScale?: number[];
  batch?: number;
  limit?: number;
  skipBroken?: boolean;
  databaseOrder?: 'BGR' | 'RGB';
}

export interface Job extends DeviceFlags, AnyPrecisionFlags {
  readonly model: string;
  readonly weights: string;
  readonly crops: 1 | 10;
  readonly scales: readonly number[] | undefined;
  readonly batch: number | undefined;
  readonly source: Omit<EvaluationSource, 'matchedBy' | 'sha256'>;
  /** The preprocessing for the net's input size. */
  readonly preprocess: (size: Preprocess['crop']) => Preprocess;
  readonly limits: DecodeLimits;
}

const deviceFlags = ({ device, threads, cudnn, winograd, tune }: DeviceFlags): DeviceFlags => ({
  device,
  cudnn,
  winograd,
  tune,
  ...(threads === undefined ? {} : { threads }),
});

/** @param flags Must have model, weights and images. */
export function jobOf(flags: EvaluateFlags): Job {
  const chosen = choosePreprocess(flags, flags.model!);
  return {
    ...deviceFlags(flags),
    ...precisionOf(flags),
    model: flags.model!,
    weights: flags.weights!,
    crops: flags.crops,
    scales: flags.multiScale,
    batch: flags.batch,
    source: {
      images: flags.images!,
      limit: flags.limit ?? null,
      skipBroken: flags.skipBroken ?? false,
      labels: flags.labels ?? null,
      mean: flags.mean ?? null,
      preprocess: chosen.file,
      databaseOrder: flags.databaseOrder ?? null,
    },
    preprocess: chosen.for,
    limits: limitsOf(flags),
  };
}

/**
 * @param flags Where the files are now, and on which device to compute if that changed.
 * @throws ArgumentError if a file is not the one that produced the result
 */
export async function replayJob({ recipe, source }: EvaluationResult, flags: EvaluateFlags): Promise<Job> {
  const model = flags.model ?? recipe.model.file;
  const weights = flags.weights ?? recipe.weights.file;
  const calibration = flags.calibration ?? recipe.calibration?.file;
  for (const [name, file, made] of [
    ['model', model, recipe.model],
    ['weights', weights, recipe.weights],
    ['calibration', calibration, recipe.calibration],
  ] as const)
    if (file !== undefined && (await fileHash(file)).sha256 !== made?.sha256)
      throw new ArgumentError(
        name,
        `the file that made the result, SHA-256 ${made?.sha256}`,
        `${file}, another`,
      );
  const places = {
    images: flags.images ?? source.images,
    labels: flags.labels ?? source.labels,
    mean: flags.mean ?? source.mean,
    preprocess: flags.preprocess ?? source.preprocess,
  };
  const { resize, crop, crops, scales, order, scale, batch, std, orientation, depth, window } = recipe;
  const interpolation = recipe.interpolation === 'float' ? 'float' : 'bytes';
  const mean = meanOf(recipe, places);
  const threads = flags.threads ?? Number(recipe.deviceDescription.threads);
  return {
    ...deviceFlags(flags),
    device: flags.device === 'auto' ? (recipe.device as DeviceKind) : flags.device,
    ...(Number.isInteger(threads) ? { threads } : {}),
    precision: recipe.precision as AnyPrecisionFlags['precision'],
    ...(calibration === undefined ? {} : { calibration }),
    model,
    weights,
    crops,
    scales: scales ?? undefined,
    batch,
    source: {
      ...places,
      limit: source.limit,
      skipBroken: source.skipBroken,
      databaseOrder: source.databaseOrder ?? null,
    },
    preprocess: () => ({
      ...{ resize, interpolation, crop, mean, order, scale, orientation, depth },
      ...(std === null ? {} : { std }),
      // Results of earlier versions have no window.
      ...(window ? { window } : {}),
    }),
    limits: limitsOf(flags),
  };
}

function meanOf(
  { mean }: EvaluationResult['recipe'],
  places: Pick<EvaluationSource, 'mean' | 'preprocess'>,
): Preprocess['mean'] {
  if (!('sha256' in mean)) return mean;
  const read = places.mean === null ? loadPreprocess(places.preprocess ?? '').mean : readMean(places.mean);
  const found = recordedMean(read);
  if (!('sha256' in found) || found.sha256 !== mean.sha256)
    throw new ArgumentError(
      'mean',
      `the mean image of the result, SHA-256 ${mean.sha256}`,
      `${places.mean ?? places.preprocess}, another`,
    );
  return read;
}
