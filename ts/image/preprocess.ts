/** Pixels → the net's input, as plain data that can be saved beside a model. */
import { ImageError } from '../errors.ts';
import type { Image } from './decode.ts';

export interface Preprocess {
  /** Shorter side after resizing (bilinear, aspect kept); null: as it is. */
  readonly shorterSide: number | null;
  /** Centre crop. */
  readonly crop: { readonly width: number; readonly height: number };
  /** Subtracted: one number per channel (B, G, R), or a mean image C×H×W, cropped at its centre if larger. */
  readonly mean: readonly number[] | { readonly shape: readonly number[]; readonly data: Float32Array };
}

/** MSRA's: shorter side 256, centre crop 224, minus the mean. */
export function msraPreprocess(mean: Preprocess['mean']): Preprocess {
  return { shorterSide: 256, crop: { width: 224, height: 224 }, mean };
}

/**
 * One image as C×H×W float32, 0–255 minus the mean.
 * @throws ImageError where the crop is larger than the image or the mean image.
 */
export function preprocessImage(image: Image, preprocess: Preprocess, file?: string): Float32Array {
  const { width, height } = preprocess.crop;
  const resized = preprocess.shorterSide === null ? image : resizeShorterSide(image, preprocess.shorterSide);
  const left = Math.floor((resized.width - width) / 2);
  const top = Math.floor((resized.height - height) / 2);
  if (left < 0 || top < 0)
    throw new ImageError(
      'image/too-small',
      file,
      `the image is ${resized.width}×${resized.height}, the crop ${width}×${height}`,
    );
  const mean = meanReader(preprocess, file);
  const { channels } = image;
  const result = new Float32Array(channels * height * width);
  for (let c = 0, i = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        result[i] = resized.data[((y + top) * resized.width + x + left) * channels + c]! - mean(c, y, x);
      }
    }
  }
  return result;
}

function meanReader(preprocess: Preprocess, file?: string): (c: number, y: number, x: number) => number {
  const { mean, crop } = preprocess;
  if (!('shape' in mean)) return (c) => mean[c] ?? mean[0] ?? 0;
  const [height, width] = mean.shape.slice(-2) as [number, number];
  const left = Math.floor((width - crop.width) / 2);
  const top = Math.floor((height - crop.height) / 2);
  if (left < 0 || top < 0)
    throw new ImageError(
      'image/mean-size',
      file,
      `the mean image is ${width}×${height}, smaller than the crop ${crop.width}×${crop.height}`,
    );
  return (c, y, x) => mean.data[(c * height + y + top) * width + x + left]!;
}

/** Bilinear, pixel centres at half, edges repeated: OpenCV's INTER_LINEAR geometry, rounded to uint8. */
export function resizeShorterSide(image: Image, side: number): Image {
  const scale = side / Math.min(image.width, image.height);
  const width = Math.max(side, Math.round(image.width * scale));
  const height = Math.max(side, Math.round(image.height * scale));
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  const taps = (size: number, source: number) =>
    Array.from({ length: size }, (_, i) => {
      const at = Math.min(Math.max(((i + 0.5) * source) / size - 0.5, 0), source - 1);
      const low = Math.floor(at);
      return { low, high: Math.min(low + 1, source - 1), weight: at - low };
    });
  const columns = taps(width, image.width);
  taps(height, image.height).forEach((row, y) =>
    columns.forEach((column, x) => {
      for (let c = 0; c < channels; c++) {
        const at = (r: number, k: number) => image.data[(r * image.width + k) * channels + c]!;
        const upper =
          at(row.low, column.low) * (1 - column.weight) + at(row.low, column.high) * column.weight;
        const lower =
          at(row.high, column.low) * (1 - column.weight) + at(row.high, column.high) * column.weight;
        data[(y * width + x) * channels + c] = Math.round(upper * (1 - row.weight) + lower * row.weight);
      }
    }),
  );
  return { width, height, channels, data };
}
