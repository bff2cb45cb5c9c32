/** Image files → pixels. */
import { statSync } from 'node:fs';
import type { OutputInfo } from 'sharp';
import { ImageError } from '../errors.ts';

/** Decoded pixels: uint8, H×W×C, interleaved R, G, B, or one grey channel. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
  /** Named in errors. */
  readonly file: string;
}

/** The file names that folders are searched for. */
export const IMAGE_FILE = /\.(jpe?g|png|webp|gif|tiff?)$/i;

/** The most pixels that an image may have: 2^27, 16384×8192. */
export const LIMIT_PIXELS = 2 ** 27;

/**
 * Decodes an image off the event loop (libvips, through sharp) to the bytes that OpenCV gives Caffe: colour profiles
 * and EXIF orientation are ignored, the latter as before OpenCV 3.1; alpha is dropped; of 16-bit samples the high byte
 * counts; CMYK becomes RGB by OpenCV's product. Of an animation the first frame counts. docs/decode-parity.md has what
 * was measured.
 * @param source A path, or the bytes of an encoded image.
 * @param name What errors call it. Default: the path, or `image`.
 * @throws ImageError naming the file, for one that is missing, truncated, too large or no image
 */
export async function decodeImage(source: string | Uint8Array, name?: string): Promise<Image> {
  const file = name ?? (typeof source === 'string' ? source : 'image');
  if (typeof source === 'string') checkIsFile(source);
  // Loaded here: libvips takes 20 MB, which who brings pixels of their own should not pay.
  const { default: sharp } = await import('sharp');
  let raw: { data: Buffer; info: OutputInfo };
  try {
    const options = {
      failOn: 'truncated',
      limitInputPixels: LIMIT_PIXELS,
      autoOrient: false,
      ignoreIcc: true,
    } as const;
    const { space } = await sharp(source, options).metadata();
    const opened = sharp(source, options).removeAlpha();
    const image =
      space === 'cmyk'
        ? opened.pipelineColourspace('cmyk').toColourspace('cmyk')
        : opened.toColourspace('srgb');
    raw = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  } catch (error) {
    const { message } = error as Error;
    const code = /pixel limit|dimensions exceed/i.test(message) ? 'too-large' : 'unreadable';
    throw new ImageError(
      `image/${code}`,
      file,
      `cannot be decoded (${message.trim().split('\n')[0]}); expected a whole JPEG, PNG, WebP, GIF or TIFF of at most 2^27 pixels`,
      { cause: error },
    );
  }
  const { width, height, channels } = raw.info;
  if (channels === 4) return { width, height, channels: 3, data: await rgbFromCmyk(raw.data), file };
  if (channels !== 1 && channels !== 3)
    throw new ImageError('image/channels', file, `decoded to ${channels} channels; expected grey or RGB`);
  return { width, height, channels, data: raw.data, file };
}

/** Whether an image has one channel, apart from alpha; decodeImage makes three of it. By its header alone. */
export async function isGreyImage(source: string | Uint8Array): Promise<boolean> {
  const { default: sharp } = await import('sharp');
  const space = await sharp(source)
    .metadata()
    .then(
      (metadata) => metadata.space,
      () => undefined, // decodeImage says what is wrong with it
    );
  return space === 'b-w' || space === 'grey16';
}

function checkIsFile(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new ImageError('image/not-found', path, 'there is no such file');
  if (!stats.isFile()) throw new ImageError('image/not-a-file', path, 'this is no file');
}

/** Of how many pixels a loop may hold the event loop: some milliseconds. */
const PIECE = 1 << 20;

/** modules/imgcodecs/src/utils.cpp: each ink's absence times black's, rounded as there. */
async function rgbFromCmyk(cmyk: Uint8Array): Promise<Uint8Array> {
  const pixels = cmyk.length / 4;
  const rgb = new Uint8Array(3 * pixels);
  for (let begin = 0; begin < pixels; begin += PIECE) {
    if (begin > 0) await new Promise((resolve) => setImmediate(resolve));
    for (let i = begin; i < Math.min(begin + PIECE, pixels); i++) {
      const light = 255 - cmyk[4 * i + 3]!;
      for (let c = 0; c < 3; c++) rgb[3 * i + c] = light - ((cmyk[4 * i + c]! * light) >> 8);
    }
  }
  return rgb;
}
