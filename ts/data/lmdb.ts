/** The Datums of an LMDB database, as Caffe's cursor gives them. */
import { DataError } from '../errors.ts';
import { breather } from './breathe.ts';
import { type Datum, readDatum } from './datum.ts';
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
  throw new DataError(
    'data/empty',
    { file: path },
    'the database has no records; convert the images again (resnode dataset)',
  );
}

/** The Datum at a position in the order of the keys, with its key. @throws DataError */
export function datumAt(database: LmdbFile, position: number): { key: string; datum: Datum } {
  const { key, value } = database.at(position);
  const name = key.toString('latin1');
  return { key: name, datum: readDatum(value, { file: database.file, key: name }) };
}

/**
 * All Datums of an LMDB database in the order of their keys; encoded ones are given as they are.
 * @param path A folder with data.mdb; it may be read-only.
 * @throws DataError where there is no database, it is empty or damaged, or a record is no Datum (its key is named)
 */
export async function* readLmdb(
  path: string,
): AsyncGenerator<{ readonly key: string; readonly datum: Datum }, void> {
  const database = openLmdb(path);
  const breathe = breather();
  try {
    for (let i = 0; i < database.count; i++) {
      await breathe(); // reading is synchronous
      yield datumAt(database, i);
    }
  } finally {
    database.close();
  }
}
