/** What a database of images is to its reader: records by their position in the order of the keys, as Caffe's cursor. */
import { DataError } from '../base/errors.ts';
import { type Datum, readDatum } from './datum.ts';

export interface DatabaseRecord {
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface Database {
  /** Named in errors. */
  readonly file: string;
  /** How many records there are. */
  readonly count: number;
  /** The record at a position from 0 to count − 1. @throws DataError where the database is damaged */
  at(position: number): DatabaseRecord | Promise<DatabaseRecord>;
  close(): void | Promise<void>;
}

/** A record's Datum, with its key as text. @throws DataError naming the record */
export function datumOf(
  { key, value }: DatabaseRecord,
  file: string,
): { readonly key: string; readonly datum: Datum } {
  const name = key.toString('latin1');
  return { key: name, datum: readDatum(value, { file, key: name }) };
}

/** What is said of a database without records. */
export const emptyDatabase = (path: string): DataError =>
  new DataError(
    'data/empty',
    { file: path },
    'the database has no records; convert the images again (resnode dataset)',
  );
