/** One blob for many images: features for search, clustering or another classifier. */

import { ArgumentError, GraphError, ImageError } from '../../base/errors.ts';
import { bytes, callback, either, integer, list, signal } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { elementCount } from '../../base/shape.ts';
import { location, pathOf } from '../../base/sources.ts';
import { availableMemory, formatBytes } from '../../device/memory.ts';
import { type Model, model } from '../../device/model.ts';
import type { Tensor } from '../../device/tensor.ts';
import { type DecodeLimits, limitRows } from '../decode.ts';
import { type Preprocess, preprocess, preprocessFile } from '../preprocess.ts';
import { imageInput } from './image-input.ts';
import { readAhead } from './read-ahead.ts';

/** One row an image. */
export interface Features extends Tensor {
  /** The image of each row: its path; `image` where it was given as bytes. */
  readonly files: readonly string[];
}

export interface FeatureOptions extends DecodeLimits {
  readonly preprocess: Preprocess;
  /** Images in one run. Default 8. */
  readonly batch?: number;
  /** Told after each run how many images are done. */
  readonly onProgress?: (done: number) => void;
  /** Images that cannot be read are left out and told here. Default: the first one is an error. */
  readonly onBroken?: (error: ImageError) => void;
  readonly signal?: AbortSignal;
}

const EXTRACT_FEATURES = signature('extractFeatures', {
  model: required(model, 'Loaded with outputs: [blob].'),
  files: required(list(either(location, bytes), { of: 'paths, or bytes of image files' }), 'Images.'),
  options: required(
    options<FeatureOptions>({
      preprocess: required(preprocess, 'What images go through.'),
      batch: optional(integer(1), '8', 'Images in one run.'),
      onProgress: optional(
        callback<(done: number) => void>(),
        'none',
        'Told after each run how many images are done.',
      ),
      signal: optional(signal, 'none', 'Ends it with its reason thrown.'),
      onBroken: optional(
        callback<(error: ImageError) => void>(),
        'the first is an error',
        'Told what cannot be read.',
      ),
      ...limitRows,
    }),
    'How.',
  ),
});

/**
 * The model's first output for every image, in the order of the files; images of the next batch are decoded while one
 * runs. Load the model with `outputs: [blob]`.
 * @param files Paths, `file:` URLs, or the bytes of image files.
 * @returns images × the blob's other dimensions, and the files of the rows (`image`: given as bytes)
 * @throws ImageError naming the file; GraphError where the model takes no image, or the blob has no row an image;
 * ArgumentError where all of it would not fit in memory
 * @example const { shape, data, files } = await extractFeatures(model, ['cat.jpg', 'dog.jpg'], { preprocess });
 */
export async function extractFeatures(
  model: Model,
  files: readonly (string | URL | Uint8Array)[],
  options: FeatureOptions,
): Promise<Features> {
  EXTRACT_FEATURES.check(model, files, options);
  const { batch = 8, preprocess, onProgress, onBroken, signal, maxPixels, timeout } = options;
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
  if (4 * row * files.length > availableMemory())
    throw new ArgumentError(
      'files',
      `so few images that "${blob}" (${formatBytes(4 * row)} an image) fits in memory`,
      files.length,
    );
  const data = new Float32Array(row * files.length);
  const pixels = input.channels * input.size.width * input.size.height;
  const decoding = {
    ...(maxPixels === undefined ? {} : { maxPixels }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(signal === undefined ? {} : { signal }),
  };
  const read = async (file: string | URL | Uint8Array) => {
    try {
      const image = await preprocessFile(
        file instanceof URL ? pathOf(file) : file,
        preprocess,
        input.channels,
        decoding,
      );
      return { file: file instanceof Uint8Array ? 'image' : pathOf(file), image };
    } catch (error) {
      if (onBroken === undefined || !(error instanceof ImageError)) throw error;
      onBroken(error);
      return null;
    }
  };
  const prepare = async (part: readonly (string | URL | Uint8Array)[]) => {
    const whole = (await Promise.all(part.map(read))).filter((each) => each !== null);
    const values = new Float32Array(whole.length * pixels);
    for (const [i, { image }] of whole.entries()) values.set(image, i * pixels);
    return { values, read: whole.map(({ file }) => file) };
  };
  const rows: string[] = [];
  for await (const { end, batch: prepared } of readAhead(files, batch, prepare, signal)) {
    const { values } = prepared;
    if (values.length === 0) {
      onProgress?.(end);
      continue;
    }
    const shape = [values.length / pixels, input.channels, input.size.height, input.size.width];
    const outputs = await model.run(
      { [input.name]: { shape, data: values } },
      signal === undefined ? {} : { signal },
    );
    data.set(outputs[blob]!.data, rows.length * row);
    rows.push(...prepared.read);
    onProgress?.(end);
  }
  return { shape: [rows.length, ...loaded.slice(1)], data: data.subarray(0, rows.length * row), files: rows };
}
