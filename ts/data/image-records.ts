/** Writes images as records of a database: the common part of convert_imageset and convert_annoset. */
import { DataError, ImageError } from '../base/errors.ts';
import { boolean, callback, integer, oneOf, signal } from '../base/kinds.ts';
import { optional } from '../base/options.ts';
import { shuffled } from '../base/random.ts';
import { yielding } from '../base/yielding.ts';
import { decodeImage, limitRows, readImageFile } from '../images/decode.ts';
import { imageFormatOf } from '../images/format.ts';
import { exactSize } from '../images/geometry.ts';
import { writeDatabaseOrder } from './database-order.ts';
import { writeDatum } from './datum.ts';
import { pixelsOfImage, planesOf, resizePixels } from './pixels.ts';
import { LmdbWriter } from './write-lmdb.ts';

export interface ConvertDatasetOptions {
  /** The seed of a random order. Default: the order in which images come. */
  readonly shuffle?: number;
  /** Called now and then with the number of records. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface ConvertImagesOptions extends ConvertDatasetOptions {
  /** Resizes to exactly this size, bilinearly. */
  readonly resize?: { readonly width: number; readonly height: number };
  readonly gray?: boolean;
  /**
   * Stores files unchanged if nothing is to be changed; otherwise encodes as `encodeType` ('jpg' or 'png'; default: the
   * file's format). Default false: stores decoded planes B, G, R.
   */
  readonly encoded?: boolean;
  readonly encodeType?: 'jpg' | 'png';
  /** The largest number of pixels of an image. Default 2^26. */
  readonly maxPixels?: number;
  /** Called for each image that cannot be read, which is then skipped. Default: the first one is an error. */
  readonly onBroken?: (error: ImageError) => void;
  /** Requires all images to have the size of the first one. */
  readonly checkSize?: boolean;
}

/** Rows of ConvertDatasetOptions. */
export const datasetRows = {
  shuffle: optional(integer(), 'the order in which they come', 'The seed of a random order.'),
  onProgress: optional(
    callback<(done: number, total: number) => void>(),
    'none',
    'Called now and then with the progress.',
  ),
  signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
};

/** Rows of ConvertImagesOptions. */
export const imageRows = {
  ...datasetRows,
  resize: optional(exactSize, 'as they are', 'Resizes images to exactly this size, bilinearly.'),
  gray: optional(boolean, 'false', 'Stores one grey channel.'),
  encoded: optional(
    boolean,
    'false',
    'Stores files as they are, and encodes images that were changed; otherwise images are stored decoded.',
  ),
  encodeType: optional(
    oneOf('jpg', 'png'),
    "the file's own format",
    'The format in which changed images are encoded.',
  ),
  checkSize: optional(boolean, 'false', 'Requires all images to have the size of the first one.'),
  maxPixels: limitRows.maxPixels,
  onBroken: optional(
    callback<(error: ImageError) => void>(),
    'the first is an error',
    'Called for each image that cannot be read.',
  ),
};

/** An image that becomes a record. */
interface Source {
  readonly path: string;
  readonly name: string;
}

/** The size of an image in its file. */
export interface Sides {
  readonly width: number;
  readonly height: number;
}

/**
 * Writes a record for each image, with its index and name as the key.
 * @param label The label of its Datum.
 * @param record Converts a Datum to a record. Default: the record is the Datum.
 * @returns The number of records written.
 */
export async function writeImages<T extends Source>(
  images: readonly T[],
  output: string,
  options: ConvertImagesOptions,
  label: (image: T) => number,
  record: (datum: Buffer, image: T, sides: Sides) => Buffer = (datum) => datum,
): Promise<number> {
  let firstSize: string | null = null;
  const written = await writeRecords(output, images.length, options, async (i, place) => {
    const image = images[i]!;
    const { path, name } = image;
    const key = `${keyOf(place, images.length, 8)}_${name}`;
    const read = await datumOfFile(path, label(image), options).catch((error: unknown) => {
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
    return { key, value: record(value, image, read) };
  });
  if (!options.gray) writeDatabaseOrder(output, 'BGR');
  return written;
}

/** @throws DataError, ImageError */
async function datumOfFile(
  path: string,
  label: number,
  { resize, gray = false, encoded = false, encodeType, maxPixels, signal }: ConvertImagesOptions,
): Promise<Sides & { value: Buffer; size: string }> {
  const bytes = await readImageFile(path, path, maxPixels);
  const own = ({ JPEG: 'jpg', PNG: 'png' } as Partial<Record<string, 'jpg' | 'png'>>)[
    imageFormatOf(bytes) ?? ''
  ];
  const type = encodeType ?? own;
  const image = await decodeImage(bytes, {
    name: path,
    ...(maxPixels === undefined ? {} : { maxPixels }),
    ...(signal === undefined ? {} : { signal }),
  }); // decodes also if its bytes are kept, so that broken files are found now
  const pixels = pixelsOfImage(image, !gray);
  const resized = resize === undefined ? pixels : await resizePixels(pixels, resize.width, resize.height);
  const { width, height } = resized;
  const made = {
    size: `${resized.offsets.length}×${height}×${width}`,
    width: pixels.width,
    height: pixels.height,
  };
  if (!encoded && encodeType === undefined)
    return {
      ...made,
      value: writeDatum({ channels: resized.offsets.length, height, width, data: planesOf(resized), label }),
    };
  if (type === undefined)
    throw new DataError(
      'data/encode-type',
      { file: path },
      'this is neither a JPEG nor a PNG, so it must be encoded; give encodeType (--encode-type), jpg or png',
    );
  if (resize === undefined && type === own && (!gray || image.channels === 1))
    return { ...made, value: writeDatum({ data: bytes, label, encoded: true }) };
  const { default: sharp } = await import('sharp');
  // sharp expects R, G, B; the planes are B, G, R.
  const planes = planesOf(resized);
  const channels = resized.offsets.length as 1 | 3;
  const raw = Buffer.allocUnsafe(planes.length);
  for (let i = 0, area = width * height; i < area; i++)
    for (let c = 0; c < channels; c++) raw[i * channels + channels - 1 - c] = planes[c * area + i]!;
  const pipeline = sharp(raw, { raw: { width, height, channels } });
  // The default quality of OpenCV's imwrite is 95.
  const data = await (type === 'png' ? pipeline.png() : pipeline.jpeg({ quality: 95 })).toBuffer();
  return { ...made, value: writeDatum({ data, label, encoded: true }) };
}

/**
 * Writes a database completely or not at all, and skips null records.
 * @returns The number written.
 */
export async function writeRecords(
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

/** Keys sort like their numbers. */
export const keyOf = (place: number, count: number, digits: number): string =>
  String(place).padStart(Math.max(digits, String(count - 1).length), '0');
