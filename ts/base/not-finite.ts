/** Finds NaN and infinities at the speed of reading. */
import { yielding } from './yielding.ts';

/** Where the first value lies that is no number or infinite, and how many there are. */
export interface NotFinite {
  readonly index: number;
  readonly value: number;
  readonly count: number;
}

/** @returns Null where all values are finite. */
export function notFinite(values: Float32Array): NotFinite | null {
  if (areFinite(values)) return null;
  let [index, count] = [-1, 0];
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    if (index < 0) index = i;
    count++;
  }
  return { index, value: values[index]!, count };
}

// Whatever is finite times 0 is 0, all else NaN. Four sums, since each waits for the one before it.
function areFinite(values: Float32Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i]! * 0;
    b += values[i + 1]! * 0;
    c += values[i + 2]! * 0;
    d += values[i + 3]! * 0;
  }
  for (let i = whole; i < values.length; i++) a += values[i]! * 0;
  return a + b + c + d === 0;
}

const PIECE = 2 ** 20;

/** The same for a blob's bytes (little-endian), where they lie: they need no alignment. Others have their turns. */
export async function notFiniteBytes(
  bytes: Uint8Array,
  dtype: 'float32' | 'float64',
): Promise<NotFinite | null> {
  const yieldIfDue = yielding();
  const [count, size] = dtype === 'float32' ? [countNotFinite32, 4] : [countNotFinite64, 8];
  let first = null as Pick<NotFinite, 'index' | 'value'> | null;
  let all = 0;
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    const here = count(piece, 0, piece.length);
    if (here > 0 && first === null) {
      // At once: their owner, or who writes a mapped file, may change the values between turns.
      let inPiece = 0;
      while (inPiece + size < piece.length && count(piece, inPiece, inPiece + size) === 0) inPiece += size;
      const view = new DataView(piece.buffer, piece.byteOffset + inPiece, size);
      const value = dtype === 'float32' ? view.getFloat32(0, true) : view.getFloat64(0, true);
      first = { index: (at + inPiece) / size, value };
    }
    all += here;
    await yieldIfDue();
  }
  return first === null ? null : { ...first, count: all };
}

// IEEE 754: of what is no number or infinite, and of nothing else, all bits of the exponent are set.
function countNotFinite32(bytes: Uint8Array, begin: number, end: number): number {
  let count = 0;
  for (let at = begin + 3; at < end; at += 4)
    if ((bytes[at]! & 0x7f) === 0x7f && bytes[at - 1]! >= 0x80) count++;
  return count;
}

function countNotFinite64(bytes: Uint8Array, begin: number, end: number): number {
  let count = 0;
  for (let at = begin + 7; at < end; at += 8)
    if ((bytes[at]! & 0x7f) === 0x7f && bytes[at - 1]! >= 0xf0) count++;
  return count;
}

/** `NaN`, `3 values are not finite, the first NaN at 17`. */
export const describeNotFinite = ({ index, value, count }: NotFinite): string =>
  `${count} ${count === 1 ? 'value is' : 'values are'} not finite, the first (${Number.isNaN(value) ? 'NaN' : value}) at ${index}`;
