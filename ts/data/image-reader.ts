/** Readers of a database's Datums and of a list's image files. */

import { DataError, ImageError, ResnodeError } from '../base/errors.ts';
import { seededRandom } from '../base/random.ts';
import { elementCount } from '../base/shape.ts';
import { type DecodeOptions, decodeImage } from '../images/decode.ts';
import type { Augment } from './augment.ts';
import { augmentPixels } from './augment-pixels.ts';
import { type Database, datumOf } from './database.ts';
import type { Datum } from './datum.ts';
import { LevelDb } from './leveldb/leveldb.ts';
import { openLmdb } from './lmdb.ts';
import { type Pixels, pixelsOfDatum, pixelsOfImage, resizePixels } from './pixels.ts';
import type { DatabaseSpec, Description, Reader, ReaderSpec, Sample } from './reader.ts';
import { type Transform, transformedShape, transformPixels } from './transform.ts';

/** An image with its name for errors. */
interface Labelled {
  readonly name: string;
  readonly label: number | null;
  /** Several labels, instead of one. */
  readonly labels?: readonly number[] | undefined;
  readonly pixels: Pixels;
}

/**
 * Reads Datums, raw or encoded.
 * @throws DataError
 */
export async function databaseReader(spec: DatabaseSpec): Promise<Reader> {
  const database: Database = spec.kind === 'lmdb' ? openLmdb(spec.path) : await LevelDb.open(spec.path);
  const datumAt = async (position: number) => datumOf(await database.at(position), database.file);
  const { colour, augment } = spec.transform;
  const load = async ({ index }: Sample): Promise<Labelled> => {
    const { key, datum } = await datumAt(index);
    const name = `record "${key}"`;
    return {
      name,
      label: datum.label,
      pixels: await named(database.file, name, () => pixelsOf(datum, colour, decodingOf(augment))),
    };
  };
  const reader = imageReader(spec, database.file, load);
  return {
    describe: async (first) => ({
      ...(await reader.describe(first)),
      count: database.count,
    }),
    read: reader.read,
    close: () => database.close(),
  };
}

/**
 * The pixels of a Datum, decoded if necessary (DecodeDatumToCVMat, DecodeDatumToCVMatNative).
 * @throws ImageError
 */
export async function pixelsOf(
  datum: Datum,
  colour: boolean | null,
  decoding: DecodeOptions & { readonly depth?: 8 } = {},
): Promise<Pixels> {
  if (!datum.encoded) return pixelsOfDatum(datum);
  const image = await decodeImage(datum.data, decoding);
  return pixelsOfImage(image, colour ?? image.channels === 3);
}

export function decodingOf({ orientation, maxPixels, window }: Augment) {
  return {
    ...(orientation === undefined ? {} : { orientation }),
    ...(maxPixels === undefined ? {} : { maxPixels }),
    ...(window === undefined ? {} : { window }),
  };
}

/** Reads the files of a list (ReadImageToCVMat). */
export function listReader(spec: Extract<ReaderSpec, { kind: 'images' }>): Reader {
  const { list, resize, transform } = spec;
  const decoding = decodingOf(transform.augment);
  return imageReader(spec, undefined, async ({ image }) => {
    const { path, label, labels, line } = image!;
    const name = `${list}:${line}: ${path}`;
    const pixels = await named(undefined, name, async () => {
      const decoded = pixelsOfImage(await decodeImage(path, decoding), transform.colour !== false);
      return resize === null ? decoded : resizePixels(decoded, resize.width, resize.height);
    });
    return { name, label, labels, pixels };
  });
}

function imageReader(
  { tops, transform }: { tops: { data: string; label: string | null }; transform: Transform },
  file: string | undefined,
  load: (sample: Sample) => Promise<Labelled>,
): Reader {
  const prepare = async (sample: Sample) => {
    const { name, label, labels, pixels } = await load(sample);
    const random = seededRandom(sample.seed);
    const resized = await named(file, name, () => augmentPixels(pixels, transform, random));
    return { name, label, labels, pixels: resized, random };
  };
  return {
    async describe(first): Promise<Description> {
      const { pixels, name, labels, random } = await prepare(first);
      const shape = transformedShape(pixels, transform);
      const count = elementCount(shape);
      // Refuses, when the source is opened, what would be refused in the first batch.
      await named(file, name, () =>
        transformPixels(pixels, transform, random, shape, new Float32Array(count), 0),
      );
      return {
        shapes: {
          [tops.data]: shape,
          ...(tops.label === null ? {} : { [tops.label]: labels === undefined ? [] : [labels.length] }),
        },
      };
    },
    async read(samples, shapes, output, stopped) {
      const shape = shapes[tops.data]!;
      const count = elementCount(shape);
      const data = output[tops.data] as Float32Array;
      for (const [i, sample] of samples.entries()) {
        if (stopped()) break;
        const { name, label, labels, pixels, random } = await prepare(sample);
        await named(file, name, () => transformPixels(pixels, transform, random, shape, data, i * count));
        if (tops.label === null) continue;
        if (labels !== undefined) output[tops.label]!.set(labels, i * labels.length);
        else output[tops.label]![i] = label ?? missingLabel(file, name);
      }
    },
    close: () => {},
  };
}

function missingLabel(file: string | undefined, name: string): never {
  throw new DataError(
    'data/label',
    file === undefined ? {} : { file },
    `${name}: has no label (Caffe would take 0); write labels, or remove the layer's second top`,
  );
}

/** Adds the name of an image to its errors. */
export async function named<T>(
  file: string | undefined,
  name: string,
  work: () => T | Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof ResnodeError ? error.code : 'data/image';
    const { message } = error as Error;
    const text = error instanceof ImageError ? message.slice((error.file ?? '').length + 2) : message;
    throw new DataError(code, file === undefined ? {} : { file }, `${name}: ${text}`, { cause: error });
  }
}
