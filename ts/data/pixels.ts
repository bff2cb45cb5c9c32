/** Images in memory with any order of bytes. */
import type { Image } from '../images/image.ts';
import { loadBinding } from '../native/load.ts';
import type { Datum } from './datum.ts';

/** The value of channel c at row y, column x is `data[offsets[c] + y · rowStride + x · pixelStride]`. */
export interface Pixels {
  readonly data: Uint8Array | Float32Array;
  readonly width: number;
  readonly height: number;
  readonly offsets: readonly number[];
  readonly rowStride: number;
  readonly pixelStride: number;
}

/** The pixels of a Datum that is not encoded: planes, in the order of the database. */
export function pixelsOfDatum({ channels, height, width, data, floatData }: Datum): Pixels {
  const offsets = Array.from({ length: channels }, (_, c) => c * height * width);
  return { data: floatData ?? data, width, height, offsets, rowStride: width, pixelStride: 1 };
}

/**
 * The pixels of a decoded image: B, G, R or grey, as OpenCV gives them to Caffe.
 * @param colour Whether the image is converted to colour, or to grey (ITU-R BT.601).
 */
export function pixelsOfImage(image: Image, colour: boolean): Pixels {
  const { width, height, channels, data } = image;
  if (channels === 3 && !colour)
    return { data: greyOf(data), width, height, offsets: [0], rowStride: width, pixelStride: 1 };
  const offsets = channels === 3 ? [2, 1, 0] : colour ? [0, 0, 0] : [0];
  return { data, width, height, offsets, rowStride: width * channels, pixelStride: channels };
}

// cv::cvtColor's 15-bit weights, as in native/image/prepare.cc.
function greyOf(rgb: Uint8Array): Uint8Array {
  const grey = new Uint8Array(rgb.length / 3);
  for (let i = 0, at = 0; i < grey.length; i++, at += 3)
    grey[i] = (rgb[at]! * 9798 + rgb[at + 1]! * 19235 + rgb[at + 2]! * 3735 + (1 << 14)) >> 15;
  return grey;
}

/** Resizes bilinearly as OpenCV's INTER_LINEAR on uint8, off the event loop. */
export async function resizePixels(pixels: Pixels, width: number, height: number): Promise<Pixels> {
  if (pixels.width === width && pixels.height === height) return pixels;
  // If grey was converted to colour, only one channel is resized; planes are interleaved for the resizer.
  const [source, channels] = isInterleaved(pixels)
    ? [pixels.data as Uint8Array, pixels.pixelStride]
    : [interleave(pixels), pixels.offsets.length];
  const data = await loadBinding().binding.resizeImage(source, {
    width: pixels.width,
    height: pixels.height,
    channels,
    resizedWidth: width,
    resizedHeight: height,
  });
  const offsets = isInterleaved(pixels) ? pixels.offsets : pixels.offsets.map((_, c) => c);
  return { data, width, height, offsets, rowStride: width * channels, pixelStride: channels };
}

const isInterleaved = ({ data, width, height, pixelStride }: Pixels): boolean =>
  data.length === width * height * pixelStride;

function interleave(pixels: Pixels): Uint8Array {
  return copyPixels(pixels, (c, y, x) => (y * pixels.width + x) * pixels.offsets.length + c);
}

/** A part of an image, as a view. */
export function cutPixels(
  pixels: Pixels,
  { left, top, width, height }: { left: number; top: number; width: number; height: number },
): Pixels {
  const start = top * pixels.rowStride + left * pixels.pixelStride;
  return { ...pixels, width, height, offsets: pixels.offsets.map((offset) => offset + start) };
}

/** A copy with interleaved channels, in the order of `offsets`. */
export function interleaved(pixels: Pixels): Pixels {
  const channels = pixels.offsets.length;
  return {
    ...pixels,
    data: interleave(pixels),
    offsets: pixels.offsets.map((_, c) => c),
    rowStride: pixels.width * channels,
    pixelStride: channels,
  };
}

/** The same in floats, which may be modified. */
export function interleavedFloats(pixels: Pixels): Pixels {
  const { data, width, height, offsets, rowStride, pixelStride } = pixels;
  const channels = offsets.length;
  const copy = new Float32Array(width * height * channels);
  offsets.forEach((offset, c) => {
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        copy[(y * width + x) * channels + c] = data[offset + y * rowStride + x * pixelStride]!;
  });
  return {
    ...{ data: copy, width, height },
    offsets: offsets.map((_, c) => c),
    rowStride: width * channels,
    pixelStride: channels,
  };
}

/** The values as planes, channels × height × width, as in a Datum (CVMatToDatum). */
export function planesOf(pixels: Pixels): Uint8Array {
  return copyPixels(pixels, (c, y, x) => (c * pixels.height + y) * pixels.width + x);
}

function copyPixels(pixels: Pixels, place: (c: number, y: number, x: number) => number): Uint8Array {
  const { data, width, height, offsets, rowStride, pixelStride } = pixels;
  const copy = new Uint8Array(offsets.length * width * height);
  offsets.forEach((offset, c) => {
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) copy[place(c, y, x)] = data[offset + y * rowStride + x * pixelStride]!;
  });
  return copy;
}
