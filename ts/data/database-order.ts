/**
 * The order of a database's colour channels. Datums do not store it: convert_imageset writes B, G, R, and convert_cifar_data
 * R, G, B. resnode stores the order in a file beside the records, which Caffe ignores.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../base/errors.ts';
import { isMissing } from '../base/files.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';

const NAME = 'resnode-database.json';
const FORMAT = 'resnode-database/1';

/** @param database The folder that holds data.mdb. */
export function writeDatabaseOrder(database: string, order: 'BGR' | 'RGB'): void {
  const path = join(database, NAME);
  writeFileAtomically(path, [`${JSON.stringify({ format: FORMAT, order })}\n`]);
}

/**
 * Null if there is no such file.
 * @throws DataError for an invalid file
 */
export function readDatabaseOrder(database: string): 'BGR' | 'RGB' | null {
  const file = join(database, NAME);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error as NodeJS.ErrnoException)) return null;
    throw error;
  }
  let json: { format?: unknown; order?: unknown } | null = null;
  try {
    json = JSON.parse(text);
  } catch {
    // An error follows below.
  }
  if (json?.format === FORMAT && (json.order === 'BGR' || json.order === 'RGB')) return json.order;
  throw new DataError(
    'data/order',
    { file },
    `expected {"format": "${FORMAT}", "order": "BGR" or "RGB"}, found ${text.slice(0, 100)}`,
  );
}
