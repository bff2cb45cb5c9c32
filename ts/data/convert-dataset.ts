/** Images → an LMDB of Datums as Caffe's converters write them: convert_mnist_data, convert_cifar_data, convert_imageset. */

import { DataError, ImageError } from '../base/errors.ts';
import {
  boolean,
  callback,
  instance,
  integer,
  type Kind,
  list,
  oneOf,
  path,
  signal,
  string,
} from '../base/kinds.ts';
import { fields, optional, options, required, signature } from '../base/options.ts';
import { shuffled } from '../base/random.ts';
import { yielding } from '../base/yielding.ts';
import { decodeImage, limitRows, readImageFile } from '../images/decode.ts';
import { imageFormatOf } from '../images/format.ts';
import { exactSize } from '../images/geometry.ts';
import { writeDatabaseOrder } from './database-order.ts';
import { writeDatum } from './datum.ts';
import { pixelsOfImage, planesOf, resizePixels } from './pixels.ts';
import type { RawImages } from './raw-images.ts';
import { LmdbWriter } from './write-lmdb.ts';

export interface ConvertRawOptions extends ConvertDatasetOptions {
  /**
   * Of the planes of colours that are written. Default `BGR`, as OpenCV's users have it; `RGB` is what Caffe's
   * convert_cifar_data writes. Either way it is said in a file beside the records (`database-order.ts`).
   */
  readonly order?: 'BGR' | 'RGB';
}

export interface ConvertDatasetOptions {
  /** In random order, by this seed. Default: as they come. */
  readonly shuffle?: number;
  /** Told now and then how many records there are. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Images by path. `name` is what a record's key ends with (convert_imageset: as in the list). */
export interface NamedImage {
  readonly path: string;
  readonly name: string;
  readonly label: number;
}

export interface ConvertImagesOptions extends ConvertDatasetOptions {
  /** To exactly this size, bilinear. */
  readonly resize?: { readonly width: number; readonly height: number };
  readonly gray?: boolean;
  /**
   * Keeps files as they are where nothing is to change; else encodes as `encodeType` ('jpg' or 'png'; default as the
   * file is). Default false: decoded, planes B, G, R.
   */
  readonly encoded?: boolean;
  readonly encodeType?: 'jpg' | 'png';
  /** The most pixels of an image. Default 2^26. */
  readonly maxPixels?: number;
  /** Images that cannot be read are left out and told here. Default: the first one is an error. */
  readonly onBroken?: (error: ImageError) => void;
  /** All must be of the first one's size. */
  readonly checkSize?: boolean;
}

/** Rows of ConvertDatasetOptions. */
const datasetRows = {
  shuffle: optional(integer(), 'as they come', 'In random order, by this seed.'),
  onProgress: optional(callback<(done: number, total: number) => void>(), 'none', 'Told now and then.'),
  signal: optional(signal, 'none', 'Ends it with its reason thrown.'),
};

const CONVERT_RAW_IMAGES = signature('convertRawImages', {
  images: required(
    fields<Omit<RawImages, 'order'>>('RawImages of readIdx or readCifar', {
      shape: required(list(integer(1), { of: 'sizes', atLeast: 3 }) as Kind<RawImages['shape']>, 'C×H×W.'),
      labels: required(instance('a Uint8Array', Uint8Array), 'Classes.'),
      image: required(callback<RawImages['image']>(), 'Of image i.'),
    }),
    'Images.',
  ),
  output: required(path, 'Of the database.'),
  digits: required(integer(1, 32), 'Of the key.'),
  options: optional(
    options<ConvertRawOptions>({
      ...datasetRows,
      order: optional(
        oneOf('BGR', 'RGB'),
        'BGR',
        'Of the planes of colours that are written; it is said in a file beside the records.',
      ),
    }),
    'none',
    'How.',
  ),
});

/**
 * Writes images that are arrays.
 * @param digits Of the key: 8 as convert_mnist_data, 5 as convert_cifar_data.
 * @returns How many records were written.
 * @throws DataError; ResnodeError `file/write`; nothing is left behind then
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
        path: required(path, 'Of the file.'),
        name: required(string, 'Of the record.'),
        label: required(integer(), 'Its class.'),
      }),
      { of: 'images' },
    ),
    'Images by path.',
  ),
  output: required(path, 'Of the database.'),
  options: optional(
    options<ConvertImagesOptions>({
      ...datasetRows,
      resize: optional(exactSize, 'as they are', 'To exactly this size, bilinear.'),
      gray: optional(boolean, 'false', 'One channel.'),
      encoded: optional(
        boolean,
        'false',
        'Keeps files as they are, or encodes what was changed; else images are stored decoded.',
      ),
      encodeType: optional(oneOf('jpg', 'png'), 'as the file is', 'What changed images are encoded as.'),
      checkSize: optional(boolean, 'false', "All must be of the first one's size."),
      maxPixels: limitRows.maxPixels,
      onBroken: optional(
        callback<(error: ImageError) => void>(),
        'the first is an error',
        'Told what cannot be read.',
      ),
    }),
    'none',
    'How.',
  ),
});

/**
 * Writes images from files; else as convertRawImages.
 * @throws DataError, ImageError naming the file
 * @example await convertImages([{ path: 'a.png', name: 'a.png', label: 0 }], 'train.lmdb', { shuffle: 1 });
 */
export async function convertImages(
  images: readonly NamedImage[],
  output: string,
  options: ConvertImagesOptions = {},
): Promise<number> {
  CONVERT_IMAGES.check(images, output, options);
  let firstSize: string | null = null;
  const written = await writeRecords(output, images.length, options, async (i, place) => {
    const { path, name, label } = images[i]!;
    const key = `${keyOf(place, images.length, 8)}_${name}`;
    const read = await datumOfFile(path, label, options).catch((error: unknown) => {
      if (options.onBroken === undefined || !(error instanceof ImageError)) throw error;
      options.onBroken(error);
      return null;
    });
    if (read === null) return null;
    const { value, size } = read;
    firstSize ??= size;
    if (options.checkSize && size !== firstSize)
      throw new DataError(
        'data/size',
        { file: path },
        `is ${size}, the first image ${firstSize}; resize them`,
      );
    return { key, value };
  });
  if (!options.gray) writeDatabaseOrder(output, 'BGR');
  return written;
}

async function datumOfFile(
  path: string,
  label: number,
  { resize, gray = false, encoded = false, encodeType, maxPixels, signal }: ConvertImagesOptions,
): Promise<{ value: Buffer; size: string }> {
  const bytes = await readImageFile(path, path, maxPixels);
  const own = ({ JPEG: 'jpg', PNG: 'png' } as Partial<Record<string, 'jpg' | 'png'>>)[
    imageFormatOf(bytes) ?? ''
  ];
  const type = encodeType ?? own;
  const image = await decodeImage(bytes, {
    name: path,
    ...(maxPixels === undefined ? {} : { maxPixels }),
    ...(signal === undefined ? {} : { signal }),
  }); // also where its bytes are kept: a broken file is found now
  const pixels = pixelsOfImage(image, !gray);
  const resized = resize === undefined ? pixels : await resizePixels(pixels, resize.width, resize.height);
  const { width, height } = resized;
  const size = `${resized.offsets.length}×${height}×${width}`;
  if (!encoded && encodeType === undefined)
    return {
      size,
      value: writeDatum({ channels: resized.offsets.length, height, width, data: planesOf(resized), label }),
    };
  if (type === undefined)
    throw new DataError(
      'data/encode-type',
      { file: path },
      'this is neither a JPEG nor a PNG, so that it must be encoded; give encodeType (--encode-type), jpg or png',
    );
  if (resize === undefined && type === own && (!gray || image.channels === 1))
    return { size, value: writeDatum({ data: bytes, label, encoded: true }) };
  const { default: sharp } = await import('sharp');
  // sharp takes R, G, B; the planes are B, G, R.
  const planes = planesOf(resized);
  const channels = resized.offsets.length as 1 | 3;
  const raw = Buffer.allocUnsafe(planes.length);
  for (let i = 0, area = width * height; i < area; i++)
    for (let c = 0; c < channels; c++) raw[i * channels + channels - 1 - c] = planes[c * area + i]!;
  const pipeline = sharp(raw, { raw: { width, height, channels } });
  // OpenCV's imwrite quality is 95 by default.
  const data = await (type === 'png' ? pipeline.png() : pipeline.jpeg({ quality: 95 })).toBuffer();
  return { size, value: writeDatum({ data, label, encoded: true }) };
}

async function writeRecords(
  output: string,
  count: number,
  { shuffle, onProgress, signal }: ConvertDatasetOptions,
  record: (index: number, place: number) => Promise<{ key: string; value: Buffer } | null>,
): Promise<number> {
  const order = shuffle === undefined ? null : await shuffled(count, shuffle);
  const writer = new LmdbWriter(output);
  const yieldIfDue = yielding();
  let written = 0;
  try {
    for (let place = 0; place < count; place++) {
      signal?.throwIfAborted();
      const made = await record(order?.[place] ?? place, place);
      if (made !== null) {
        writer.add(made.key, made.value);
        written++;
      }
      if ((place + 1) % 1000 === 0) onProgress?.(place + 1, count);
      await yieldIfDue();
    }
    if (written === 0 && count > 0)
      throw new ImageError('image/none-left', undefined, 'no image can be read; nothing is written');
    await writer.finish();
  } catch (error) {
    writer.abandon();
    throw error;
  }
  return written;
}

// Keys sort as their numbers do.
const keyOf = (place: number, count: number, digits: number): string =>
  String(place).padStart(Math.max(digits, String(count - 1).length), '0');
