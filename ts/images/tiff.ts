/** What libvips does not tell of a TIFF: TIFF 6.0, section 2. */

/** Tag 338 says of a fourth sample whether colours were multiplied by it (1) or not (2). */
const EXTRA_SAMPLES = 338;
const UNASSOCIATED = 2;

/** Whether the first image has an alpha by which its colours were not multiplied yet. */
export function hasUnassociatedAlpha(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isLittle = bytes[0] === 0x49;
  const short = (at: number) => (at + 2 <= bytes.length ? view.getUint16(at, isLittle) : 0);
  const long = (at: number) => (at + 4 <= bytes.length ? view.getUint32(at, isLittle) : 0);
  // BigTIFF has counts and offsets of 8 bytes; the upper halves of those within a buffer are 0.
  const isBig = short(2) === 43;
  const offset = (at: number) => (isBig && !isLittle ? long(at + 4) : long(at));
  const directory = offset(isBig ? 8 : 4);
  const count = isBig ? offset(directory) : short(directory);
  const [head, entry, value] = isBig ? [8, 20, 12] : [2, 12, 8];
  for (let i = 0; i < Math.min(count, 4096); i++) {
    const at = directory + head + i * entry;
    if (short(at) === EXTRA_SAMPLES) return short(at + value) === UNASSOCIATED;
  }
  return false;
}
