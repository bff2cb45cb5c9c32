/** Means as files: Caffe's .binaryproto, and the .npy of caffe.io's users. */
import { readFileSync } from 'node:fs';
import { ImageError } from '../base/errors.ts';
import { checkRegularFile, readCause } from '../base/files.ts';
import { path } from '../base/kinds.ts';
import { required, signature } from '../base/options.ts';
import { type Blob, toFloat32 } from '../caffe/blob.ts';
import { readBinaryproto } from '../caffe/caffemodel.ts';
import { fileKindAt } from '../caffe/file-kind.ts';
import { readNpy } from '../caffe/npy.ts';
import { wrongKindAt } from '../caffe/wrong-kind.ts';
import type { MeanImage, Preprocess } from './preprocess.ts';

const READ_MEAN_IMAGE = signature('readMeanImage', { file: required(path, 'The path of a .binaryproto.') });

/**
 * Reads a mean image `[1,] channels × height × width` from a .binaryproto.
 * @throws WeightsError, ImageError
 */
export function readMeanImage(file: string): MeanImage {
  READ_MEAN_IMAGE.check(file);
  checkRegularFile(file);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const wrong = wrongKindAt(file, 'mean');
    if (wrong !== null) throw new ImageError('image/wrong-kind', file, wrong);
    throw new ImageError('image/mean', file, readCause(error as NodeJS.ErrnoException), {
      cause: error,
    });
  }
  return imageOf(readBinaryproto(bytes, { file }), file);
}

/**
 * Reads a mean: a .binaryproto, or a .npy with channels × height × width, as caffe.io uses it, or with one value per channel
 * (`mean.mean(1).mean(1)`).
 * @throws as readMeanImage; ImageError for arrays of other shapes
 */
export function readMean(file: string): Preprocess['mean'] {
  if (!isNpy(file)) return readMeanImage(file);
  const blob = readNpy(readFileSync(file), { file });
  if (blob.shape.length === 1) return Array.from(toFloat32(blob));
  const [first = 0] = blob.shape;
  if (blob.shape.length === 3 && blob.shape[2]! <= 3 && first > 3)
    throw new ImageError(
      'image/mean',
      file,
      `expected channels × height × width, found ${blob.shape.join('×')}: save it with numpy.save(file, mean.transpose(2, 0, 1))`,
    );
  return imageOf(blob, file);
}

function isNpy(file: string): boolean {
  try {
    return fileKindAt(file) === 'npy';
  } catch {
    return false; // readMeanImage reports unreadable files
  }
}

function imageOf(blob: Blob, file: string): MeanImage {
  if (blob.shape.length < 3)
    throw new ImageError(
      'image/mean',
      file,
      `expected channels × height × width, found ${blob.shape.join('×')}`,
    );
  return { shape: blob.shape, data: toFloat32(blob) };
}
