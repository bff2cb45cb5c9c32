/** All records of a database in the order of their keys: the last write of each key, unless it was a deletion. */

import { DataError } from '../../base/errors.ts';
import { yielding } from '../../base/yielding.ts';
import { Coded, damaged, readPart } from './checked-bytes.ts';
import { logRecords } from './log.ts';
import { blocksOf, entriesOf, type Handle, MAX_KEY, readBlock } from './table.ts';
import { readVersion } from './version.ts';

/** Where a value is stored: in a block of a table, or in memory if it comes from the log. */
export type Place = { readonly file: string; readonly handle: Handle } | Buffer;

export interface Records {
  /** Latin-1, which takes half as much memory as a Buffer. */
  readonly keys: readonly string[];
  readonly placeOf: (position: number) => Place;
}

/** The limit of the keys of all writes: ten times the files, or this if it is more. */
const MAX_KEY_BYTES = 256 * 2 ** 20;
/** LevelDB begins a new log at 4 MiB; Caffe's batches of 1000 images make larger ones. */
const MAX_LOG = 2 ** 30;

export async function recordsOf(folder: string): Promise<Records> {
  const { tables, logs } = readVersion(folder);
  const yieldIfDue = yielding();
  // One write per row. Numbers are stored separately from strings: ImageNet has a million records.
  const keys: string[] = [];
  const sequences: number[] = [];
  const placeIndex: number[] = [];
  const places: (Place | null)[] = [];
  let keyBytes = 0;
  let readBytes = 0;
  const add = (key: string, sequence: number, place: Place | null): void => {
    keyBytes += key.length;
    if (keyBytes > Math.max(MAX_KEY_BYTES, 10 * readBytes))
      throw new DataError(
        'data/leveldb-limit',
        { file: folder },
        `its keys take more than ${keyBytes} bytes`,
      );
    keys.push(key);
    sequences.push(sequence);
    if (places.at(-1) !== place || places.length === 0) places.push(place);
    placeIndex.push(places.length - 1);
  };
  for (const file of tables)
    for (const handle of blocksOf(file)) {
      await yieldIfDue();
      const block = readBlock(file, handle);
      readBytes += handle.size;
      const place = { file, handle };
      for (const { key, sequence, isDeleted } of entriesOf(block, file))
        add(key, sequence, isDeleted ? null : place);
    }
  for (const file of logs) {
    const bytes = readPart(file, (size) => {
      if (size > MAX_LOG) throw damaged(file, `a log of ${size} bytes; at most ${MAX_LOG} are read`);
      return { offset: 0, length: size };
    });
    readBytes += bytes.length;
    for (const batch of logRecords(bytes, file)) {
      await yieldIfDue();
      for (const { key, sequence, value } of batchWrites(batch, file)) add(key, sequence, value);
    }
  }
  const rows = Array.from(keys, (_, i) => i).sort((a, b) =>
    keys[a]! < keys[b]! ? -1 : keys[a]! > keys[b]! ? 1 : sequences[b]! - sequences[a]!,
  );
  const kept = rows.filter(
    (row, i) => (i === 0 || keys[rows[i - 1]!] !== keys[row]) && places[placeIndex[row]!] !== null,
  );
  return {
    keys: kept.map((row) => keys[row]!),
    placeOf: (position) => places[placeIndex[kept[position]!]!]!,
  };
}

/** The writes of one batch (db/write_batch.cc): its first sequence number, their number, and each write. */
function* batchWrites(
  batch: Buffer,
  file: string,
): Generator<{ key: string; sequence: number; value: Buffer | null }> {
  if (batch.length < 12) throw damaged(file, 'a batch is shorter than its header');
  const [first, count] = [Number(batch.readBigUInt64LE(0)), batch.readUInt32LE(8)];
  const coded = new Coded(batch.subarray(12), file);
  for (let i = 0; i < count; i++) {
    const kind = coded.take(1)[0]!;
    if (kind > 1) throw damaged(file, 'a write is neither a value nor a deletion');
    const key = coded.text().toString('latin1');
    if (key.length > MAX_KEY) throw damaged(file, `a key of ${key.length} bytes is invalid`);
    yield { key, sequence: first + i, value: kind === 1 ? coded.text() : null };
  }
}
