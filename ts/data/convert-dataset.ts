import { callback, instance, integer, type Kind, list, oneOf, path, string } from '../base/kinds.ts';
import { fields, optional, options, required, signature } from '../base/options.ts';
import { writeDatabaseOrder } from './database-order.ts';
import { writeDatum } from './datum.ts';
import {
  type ConvertDatasetOptions,
  type ConvertImagesOptions,
  datasetRows,
  imageRows,
  keyOf,
  writeImages,
  writeRecords,
} from './image-records.ts';
import type { RawImages } from './raw-images.ts';

export interface ConvertRawOptions extends ConvertDatasetOptions {
  /**
   * Of the planes of colours that are written. Default `BGR`, as OpenCV's users have it; `RGB` is what Caffe's
   * convert_cifar_data writes. A file beside the records states the order (`database-order.ts`).
   */
  readonly order?: 'BGR' | 'RGB';
}

/** An image by path. A record's key ends with `name` (in convert_imageset, the path in the list). */
export interface NamedImage {
  readonly path: string;
  readonly name: string;
  readonly label: number;
}

const CONVERT_RAW_IMAGES = signature('convertRawImages', {
  images: required(
    fields<Omit<RawImages, 'order'>>('RawImages of readIdx or readCifar', {
      shape: required(
        list(integer(1), { of: 'sizes', atLeast: 3 }) as Kind<RawImages['shape']>,
        'The shape, C×H×W.',
      ),
      labels: required(instance('a Uint8Array', Uint8Array), 'The classes of the images.'),
      image: required(callback<RawImages['image']>(), 'Returns the pixels of image i.'),
    }),
    'The images.',
  ),
  output: required(path, 'The folder of the database.'),
  digits: required(integer(1, 32), 'The number of digits of a key.'),
  options: optional(
    options<ConvertRawOptions>({
      ...datasetRows,
      order: optional(
        oneOf('BGR', 'RGB'),
        'BGR',
        'The order of the colour channels in the database; a file beside the records keeps it.',
      ),
    }),
    'none',
    'How to store the images.',
  ),
});

/**
 * Writes images that are arrays.
 * @param digits The number of digits of the key: 8 as in convert_mnist_data, 5 as in convert_cifar_data.
 * @returns The number of records written.
 * @throws DataError; ResnodeError `file/write`; after an error nothing is left behind
 */
export async function convertRawImages(
  images: RawImages,
  output: string,
  digits: number,
  options: ConvertRawOptions = {},
): Promise<number> {
  CONVERT_RAW_IMAGES.check(images, output, digits, options);
  const [channels, height, width] = images.shape;
  const { order = 'BGR' } = options;
  const isTurned = images.order !== 'grey' && images.order !== order;
  const planes = (i: number) => (isTurned ? planesBackwards(images.image(i), channels) : images.image(i));
  const written = await writeRecords(output, images.labels.length, options, async (i, place) => ({
    key: keyOf(place, images.labels.length, digits),
    value: writeDatum({ channels, height, width, data: planes(i), label: images.labels[i]! }),
  }));
  if (images.order !== 'grey') writeDatabaseOrder(output, order);
  return written;
}

function planesBackwards(bytes: Uint8Array, channels: number): Uint8Array {
  const area = bytes.length / channels;
  const result = new Uint8Array(bytes.length);
  for (let c = 0; c < channels; c++)
    result.set(bytes.subarray(c * area, (c + 1) * area), (channels - 1 - c) * area);
  return result;
}

const CONVERT_IMAGES = signature('convertImages', {
  images: required(
    list(
      fields<NamedImage>('an image, { path, name, label }', {
        path: required(path, 'The path of the image.'),
        name: required(string, 'The name of the record.'),
        label: required(integer(), 'The class of the image.'),
      }),
      { of: 'images' },
    ),
    'The images, by path.',
  ),
  output: required(path, 'The folder of the database.'),
  options: optional(
    options<ConvertImagesOptions>({
      ...imageRows,
    }),
    'none',
    'How to store the images.',
  ),
});

/**
 * Writes images from files; otherwise as convertRawImages.
 * @throws DataError, ImageError that names the file
 * @example await convertImages([{ path: 'a.png', name: 'a.png', label: 0 }], 'train.lmdb', { shuffle: 1 });
 */
export async function convertImages(
  images: readonly NamedImage[],
  output: string,
  options: ConvertImagesOptions = {},
): Promise<number> {
  CONVERT_IMAGES.check(images, output, options);
  return writeImages(images, output, options, ({ label }) => label);
}
