/** Decodes JPEG, PNG, WebP, GIF and TIFF by libvips, through sharp on libuv's threads. */
import type { Metadata, OutputInfo, Sharp } from 'sharp';
import { warn } from '../base/warn.ts';
import { highByte, inPieces, reduced } from './byte-loops.ts';
import type { ImageFormat } from './format.ts';
import type { DecodedPixels } from './image.ts';
import { type MendedJpeg, mendedJpegs } from './mend-jpeg.ts';

/** The number of different problems that are corrected in one file. */
const MOST_MENDED = 3;

export interface VipsOptions {
  /** The name of the file in warnings. */
  readonly file: string;
  readonly maxPixels: number;
  readonly orientation: 'applied' | 'ignored';
  /** The time limit in seconds. */
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

/** Thrown for an intact image whose kind of pixels is not supported. */
export class UnfitPixels extends Error {
  readonly kind: 'depth' | 'channels' | 'dicom';

  constructor(kind: UnfitPixels['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * The header of an image.
 * @throws Error if libvips recognises another format
 */
export async function vipsHeader(bytes: Uint8Array, format: ImageFormat): Promise<Metadata> {
  const { default: sharp } = await import('sharp');
  const metadata = await besideOthers(() =>
    sharp(bytes, { failOn: 'error', limitInputPixels: false }).metadata(),
  );
  if (metadata.format !== format.toLowerCase())
    throw new Error(`the decoder recognises it as ${metadata.format}`);
  return metadata;
}

/**
 * Decodes the whole image, with 16 bits if it has them.
 * @throws Error, UnfitPixels
 */
export async function decodeVips(
  bytes: Uint8Array,
  format: ImageFormat,
  header: Metadata,
  options: VipsOptions,
): Promise<DecodedPixels> {
  const space = spaceOf(format, header);
  const isTiff = format === 'TIFF';
  const keepsAlpha = isTiff && space === 'srgb' && header.hasAlpha === true && hasUnassociatedAlpha(bytes);
  // libjpeg fills damaged parts with grey and reports a warning. libvips cannot say which warning it was, because it keeps
  // the messages of all its threads in one place. libtiff warns of every unknown tag.
  const { data, info } =
    format === 'JPEG'
      ? await decodeWholeJpeg(bytes, (copy) => decodeTo(copy, 'warning', space, keepsAlpha, options), options)
      : await besideOthers(() => decodeTo(bytes, 'error', space, keepsAlpha, options));
  const { signal } = options;
  const { width, height } = info;
  if (space === 'cmyk') return { width, height, channels: 3, data: await rgbFromCmyk(data, isTiff, signal) };
  if (keepsAlpha) return { width, height, channels: 3, data: await multiplied(data, signal) };
  const { channels } = info as { channels: number };
  if (channels !== 1 && channels !== 3)
    throw new UnfitPixels('channels', `it decodes to ${channels} channels; expected grey or RGB`);
  if (!space.endsWith('16')) return { width, height, channels, data };
  return { width, height, channels, data: new Uint16Array(data.buffer, data.byteOffset, data.length / 2) };
}

/**
 * Corrects one problem after another, because libjpeg reports only its first warning.
 * @throws the first error if that does not help
 */
async function decodeWholeJpeg<T>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => Promise<T>,
  { file, signal }: VipsOptions,
): Promise<T> {
  let first: unknown;
  try {
    return await besideOthers(() => decode(bytes));
  } catch (error) {
    if (signal?.aborted) throw error;
    first = error;
  }
  // Decodes alone, so that the warning belongs to this image.
  return alone(() => decodeMended(bytes, decode, first, file, signal));
}

async function decodeMended<T>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => Promise<T>,
  first: unknown,
  file: string,
  signal: AbortSignal | undefined,
): Promise<T> {
  let current = bytes;
  const mended: string[] = [];
  for (let round = 0; round <= MOST_MENDED; round++) {
    try {
      const decoded = await decode(current);
      if (mended.length > 0) warn('image/mended', `${file}: the JPEG has ${mended.join(' and ')}`);
      return decoded;
    } catch (error) {
      const next = await nextCopy(current, (error as Error).message, decode);
      if (next === null) throw first;
      signal?.throwIfAborted();
      mended.push(next.what);
      current = next.bytes;
    }
  }
  throw first;
}

/** The first copy that decodes, or else the first with a different warning. */
async function nextCopy(
  bytes: Uint8Array,
  warning: string,
  decode: (bytes: Uint8Array) => Promise<unknown>,
): Promise<MendedJpeg | null> {
  let other: MendedJpeg | null = null;
  for (const copy of mendedJpegs(bytes, warning)) {
    try {
      await decode(copy.bytes);
      return copy;
    } catch (error) {
      if ((error as Error).message !== warning) other ??= copy;
    }
  }
  return other;
}

/**
 * Reduces 16 bits to 8 as OpenCV does: to the high byte; for TIFFs in colour, which libtiff reduces, to the nearest value.
 * @throws the signal's reason
 */
export function reduceDepth(
  samples: Uint16Array,
  isColourTiff: boolean,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return reduced(samples, signal, isColourTiff ? (sample) => Math.floor((sample + 128) / 257) : highByte);
}

const SPACES = ['srgb', 'b-w', 'cmyk', 'rgb16', 'grey16'] as const;
type Space = (typeof SPACES)[number];

function spaceOf(format: ImageFormat, { space, depth, bitsPerSample }: Metadata): Space {
  if (depth !== 'uchar' && depth !== 'ushort')
    throw new UnfitPixels(
      'depth',
      `its samples are of type ${depth}${bitsPerSample === undefined ? '' : ` (${bitsPerSample} bits)`}, which have no agreed range (OpenCV refuses them, too); scale them to 8 or 16 bits`,
    );
  const known = SPACES.find((each) => each === space);
  if (known === undefined || (known === 'cmyk' && depth === 'ushort'))
    throw new UnfitPixels('channels', `its colours are ${space}; convert it to grey, RGB or CMYK of 8 bits`);
  // libvips makes a grey GIF grey; OpenCV gives every palette colours.
  return format === 'GIF' ? 'srgb' : known;
}

async function decodeTo(
  bytes: Uint8Array,
  failOn: 'error' | 'warning',
  space: Space,
  keepsAlpha: boolean,
  { maxPixels, orientation, timeout }: VipsOptions,
): Promise<{ data: Buffer; info: OutputInfo }> {
  const { default: sharp } = await import('sharp');
  const opened = sharp(bytes, {
    failOn,
    limitInputPixels: maxPixels,
    autoOrient: orientation === 'applied',
    ignoreIcc: true,
  }).timeout({ seconds: timeout });
  const withChannels: Sharp = keepsAlpha ? opened : opened.removeAlpha();
  const converted =
    space === 'cmyk'
      ? withChannels.pipelineColourspace('cmyk').toColourspace('cmyk')
      : withChannels.toColourspace(space);
  const depth = space.endsWith('16') ? 'ushort' : 'uchar';
  return converted.raw({ depth }).toBuffer({ resolveWithObject: true });
}

/** Multiplies R, G, B by alpha, rounded as in libtiff. */
async function multiplied(rgba: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const pixels = rgba.length / 4;
  const rgb = new Uint8Array(3 * pixels);
  await inPieces(pixels, signal, (begin, end) => {
    for (let i = begin; i < end; i++)
      for (let c = 0; c < 3; c++)
        rgb[3 * i + c] = Math.floor((rgba[4 * i + c]! * rgba[4 * i + 3]! + 127) / 255);
  });
  return rgb;
}

/**
 * Multiplies the absence of each ink by that of black, rounded as in OpenCV's modules/imgcodecs/src/utils.cpp; for TIFFs as
 * in libtiff.
 */
async function rgbFromCmyk(
  cmyk: Uint8Array,
  isTiff: boolean,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const pixels = cmyk.length / 4;
  const rgb = new Uint8Array(3 * pixels);
  await inPieces(pixels, signal, (begin, end) => {
    for (let i = begin; i < end; i++) {
      const light = 255 - cmyk[4 * i + 3]!;
      for (let c = 0; c < 3; c++) {
        const ink = cmyk[4 * i + c]!;
        rgb[3 * i + c] = isTiff ? Math.floor((light * (255 - ink)) / 255) : light - ((ink * light) >> 8);
      }
    }
  });
  return rgb;
}

/** Tasks may decode concurrently or alone, because libvips keeps the error messages of all its threads in one place. */
let running = 0;
let whenIdle: () => void = () => {};
let soleTurn: Promise<void> | null = null;

/** Runs `work` concurrently with others, but not while a task runs alone. */
async function besideOthers<T>(work: () => Promise<T>): Promise<T> {
  while (soleTurn !== null) await soleTurn;
  running++;
  try {
    return await work();
  } finally {
    running--;
    if (running === 0) whenIdle();
  }
}

/**
 * Runs `work` when all others have finished; later ones wait. This applies only to this thread; other threads are not
 * affected.
 */
export async function alone<T>(work: () => Promise<T>): Promise<T> {
  while (soleTurn !== null) await soleTurn;
  let end = () => {};
  soleTurn = new Promise((resolve) => {
    end = resolve;
  });
  try {
    if (running > 0)
      await new Promise<void>((resolve) => {
        whenIdle = resolve;
      });
    return await work();
  } finally {
    soleTurn = null;
    end();
  }
}

/** Facts about a TIFF that libvips does not report: TIFF 6.0, section 2. */
/** Tag 338 says whether colours were multiplied by a fourth sample (1) or not (2). */
const EXTRA_SAMPLES = 338;
const UNASSOCIATED = 2;

/** Whether the first image has an alpha channel by which its colours have not been multiplied. */
function hasUnassociatedAlpha(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isLittle = bytes[0] === 0x49;
  const short = (at: number) => (at + 2 <= bytes.length ? view.getUint16(at, isLittle) : 0);
  const long = (at: number) => (at + 4 <= bytes.length ? view.getUint32(at, isLittle) : 0);
  // BigTIFF has counts and offsets of 8 bytes; within a buffer their upper halves are 0.
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
