/**
 * The interface of a database of images for its reader: records by position in the order of their keys, as in Caffe's
 * cursor.
 */
import { DataError } from '../base/errors.ts';
import { type Datum, readDatum } from './datum.ts';

export interface DatabaseRecord {
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface Database {
  /** The name of the database in errors. */
  readonly file: string;
  /** The number of records. */
  readonly count: number;
  /**
   * The record at a position from 0 to count − 1.
   * @throws DataError if the database is damaged
   */
  at(position: number): DatabaseRecord | Promise<DatabaseRecord>;
  close(): void | Promise<void>;
}

/**
 * The Datum of a record, with its key as text.
 * @throws DataError that names the record
 */
export function datumOf(
  { key, value }: DatabaseRecord,
  file: string,
): { readonly key: string; readonly datum: Datum } {
  const name = key.toString('latin1');
  return { key: name, datum: readDatum(value, { file, key: name }) };
}

/** The error for a database without records. */
export const emptyDatabase = (path: string): DataError =>
  new DataError(
    'data/empty',
    { file: path },
    'the database has no records; convert the images again (resnode dataset)',
  );
