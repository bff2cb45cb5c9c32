/**
 * A LevelDB database, read by the package classic-level, which is loaded when one is opened.
 *
 * LevelDB knows no reading alone: opening writes a log of its own, a manifest and a lock, and turns the records that were
 * written last into a table. So what is opened is a folder of our own, in which the tables, which LevelDB never changes,
 * are links to the user's, and the rest is copied. Nor does it know how many records there are: opening reads the whole
 * database once, for its keys. The layout: LevelDB's doc/impl.md.
 */
import { copyFile, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ClassicLevel } from 'classic-level';
import { DataError } from '../errors.ts';
import { type Database, type DatabaseRecord, emptyDatabase } from './database.ts';

/** Keys asked for at once. */
const KEYS = 1000;

export class LevelDb implements Database {
  /** The user's folder. */
  readonly file: string;
  readonly #folder: string;
  readonly #level: ClassicLevel<Buffer, Buffer>;
  /** Bytes as Latin-1, which takes half of what a Buffer does. */
  readonly #keys: readonly string[];

  /**
   * Opens a folder with CURRENT, in which nothing is changed; it may be read-only.
   * @throws DataError `data/not-found`, `data/leveldb`, `data/empty`
   */
  static async open(path: string): Promise<LevelDb> {
    await checkFolder(path);
    const Level = await classicLevel(path);
    const folder = await mkdtemp(join(tmpdir(), 'resnode-leveldb-'));
    try {
      await mirror(path, folder);
      const level = new Level<Buffer, Buffer>(folder, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
      try {
        await level.open({ createIfMissing: false });
        const keys = await keysOf(level);
        if (keys.length === 0) throw emptyDatabase(path);
        return new LevelDb(path, folder, level, keys);
      } catch (error) {
        await level.close();
        throw error instanceof DataError ? error : damaged(error as Error, path, folder);
      }
    } catch (error) {
      await rm(folder, { recursive: true });
      throw error;
    }
  }

  private constructor(
    file: string,
    folder: string,
    level: ClassicLevel<Buffer, Buffer>,
    keys: readonly string[],
  ) {
    this.file = file;
    this.#folder = folder;
    this.#level = level;
    this.#keys = keys;
  }

  get count(): number {
    return this.#keys.length;
  }

  async at(position: number): Promise<DatabaseRecord> {
    const key = Buffer.from(this.#keys[position]!, 'latin1');
    let value: Buffer | undefined;
    try {
      value = await this.#level.get(key);
    } catch (error) {
      throw damaged(error as Error, this.file, this.#folder);
    }
    if (value === undefined)
      throw new DataError('data/leveldb', { file: this.file }, `record "${this.#keys[position]}" is gone`);
    return { key, value };
  }

  async close(): Promise<void> {
    await this.#level.close();
    await rm(this.#folder, { recursive: true });
  }
}

/** Whether a folder looks like one: LevelDB's file CURRENT names its manifest. */
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
  const text = !(await exists(path))
    ? 'there is no such folder; expected a LevelDB database (a folder with CURRENT)'
    : (await exists(join(path, 'data.mdb')))
      ? 'this is an LMDB database; write backend: LMDB'
      : 'there is no CURRENT in it; expected a LevelDB database';
  throw new DataError('data/not-found', { file: path }, text);
}

async function classicLevel(path: string): Promise<typeof ClassicLevel> {
  try {
    return (await import('classic-level')).ClassicLevel;
  } catch (error) {
    throw new DataError(
      'data/leveldb',
      { file: path },
      `the package that reads LevelDB cannot be loaded (${(error as Error).message}); npm install classic-level, or write the images again as LMDB (Caffe's convert_imageset --backend=lmdb)`,
      { cause: error },
    );
  }
}

// Tables are .ldb, or .sst before LevelDB 1.14.
async function mirror(path: string, folder: string): Promise<void> {
  for (const name of await readdir(path)) {
    const [from, to] = [resolve(path, name), join(folder, name)];
    if (/\.(ldb|sst)$/.test(name)) await symlink(from, to);
    else if (/^(CURRENT|MANIFEST-\d+|\d+\.log)$/.test(name)) await copyFile(from, to);
  }
}

async function keysOf(level: ClassicLevel<Buffer, Buffer>): Promise<string[]> {
  const keys: string[] = [];
  const iterator = level.keys({ fillCache: false });
  try {
    for (;;) {
      const more = await iterator.nextv(KEYS);
      if (more.length === 0) return keys;
      for (const key of more) keys.push(key.toString('latin1'));
    }
  } finally {
    await iterator.close();
  }
}

// What opening throws says why in its cause, and names files in our folder.
function damaged(error: Error, path: string, folder: string): DataError {
  const { message } = (error.cause ?? error) as Error;
  const text = message.replaceAll(folder, path);
  return new DataError(
    'data/leveldb',
    { file: path },
    `LevelDB says: ${text}; copy the database again, or write the images anew`,
    { cause: error },
  );
}
