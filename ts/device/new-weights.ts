/** Converts the argument of `setWeights` of a model or a trainer to blobs of the net's parameters. */
import { ArgumentError } from '../base/errors.ts';
import { didYouMean, either, instance, type Kind, list, nullOr, record } from '../base/kinds.ts';
import { elementCount, showShape } from '../base/shape.ts';
import { type FileSource, fileSource, isFileSource, resolveSource } from '../base/sources.ts';
import { warn } from '../base/warn.ts';
import { yielding } from '../base/yielding.ts';
import { type Blob, blobFromFloats } from '../caffe/blob.ts';
import { type WeightsFile, weightsFile } from '../caffe/caffemodel.ts';
import { matchWeights } from '../caffe/match-weights.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { notFiniteWarnings } from '../caffe/weights-warnings.ts';
import { keptBlobs } from '../compile/compile.ts';
import type { Parameter } from '../layers/operation.ts';
import { allocateMemory, mapFile } from '../native/host-memory.ts';
import { type Tensor, tensor } from './tensor.ts';

/** Layer names with their blobs in Caffe's order; each blob has only values, or values with a shape; null keeps the blob. */
export type BlobsByLayer = Readonly<Record<string, readonly (Float32Array | Tensor | null)[]>>;

/** Blobs of layers, or a weights file: as a path, `file:` URL or bytes, or as read before (`trainer.weights()`). */
export type NewWeights = BlobsByLayer | FileSource | WeightsFile;

const blobsByLayer: Kind<BlobsByLayer> = record(
  list(nullOr(either(instance('a Float32Array', Float32Array), tensor)), { of: 'blobs' }),
);

const isWeightsFile = (weights: object): weights is WeightsFile =>
  typeof (weights as Partial<WeightsFile>).file === 'string';

export const newWeights: Kind<NewWeights> = {
  expected:
    'blobs by layer, { conv1: [weights, bias] }, or weights by path, file: URL or bytes, or as they were read',
  mistake(value) {
    if (isFileSource(value)) return fileSource.mistake(value);
    if (typeof value !== 'object' || value === null)
      return { path: '', expected: this.expected, actual: value };
    return isWeightsFile(value) ? weightsFile.mistake(value) : blobsByLayer.mistake(value);
  },
};

/** New values of parameters, by their index. */
export type Changes = ReadonlyMap<number, Blob>;

/**
 * The parameters that change. Blobs by layer are copied at the call.
 * @throws ArgumentError that names the layer; WeightsError if a file does not fit
 */
export function changesOf(weights: NewWeights, parameters: readonly Parameter[]): Promise<Changes> {
  const isFile = isFileSource(weights) || isWeightsFile(weights);
  const changes = isFile ? null : fromBlobs(weights, parameters);
  return (async () => {
    const found = changes ?? (await fromFile(weights as FileSource | WeightsFile, parameters));
    const blobs = parameters.map((_, i) => found.get(i) ?? null);
    const from = isWeightsFile(weights as object) ? (weights as WeightsFile) : null;
    for (const { code, message } of await notFiniteWarnings(parameters, blobs, from)) warn(code, message);
    return found;
  })();
}

async function fromFile(
  source: FileSource | WeightsFile,
  parameters: readonly Parameter[],
): Promise<Map<number, Blob>> {
  const weights = isFileSource(source) ? await readWeights(resolveSource(source), mapFile) : source;
  // As in Net::CopyTrainedLayersFrom, layers that are missing in the file keep their values.
  const blobs = await keptBlobs(matchWeights(parameters, weights, {}, 'train').blobs, yielding());
  return new Map(blobs.flatMap((blob, i) => (blob === null ? [] : [[i, blob] as const])));
}

function fromBlobs(weights: BlobsByLayer, parameters: readonly Parameter[]): Map<number, Blob> {
  const found = new Map<number, { readonly blob: Blob; readonly layer: string }>();
  const own = placesOf(parameters);
  for (const [layer, blobs] of Object.entries(weights)) {
    const ids = own.get(layer);
    if (ids === undefined)
      throw new ArgumentError(
        'weights',
        'layers with weights',
        layer,
        didYouMean(layer, own.keys()) ?? `this net has ${[...own.keys()].join(', ') || 'none'}`,
      );
    if (blobs.length > ids.length)
      throw new ArgumentError(
        `the weights of layer "${layer}"`,
        `${ids.length} blobs at most`,
        `${blobs.length} of them`,
      );
    for (const [index, given] of blobs.entries()) {
      if (given === null) continue;
      const id = ids[index]!;
      const before = found.get(id);
      if (before !== undefined)
        throw new ArgumentError(
          `the weights of layer "${layer}", blob ${index}`,
          `none, since the layer shares it with "${before.layer}", whose values are given`,
          given,
        );
      found.set(id, {
        blob: copied(given, parameters[id]!, `the weights of layer "${layer}", blob ${index}`),
        layer,
      });
    }
  }
  return new Map([...found].map(([id, { blob }]) => [id, blob]));
}

/** The indices of each layer's parameters, by the index of the blob. */
function placesOf(parameters: readonly Parameter[]): Map<string, number[]> {
  const own = new Map<string, number[]>();
  for (const [id, { places }] of parameters.entries())
    for (const { layer, index } of places) {
      if (!own.has(layer)) own.set(layer, []);
      own.get(layer)![index] = id;
    }
  return own;
}

function copied(given: Float32Array | Tensor, { shape }: Parameter, name: string): Blob {
  const isTensor = !(given instanceof Float32Array);
  if (isTensor && showShape(given.shape) !== showShape(shape))
    throw new ArgumentError(name, `the shape ${showShape(shape)}`, showShape(given.shape));
  const values = isTensor ? given.data : given;
  const count = elementCount(shape);
  if (values.length !== count) throw new ArgumentError(name, `${count} values (${showShape(shape)})`, values);
  const bytes = allocateMemory(4 * count, name);
  const copy = new Float32Array(bytes.buffer, 0, count);
  copy.set(values);
  return blobFromFloats(shape, copy);
}
