/** The Datums of an LMDB database, as Caffe's cursor gives them. */
import { path } from '../base/kinds.ts';
import { required, signature } from '../base/options.ts';
import { yielding } from '../base/yielding.ts';
import { datumOf, emptyDatabase } from './database.ts';
import type { Datum } from './datum.ts';
import { LmdbFile } from './lmdb-file.ts';

/**
 * Opens a database that has records.
 * @param path A folder with data.mdb.
 * @throws DataError `data/not-found`, `data/leveldb`, `data/lmdb`, `data/empty`
 */
export function openLmdb(path: string): LmdbFile {
  const database = new LmdbFile(path);
  if (database.count > 0) return database;
  database.close();
  throw emptyDatabase(path);
}

/** The Datum at a position in the order of the keys, with its key. @throws DataError */
export function datumAt(database: LmdbFile, position: number): { key: string; datum: Datum } {
  return datumOf(database.at(position), database.file);
}

const READ_LMDB = signature('readLmdb', { path: required(path, 'The folder that holds data.mdb.') });

/**
 * All Datums of an LMDB database in the order of their keys; encoded ones are given as they are.
 * @param path A folder with data.mdb; it may be read-only.
 * @throws DataError where there is no database, it is empty or damaged, or a record is no Datum (its key is named)
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
