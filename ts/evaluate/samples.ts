/** Where an evaluation's images come from: folders and lists of files, or an LMDB database. */
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Datum } from '../data/datum.ts';
import { datumAt, openLmdb } from '../data/lmdb.ts';
import { ImageError } from '../errors.ts';
import { decodeImage } from '../image/decode.ts';
import type { Image } from '../image/image.ts';
import { type DatasetOptions, type MatchedBy, readLabelledImages } from './dataset.ts';
import type { LazySample, Sample } from './evaluate-images.ts';

export interface Samples {
  readonly matchedBy: MatchedBy | 'database';
  readonly samples: readonly (Sample | LazySample)[];
  /** SHA-256 of the paths (from the folder or list) and classes; of a database its size and number of records. */
  readonly sha256: string;
  /** Closes the database; its samples cannot be read afterwards. */
  close(): void;
}

/** Whether a path is a database: a folder with data.mdb, or what is named so. */
const isLmdb = (path: string): boolean =>
  /(\.lmdb|\.mdb)[\\/]*$/.test(path) || existsSync(join(path, 'data.mdb'));

/**
 * Folders and lists as `readLabelledImages`; of a database every Datum, raw or encoded, with its own label (0 where
 * it says none, as in Caffe). Raw Datums have their channels in the order B, G, R, as convert_imageset.cpp writes
 * them: with `order: 'BGR'` a net sees them as they are stored.
 * @throws ArgumentError, DataError
 */
export function readSamples(path: string, options: DatasetOptions): Samples {
  if (isLmdb(path)) return lmdbSamples(path);
  const { matchedBy, files } = readLabelledImages(path, options);
  const root = statSync(path).isDirectory() ? path : dirname(path);
  const lines = files.map(({ image, label }) => `${relative(root, image)} ${label}\n`);
  return { matchedBy, samples: files, sha256: digest(lines.join('')), close: () => {} };
}

function lmdbSamples(path: string): Samples {
  const database = openLmdb(path);
  const { file, count } = database;
  const read = async (position: number): Promise<Sample> => {
    const { key, datum } = datumAt(database, position);
    return { image: await pixelsOf(datum, `${file}: record "${key}"`), label: datum.label ?? 0 };
  };
  return {
    matchedBy: 'database',
    samples: Array.from({ length: count }, (_, i) => () => read(i)),
    sha256: digest(`${statSync(file).size} bytes, ${count} records`),
    close: () => database.close(),
  };
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

async function pixelsOf(datum: Datum, name: string): Promise<Image> {
  const { channels, height, width, data } = datum;
  if (datum.encoded) return decodeImage(data, { name });
  if (datum.floatData !== null || (channels !== 1 && channels !== 3))
    throw new ImageError(
      'image/channels',
      name,
      `expected bytes of 1 or 3 channels, found ${datum.floatData === null ? '' : 'float_data of '}${channels}; give images of 0 to 255, grey or B, G, R`,
    );
  const area = height * width;
  const pixels = new Uint8Array(channels * area);
  for (let c = 0; c < channels; c++) {
    const plane = data.subarray((channels - 1 - c) * area);
    for (let i = 0; i < area; i++) pixels[i * channels + c] = plane[i]!;
  }
  return { width, height, channels, data: pixels, file: name };
}
