/** The common part of all files of LevelDB: regular files read in parts, little-endian numbers, masked checksums. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { DataError } from '../../base/errors.ts';

/**
 * The error for a damaged database; `reason` is only the text, for other files of the same format.
 * @param file One of its files.
 */
export function damaged(
  file: string,
  text: string,
  cause?: unknown,
): DataError & { readonly reason: string } {
  const error = new DataError(
    'data/leveldb',
    { file },
    `${text}; copy the database again, or convert the images again`,
    { cause },
  );
  return Object.assign(error, { reason: text });
}

/** Reads bytes of a file, which is open only during the call: a database may have more files than a process may open. */
export function readPart(file: string, part: (size: number) => { offset: number; length: number }): Buffer {
  let descriptor: number;
  try {
    // Opening a FIFO would wait for its writer.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw damaged(file, `it cannot be opened (${(error as Error).message.split(',')[0]})`, error);
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw damaged(file, 'it is not a regular file');
    const { offset, length } = part(stats.size);
    if (!(offset >= 0 && length >= 0 && offset + length <= stats.size))
      throw damaged(
        file,
        `bytes ${offset} to ${offset + length} are needed, it has ${stats.size}: it is truncated`,
      );
    const bytes = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length; ) {
      const count = readSync(descriptor, bytes, done, length - done, offset + done);
      if (count === 0) throw damaged(file, 'it became shorter while it was read');
      done += count;
    }
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}

/** LevelDB's varints, and strings that begin with their length (util/coding.cc). */
export class Coded {
  readonly bytes: Buffer;
  readonly #file: string;
  at = 0;

  constructor(bytes: Buffer, file: string) {
    this.bytes = bytes;
    this.#file = file;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  varint(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw damaged(this.#file, 'a number in it is not terminated');
  }

  take(length: number): Buffer {
    if (length > this.left) throw damaged(this.#file, 'a string in it is shorter than its length');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  text(): Buffer {
    return this.take(this.varint());
  }
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let i = 0; i < 8; i++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** CRC-32C (RFC 3720, B.4). */
export function crc32c(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) value = TABLE[(value ^ bytes[i]!) & 0xff]! ^ (value >>> 8);
  return ~value >>> 0;
}

/** The checksum in LevelDB's masked form (util/crc32c.h, Mask). */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
