/**
 * Writes an LMDB database in one pass, with records in the order of their keys: whole pages one after another, leaves as
 * they fill, and the branches above them at the end. The layout is that of lmdb-file.ts; the limits are those of common
 * builds of LMDB 0.9 (keys up to 511 bytes, pages of 4096 bytes).
 */
import { closeSync, existsSync, fsync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { DataError } from '../base/errors.ts';
import { writeFailure } from '../base/files.ts';
import { removeQuietly, temporaryFor } from '../caffe/atomic-file.ts';
import { BIG_DATA, MAGIC, META, NO_PAGE, NODE_HEADER, PAGE, PAGE_HEADER } from './lmdb-file.ts';

const PAGE_SIZE = 4096;
// mdb_env_open2: a node larger than half a page goes to separate pages, so that two nodes fit on every page.
const NODE_MAX = (((PAGE_SIZE - PAGE_HEADER) >> 1) & ~1) - 2;
const MAX_KEY = 511;
// mdb_env_create's DEFAULT_MAPSIZE; a program that adds records to the database sets a larger one.
const MAP_UNIT = 1 << 20;

interface Child {
  readonly key: Buffer;
  readonly page: number;
}

export class LmdbWriter {
  readonly #path: string;
  readonly #folder: string;
  #descriptor: number | null;
  readonly #leaves: Child[] = [];
  #leaf = new PageBuilder();
  #lastKey: Buffer | null = null;
  #pages = 2;
  #overflowPages = 0;
  #count = 0;

  /**
   * Begins a database; its folder appears when `finish` has written everything.
   * @throws DataError `data/exists`; ResnodeError `file/write`
   */
  constructor(path: string) {
    this.#path = resolve(path);
    if (existsSync(path))
      throw new DataError('data/exists', { file: path }, 'already exists; remove it, or give another name');
    this.#folder = temporaryFor(this.#path);
    try {
      mkdirSync(this.#folder);
      this.#descriptor = openSync(join(this.#folder, 'data.mdb'), 'wx');
    } catch (error) {
      throw writeFailure(this.#path, error);
    }
  }

  /**
   * Adds a record.
   * @throws DataError `data/key` for a key that is too long, empty or not greater than the previous one
   */
  add(key: string | Buffer, value: Uint8Array): void {
    const bytes = Buffer.from(key as string);
    if (bytes.length === 0 || bytes.length > MAX_KEY)
      throw new DataError(
        'data/key',
        { file: this.#path },
        `LMDB takes keys of 1 to ${MAX_KEY} bytes; "${String(key).slice(0, 100)}" has ${bytes.length}`,
      );
    if (this.#lastKey !== null && Buffer.compare(this.#lastKey, bytes) >= 0)
      throw new DataError(
        'data/key',
        { file: this.#path },
        `the key "${key}" does not come after "${this.#lastKey}"`,
      );
    const isBig = NODE_HEADER + bytes.length + value.length > NODE_MAX;
    const content = isBig ? this.#writeOverflow(value) : value;
    if (!this.#leaf.fits(bytes, content.length)) this.#endLeaf();
    if (this.#leaf.count === 0) this.#leaves.push({ key: bytes, page: this.#pages++ });
    this.#leaf.add(bytes, value.length, isBig ? BIG_DATA : 0, content);
    this.#lastKey = bytes;
    this.#count++;
  }

  /**
   * Writes the rest and gives the database its name.
   * @throws ResnodeError `file/write`
   */
  async finish(): Promise<void> {
    if (this.#leaf.count > 0) this.#endLeaf();
    const leafPages = this.#leaves.length;
    let level = this.#leaves;
    let depth = leafPages === 0 ? 0 : 1;
    let branchPages = 0;
    for (; level.length > 1; depth++) {
      level = this.#writeBranches(level);
      branchPages += level.length;
    }
    const meta = Buffer.alloc(2 * PAGE_SIZE);
    const size = this.#pages * PAGE_SIZE;
    for (const transaction of [0, 1]) {
      const page = meta.subarray(transaction * PAGE_SIZE);
      page.writeUInt32LE(transaction, 0);
      page.writeUInt16LE(PAGE.meta, 10);
      page.writeUInt32LE(MAGIC, META.magic);
      page.writeUInt32LE(1, META.version);
      page.writeBigUInt64LE(BigInt(Math.ceil(size / MAP_UNIT) * MAP_UNIT), META.mapSize);
      page.writeUInt32LE(PAGE_SIZE, META.pageSize);
      page.writeUInt16LE(0x08, META.freeFlags); // MDB_INTEGERKEY
      page.writeBigUInt64LE(NO_PAGE, META.freeRoot);
      page.writeUInt16LE(depth, META.depth);
      page.writeBigUInt64LE(BigInt(branchPages), META.branchPages);
      page.writeBigUInt64LE(BigInt(leafPages), META.leafPages);
      page.writeBigUInt64LE(BigInt(this.#overflowPages), META.overflowPages);
      page.writeBigUInt64LE(BigInt(this.#count), META.entries);
      page.writeBigUInt64LE(level[0] === undefined ? NO_PAGE : BigInt(level[0].page), META.root);
      page.writeBigUInt64LE(BigInt(this.#pages - 1), META.lastPage);
      page.writeBigUInt64LE(BigInt(transaction), META.transaction);
    }
    this.#write(meta, 0);
    try {
      await promisify(fsync)(this.#descriptor!);
      this.#close();
      renameSync(this.#folder, this.#path);
    } catch (error) {
      throw writeFailure(this.#path, error);
    }
  }

  /** Gives up and leaves nothing behind. */
  abandon(): void {
    this.#close();
    removeQuietly(this.#folder);
  }

  #close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  #endLeaf(): void {
    const { page } = this.#leaves.at(-1)!;
    this.#write(this.#leaf.finish(page, PAGE.leaf), page);
    this.#leaf = new PageBuilder();
  }

  /** Returns the number of the first page, as a node stores it. */
  #writeOverflow(value: Uint8Array): Buffer {
    const first = this.#pages;
    const pages = Math.ceil((PAGE_HEADER + value.length) / PAGE_SIZE);
    const bytes = Buffer.alloc(pages * PAGE_SIZE);
    bytes.writeBigUInt64LE(BigInt(first), 0);
    bytes.writeUInt16LE(PAGE.overflow, 10);
    bytes.writeUInt32LE(pages, 12);
    bytes.set(value, PAGE_HEADER);
    this.#write(bytes, first);
    this.#pages += pages;
    this.#overflowPages += pages;
    return Buffer.from(bytes.subarray(0, 8));
  }

  #writeBranches(children: readonly Child[]): Child[] {
    const groups: Child[][] = [];
    let builder = new PageBuilder();
    for (const child of children) {
      if (groups.length === 0 || !builder.fits(child.key, 0)) {
        groups.push([]);
        builder = new PageBuilder();
      }
      groups.at(-1)!.push(child);
      builder.add(child.key, 0, 0, Buffer.alloc(0));
    }
    // mdb_page_search_root asserts that a branch has two children.
    if (groups.at(-1)!.length === 1) groups.at(-1)!.unshift(groups.at(-2)!.pop()!);
    return groups.map((group) => {
      const page = this.#pages++;
      const branch = new PageBuilder();
      // The first child contains everything below the second key, so its own key is not stored (mdb_page_split).
      group.forEach((child, i) => {
        const key = i === 0 ? Buffer.alloc(0) : child.key;
        branch.add(key, child.page % 2 ** 32, Math.floor(child.page / 2 ** 32), Buffer.alloc(0));
      });
      this.#write(branch.finish(page, PAGE.branch), page);
      return { key: group[0]!.key, page };
    });
  }

  #write(bytes: Buffer, page: number): void {
    try {
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.#descriptor!, bytes, done, bytes.length - done, page * PAGE_SIZE + done);
    } catch (error) {
      throw writeFailure(this.#path, error);
    }
  }
}

/** One page of nodes: their offsets grow from the front, the nodes from the back. */
class PageBuilder {
  readonly #bytes = Buffer.alloc(PAGE_SIZE);
  #lower = PAGE_HEADER;
  #upper = PAGE_SIZE;

  get count(): number {
    return (this.#lower - PAGE_HEADER) / 2;
  }

  fits(key: Buffer, length: number): boolean {
    return this.#lower + 2 + evenNode(key, length) <= this.#upper;
  }

  /**
   * @param low The value's size (leaf), or the low half of a page number (branch).
   * @param flags The flags, or the high half.
   */
  add(key: Buffer, low: number, flags: number, content: Uint8Array): void {
    this.#upper -= evenNode(key, content.length);
    this.#bytes.writeUInt16LE(this.#upper, this.#lower);
    this.#lower += 2;
    this.#bytes.writeUInt32LE(low, this.#upper);
    this.#bytes.writeUInt16LE(flags, this.#upper + 4);
    this.#bytes.writeUInt16LE(key.length, this.#upper + 6);
    this.#bytes.set(key, this.#upper + NODE_HEADER);
    this.#bytes.set(content, this.#upper + NODE_HEADER + key.length);
  }

  finish(page: number, kind: number): Buffer {
    this.#bytes.writeBigUInt64LE(BigInt(page), 0);
    this.#bytes.writeUInt16LE(kind, 10);
    this.#bytes.writeUInt16LE(this.#lower, 12);
    this.#bytes.writeUInt16LE(this.#upper, 14);
    return this.#bytes;
  }
}

const evenNode = (key: Buffer, length: number): number => (NODE_HEADER + key.length + length + 1) & ~1;
