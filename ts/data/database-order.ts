/**
 * In which order a database has its colours. Datums do not say: convert_imageset writes B, G, R, convert_cifar_data
 * R, G, B. What is written here says it in a file beside the records, which Caffe does not look at.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../base/errors.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';

const NAME = 'resnode-database.json';
const FORMAT = 'resnode-database/1';

/** @param database The folder with data.mdb. */
export function writeDatabaseOrder(database: string, order: 'BGR' | 'RGB'): void {
  const path = join(database, NAME);
  writeFileAtomically(path, [`${JSON.stringify({ format: FORMAT, order })}\n`]);
}

/** Null: it is not said. @throws DataError for a file that says something else */
export function readDatabaseOrder(database: string): 'BGR' | 'RGB' | null {
  const file = join(database, NAME);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code!)) return null;
    throw error;
  }
  let json: { format?: unknown; order?: unknown } | null = null;
  try {
    json = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (json?.format === FORMAT && (json.order === 'BGR' || json.order === 'RGB')) return json.order;
  throw new DataError(
    'data/order',
    { file },
    `expected {"format": "${FORMAT}", "order": "BGR" or "RGB"}, found ${text.slice(0, 100)}`,
  );
}
