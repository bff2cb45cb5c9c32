/** The images of an evaluation: from folders and lists of files, or from an LMDB database. */
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ImageError } from '../../base/errors.ts';
import { oneOf, path } from '../../base/kinds.ts';
import { optional, options, optionsOf, required, signature } from '../../base/options.ts';
import { readDatabaseOrder } from '../../data/database-order.ts';
import type { Datum } from '../../data/datum.ts';
import { datumAt, openLmdb } from '../../data/lmdb.ts';
import { type DecodeOptions, decodeImage, decodeOptions } from '../decode.ts';
import type { Image } from '../image.ts';
import {
  type DatasetOptions,
  datasetOptions,
  datasetRows,
  type MatchedBy,
  readLabelledImages,
} from './dataset.ts';
import type { LazySample, Sample } from './evaluate-images.ts';

export interface Samples {
  readonly matchedBy: MatchedBy | 'database';
  readonly samples: readonly (Sample | LazySample)[];
  /** SHA-256 of the paths (relative to the folder or list) and classes; for a database of its size and number of records. */
  readonly sha256: string;
  /** The files of a folder that are skipped. */
  readonly ignored: readonly string[];
  /** Closes the database; its samples cannot be read afterwards. */
  close(): void;
}

export interface SamplesOptions extends DatasetOptions {
  /** The order of a database's raw Datums. Default: the order recorded beside them. */
  readonly databaseOrder?: 'BGR' | 'RGB' | undefined;
  /** How encoded Datums are decoded. */
  readonly decoding?: DecodeOptions;
}

/** Whether a path is a database: a folder with data.mdb, or a path with such a name. */
const isLmdb = (path: string): boolean =>
  /(\.lmdb|\.mdb)[\\/]*$/.test(path) || existsSync(join(path, 'data.mdb'));

const READ_SAMPLES = signature('readSamples', {
  path: required(path, 'A folder, a list or a database.'),
  options: required(
    options<SamplesOptions>({
      ...datasetRows,
      databaseOrder: optional(
        oneOf('BGR', 'RGB'),
        'as `resnode dataset` wrote it beside the database; as they are for nets of order BGR',
        "The order of the channels of a database's raw images.",
      ),
      decoding: optional(decodeOptions, 'as decodeImage', 'How encoded Datums are decoded.'),
    }),
    'The classes.',
  ),
});

/**
 * Reads folders and lists as `readLabelledImages` does; from a database every Datum, raw or encoded, with its own label (0
 * if it has none, as in Caffe). Raw Datums do not record the order of their channels: it is `options.databaseOrder`, or the
 * order that `resnode dataset` recorded beside them. Without either, B, G, R is assumed, which convert_imageset.cpp writes:
 * a net of that order gets them as stored, and evaluateImages refuses a net of the other order.
 * @throws ArgumentError, DataError
 */
export function readSamples(path: string, options: SamplesOptions): Samples {
  READ_SAMPLES.check(path, options);
  if (isLmdb(path)) return lmdbSamples(path, options);
  const { matchedBy, files, ignored } = readLabelledImages(path, optionsOf(datasetOptions, options));
  const root = statSync(path).isDirectory() ? path : dirname(path);
  const lines = files.map(({ image, label }) => `${relative(root, image)} ${label}\n`);
  return { matchedBy, samples: files, sha256: digest(lines.join('')), ignored, close: () => {} };
}

function lmdbSamples(path: string, { databaseOrder, decoding = {} }: SamplesOptions): Samples {
  const known = databaseOrder ?? readDatabaseOrder(path);
  const database = openLmdb(path);
  const { file, count } = database;
  const read = async (position: number): Promise<Sample> => {
    const { key, datum } = datumAt(database, position);
    const name = `${file}: record "${key}"`;
    if (datum.encoded) {
      const image = await decodeImage(datum.data, { ...decoding, name });
      return { image, label: datum.label ?? 0 };
    }
    const image = imageOf(datum, known ?? 'BGR', name);
    return { image, label: datum.label ?? 0, orderIsAssumed: known === null && image.channels === 3 };
  };
  return {
    matchedBy: 'database',
    ignored: [],
    samples: Array.from({ length: count }, (_, i) => () => read(i)),
    sha256: digest(`${statSync(file).size} bytes, ${count} records`),
    close: () => database.close(),
  };
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

function imageOf(datum: Datum, order: 'BGR' | 'RGB', name: string): Image {
  const { channels, height, width, data } = datum;
  if (datum.floatData !== null || (channels !== 1 && channels !== 3))
    throw new ImageError(
      'image/channels',
      name,
      `expected bytes of 1 or 3 channels, found ${datum.floatData === null ? '' : 'float_data of '}${channels}; give images of 0 to 255, grey or B, G, R`,
    );
  const area = height * width;
  const pixels = new Uint8Array(channels * area);
  for (let c = 0; c < channels; c++) {
    const plane = data.subarray((order === 'RGB' ? c : channels - 1 - c) * area);
    for (let i = 0; i < area; i++) pixels[i * channels + c] = plane[i]!;
  }
  return { width, height, channels, data: pixels, file: name };
}
