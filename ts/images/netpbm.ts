/** PBM, PGM and PPM, plain and raw: https://netpbm.sourceforge.net/doc/ppm.html. */
import { inPieces } from './byte-loops.ts';
import type { DecodedPixels } from './image.ts';

interface Header {
  readonly kind: number;
  readonly width: number;
  readonly height: number;
  /** The largest sample value; 1 for bitmaps. */
  readonly most: number;
  /** The offset of the samples. */
  readonly begin: number;
}

/** @throws Error that says what is wrong */
export function readNetpbmHeader(bytes: Uint8Array): Header {
  const kind = bytes[1]! - 0x30;
  const isBitmap = kind === 1 || kind === 4;
  let at = 2;
  const next = (what: string): number => {
    at = skipSpace(bytes, at);
    const begin = at;
    while (at - begin < 7 && isDigit(bytes[at])) at++;
    if (at === begin || isDigit(bytes[at]))
      throw new Error(`its ${what} is not a number of at most 7 digits`);
    return Number(Buffer.from(bytes.subarray(begin, at)).toString('latin1'));
  };
  const [width, height] = [next('width'), next('height')];
  const most = isBitmap ? 1 : next('largest value');
  if (width === 0 || height === 0) throw new Error(`it is ${width}×${height}`);
  if (most < 1 || most > 65535) throw new Error(`its largest value is ${most}; expected 1 to 65535`);
  if (!isSpace(bytes[at])) throw new Error('no space follows its header');
  return { kind, width, height, most, begin: at + 1 };
}

/**
 * Scales samples to 255 as OpenCV does (rounded down); those of more than 8 bits to 65535.
 * @throws Error if the file is truncated or a sample exceeds the largest value
 */
export async function decodeNetpbm(bytes: Uint8Array, signal?: AbortSignal): Promise<DecodedPixels> {
  const { kind, width, height, most, begin } = readNetpbmHeader(bytes);
  const channels = kind % 3 === 0 ? 3 : 1;
  const count = width * height * channels;
  const isAscii = kind <= 3;
  const isBitmap = most === 1 && (kind === 1 || kind === 4);
  const sampleBytes = most > 255 ? 2 : 1;
  const needed = isAscii
    ? isBitmap
      ? count
      : 2 * count - 1
    : isBitmap
      ? Math.ceil(width / 8) * height
      : count * sampleBytes;
  if (bytes.length - begin < needed)
    throw new Error(`it is truncated: ${needed} bytes of samples are needed, it has ${bytes.length - begin}`);
  const data = most > 255 ? new Uint16Array(count) : new Uint8Array(count);
  const top = most > 255 ? 65535 : 255;
  const next = isAscii
    ? asciiSamples(bytes, begin, isBitmap)
    : rawSamples(bytes, begin, isBitmap ? width : null, sampleBytes);
  await inPieces(count, signal, (from, to) => {
    for (let i = from; i < to; i++) {
      const sample = next(i);
      if (sample > most) throw new Error(`a sample is ${sample}, over its largest value ${most}`);
      // A bitmap's 1 is black.
      data[i] = isBitmap ? (sample === 1 ? 0 : 255) : Math.floor((sample * top) / most);
    }
  });
  return { width, height, channels, data };
}

function rawSamples(bytes: Uint8Array, begin: number, bitWidth: number | null, sampleBytes: number) {
  if (bitWidth !== null) {
    const stride = Math.ceil(bitWidth / 8);
    return (i: number): number => {
      const x = i % bitWidth;
      return (bytes[begin + ((i - x) / bitWidth) * stride + (x >> 3)]! >> (7 - (x & 7))) & 1;
    };
  }
  return sampleBytes === 1
    ? (i: number): number => bytes[begin + i]!
    : (i: number): number => (bytes[begin + 2 * i]! << 8) | bytes[begin + 2 * i + 1]!;
}

function asciiSamples(bytes: Uint8Array, begin: number, isBitmap: boolean) {
  let at = begin;
  return (): number => {
    at = skipSpace(bytes, at);
    const first = at;
    let value = 0;
    // The digits of a plain bitmap need no space between them.
    while (at - first < (isBitmap ? 1 : 5) && isDigit(bytes[at])) value = 10 * value + bytes[at++]! - 0x30;
    if (at === first || (!isBitmap && isDigit(bytes[at])))
      throw new Error('it is truncated, or has a sample that is not a number');
    return value;
  };
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;
const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || (byte !== undefined && byte >= 9 && byte <= 13);

/** The position after white space and comments. */
function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    while (isSpace(bytes[at])) at++;
    if (bytes[at] !== 0x23) return at;
    while (at < bytes.length && bytes[at] !== 0x0a && bytes[at] !== 0x0d) at++;
  }
}
