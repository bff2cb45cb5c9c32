/** Image files → pixels as Caffe saw them: uint8, 0–255, H×W×C, BGR. */
import { existsSync, statSync } from 'node:fs';
import sharp, { type OutputInfo } from 'sharp';
import { ImageError } from '../errors.ts';

export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** H×W×C; three channels are in the order B, G, R, as OpenCV gives them to Caffe. */
  readonly data: Uint8Array;
}

/** The most pixels that an image may have: 2^27, 16384×8192. */
const LIMIT_PIXELS = 2 ** 27;

/**
 * Decodes an image file off the event loop. EXIF orientation is ignored, as the OpenCV of Caffe's day ignored it;
 * alpha is dropped, 16-bit samples become 8-bit, of an animation the first frame counts.
 * @param channels 3 for BGR, 1 for grey (ITU-R BT.601 weights, as OpenCV).
 * @throws ImageError naming the file, for one that is missing, truncated, too large or no image.
 */
export async function decodeImage(file: string, channels: 1 | 3): Promise<Image> {
  if (!existsSync(file)) throw new ImageError('image/not-found', file, 'there is no such file');
  if (!statSync(file).isFile()) throw new ImageError('image/not-a-file', file, 'this is no file');
  let raw: { data: Buffer; info: OutputInfo };
  try {
    const picture = sharp(file, { failOn: 'truncated', limitInputPixels: LIMIT_PIXELS, autoOrient: false });
    raw = await picture
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
  } catch (error) {
    const { message } = error as Error;
    const code = /pixel limit/.test(message) ? 'too-large' : 'unreadable';
    throw new ImageError(
      `image/${code}`,
      file,
      `cannot be decoded (${message}); expected a whole JPEG, PNG, WebP, GIF or TIFF of at most 2^27 pixels`,
      { cause: error },
    );
  }
  const { width, height, channels: found } = raw.info;
  const pixels = raw.data;
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] =
      found >= 3
        ? [pixels[i * found]!, pixels[i * found + 1]!, pixels[i * found + 2]!]
        : [pixels[i * found]!, pixels[i * found]!, pixels[i * found]!];
    if (channels === 1) data[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
    else data.set([b, g, r], 3 * i);
  }
  return { width, height, channels, data };
}
