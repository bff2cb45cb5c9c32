/** Computes the mean of all images of a database, as compute_image_mean does. */

import { DataError, ResnodeError } from '../base/errors.ts';
import { callback, path, signal } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { yielding } from '../base/yielding.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import { writeBinaryproto } from '../caffe/write-caffemodel.ts';
import { meanImage } from '../images/preprocess.ts';
import { pixelsOf } from './image-reader.ts';
import { datumAt, openLmdb } from './lmdb.ts';

export interface MeanOfImages {
  /** Channels × height × width. */
  readonly shape: readonly number[];
  readonly data: Float32Array;
  /** The mean of each channel, over all pixels. */
  readonly channels: readonly number[];
  readonly images: number;
}

export interface MeanOptions {
  /** Called now and then with the number of images done. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

const MEAN_OF_IMAGES = signature('meanOfImages', {
  path: required(path, 'The folder that holds data.mdb.'),
  options: optional(
    options<MeanOptions>({
      onProgress: optional(
        callback<(done: number, total: number) => void>(),
        'none',
        'Called now and then with the number of images done.',
      ),
      signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
    }),
    'none',
    'Progress and cancellation.',
  ),
});

/**
 * The mean image of a database, summed in float64 and rounded once (Caffe sums in float32).
 * @param path The folder that holds data.mdb; encoded images are decoded unchanged.
 * @throws DataError if there is no database, an image is broken, or sizes differ (the error names the record's key)
 * @example writeMeanImage('mean.binaryproto', await meanOfImages('train.lmdb'));
 */
export async function meanOfImages(path: string, options: MeanOptions = {}): Promise<MeanOfImages> {
  MEAN_OF_IMAGES.check(path, options);
  const database = openLmdb(path);
  const yieldIfDue = yielding();
  let shape: number[] = [];
  let sums = new Float64Array(0);
  try {
    for (let i = 0; i < database.count; i++) {
      options.signal?.throwIfAborted();
      const { key, datum } = datumAt(database, i);
      const { offsets, height, width, rowStride, pixelStride, data } = await pixelsOf(datum, null).catch(
        (error) => {
          const code = error instanceof ResnodeError ? error.code : 'data/image';
          throw new DataError(code, { file: path }, `record "${key}": ${error.message}`, { cause: error });
        },
      );
      if (i === 0) {
        shape = [offsets.length, height, width];
        sums = new Float64Array(offsets.length * height * width);
      } else if (shape.join() !== [offsets.length, height, width].join())
        throw new DataError(
          'data/size',
          { file: path },
          `record "${key}" is ${offsets.length}×${height}×${width}, the first one ${shape.join('×')}; a mean image needs images of one size (resnode dataset images --resize)`,
        );
      let at = 0;
      for (const offset of offsets)
        for (let y = 0; y < height; y++)
          for (let x = 0, from = offset + y * rowStride; x < width; x++, from += pixelStride)
            sums[at++]! += data[from]!;
      if ((i + 1) % 1000 === 0) options.onProgress?.(i + 1, database.count);
      await yieldIfDue();
    }
    const area = shape[1]! * shape[2]!;
    const mean = sums.map((sum) => sum / database.count);
    const channels = Array.from({ length: shape[0]! }, (_, c) => {
      const plane = mean.subarray(c * area, (c + 1) * area);
      return plane.reduce((sum, value) => sum + value, 0) / area;
    });
    return { shape, data: Float32Array.from(mean), channels, images: database.count };
  } finally {
    database.close();
  }
}

const WRITE_MEAN_IMAGE = signature('writeMeanImage', {
  path: required(path, 'The path of the file to write.'),
  mean: required(meanImage, 'The mean image, C×H×W.'),
});

/** Writes a mean image for Caffe's mean_file: a BlobProto [1, channels, height, width]. */
export function writeMeanImage(path: string, mean: Pick<MeanOfImages, 'shape' | 'data'>): void {
  WRITE_MEAN_IMAGE.check(path, mean);
  const { shape, data } = mean;
  writeBinaryproto(path, blobFromFloats([1, ...shape], data));
}
