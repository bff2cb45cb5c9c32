/** Logs: records in fragments with checksums (LevelDB's doc/log_format.md). Both *.log and MANIFEST-* have this format. */
import { damaged, maskedCrc } from './checked-bytes.ts';

const BLOCK = 32768;
const HEADER = 7;
const [FULL, FIRST, MIDDLE, LAST] = [1, 2, 3, 4];

/**
 * The records of a log. LevelDB silently drops a truncated record; here no record is lost silently.
 * @throws DataError if a checksum is wrong, or the log ends within a record
 */
export function* logRecords(bytes: Buffer, file: string): Generator<Buffer> {
  let parts: Buffer[] | null = null;
  let at = 0;
  while (at + HEADER <= bytes.length) {
    const left = BLOCK - (at % BLOCK);
    if (left < HEADER) {
      at += left;
      continue;
    }
    const [length, type] = [bytes.readUInt16LE(at + 4), bytes[at + 6]!];
    if (type === 0 && length === 0) {
      at += left; // space that was allocated and never written
      continue;
    }
    if (HEADER + length > left) throw damaged(file, `byte ${at}: a fragment leaves its block`);
    if (at + HEADER + length > bytes.length) break;
    const payload = bytes.subarray(at + HEADER, at + HEADER + length);
    if (maskedCrc(bytes.subarray(at + 6, at + HEADER + length)) !== bytes.readUInt32LE(at))
      throw damaged(file, `byte ${at}: the checksum is wrong`);
    at += HEADER + length;
    const begins = type === FULL || type === FIRST;
    if (!(begins ? parts === null : parts !== null && (type === MIDDLE || type === LAST)))
      throw damaged(file, `byte ${at}: fragments are out of order`);
    if (type === FULL) yield payload;
    else if (type === FIRST) parts = [payload];
    else {
      parts!.push(payload);
      if (type !== LAST) continue;
      yield Buffer.concat(parts!);
      parts = null;
    }
  }
  if (parts !== null || bytes.subarray(at).some((byte) => byte !== 0))
    throw damaged(file, `byte ${at}: it ends in the middle of a record`);
}
