/** Reads the Datums of an LMDB database in the order of Caffe's cursor. */
import { path } from '../base/kinds.ts';
import { required, signature } from '../base/options.ts';
import { yielding } from '../base/yielding.ts';
import { datumOf, emptyDatabase } from './database.ts';
import type { Datum } from './datum.ts';
import { LmdbFile } from './lmdb-file.ts';

/**
 * Opens a database that has records.
 * @param path The folder that holds data.mdb.
 * @throws DataError `data/not-found`, `data/leveldb`, `data/lmdb`, `data/empty`
 */
export function openLmdb(path: string): LmdbFile {
  const database = new LmdbFile(path);
  if (database.count > 0) return database;
  database.close();
  throw emptyDatabase(path);
}

/**
 * The Datum at a position in the order of the keys, with its key.
 * @throws DataError
 */
export function datumAt(database: LmdbFile, position: number): { key: string; datum: Datum } {
  return datumOf(database.at(position), database.file);
}

const READ_LMDB = signature('readLmdb', { path: required(path, 'The folder that holds data.mdb.') });

/**
 * All Datums of an LMDB database in the order of their keys; encoded ones stay encoded.
 * @param path The folder that holds data.mdb; it may be read-only.
 * @throws DataError if there is no database, if it is empty or damaged, or if a record is not a Datum (the error names its
 * key)
 */
export async function* readLmdb(
  path: string,
): AsyncGenerator<{ readonly key: string; readonly datum: Datum }, void> {
  READ_LMDB.check(path);
  const database = openLmdb(path);
  const yieldIfDue = yielding();
  try {
    for (let i = 0; i < database.count; i++) {
      await yieldIfDue(); // reading is synchronous
      yield datumAt(database, i);
    }
  } finally {
    database.close();
  }
}
