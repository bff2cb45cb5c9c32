/** Computes one blob for many images: features for search, clustering or another classifier. */

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

/** One row per image. */
export interface Features extends Tensor {
  /** The image of each row: its path, or `image` if it was given as bytes. */
  readonly files: readonly string[];
}

export interface FeatureOptions extends DecodeLimits {
  readonly preprocess: Preprocess;
  /** The number of images in one run. Default 8. */
  readonly batch?: number;
  /** Called after each run with the number of images done. */
  readonly onProgress?: (done: number) => void;
  /** Called for each image that cannot be read, which is then skipped. Default: the first one is an error. */
  readonly onBroken?: (error: ImageError) => void;
  readonly signal?: AbortSignal;
}

const EXTRACT_FEATURES = signature('extractFeatures', {
  model: required(model, 'A model that was loaded with outputs: [blob].'),
  files: required(list(either(location, bytes), { of: 'paths, or bytes of image files' }), 'The images.'),
  options: required(
    options<FeatureOptions>({
      preprocess: required(preprocess, 'How images are prepared.'),
      batch: optional(integer(1), '8', 'The number of images in one run.'),
      onProgress: optional(
        callback<(done: number) => void>(),
        'none',
        'Called after each run with the number of images done.',
      ),
      signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
      onBroken: optional(
        callback<(error: ImageError) => void>(),
        'the first is an error',
        'Called for each image that cannot be read.',
      ),
      ...limitRows,
    }),
    'How to compute the features.',
  ),
});

/**
 * Computes the model's first output for every image, in the order of the files; images of the next batch are decoded during
 * a run. Load the model with `outputs: [blob]`.
 * @param files Paths, `file:` URLs, or the bytes of image files.
 * @returns images × the blob's other dimensions, and the file of each row (`image` for bytes)
 * @throws ImageError that names the file; GraphError if the model does not take images, or the blob does not have one row
 * per image; ArgumentError if the result does not fit in memory
 * @example const { shape, data, files } = await extractFeatures(model, ['cat.jpg', 'dog.jpg'], { preprocess });
 */
export async function extractFeatures(
  model: Model,
  files: readonly (string | URL | Uint8Array)[],
  options: FeatureOptions,
): Promise<Features> {
  EXTRACT_FEATURES.check(model, files, options);
  const all = new FeatureRows(files.length);
  for await (const { end, ...batch } of featureBatches(model, files, options)) {
    for (const error of batch.broken) options.onBroken!(error);
    all.add(batch);
    options.onProgress?.(end);
  }
  return all.features();
}

/** The features of one run. */
export interface FeatureBatch extends Features {
  /** The images that could not be read, in order. */
  readonly broken: readonly ImageError[];
}

/** Collects rows of many batches in one array, which is allocated when the length of a row is known. */
export class FeatureRows {
  readonly #images: number;
  readonly #files: string[] = [];
  #row: readonly number[] = [];
  #data: Float32Array | null = null;

  /** @param images The largest number of images. */
  constructor(images: number) {
    this.#images = images;
  }

  /** @throws ArgumentError if the result does not fit in memory */
  add({ shape, data, files }: Features): void {
    this.#row = shape.slice(1);
    this.#data ??= memoryFor(elementCount(this.#row), this.#images);
    this.#data.set(data, this.#files.length * elementCount(this.#row));
    this.#files.push(...files);
  }

  features(): Features {
    const shape = [this.#files.length, ...this.#row];
    return {
      shape,
      data: (this.#data ?? new Float32Array()).subarray(0, elementCount(shape)),
      files: this.#files,
    };
  }
}

function memoryFor(row: number, images: number): Float32Array {
  if (4 * row * images <= availableMemory()) return new Float32Array(row * images);
  throw new ArgumentError(
    'files',
    `so few images that the blob (${formatBytes(4 * row)} per image) fits in memory`,
    images,
  );
}

/**
 * The same, one run at a time.
 * @throws as `extractFeatures`, except for memory
 */
export async function* featureBatches(
  model: Model,
  files: readonly (string | URL | Uint8Array)[],
  options: FeatureOptions,
): AsyncGenerator<FeatureBatch & { readonly end: number }> {
  const { batch = 8, preprocess, onBroken, signal, maxPixels, timeout } = options;
  const input = imageInput(model);
  const [blob, loaded] = Object.entries(model.outputs)[0]!;
  const images = model.inputs[input.name]![0]!;
  if (loaded.length === 0 || loaded[0] !== images)
    throw new GraphError(
      'features/no-row-per-image',
      {},
      `blob "${blob}" is ${loaded.join('×') || 'a scalar'} for ${images} images; features need a blob whose first dimension counts images`,
    );
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
      return error;
    }
  };
  const prepare = async (part: readonly (string | URL | Uint8Array)[]) => {
    const all = await Promise.all(part.map(read));
    const broken = all.filter((each) => each instanceof ImageError);
    const whole = all.flatMap((each) => (each instanceof ImageError ? [] : [each]));
    const values = new Float32Array(whole.length * pixels);
    for (const [i, { image }] of whole.entries()) values.set(image, i * pixels);
    return { values, broken, files: whole.map(({ file }) => file) };
  };
  for await (const { end, batch: prepared } of readAhead(files, batch, prepare, signal)) {
    const { values, files: read, broken } = prepared;
    const shape = [read.length, input.channels, input.size.height, input.size.width];
    const outputs =
      read.length === 0
        ? {}
        : await model.run({ [input.name]: { shape, data: values } }, signal === undefined ? {} : { signal });
    yield {
      end,
      broken,
      files: read,
      shape: [read.length, ...loaded.slice(1)],
      data: outputs[blob]?.data ?? new Float32Array(),
    };
  }
}
