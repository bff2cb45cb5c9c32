/** Decompresses Snappy's raw format: https://github.com/google/snappy/blob/main/format_description.txt */

/** The largest expansion of an element: a copy of 64 bytes takes 3. */
const MOST = 64 / 3;

/** @throws a string that says what is wrong */
export function unpackSnappy(packed: Uint8Array): Buffer {
  let at = 0;
  const byte = (): number => {
    const value = packed[at++];
    if (value === undefined) throw 'compressed data ends too early';
    return value;
  };
  const number = (bytes: number): number => {
    let value = 0;
    for (let i = 0; i < bytes; i++) value += byte() * 2 ** (8 * i);
    return value;
  };
  let length = 0;
  for (let i = 0, more = true; more; i++) {
    const part = byte();
    if (i === 5) throw 'compressed data has an invalid length';
    length += (part & 0x7f) * 2 ** (7 * i);
    more = part >= 0x80;
  }
  if (length > MOST * packed.length) throw `${packed.length} compressed bytes cannot expand to ${length}`;
  const output = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (at < packed.length) {
    const tag = byte();
    const kind = tag & 3;
    if (kind === 0) {
      const short = tag >>> 2;
      const count = 1 + (short < 60 ? short : number(short - 59));
      if (count > packed.length - at || count > length - done) throw 'a literal is too long';
      output.set(packed.subarray(at, at + count), done);
      at += count;
      done += count;
      continue;
    }
    const count = kind === 1 ? 4 + ((tag >>> 2) & 7) : 1 + (tag >>> 2);
    const offset = kind === 1 ? (tag >>> 5) * 256 + byte() : number(kind === 2 ? 2 : 4);
    if (offset === 0 || offset > done || count > length - done) throw 'a copy lies outside the data';
    // Source and target of a copy may overlap; then it repeats.
    if (offset >= count) output.copyWithin(done, done - offset, done - offset + count);
    else for (let i = 0; i < count; i++) output[done + i] = output[done + i - offset]!;
    done += count;
  }
  if (done !== length) throw `compressed data expands to ${done} bytes instead of ${length}`;
  return output;
}
