/** Finds NaN and infinities as fast as memory can be read. */
import { yielding } from './yielding.ts';

/** The first non-finite value, and the number of such values. */
export interface NotFinite {
  readonly index: number;
  readonly value: number;
  readonly count: number;
}

/** @returns Null if all values are finite. */
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

// A finite number times 0 is 0; any other is NaN. Four sums, because each addition waits for the previous one.
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

/** The same for a blob's little-endian bytes in place, without alignment. It yields to the event loop. */
export async function notFiniteBytes(
  bytes: Uint8Array,
  dtype: 'float32' | 'float64',
): Promise<NotFinite | null> {
  const yieldIfDue = yielding();
  const size = dtype === 'float32' ? 4 : 8;
  let first = null as Pick<NotFinite, 'index' | 'value'> | null;
  let all = 0;
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    const here = countNotFinite(piece, 0, piece.length, size);
    if (here > 0 && first === null) {
      // Checked at once: the owner, or a writer of a mapped file, could change the values between turns.
      let inPiece = 0;
      while (inPiece + size < piece.length && countNotFinite(piece, inPiece, inPiece + size, size) === 0)
        inPiece += size;
      const view = new DataView(piece.buffer, piece.byteOffset + inPiece, size);
      const value = dtype === 'float32' ? view.getFloat32(0, true) : view.getFloat64(0, true);
      first = { index: (at + inPiece) / size, value };
    }
    all += here;
    await yieldIfDue();
  }
  return first === null ? null : { ...first, count: all };
}

// IEEE 754: all exponent bits are set exactly for NaN and infinity: 8 of the upper 9 bits of a float32, 11 of the upper 12
// of a float64.
function countNotFinite(bytes: Uint8Array, begin: number, end: number, size: 4 | 8): number {
  const least = size === 4 ? 0x80 : 0xf0;
  let count = 0;
  for (let at = begin + size - 1; at < end; at += size)
    if ((bytes[at]! & 0x7f) === 0x7f && bytes[at - 1]! >= least) count++;
  return count;
}

/** `NaN`, `3 values are not finite, the first NaN at 17`. */
export const describeNotFinite = ({ index, value, count }: NotFinite): string =>
  `${count} ${count === 1 ? 'value is' : 'values are'} not finite, the first (${Number.isNaN(value) ? 'NaN' : value}) at ${index}`;
