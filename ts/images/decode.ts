/** Decodes image files to pixels. */
import { open, stat } from 'node:fs/promises';
import { ImageError, ResnodeError } from '../base/errors.ts';
import { isMissing, readCause } from '../base/files.ts';
import { bytes, either, integer, oneOf, signal, string } from '../base/kinds.ts';
import { onAbort } from '../base/on-abort.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { location, resolveSource } from '../base/sources.ts';
import { warn } from '../base/warn.ts';
import { decodeBmp, readBmpHeader } from './bmp.ts';
import { reduced } from './byte-loops.ts';
import { decodeVips, reduceDepth, UnfitPixels, vipsHeader } from './decode-vips.ts';
import { type RenderedPixels, readDicom } from './dicom.ts';
import { describeBytes, HEAD_BYTES, IMAGE_FORMATS, type ImageFormat, imageFormatOf } from './format.ts';
import type { DecodedPixels, DeepImage, Image } from './image.ts';
import { decodeNetpbm, readNetpbmHeader } from './netpbm.ts';
import { type Window, window, windowTable, windowText } from './window.ts';

export interface DecodeOptions {
  /** The image's name in errors. Default: its path, or `image`. */
  readonly name?: string;
  /** The largest number of pixels (width × height) that is decoded. Default 2^26, 8192×8192, which takes 192 MiB as RGB. */
  readonly maxPixels?: number;
  /** `applied` rotates the image according to its EXIF data, as OpenCV does since 3.1. Default `applied`. */
  readonly orientation?: 'applied' | 'ignored';
  /**
   * With 16, samples of 16 bits keep all bits; images of 8 bits keep theirs. Default 8: samples are reduced as in OpenCV.
   */
  readonly depth?: 8 | 16;
  /**
   * The centre and width of the values that become black to white, for images of 16 bits (0 to 65535) and for grey DICOM
   * images (in their own units, such as Hounsfield's), whose own window is then ignored. Default: a DICOM file's window, or
   * all values that its bits can hold; all values for other images of 16 bits.
   */
  readonly window?: Window;
  /** Cancels the request with the signal's reason; a thread of libuv may continue until `timeout`. */
  readonly signal?: AbortSignal;
  /** The time limit of decoding in seconds, 1 to 3600. Default 60. */
  readonly timeout?: number;
}

/** Limits for decoding many images. */
export type DecodeLimits = Pick<DecodeOptions, 'maxPixels' | 'timeout'>;

const DEFAULT_MAX_PIXELS = 2 ** 26;

const DEFAULTS = {
  name: 'image',
  maxPixels: DEFAULT_MAX_PIXELS,
  orientation: 'applied',
  depth: 8,
  timeout: 60,
} as const;

/** Rows of DecodeLimits. */
export const limitRows = {
  maxPixels: optional(
    integer(1, 2 ** 30),
    '2^26',
    'The largest image, in pixels (width × height), that is decoded.',
  ),
  timeout: optional(integer(1, 3600), '60', 'The time limit of decoding, in seconds.'),
};

export const decodeOptions = options<DecodeOptions>({
  ...limitRows,
  name: optional(string, 'the path, or `image`', 'The name of the image in errors.'),
  orientation: optional(
    oneOf('applied', 'ignored'),
    'applied',
    'Whether the image is rotated as its EXIF orientation says.',
  ),
  depth: optional(oneOf(8, 16), '8', 'The bits of a sample; 16 keeps samples of 16 bits.'),
  window: optional(
    window,
    "the file's, or all values",
    'The centre and width of the values that become black to white, for DICOM and 16-bit images.',
  ),
  signal: optional(signal, 'none', "Cancels the request; the promise rejects with the signal's reason."),
});

const DECODE_IMAGE = signature('decodeImage', {
  source: required(either(location, bytes), 'A path, a file: URL, or the bytes of an encoded image.'),
  options: optional(decodeOptions, 'none', 'How to decode the image.'),
});

/**
 * Decodes an image off the event loop to the bytes that OpenCV gives Caffe: colour profiles are ignored, EXIF orientation is
 * applied, alpha is dropped, 16-bit samples are reduced, and CMYK becomes RGB by OpenCV's formula. An animation or a TIFF
 * with several pages yields its first image. docs/decode-parity.md reports measurements.
 *
 * DICOM images (uncompressed, with one frame; they need the package dicom-parser) are rendered as they should be displayed:
 * with rescaling and a window applied, and MONOCHROME1 inverted; `rendering` describes this.
 *
 * The first bytes of a file decide its format: JPEG, PNG, WebP, GIF, TIFF, BMP, PBM, PGM, PPM or DICOM. Other bytes never
 * reach a decoder.
 * @param source A path, a `file:` URL, or the bytes of an encoded image.
 * @returns `width`, `height`, `channels` (1 for a grey image, otherwise 3: R, G, B) and `data`, height × width × channels
 * @throws ImageError that names the file: `image/not-found`, `image/not-a-file`, `image/unreadable` (unknown format,
 * truncated, damaged), `image/too-large`, `image/depth` (float samples), `image/channels`, `image/dicom` (an unsupported
 * kind of DICOM), `image/timeout`; ResnodeError `package/missing`; ArgumentError; the signal's reason
 * @example const image = await decodeImage('cat.jpg', { maxPixels: 1e7, signal: AbortSignal.timeout(2000) });
 */
export async function decodeImage(
  source: string | URL | Uint8Array | ArrayBuffer,
  options?: DecodeOptions & { readonly depth?: 8 },
): Promise<Image>;
export async function decodeImage(
  source: string | URL | Uint8Array | ArrayBuffer,
  options: DecodeOptions,
): Promise<Image | DeepImage>;
export async function decodeImage(
  source: string | URL | Uint8Array | ArrayBuffer,
  options: DecodeOptions = {},
): Promise<Image | DeepImage> {
  DECODE_IMAGE.check(source, options);
  const { maxPixels = DEFAULTS.maxPixels, timeout = DEFAULTS.timeout, signal } = options;
  const { orientation = DEFAULTS.orientation, depth = DEFAULTS.depth, window } = options;
  signal?.throwIfAborted();
  const path = resolveSource(source);
  const file = options.name ?? (typeof path === 'string' ? path : DEFAULTS.name);
  const seconds = timeout;
  const work = async (): Promise<Image | DeepImage> => {
    const bytes = typeof path === 'string' ? await readImageFile(path, file, maxPixels) : path;
    const format = imageFormatOf(bytes);
    if (format === null) throw unreadable(file, `cannot be decoded: it is ${describeBytes(bytes)}`);
    const decoded = await decodeBytes(bytes, format, {
      file,
      maxPixels,
      orientation,
      timeout: seconds,
      signal,
      ...{ depth, window },
    });
    const { data } = decoded;
    if (format === 'DICOM')
      warn(
        'image/rendering',
        `DICOM images are rendered as their files specify; the first, ${file}: ${decoded.rendering}`,
        {
          once: true,
        },
      );
    if (data instanceof Uint8Array) return { ...decoded, data, file };
    if (window !== undefined && format !== 'DICOM')
      return { ...decoded, ...(await windowed(data, window, depth, signal)), file };
    if (depth === 16) return { ...decoded, data, file };
    warn(
      'image/depth',
      `images of 16 bits are reduced to their upper 8 bits, as in OpenCV; the first is ${file}. A window (--window CENTRE,WIDTH) says which values count, --depth 16 --interpolation float keeps all bits`,
      { once: true },
    );
    const isColourTiff = format === 'TIFF' && decoded.channels === 3;
    return { ...decoded, data: await reduceDepth(data, isColourTiff, signal), file };
  };
  const late = () =>
    new ImageError(
      'image/timeout',
      file,
      `was not decoded within ${seconds} s; give a larger timeout, or a smaller image`,
    );
  return withDeadline(work(), { seconds, signal, late });
}

/** Maps the values within the window to samples of 8 or 16 bits. */
async function windowed(
  samples: Uint16Array,
  window: Window,
  depth: 8 | 16,
  signal: AbortSignal | undefined,
): Promise<{ data: Uint8Array; rendering: string } | { data: Uint16Array; rendering: string }> {
  const windowing = { window, shape: 'LINEAR' } as const;
  const table = windowTable({
    ...windowing,
    slope: 1,
    intercept: 0,
    range: [0, 65535],
    inverted: false,
    depth,
  });
  const rendering = `${windowText(windowing)} (as given)`;
  if (depth === 16) return { data: samples.map((sample) => table[sample]!), rendering };
  return { data: await reduced(samples, signal, (sample) => table[sample]!), rendering };
}

interface Work extends Required<Omit<DecodeOptions, 'name' | 'signal' | 'window'>> {
  readonly window: Window | undefined;
  readonly file: string;
  readonly signal: AbortSignal | undefined;
}

async function decodeBytes(
  bytes: Uint8Array,
  format: ImageFormat,
  work: Work,
): Promise<DecodedPixels | RenderedPixels> {
  const { file, maxPixels, signal } = work;
  try {
    if (format === 'BMP' || format === 'PNM') {
      const [readHeader, decode] =
        format === 'BMP' ? [readBmpHeader, decodeBmp] : [readNetpbmHeader, decodeNetpbm];
      checkSize(file, readHeader(bytes), maxPixels);
      return await decode(bytes, signal);
    }
    if (format === 'DICOM') {
      const image = await readDicom(bytes);
      checkSize(file, image, maxPixels);
      return await image.decode(work.window, work.depth, signal);
    }
    const header = await vipsHeader(bytes, format);
    checkSize(file, header, maxPixels);
    return await decodeVips(bytes, format, header, work);
  } catch (error) {
    if (error instanceof ResnodeError || (signal?.aborted && error === signal.reason)) throw error;
    const message = (error as Error).message.trim().split('\n')[0]!;
    if (error instanceof UnfitPixels)
      throw new ImageError(`image/${error.kind}`, file, message, { cause: error });
    if (/^timeout:/i.test(message)) throw new ImageError('image/timeout', file, message, { cause: error });
    throw unreadable(file, `cannot be decoded (${message})`, error, format);
  }
}

function checkSize(
  file: string,
  { width, height }: { width: number; height: number },
  maxPixels: number,
): void {
  if (width * height > maxPixels)
    throw new ImageError(
      'image/too-large',
      file,
      `is ${width}×${height}, ${width * height} pixels; at most ${maxPixels} are decoded: raise maxPixels (--max-pixels) if you trust it, or make it smaller`,
    );
}

const unreadable = (file: string, what: string, cause?: unknown, format?: ImageFormat): ImageError =>
  new ImageError(
    'image/unreadable',
    file,
    `${what}; expected a whole ${format === undefined ? `image: ${IMAGE_FORMATS}` : `${format === 'PNM' ? 'PBM, PGM or PPM' : format} file`}`,
    { cause },
  );

/** Even with float samples and alpha an image has no more bytes per pixel; the rest is for data other than pixels. */
const bytesFor = (maxPixels: number): number => Math.min(16 * maxPixels + 2 ** 26, 2 ** 31 - 1);

/**
 * The bytes of a regular file; only the first ones if they are not those of an image.
 * @throws ImageError
 */
export async function readImageFile(
  path: string,
  file = path,
  maxPixels = DEFAULT_MAX_PIXELS,
): Promise<Uint8Array> {
  try {
    // Opening a pipe would wait for its writer.
    const stats = await stat(path);
    if (!stats.isFile()) throw new ImageError('image/not-a-file', file, 'this is not a file');
    const handle = await open(path);
    try {
      const head = new Uint8Array(HEAD_BYTES);
      const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
      const begin = head.subarray(0, bytesRead);
      if (imageFormatOf(begin) === null) return begin;
      if (stats.size > bytesFor(maxPixels))
        throw new ImageError(
          'image/too-large',
          file,
          `has ${stats.size} bytes, more than an image of ${maxPixels} pixels (maxPixels, --max-pixels) can need`,
        );
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const cause = error as NodeJS.ErrnoException;
    const code = isMissing(cause) ? 'image/not-found' : 'image/unreadable';
    throw new ImageError(code, file, readCause(cause), { cause });
  }
}

/**
 * Waits for `work`, but at most the given number of seconds, and no longer than until the signal. Work that cannot be
 * stopped continues, and its result is discarded.
 * @param late Creates the error of an expired time limit.
 * @throws the errors of `work`, or `late()`, or the signal's reason
 */
function withDeadline<Result>(
  work: Promise<Result>,
  { seconds, signal, late }: { seconds: number; signal: AbortSignal | undefined; late: () => Error },
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const withdraw = onAbort(signal, () => reject(signal!.reason));
    const timer = setTimeout(() => reject(late()), 1000 * seconds);
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      withdraw();
    });
  });
}
