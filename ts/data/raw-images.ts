/** Reads simple arrays of images: MNIST's IDX files and CIFAR's binary batches. */

import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { DataError } from '../base/errors.ts';
import { checkRegularFile, isMissing, readCause } from '../base/files.ts';
import { list, oneOf, path } from '../base/kinds.ts';
import { optional, required, signature } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';

/** Images of one size with their labels: planes of bytes, one image after another. */
export interface RawImages {
  readonly shape: readonly [channels: number, height: number, width: number];
  /** The order of the colour planes. */
  readonly order: 'RGB' | 'BGR' | 'grey';
  readonly labels: Uint8Array;
  /** The pixels of image i. */
  image(i: number): Uint8Array;
}

const READ_IDX = signature('readIdx', {
  images: required(path, 'The path of the IDX file of images.'),
  labels: optional(path, 'named as the images', 'The path of the labels.'),
});

/**
 * Reads MNIST's files (or Fashion-MNIST's), with or without gzip.
 * @param labels Default: the name of the images' file with `labels-idx1` instead of `images-idx3`.
 * @throws DataError `data/idx`, `data/not-found`
 */
export async function readIdx(images: string, labels?: string): Promise<RawImages> {
  READ_IDX.check(images, labels);
  const pixels = await readIdxArray(images, 3);
  const labelFile = labels ?? images.replace('images-idx3', 'labels-idx1');
  const classes = await readIdxArray(labelFile, 1);
  const [count, height, width] = pixels.shape as [number, number, number];
  if (classes.shape[0] !== count)
    throw new DataError(
      'data/idx',
      { file: labelFile },
      `has ${classes.shape[0]} labels for the ${count} images of ${images}`,
    );
  const size = height * width;
  return {
    shape: [1, height, width],
    order: 'grey',
    labels: classes.values,
    image: (i) => pixels.values.subarray(i * size, (i + 1) * size),
  };
}

// http://yann.lecun.com/exdb/mnist/: two zeros, 8 for unsigned bytes, the number of dimensions, each as a big-endian int32.
async function readIdxArray(
  file: string,
  dimensions: number,
): Promise<{ shape: number[]; values: Uint8Array }> {
  const bytes = await readBytes(file);
  const head = 4 + 4 * dimensions;
  const magic = bytes.length >= 4 ? bytes.readUInt32BE(0) : null;
  if (magic !== 0x800 + dimensions || bytes.length < head)
    throw new DataError(
      'data/idx',
      { file },
      `expected an IDX file of ${dimensions === 1 ? 'labels' : 'images'} (magic ${0x800 + dimensions}), found ${magic ?? `${bytes.length} bytes`}`,
    );
  const shape = Array.from({ length: dimensions }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const count = elementCount(shape);
  if (count === 0 || bytes.length - head !== count)
    throw new DataError(
      'data/idx',
      { file },
      `${shape.join('×')} needs ${count} bytes, the file has ${bytes.length - head}`,
    );
  return { shape, values: bytes.subarray(head) };
}

const READ_CIFAR = signature('readCifar', {
  files: required(list(path, { of: 'paths', atLeast: 1 }), 'Paths of binary batches.'),
  labelBytes: optional(oneOf(1, 2), '1', 'The number of label bytes per image: 2 for CIFAR-100.'),
});

/**
 * Reads CIFAR's binary batches, whose planes are R, G, B.
 * @param labelBytes 1 for CIFAR-10; 2 for CIFAR-100, whose second (fine) label is used.
 * @throws DataError `data/cifar`, `data/not-found`
 */
export async function readCifar(files: readonly string[], labelBytes: 1 | 2 = 1): Promise<RawImages> {
  READ_CIFAR.check(files, labelBytes);
  const record = labelBytes + 3072;
  const batches: Buffer[] = [];
  for (const file of files) {
    const bytes = await readBytes(file);
    if (bytes.length === 0 || bytes.length % record !== 0)
      throw new DataError(
        'data/cifar',
        { file },
        `expected records of ${record} bytes (${labelBytes} of labels, 3072 of pixels), found ${bytes.length} bytes`,
      );
    batches.push(bytes);
  }
  const all = batches.length === 1 ? batches[0]! : Buffer.concat(batches);
  return {
    shape: [3, 32, 32],
    order: 'RGB',
    labels: Uint8Array.from({ length: all.length / record }, (_, i) => all[i * record + labelBytes - 1]!),
    image: (i) => all.subarray(i * record + labelBytes, (i + 1) * record),
  };
}

async function readBytes(file: string): Promise<Buffer> {
  checkRegularFile(file);
  try {
    const bytes = await readFile(file);
    return bytes[0] === 0x1f && bytes[1] === 0x8b ? await promisify(gunzip)(bytes) : bytes;
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    throw isMissing(cause)
      ? new DataError('data/not-found', { file }, readCause(cause), { cause })
      : new DataError('data/unreadable', { file }, `cannot be read (${cause.message}); get it again`, {
          cause,
        });
  }
}
