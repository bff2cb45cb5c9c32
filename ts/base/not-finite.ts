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

/** The same for a blob's bytes, which need no alignment; others have their turns. */
export async function notFiniteBytes(
  bytes: Uint8Array,
  dtype: 'float32' | 'float64',
): Promise<NotFinite | null> {
  const yieldIfDue = yielding();
  let found = null as NotFinite | null;
  const size = dtype === 'float32' ? 4 : 8;
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, Math.min(at + PIECE, bytes.length));
    // A Buffer's slice would be a view, no copy.
    const { buffer, byteOffset, byteLength } = piece.byteOffset % size === 0 ? piece : new Uint8Array(piece);
    const values =
      dtype === 'float32'
        ? new Float32Array(buffer, byteOffset, byteLength / size)
        : Float32Array.from(new Float64Array(buffer, byteOffset, byteLength / size), outsideFloats);
    const here = notFinite(values);
    if (here !== null)
      found = {
        index: found?.index ?? at / size + here.index,
        value: found?.value ?? here.value,
        count: (found?.count ?? 0) + here.count,
      };
    await yieldIfDue();
  }
  return found;
}

// A float64 that is finite stays so, though a float32 may be too small for it: its owner says what becomes of that.
const outsideFloats = (value: number) => (Number.isFinite(value) ? 0 : value);

/** `NaN`, `3 values are not finite, the first NaN at 17`. */
export const describeNotFinite = ({ index, value, count }: NotFinite): string =>
  `${count} ${count === 1 ? 'value is' : 'values are'} not finite, the first (${Number.isNaN(value) ? 'NaN' : value}) at ${index}`;
