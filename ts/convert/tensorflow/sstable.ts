/**
 * TensorFlow's tables (tensorflow/core/lib/io/table_builder.cc), which have LevelDB's format with plain keys.
 * Checkpoints of both versions are such tables.
 */
import { WeightsError } from '../../base/errors.ts';
import { MAX_TENSORS } from '../../base/files.ts';
import { yielding } from '../../base/yielding.ts';
import { varint } from '../../caffe/wire.ts';
import { maskedCrc } from '../../data/leveldb/checked-bytes.ts';
import { blocksOf, pairsOf, readBlock } from '../../data/leveldb/table.ts';

/** Names of tensors are paths; no program makes longer ones. */
const KEYS = { least: 0, most: 2 ** 16 };

export function checkpointError(file: string, message: string): WeightsError {
  return new WeightsError(
    'tensorflow/format',
    { file },
    `${message}; the checkpoint is damaged or truncated, copy it again`,
  );
}

/**
 * Keys (Latin-1) → values.
 * @throws WeightsError `tensorflow/format`
 */
export async function readTable(file: string): Promise<Map<string, Buffer>> {
  const entries = new Map<string, Buffer>();
  const yieldIfDue = yielding();
  try {
    for (const handle of blocksOf(file, KEYS)) {
      await yieldIfDue();
      for (const { key, value } of pairsOf(readBlock(file, handle), file, KEYS)) {
        if (entries.size >= MAX_TENSORS)
          throw checkpointError(file, `it has more than ${MAX_TENSORS} entries`);
        entries.set(key, value);
      }
    }
  } catch (error) {
    if (error instanceof Error && 'reason' in error) throw checkpointError(file, String(error.reason));
    throw error;
  }
  return entries;
}

/** The size of a block. A larger value gets a block of its own. */
const BLOCK_BYTES = 2 ** 18;
const FOOTER_BYTES = 48;
const MAGIC = Buffer.from('57fb808b247547db', 'hex');

/**
 * The chunks of a table. Values are computed when their block is written.
 * @param entries In ascending order of their keys, compared as bytes.
 */
export function* tableChunks(
  entries: Iterable<{ readonly key: Buffer; readonly value: () => Uint8Array }>,
): Generator<Uint8Array> {
  let offset = 0;
  const index: Buffer[] = [];
  let block: Buffer[] = [];
  let size = 0;
  let last: Uint8Array = new Uint8Array(0);
  const written = function* (parts: readonly Uint8Array[]): Generator<Uint8Array, Buffer> {
    // One restart, at the beginning: every key is complete and shares no prefix with the one before.
    const bytes = Buffer.concat([
      ...parts,
      restarts(parts.length === 0 ? [0] : offsetsOf(parts)),
      Buffer.of(0),
    ]);
    yield bytes;
    yield word(maskedCrc(bytes));
    const handle = Buffer.concat([varint(offset), varint(bytes.length - 1)]);
    offset += bytes.length + 4;
    return handle;
  };
  const flush = function* (): Generator<Uint8Array> {
    if (block.length === 0) return;
    index.push(pair(last, yield* written(block)));
    [block, size] = [[], 0];
  };
  for (const { key, value } of entries) {
    const entry = pair(key, value());
    if (size > 0 && size + entry.length > BLOCK_BYTES) yield* flush();
    block.push(entry);
    size += entry.length;
    last = key;
  }
  yield* flush();
  const meta = yield* written([]);
  const handles = Buffer.concat([meta, yield* written(index)]);
  yield Buffer.concat([handles, Buffer.alloc(FOOTER_BYTES - MAGIC.length - handles.length), MAGIC]);
}

/** Keys share no prefix with the one before, so every entry is a restart. */
const offsetsOf = (parts: readonly Uint8Array[]): number[] => {
  let at = 0;
  return parts.map(({ length }) => {
    at += length;
    return at - length;
  });
};

const restarts = (offsets: readonly number[]): Buffer =>
  Buffer.concat([...offsets, offsets.length].map(word));

const pair = (key: Uint8Array, value: Uint8Array): Buffer =>
  Buffer.concat([varint(0), varint(key.length), varint(value.length), key, value]);

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
