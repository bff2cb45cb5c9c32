/**
 * The bytes of an HDF5 file, with limits: for any content, reading ends, and its memory is proportional to the file's size.
 * Section numbers in this folder are those of the HDF5 file format specification, version 4.0:
 * https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t4.html
 */
import { constants, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { hasChecksum } from './checksum.ts';

/** A problem of a file. The reader of weights or data converts it to its own typed error. */
export type Hdf5ProblemKind = 'damaged' | 'external' | 'limit' | 'unsupported';

export class Hdf5Problem extends Error {
  readonly kind: Hdf5ProblemKind;

  constructor(kind: Hdf5ProblemKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export const damaged = (text: string): Hdf5Problem => new Hdf5Problem('damaged', text);
export const unsupported = (text: string): Hdf5Problem => new Hdf5Problem('unsupported', text);

/** The largest number of headers, nodes and heaps read from one file. A net of 10,000 blobs has about 30,000. */
const MAX_STRUCTURES = 250_000;
/**
 * The largest number of bytes of one header, node or heap: a block of attributes has at most 64 KiB, a local heap the names
 * of its group.
 */
const MAX_STRUCTURE_BYTES = 64 * 2 ** 20;
/**
 * The limit of all values read from a file: ten times the file's size, or this number if it is larger (compressed zeros grow
 * 1000 times).
 */
const MAX_UNPACKED_BYTES = 256 * 2 ** 20;

/** Where a file's bytes are. Reads return how many bytes they got, 0 at the end. */
interface Storage {
  readonly size: number;
  readSync(into: Uint8Array, at: number, length: number, position: number): number;
  read(into: Uint8Array, at: number, length: number, position: number): Promise<number>;
  close(): Promise<void>;
}

const inFile = (handle: FileHandle, size: number): Storage => ({
  size,
  readSync: (into, at, length, position) => readSync(handle.fd, into, at, length, position),
  read: async (into, at, length, position) => (await handle.read(into, at, length, position)).bytesRead,
  close: () => handle.close(),
});

function inMemory(bytes: Uint8Array): Storage {
  const readNow: Storage['readSync'] = (into, at, length, position) => {
    const part = bytes.subarray(position, position + length);
    into.set(part, at);
    return part.length;
  };
  return {
    size: bytes.length,
    readSync: readNow,
    read: async (...where) => readNow(...where),
    close: async () => {},
  };
}

export class Source {
  /** The sizes of addresses and lengths in this file, in bytes (II.A, the superblock). */
  offsetSize = 8;
  lengthSize = 8;
  /** The origin of the file's addresses. */
  base = 0;
  readonly #storage: Storage;
  #structures = 0;
  #values = 0;

  private constructor(storage: Storage) {
    this.#storage = storage;
  }

  get size(): number {
    return this.#storage.size;
  }

  /**
   * @param path The path of a file, or its bytes.
   * @throws the file system's error; Hdf5Problem if it is not a regular file
   */
  static async open(path: string | Uint8Array): Promise<Source> {
    if (typeof path !== 'string') return new Source(inMemory(path));
    // Opening a FIFO would wait for a writer.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw damaged('this is not a regular file');
      return new Source(inFile(handle, stats.size));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#storage.close();
  }

  /**
   * A structure's bytes.
   * @param address Relative to the origin.
   */
  read(address: number, length: number): Buffer {
    if (++this.#structures > MAX_STRUCTURES)
      throw new Hdf5Problem('limit', `it has more than ${MAX_STRUCTURES} headers, nodes and heaps`);
    if (length > MAX_STRUCTURE_BYTES)
      throw new Hdf5Problem(
        'limit',
        `a structure of ${length} bytes; at most ${MAX_STRUCTURE_BYTES} are read`,
      );
    const bytes = Buffer.alloc(this.#within(address, length));
    for (let done = 0; done < length; ) {
      const count = this.#storage.readSync(bytes, done, length - done, this.base + address + done);
      if (count === 0) throw damaged('the file became shorter while it was read');
      done += count;
    }
    return bytes;
  }

  cursor(address: number, length: number): Cursor {
    return new Cursor(this.read(address, length), this);
  }

  /** A structure that begins with a signature. */
  block(address: number, signature: string, length: number): Cursor {
    return this.#afterSignature(signature, address, this.read(address, length));
  }

  /** A structure of the format of HDF5 1.8 or later, which also ends with a checksum. */
  checkedBlock(address: number, signature: string, length: number): Cursor {
    const bytes = this.read(address, length);
    const cursor = this.#afterSignature(signature, address, bytes.subarray(0, -4));
    if (!hasChecksum(bytes)) throw damaged(`the checksum of ${signature} at byte ${address} is wrong`);
    return cursor;
  }

  #afterSignature(signature: string, address: number, bytes: Buffer): Cursor {
    if (bytes.toString('latin1', 0, 4) !== signature)
      throw damaged(`there is no ${signature} at byte ${address}`);
    const cursor = new Cursor(bytes, this);
    cursor.skip(4);
    return cursor;
  }

  /** Values, read without blocking the event loop. */
  async values(address: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(this.#within(address, length));
    for (let done = 0; done < length; ) {
      const count = await this.#storage.read(bytes, done, length - done, this.base + address + done);
      if (count === 0) throw damaged('the file became shorter while it was read');
      done += count;
    }
    return bytes;
  }

  /** Counts the bytes that values will occupy in memory, before they are allocated. */
  take(bytes: number): void {
    this.#values += bytes;
    const limit = Math.max(MAX_UNPACKED_BYTES, 10 * this.size);
    if (!(this.#values <= limit))
      throw new Hdf5Problem(
        'limit',
        `its values take more than ${limit} bytes, ten times the file; write it again without compression (h5repack -f NONE)`,
      );
  }

  #within(address: number, length: number): number {
    if (!(address >= 0 && length >= 0 && this.base + address + length <= this.size))
      throw damaged(`bytes ${address} to ${address + length} are outside the file, which has ${this.size}`);
    return length;
  }
}

/** Reads consecutive little-endian numbers. */
export class Cursor {
  readonly bytes: Buffer;
  at = 0;
  readonly #source: Source;

  constructor(bytes: Buffer, source: Source) {
    this.bytes = bytes;
    this.#source = source;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  skip(count: number): void {
    this.take(count);
  }

  take(count: number): Buffer {
    if (!(count >= 0 && count <= this.left)) throw damaged('a structure is shorter than its length');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  sub(count: number): Cursor {
    return new Cursor(this.take(count), this.#source);
  }

  /** An unsigned integer with this number of bytes. It is not exact beyond 2^53 − 1, which no valid value exceeds. */
  uint(size: number): number {
    return this.take(size).reduceRight((sum, byte) => sum * 256 + byte, 0);
  }

  u8 = (): number => this.uint(1);
  u16 = (): number => this.uint(2);
  u32 = (): number => this.uint(4);

  length(): number {
    return this.uint(this.#source.lengthSize);
  }

  /** An address; null for the undefined address, in which all bits are set. */
  address(): number | null {
    const bytes = this.take(this.#source.offsetSize);
    return bytes.every((byte) => byte === 0xff)
      ? null
      : bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
  }

  /** @param what The name for errors if the address is undefined. */
  definedAddress(what: string): number {
    const address = this.address();
    if (address === null) throw damaged(`${what} has no address`);
    return address;
  }

  /** Text up to a zero byte, or to the end. */
  text(count: number): string {
    const bytes = this.take(count);
    const end = bytes.indexOf(0);
    return bytes.toString('utf8', 0, end < 0 ? count : end);
  }

  checkVersion(what: string, ...known: readonly number[]): number {
    const version = this.u8();
    if (!known.includes(version)) throw unsupported(`version ${version} of its ${what} is unknown`);
    return version;
  }
}
