/** Windows bitmaps: the BITMAPINFOHEADER of the Windows GDI and the older and newer ones of the same layout. */
import { inPieces } from './byte-loops.ts';
import type { DecodedPixels } from './image.ts';

interface Header {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bits: number;
  /** The offset of the pixels. */
  readonly offset: number;
  /** The palette of B, G, R entries; null if pixels are not indices. */
  readonly palette: { readonly at: number; readonly stride: number; readonly count: number } | null;
  /** The masks of R, G and B in a pixel of 16 or 32 bits. */
  readonly masks: readonly number[];
}

const UNCOMPRESSED = 0;
const BITFIELDS = 3;

/** @throws Error that says what is wrong, or which unsupported kind it is */
export function readBmpHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = bytes.length >= 18 ? view.getUint32(14, true) : 0;
  if (size < 12 || bytes.length < 14 + size) throw new Error('its header is truncated');
  const isCore = size === 12;
  const width = isCore ? view.getUint16(18, true) : view.getInt32(18, true);
  const signedHeight = isCore ? view.getUint16(20, true) : view.getInt32(22, true);
  const height = Math.abs(signedHeight);
  const bits = view.getUint16(isCore ? 24 : 28, true);
  const compression = isCore ? UNCOMPRESSED : view.getUint32(30, true);
  if (width < 1 || height < 1) throw new Error(`it is ${width}×${height}`);
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw new Error(`it has ${bits} bits per pixel`);
  const hasMasks = compression === BITFIELDS && (bits === 16 || bits === 32);
  if (compression !== UNCOMPRESSED && !hasMasks)
    throw new Error(
      `it is compressed (kind ${compression}), which is not read; save it uncompressed, or as a PNG`,
    );
  const used = isCore ? 0 : view.getUint32(46, true);
  const stride = isCore ? 3 : 4;
  const count = used === 0 ? 2 ** bits : used;
  if (bits <= 8 && (count > 2 ** bits || bytes.length < 14 + size + count * stride))
    throw new Error('its palette is truncated');
  // A header of 40 bytes is followed by the masks; a longer one contains them.
  if (hasMasks && bytes.length < 66) throw new Error('its header is truncated');
  return {
    width,
    height,
    topDown: signedHeight < 0,
    bits,
    offset: view.getUint32(10, true),
    palette: bits <= 8 ? { at: 14 + size, stride, count } : null,
    masks: hasMasks
      ? [54, 58, 62].map((at) => view.getUint32(at, true))
      : bits === 16
        ? [0x7c00, 0x3e0, 0x1f]
        : [0xff0000, 0xff00, 0xff],
  };
}

/**
 * Decodes as OpenCV does: alpha is dropped, and channels of 5 and 6 bits become the high bits of a byte.
 * @throws Error if the file is truncated, an index is beyond the palette, or a channel has more than 8 bits
 */
export async function decodeBmp(bytes: Uint8Array, signal?: AbortSignal): Promise<DecodedPixels> {
  const { width, height, topDown, bits, offset, palette, masks } = readBmpHeader(bytes);
  const stride = 4 * Math.ceil((width * bits) / 32);
  // Writers may omit the padding after the last row.
  const needed = stride * (height - 1) + Math.ceil((width * bits) / 8);
  if (offset < 14 || bytes.length - offset < needed)
    throw new Error(
      `it is truncated: ${needed} bytes of pixels are needed, it has ${Math.max(0, bytes.length - offset)}`,
    );
  const shifts = masks.map(shiftOf);
  const data = new Uint8Array(3 * width * height);
  await inPieces(width * height, signal, (begin, end) => {
    let y = Math.floor(begin / width);
    let x = begin - y * width;
    for (let i = begin; i < end; i++) {
      const row = offset + (topDown ? y : height - 1 - y) * stride;
      const to = 3 * i;
      if (palette !== null) {
        const index = (bytes[row + ((x * bits) >> 3)]! >> (8 - bits - ((x * bits) & 7))) & (2 ** bits - 1);
        if (index >= palette.count)
          throw new Error(`a pixel has index ${index} of a palette of ${palette.count}`);
        const at = palette.at + index * palette.stride;
        for (let c = 0; c < 3; c++) data[to + c] = bytes[at + 2 - c]!;
      } else if (bits === 24) for (let c = 0; c < 3; c++) data[to + c] = bytes[row + 3 * x + 2 - c]!;
      else {
        const from = row + (bits >> 3) * x;
        const low = bytes[from]! | (bytes[from + 1]! << 8);
        const pixel = bits === 16 ? low : (low | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24)) >>> 0;
        for (let c = 0; c < 3; c++) {
          const value = pixel & masks[c]!;
          data[to + c] = shifts[c]! >= 0 ? value >>> shifts[c]! : value << -shifts[c]!;
        }
      }
      if (++x === width) [x, y] = [0, y + 1];
    }
  });
  return { width, height, channels: 3, data };
}

/** The number of bits by which to shift a channel right so that it becomes the high bits of a byte. */
function shiftOf(mask: number): number {
  const top = 31 - Math.clz32(mask);
  const bottom = 31 - Math.clz32(mask & -mask);
  if (mask === 0 || top - bottom > 7 || mask !== (2 ** (top + 1) - 2 ** bottom) >>> 0)
    throw new Error(`its channel mask 0x${mask.toString(16)} is not 1 to 8 bits in a row`);
  return top - 7;
}
