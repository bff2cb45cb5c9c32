/**
 * Reads an LMDB file in place: the records of its main database by position in the order of keys.
 *
 * The reader is our own because the package for Node, lmdb, is built for LMDB's newer file format and crashes on the files
 * that Caffe writes (docs/decisions/0005-lmdb.md). It reads with pread, so a truncated file causes an error and not a
 * SIGBUS, and takes no lock, so a read-only folder suffices. Layout: liblmdb/mdb.c of LMDB 0.9 (MDB_page, MDB_node, MDB_db,
 * MDB_meta), little-endian, 64-bit.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../base/errors.ts';
import { checkRegularFile, readCause } from '../base/files.ts';
import { wrongKindAt } from '../caffe/wrong-kind.ts';
import type { Database, DatabaseRecord } from './database.ts';

export const MAGIC = 0xbeefc0de;
export const PAGE_HEADER = 16;
export const NODE_HEADER = 8;
export const PAGE = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 } as const;
/** Byte offsets in a meta page. */
export const META = {
  magic: 16,
  version: 20,
  mapSize: 32,
  pageSize: 40,
  freeFlags: 44,
  freeRoot: 80,
  mainFlags: 92,
  depth: 94,
  branchPages: 96,
  leafPages: 104,
  overflowPages: 112,
  entries: 120,
  root: 128,
  lastPage: 136,
  transaction: 144,
} as const;
export const NO_PAGE = 2n ** 64n - 1n;
/** The bytes of pages that are kept: all leaves of a million records whose values are on separate pages. */
const KEPT_BYTES = 2 ** 26;
/** Memory is allocated in slabs, because reading a record costs less than allocating a buffer. */
const SLAB_BYTES = 2 ** 17;
/** The value is on separate pages. */
export const BIG_DATA = 0x01;

export class LmdbFile implements Database {
  /** data.mdb */
  readonly file: string;
  /** The number of records. */
  readonly count: number;
  readonly #descriptor: number;
  readonly #pageSize: number;
  readonly #pages: number;
  readonly #leaves: readonly number[];
  /** The position of the first record of each known leaf, and one more. */
  readonly #starts: number[] = [0];
  /** Checked pages by number, least recently used first; they are never modified. */
  readonly #known = new Map<number, Buffer>();
  /** The unused part of the current slab. */
  #slab: Buffer = Buffer.alloc(0);

  /**
   * Opens a folder with data.mdb (or that file) for reading.
   * @throws DataError `data/not-found`, `data/unreadable`, `data/lmdb`; ResnodeError `file/special`
   */
  constructor(path: string) {
    this.file = dataFile(path);
    this.#descriptor = opened(this.file);
    try {
      const meta = this.#readMeta();
      this.#pageSize = meta.readUInt32LE(META.pageSize);
      this.#pages = Number(meta.readBigUInt64LE(META.lastPage)) + 1;
      this.count = Number(meta.readBigUInt64LE(META.entries));
      const root = meta.readBigUInt64LE(META.root);
      this.#leaves = root === NO_PAGE ? [] : this.#leavesUnder(Number(root), meta.readUInt16LE(META.depth));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * The record at a position from 0 to count − 1, in memory that nothing modifies.
   * @throws DataError if the file is damaged
   */
  at(position: number): DatabaseRecord {
    const starts = this.#starts;
    while (starts.at(-1)! <= position) {
      const leaf = this.#leaves[starts.length - 1];
      if (leaf === undefined)
        throw this.#damaged(`has ${starts.at(-1)} records, but its header says ${this.count}`);
      starts.push(starts.at(-1)! + nodeCount(this.#page(leaf, PAGE.leaf)));
    }
    const index = lastAtMost(starts, position);
    const number = this.#leaves[index]!;
    return this.#record(this.#page(number, PAGE.leaf), position - starts[index]!, number);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  // Of the two meta pages the one with the later transaction counts (mdb_env_pick_meta).
  #readMeta(): Buffer {
    const head = this.#read(0, 256, 'the first meta page');
    if (head.readUInt32LE(META.magic) !== MAGIC)
      throw this.#damaged(
        head.readUInt32LE(META.magic + 8) === MAGIC
          ? "has LMDB's newer format, which Caffe cannot read either; copy it with the tools of LMDB 0.9 (mdb_dump and mdb_load)"
          : 'is not an LMDB database of a 64-bit little-endian machine',
      );
    const pageSize = head.readUInt32LE(META.pageSize);
    if (head.readUInt32LE(META.version) !== 1 || pageSize < 256 || pageSize > 65536 || pageSize % 2 !== 0)
      throw this.#damaged(`has version ${head.readUInt32LE(META.version)} with pages of ${pageSize} bytes`);
    const second = this.#read(pageSize, 256, 'the second meta page');
    const isLater =
      second.readUInt32LE(META.magic) === MAGIC &&
      second.readBigUInt64LE(META.transaction) > head.readBigUInt64LE(META.transaction);
    const meta = isLater ? second : head;
    if (meta.readUInt32LE(META.version) !== 1 || meta.readUInt32LE(META.pageSize) !== pageSize)
      throw this.#damaged('has two meta pages that contradict each other');
    const bytes = (Number(meta.readBigUInt64LE(META.lastPage)) + 1) * pageSize;
    const { size } = fstatSync(this.#descriptor);
    if (size < bytes) throw this.#damaged(`has ${size} bytes of ${bytes}: it is truncated; copy it again`);
    if (meta.readUInt16LE(META.mainFlags) !== 0)
      throw this.#damaged('has duplicate or integer keys, which Caffe does not write');
    return meta;
  }

  #leavesUnder(root: number, depth: number): number[] {
    let level = [root];
    for (let i = 1; i < depth; i++) {
      level = level.flatMap((number) => {
        const page = this.#page(number, PAGE.branch);
        return Array.from({ length: nodeCount(page) }, (_, j) => {
          const at = this.#node(page, j, number);
          return page.readUInt32LE(at) + page.readUInt16LE(at + 4) * 2 ** 32;
        });
      });
      if (level.length > this.#pages) throw this.#damaged('has a page that occurs twice');
    }
    return level;
  }

  #record(page: Buffer, index: number, number: number): DatabaseRecord {
    const at = this.#node(page, index, number);
    const size = page.readUInt32LE(at);
    const flags = page.readUInt16LE(at + 4);
    const begin = at + NODE_HEADER;
    const end = begin + page.readUInt16LE(at + 6);
    const isBig = (flags & BIG_DATA) !== 0;
    if (end + (isBig ? 8 : size) > page.length)
      throw this.#damaged(`page ${number}: a record leaves its page`);
    if ((flags & ~BIG_DATA) !== 0)
      throw this.#damaged('has named databases; Caffe reads only the main database');
    const key = page.subarray(begin, end);
    if (!isBig) return { key, value: page.subarray(end, end + size) };
    const first = Number(page.readBigUInt64LE(end));
    if (first < 2 || PAGE_HEADER + size > (this.#pages - first) * this.#pageSize)
      throw this.#damaged(`page ${number}: a value is outside the file`);
    return { key, value: this.#read(first * this.#pageSize + PAGE_HEADER, size, `page ${first}`) };
  }

  #node(page: Buffer, index: number, number: number): number {
    const at = page.readUInt16LE(PAGE_HEADER + 2 * index);
    if (at < PAGE_HEADER || at + NODE_HEADER > page.length)
      throw this.#damaged(`page ${number}: a record leaves its page`);
    return at;
  }

  #page(number: number, kind: number): Buffer {
    const known = this.#known;
    const page = known.get(number) ?? this.#readPage(number, kind);
    known.delete(number);
    known.set(number, page);
    if (known.size * this.#pageSize > KEPT_BYTES) known.delete(known.keys().next().value!);
    return page;
  }

  #readPage(number: number, kind: number): Buffer {
    if (!(number >= 2 && number < this.#pages)) throw this.#damaged(`page ${number} is outside the file`);
    const page = this.#read(number * this.#pageSize, this.#pageSize, `page ${number}`);
    const isOdd = PAGE_HEADER + 2 * nodeCount(page) > page.length;
    if ((page.readUInt16LE(10) & 0x2f) !== kind || Number(page.readBigUInt64LE(0)) !== number || isOdd)
      throw this.#damaged(`page ${number} has the wrong type`);
    return page;
  }

  #read(offset: number, length: number, what: string): Buffer {
    const bytes = this.#allocate(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#descriptor, bytes, done, length - done, offset + done);
      if (count === 0) throw this.#damaged(`ends in the middle of ${what}; it is empty or truncated`);
      done += count;
    }
    return bytes;
  }

  #allocate(length: number): Buffer {
    if (length > SLAB_BYTES / 8) return Buffer.allocUnsafeSlow(length);
    if (length > this.#slab.length) this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    const bytes = this.#slab.subarray(0, length);
    this.#slab = this.#slab.subarray(length);
    return bytes;
  }

  #damaged(text: string): DataError {
    return new DataError('data/lmdb', { file: this.file }, text);
  }
}

const nodeCount = (page: Buffer): number => Math.max(0, (page.readUInt16LE(12) - PAGE_HEADER) >> 1);

function lastAtMost(sorted: readonly number[], value: number): number {
  let low = 0;
  for (let high = sorted.length; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= value) low = middle;
    else high = middle;
  }
  return low;
}

function opened(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    throw new DataError('data/unreadable', { file }, readCause(cause as Error), { cause });
  }
}

function dataFile(path: string): string {
  checkRegularFile(path);
  const stats = statSync(path, { throwIfNoEntry: false });
  const wrong = wrongKindAt(path, 'lmdb');
  if (wrong !== null) throw new DataError('data/wrong-kind', { file: path }, wrong);
  if (stats?.isFile()) return path;
  const file = join(path, 'data.mdb');
  if (stats !== undefined && statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
  const isLeveldb =
    stats !== undefined && statSync(join(path, 'CURRENT'), { throwIfNoEntry: false }) !== undefined;
  throw new DataError(
    isLeveldb ? 'data/leveldb' : 'data/not-found',
    { file: path },
    stats === undefined
      ? 'there is no such folder; expected an LMDB database (a folder with data.mdb)'
      : isLeveldb
        ? "this is a LevelDB database: in a Data layer write backend: LEVELDB; elsewhere only LMDB is read, so convert the images again (resnode dataset, or Caffe's convert_imageset --backend=lmdb)"
        : 'there is no data.mdb in it; expected an LMDB database (`resnode dataset images` makes one from a folder of images)',
  );
}
