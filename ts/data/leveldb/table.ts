/** Tables: sorted keys in blocks with checksums, and an index of the blocks (LevelDB's doc/table_format.md). */
import { Coded, damaged, maskedCrc, readPart } from './checked-bytes.ts';
import { unpackSnappy } from './snappy.ts';

/** The position of a block. */
export interface Handle {
  readonly offset: number;
  readonly size: number;
}

/** A key with LevelDB's suffix: the number of the write, and its type. */
export interface Entry {
  readonly key: string;
  readonly sequence: number;
  readonly isDeleted: boolean;
  readonly value: Buffer;
}

const FOOTER = 48;
const MAGIC = Buffer.from('57fb808b247547db', 'hex');
/** The type and checksum after a block. */
const TRAILER = 5;
/** Caffe's longest key has 256 bytes (kMaxKeyLength in convert_imageset.cpp), LMDB's 511. */
export const MAX_KEY = 1024;

/** The part of an entry that is the key. LevelDB's own keys end in 8 bytes that do not belong to the name. */
export interface KeyBytes {
  readonly least: number;
  readonly most: number;
}

const INTERNAL: KeyBytes = { least: 8, most: MAX_KEY + 8 };

/**
 * The data blocks of a table, in order.
 * @throws DataError
 */
export function blocksOf(file: string, keys: KeyBytes = INTERNAL): Handle[] {
  const footer = new Coded(
    readPart(file, (size) => ({ offset: size - FOOTER, length: FOOTER })),
    file,
  );
  if (!footer.bytes.subarray(FOOTER - MAGIC.length).equals(MAGIC))
    throw damaged(file, 'it does not end like a table: it is truncated or not a table');
  handleOf(footer); // filters and statistics
  const blocks: Handle[] = [];
  let end = 0;
  for (const { value } of pairsOf(readBlock(file, handleOf(footer)), file, keys)) {
    const handle = handleOf(new Coded(value, file));
    if (handle.offset < end) throw damaged(file, 'two blocks of it overlap');
    end = handle.offset + handle.size;
    blocks.push(handle);
  }
  return blocks;
}

const handleOf = (coded: Coded): Handle => ({ offset: coded.varint(), size: coded.varint() });

/**
 * A block, checked and decompressed.
 * @throws DataError
 */
export function readBlock(file: string, { offset, size }: Handle): Buffer {
  const bytes = readPart(file, () => ({ offset, length: size + TRAILER }));
  if (maskedCrc(bytes.subarray(0, size + 1)) !== bytes.readUInt32LE(size + 1))
    throw damaged(file, `the checksum of the block at byte ${offset} is wrong`);
  const block = bytes.subarray(0, size);
  if (bytes[size] === 0) return block;
  if (bytes[size] !== 1) throw damaged(file, `blocks use the unknown compression method ${bytes[size]}`);
  try {
    return unpackSnappy(block);
  } catch (error) {
    throw typeof error === 'string' ? damaged(file, `the block at byte ${offset}: ${error}`) : error;
  }
}

/** The entries of a block of LevelDB's own tables. */
export function* entriesOf(block: Buffer, file: string): Generator<Entry> {
  for (const { key, value } of pairsOf(block, file, INTERNAL)) {
    const trailer = Buffer.from(key.slice(-8), 'latin1').readBigUInt64LE(0);
    if ((trailer & 0xffn) > 1n) throw damaged(file, 'an entry is neither a value nor a deletion');
    const isDeleted = (trailer & 0xffn) === 0n;
    yield { key: key.slice(0, -8), sequence: Number(trailer >> 8n), isDeleted, value };
  }
}

/** The keys, in Latin-1, and values of a block; a key shares its beginning with the previous one. */
export function* pairsOf(
  block: Buffer,
  file: string,
  { least, most }: KeyBytes,
): Generator<{ readonly key: string; readonly value: Buffer }> {
  const restarts = block.length < 4 ? -1 : block.readUInt32LE(block.length - 4);
  const end = block.length - 4 * (restarts + 1);
  if (restarts < 0 || end < 0) throw damaged(file, 'a block has no end');
  const coded = new Coded(block.subarray(0, end), file);
  let before = '';
  while (coded.left > 0) {
    const [shared, own, size] = [coded.varint(), coded.varint(), coded.varint()];
    if (shared > before.length || shared + own < least || shared + own > most)
      throw damaged(file, `a key of ${shared} and ${own} bytes is invalid`);
    const key = before.slice(0, shared) + coded.take(own).toString('latin1');
    yield { key, value: coded.take(size) };
    before = key;
  }
}
