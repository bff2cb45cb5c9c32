/** One blob for many images: features for search, clustering or another classifier. */
import { ArgumentError, GraphError } from '../errors.ts';
import { decodeImage } from '../image/decode.ts';
import { type Preprocess, preprocessImage } from '../image/preprocess.ts';
import { availableMemory, formatBytes } from '../runtime/memory.ts';
import type { Model } from '../runtime/model.ts';
import { elementCount, type Tensor } from '../runtime/tensor.ts';
import { imageInput } from './image-input.ts';
import { readAhead } from './read-ahead.ts';

export interface FeatureOptions {
  readonly preprocess: Preprocess;
  /** Images in one run. Default 8. */
  readonly batch?: number;
  /** Told after each run how many images are done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * The model's first output for every image, in the order of the files; images of the next batch are decoded while one
 * runs. Load the model with `outputs: [blob]`.
 * @returns images × the blob's other dimensions
 * @throws ImageError naming the file; GraphError where the model takes no image, or the blob has no row an image;
 * ArgumentError where all of it would not fit in memory
 */
export async function extractFeatures(
  model: Model,
  files: readonly string[],
  options: FeatureOptions,
): Promise<Tensor> {
  const { batch = 8, preprocess, onProgress, signal } = options;
  if (!Number.isInteger(batch) || batch < 1) throw new ArgumentError('batch', 'a positive integer', batch);
  const input = imageInput(model);
  const [blob, loaded] = Object.entries(model.outputs)[0]!;
  const images = model.inputs[input.name]![0]!;
  if (loaded.length === 0 || loaded[0] !== images)
    throw new GraphError(
      'features/no-row-per-image',
      {},
      `blob "${blob}" is ${loaded.join('×') || 'a scalar'} for ${images} images; features need a blob whose first dimension counts images`,
    );
  const row = elementCount(loaded.slice(1));
  const bytes = 4 * row * files.length;
  if (bytes > availableMemory())
    throw new ArgumentError(
      'files',
      `so few images that "${blob}" (${formatBytes(4 * row)} an image) fits in memory`,
      files.length,
    );
  const data = new Float32Array(row * files.length);
  const pixels = input.channels * input.size.width * input.size.height;
  const prepare = async (part: readonly string[]) => {
    const values = new Float32Array(part.length * pixels);
    const prepared = part.map(async (file) =>
      preprocessImage(await decodeImage(file), preprocess, input.channels),
    );
    for (const [i, image] of (await Promise.all(prepared)).entries()) values.set(image, i * pixels);
    return values;
  };
  for await (const { begin, end, batch: values } of readAhead(files, batch, prepare, signal)) {
    const shape = [values.length / pixels, input.channels, input.size.height, input.size.width];
    const outputs = await model.run(
      { [input.name]: { shape, data: values } },
      signal === undefined ? {} : { signal },
    );
    data.set(outputs[blob]!.data, begin * row);
    onProgress?.(end);
  }
  return { shape: [files.length, ...loaded.slice(1)], data };
}
