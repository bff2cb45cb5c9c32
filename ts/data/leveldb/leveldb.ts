/**
 * Reads a LevelDB database with our own code; docs/decisions/0008-leveldb.md explains why. LevelDB does not store the number
 * of records: opening reads the whole database once, for its keys. Layout: LevelDB's doc/impl.md.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '../../base/errors.ts';
import { wrongKindAt } from '../../caffe/wrong-kind.ts';
import { type Database, type DatabaseRecord, emptyDatabase } from '../database.ts';
import { damaged } from './checked-bytes.ts';
import { type Records, recordsOf } from './records.ts';
import { entriesOf, type Handle, readBlock } from './table.ts';

export class LevelDb implements Database {
  /** The user's folder. */
  readonly file: string;
  readonly #records: Records;
  /** The last block that was read: consecutive records are in the same block. */
  #block: { readonly handle: Handle; readonly values: ReadonlyMap<string, Buffer> } | null = null;

  /**
   * Opens a folder with CURRENT, which may be read-only; nothing is written, there or elsewhere.
   * @throws DataError `data/not-found`, `data/leveldb`, `data/leveldb-limit`, `data/empty`
   */
  static async open(path: string): Promise<LevelDb> {
    await checkFolder(path);
    const records = await recordsOf(path);
    if (records.keys.length === 0) throw emptyDatabase(path);
    return new LevelDb(path, records);
  }

  private constructor(file: string, records: Records) {
    this.file = file;
    this.#records = records;
  }

  get count(): number {
    return this.#records.keys.length;
  }

  at(position: number): DatabaseRecord {
    const key = this.#records.keys[position]!;
    const place = this.#records.placeOf(position);
    const value = Buffer.isBuffer(place) ? place : this.#valueIn(place.file, place.handle, key);
    return { key: Buffer.from(key, 'latin1'), value };
  }

  #valueIn(file: string, handle: Handle, key: string): Buffer {
    if (this.#block?.handle !== handle) {
      const values = new Map<string, Buffer>();
      // Of several writes of one key the last one comes first.
      for (const entry of entriesOf(readBlock(file, handle), file))
        if (!values.has(entry.key)) values.set(entry.key, entry.value);
      this.#block = { handle, values };
    }
    const value = this.#block.values.get(key);
    if (value === undefined)
      throw damaged(file, `record "${key}" is missing: the table changed while it was read`);
    return value;
  }

  close(): void {
    this.#block = null;
  }
}

/** Whether a folder looks like a LevelDB: its file CURRENT names its manifest. */
export async function isLevelDb(path: string): Promise<boolean> {
  return exists(join(path, 'CURRENT'));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function checkFolder(path: string): Promise<void> {
  if (await isLevelDb(path)) return;
  const wrong = wrongKindAt(path, 'leveldb');
  if (wrong !== null) throw new DataError('data/wrong-kind', { file: path }, wrong);
  const text = !(await exists(path))
    ? 'there is no such folder; expected a LevelDB database (a folder with CURRENT)'
    : (await exists(join(path, 'data.mdb')))
      ? 'this is an LMDB database; write backend: LMDB'
      : 'there is no CURRENT in it; expected a LevelDB database';
  throw new DataError('data/not-found', { file: path }, text);
}
