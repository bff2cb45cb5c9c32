/**
 * PNG files whose samples are indices (W3C, "Portable Network Graphics (PNG) Specification"): maps of classes, with a
 * palette or grey. An image library would return their colours, not their indices.
 */
import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import { ImageError } from '../base/errors.ts';
import { classColour } from './palette.ts';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Colour types. */
const [GREY, INDEXED] = [0, 3];
const MOST_PIXELS = 2 ** 28;

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 0xff]! ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

/**
 * Encodes a map of bytes as a PNG with PASCAL VOC's palette, with compression off the event loop.
 * @param map The values, row by row.
 */
export async function encodeIndexedPng(map: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, INDEXED], 8);
  const rows = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) rows.set(map.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const palette = Uint8Array.from(Array.from({ length: 256 }, (_, index) => classColour(index)).flat());
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', palette),
    chunk('IDAT', await promisify(deflate)(rows)),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** A map of bytes. */
export interface IndexMap {
  readonly width: number;
  readonly height: number;
  readonly map: Uint8Array;
}

/**
 * The indices of a PNG with a palette, or the samples of a grey one, of up to 8 bits.
 * @param file The name of the file in errors.
 * @throws ImageError `image/label-map` if the file is not such a PNG, `image/too-large`
 */
export async function decodeIndexedPng(bytes: Uint8Array, file: string): Promise<IndexMap> {
  const fail = (found: string): never => {
    throw new ImageError(
      'image/label-map',
      file,
      `expected a PNG with a palette, or grey, of up to 8 bits and not interlaced, whose samples are classes: ${found}`,
    );
  };
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!buffer.subarray(0, 8).equals(SIGNATURE)) fail('it is not a PNG');
  const chunks = chunksOf(buffer, fail);
  const header = chunks.find(({ type }) => type === 'IHDR')?.data;
  if (header?.length !== 13) return fail('its header is damaged');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colour, , , interlace] = header.subarray(8) as unknown as number[] as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (![GREY, INDEXED].includes(colour)) fail('its pixels have colours instead of a palette');
  if (![1, 2, 4, 8].includes(depth) || interlace !== 0)
    fail(`${depth} bits${interlace ? ', interlaced' : ''}`);
  if (width < 1 || height < 1) fail(`it is ${width}×${height}`);
  if (width * height > MOST_PIXELS)
    throw new ImageError('image/too-large', file, `is ${width}×${height}; at most 2^28 pixels are accepted`);
  const stride = Math.ceil((width * depth) / 8);
  const data = Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data));
  const rows = await promisify(inflate)(data, { maxOutputLength: height * (stride + 1) }).catch(() =>
    fail('its data is damaged'),
  );
  if (rows.length !== height * (stride + 1)) fail('its data ends too early');
  unfilter(rows, stride, fail);
  return { width, height, map: samplesOf(rows, { width, height, depth, stride }) };
}

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

function chunksOf(buffer: Buffer, fail: (found: string) => never): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 8; at < buffer.length; ) {
    const end = at + 8 <= buffer.length ? at + 12 + buffer.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    if (end > buffer.length) return fail('it ends too early');
    const type = buffer.toString('latin1', at + 4, at + 8);
    if (crc(buffer.subarray(at + 4, end - 4)) !== buffer.readUInt32BE(end - 4))
      return fail('a checksum is wrong');
    chunks.push({ type, data: buffer.subarray(at + 8, end - 4) });
    at = end;
  }
  return chunks;
}

/** Undoes the filtering of section 9, in place: pixels have at most one byte. */
function unfilter(rows: Uint8Array, stride: number, fail: (found: string) => never): void {
  for (let at = 0; at < rows.length; at += stride + 1) {
    const filter = rows[at]!;
    if (filter > 4) fail('its data is damaged');
    for (let i = at + 1; i <= at + stride; i++) {
      const left = i > at + 1 ? rows[i - 1]! : 0;
      const above = at > 0 ? rows[i - stride - 1]! : 0;
      const corner = at > 0 && i > at + 1 ? rows[i - stride - 2]! : 0;
      rows[i]! += [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter]!;
    }
  }
}

function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

function samplesOf(
  rows: Uint8Array,
  { width, height, depth, stride }: { width: number; height: number; depth: number; stride: number },
): Uint8Array {
  const map = new Uint8Array(width * height);
  const mask = 2 ** depth - 1;
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const byte = rows[y * (stride + 1) + 1 + (bit >> 3)]!;
      map[at++] = (byte >> (8 - depth - (bit & 7))) & mask;
    }
  return map;
}
