/** The ways to score an image: one crop, ten crops, or whole at several scales. */
import { ArgumentError } from '../../base/errors.ts';
import type { ImageInput } from '../features/image-input.ts';
import { readAhead } from '../features/read-ahead.ts';
import { resizedSize, type Size } from '../geometry.ts';
import type { DeepImage, Image } from '../image.ts';
import {
  bytesOf,
  type Corner,
  channelMeans,
  type Preprocess,
  preprocessBytes,
  preprocessImage,
} from '../preprocess.ts';
import { averaged, type Scores } from './scores.ts';
import { checkTenCrop, mirrored, tenCrops } from './ten-crop.ts';

/** Prepares images and turns a batch into a row of scores per image. */
export interface ImageScorer<Ready> {
  prepare(image: Image | DeepImage): Promise<Ready>;
  score(images: readonly Ready[], signal?: AbortSignal): Promise<ArrayLike<number>[]>;
}

/** The shorter sides in He et al. (2015), section 3.4. */
export const PAPER_SCALES: readonly number[] = [224, 256, 384, 480, 640];

/** A crop in the form that the net reads: as bytes if the device subtracts the mean. */
export type Crop = Float32Array | Uint8Array;

/**
 * The centre, or ten crops, all of a batch in one run.
 * @throws ArgumentError for a resize without room for ten crops
 */
export function scoreCrops(
  { channels, size }: ImageInput,
  scores: Scores,
  preprocess: Preprocess,
  crops: 1 | 10,
): ImageScorer<Crop[]> & { readonly blank: Crop } {
  if (crops === 10) checkTenCrop(preprocess);
  const count = channels * size.height * size.width;
  const bytes = bytesOf(preprocess, channels);
  const prepare = bytes === null ? preprocessImage : preprocessBytes;
  const crop = (image: Image | DeepImage, corner?: Corner): Promise<Crop> =>
    prepare(image, preprocess, channels, corner);
  const blank = (rows: number): Crop =>
    bytes === null ? new Float32Array(rows * count) : new Uint8Array(rows * count);
  return {
    blank: blank(1),
    prepare: async (image) =>
      crops === 10 ? tenCrops(image, preprocess, (corner) => crop(image, corner)) : [await crop(image)],
    score: async (images, signal) => {
      const rows = images.flat();
      const data = blank(rows.length);
      rows.forEach((row, i) => {
        data.set(row, i * count);
      });
      const shape = [rows.length, channels, size.height, size.width];
      const all = await scores.run({ shape, data, ...bytes }, signal);
      const each = crops * scores.classes;
      return images.map((_, i) => averaged(all.subarray(i * each, (i + 1) * each), scores.classes));
    },
  };
}

/**
 * Runs whole images and their mirror images through a `fullyConvolutional` net, with the shorter side resized to each scale
 * in turn. A mean image has no larger form, so its channel means are subtracted. Images of one size follow each other, so
 * that few shapes are compiled.
 * @throws ArgumentError for scales smaller than the net's input
 */
export function scoreScales(
  { channels, size }: ImageInput,
  scores: Scores,
  preprocess: Preprocess,
  scales: readonly number[],
): ImageScorer<Image | DeepImage> {
  checkScales(scales, size);
  const mean = channelMeans(preprocess.mean, channels);
  const pixelsOf = async ({ image, whole }: { readonly image: Image | DeepImage; readonly whole: Size }) => {
    const pixels = await preprocessImage(
      image,
      { ...preprocess, resize: whole, crop: whole, mean },
      channels,
    );
    const data = new Float32Array(2 * pixels.length);
    data.set(pixels);
    data.set(mirrored(pixels, whole.width), pixels.length);
    return { shape: [2, channels, whole.height, whole.width], data };
  };
  return {
    prepare: async (image) => image,
    score: async (images, signal) => {
      const jobs = scales.flatMap((shorterSide) =>
        images
          .map((image, at) => ({ image, at, whole: resizedSize(image, { shorterSide }) }))
          .sort((a, b) => a.whole.width - b.whole.width || a.whole.height - b.whole.height),
      );
      const sums = images.map(() => new Float64Array(scores.classes));
      const prepare = ([job]: readonly (typeof jobs)[number][]) => pixelsOf(job!);
      for await (const { begin, batch } of readAhead(jobs, 1, prepare, signal)) {
        const sum = sums[jobs[begin]!.at]!;
        averaged(await scores.run(batch, signal), scores.classes).forEach((score, k) => {
          sum[k]! += score / scales.length;
        });
      }
      return sums;
    },
  };
}

function checkScales(scales: readonly number[], { width, height }: Size): void {
  const least = Math.max(width, height);
  const wrong = scales.find((scale) => !Number.isInteger(scale) || scale < least);
  if (scales.length === 0 || wrong !== undefined)
    throw new ArgumentError(
      'scales',
      `integers from ${least} up: the net's input is ${width}×${height}, and its last average pooling needs as much`,
      wrong ?? 'none',
    );
}
