/** Turns pixels into one sample of a batch: Caffe's transform_param (data_transformer.cpp), and the options of `augment`. */

import { DataError } from '../base/errors.ts';
import { randomInteger, randomNormal } from '../base/random.ts';
import type { MeanImage } from '../images/preprocess.ts';
import { type Augment, IMAGENET_LIGHTING, type Lighting } from './augment.ts';
import type { Cutout } from './augmentations.ts';
import type { Pixels } from './pixels.ts';

/** Plain data that can be sent to a worker. */
export interface Transform {
  readonly phase: 'TRAIN' | 'TEST';
  readonly scale: number;
  readonly mirror: boolean;
  /** 0 means no crop. */
  readonly cropSize: number;
  readonly mean: MeanImage | null;
  /** No value, one, or one per channel. */
  readonly meanValues: readonly number[];
  /** For encoded images: converted to colour (true), to grey (false), or unchanged. */
  readonly colour: boolean | null;
  readonly augment: Augment;
}

/** The random choices for one sample, drawn and checked. */
export interface Place {
  readonly top: number;
  readonly left: number;
  readonly mirrored: boolean;
  /** The values added to each channel before the mean is subtracted. */
  readonly light: readonly number[];
  /** Squares of zeros in the output: half-open ranges of rows and columns. */
  readonly holes: readonly Hole[];
}

interface Hole {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Channels × height × width of a sample from such pixels; if the shorter side is random, a crop is required. */
export function transformedShape({ offsets, height, width }: Pixels, { cropSize }: Transform): number[] {
  return cropSize === 0 ? [offsets.length, height, width] : [offsets.length, cropSize, cropSize];
}

/**
 * Writes one sample of `shape` into `output` at `at`: crop (random in TRAIN, centred in TEST), mirror (random in both, as in
 * Caffe), (x − mean) · scale in float32. The random numbers are drawn in this order: mirror, top, left, light, holes.
 * @returns The random choices.
 * @throws DataError without a position if the image does not fit the shape, the crop or the mean
 */
export function transformPixels(
  pixels: Pixels,
  transform: Transform,
  random: () => number,
  shape: readonly number[],
  output: Float32Array,
  at: number,
): Place {
  const [channels, height, width] = shape as [number, number, number];
  checkSize(pixels, transform, channels, height, width);
  const place = draw(pixels, transform, random, { height, width });
  const { offsets, rowStride, pixelStride, data } = pixels;
  const { mean, augment } = transform;
  const pad = augment.pad ?? 0;
  const scale = Math.fround(transform.scale);
  // The rows and columns of the output that are inside the image.
  const firstRow = Math.max(0, pad - place.top);
  const endRow = Math.min(height, pixels.height + pad - place.top);
  const firstColumn = Math.max(0, pad - place.left);
  const endColumn = Math.min(width, pixels.width + pad - place.left);
  const step = place.mirrored ? -1 : 1;
  if (firstRow > 0 || endRow < height || firstColumn > 0 || endColumn < width)
    output.fill(0, at, at + channels * height * width);
  for (let c = 0; c < channels; c++) {
    const light = place.light[c] ?? 0;
    const meanValue = meanValueOf(transform, c);
    const table = mean === null && data instanceof Uint8Array ? byteTable(transform, c, light) : null;
    for (let row = firstRow; row < endRow; row++) {
      const y = place.top + row - pad;
      const x = place.left + firstColumn - pad;
      let from = offsets[c]! + y * rowStride + x * pixelStride;
      let to = at + (c * height + row) * width + (place.mirrored ? width - 1 - firstColumn : firstColumn);
      if (table !== null)
        for (let column = firstColumn; column < endColumn; column++, from += pixelStride, to += step)
          output[to] = table[data[from]!]!;
      else if (mean === null)
        for (let column = firstColumn; column < endColumn; column++, from += pixelStride, to += step)
          output[to] = Math.fround(data[from]! + light - meanValue) * scale;
      else {
        let meanAt = augment.meanOfCrop
          ? (c * height + row) * width + firstColumn
          : (c * pixels.height + y) * pixels.width + x;
        for (let column = firstColumn; column < endColumn; column++, from += pixelStride, to += step)
          output[to] = Math.fround(data[from]! + light - mean.data[meanAt++]!) * scale;
      }
    }
    for (const { top, bottom, left, right } of place.holes)
      for (let row = top; row < bottom; row++) {
        const from = at + (c * height + row) * width;
        output.fill(0, from + left, from + right);
      }
  }
  return place;
}

const meanValueOf = ({ meanValues }: Transform, channel: number): number =>
  meanValues.length === 0 ? 0 : Math.fround(meanValues[channel] ?? meanValues[0]!);

const byteTables = new WeakMap<Transform, Float32Array[]>();

/** The output for each of the 256 bytes of a channel; the table is kept if no light is added. */
function byteTable(transform: Transform, channel: number, light: number): Float32Array {
  if (!byteTables.has(transform)) byteTables.set(transform, []);
  const known = byteTables.get(transform)!;
  if (light === 0 && known[channel] !== undefined) return known[channel];
  const [meanValue, scale] = [meanValueOf(transform, channel), Math.fround(transform.scale)];
  const table = new Float32Array(256);
  for (let byte = 0; byte < 256; byte++) table[byte] = Math.fround(byte + light - meanValue) * scale;
  if (light === 0) known[channel] = table;
  return table;
}

function draw(
  { width, height }: Pixels,
  transform: Transform,
  random: () => number,
  output: { readonly height: number; readonly width: number },
): Place {
  const { cropSize, phase, augment } = transform;
  const pad = augment.pad ?? 0;
  const mirrored = transform.mirror && randomInteger(random, 2) === 1;
  const place = (length: number): number => {
    const margin = length + 2 * pad - cropSize;
    return phase === 'TRAIN' ? randomInteger(random, margin + 1) : Math.floor(margin / 2);
  };
  const [top, left] = cropSize === 0 ? [0, 0] : [place(height), place(width)];
  return {
    top,
    left,
    mirrored,
    light: augment.lighting === undefined ? [] : drawLight(augment.lighting, random),
    holes: augment.cutout === undefined ? [] : drawHoles(augment.cutout, output, random),
  };
}

// In the order of the pixels: B, G, R.
function drawLight(lighting: Lighting, random: () => number): number[] {
  const { std, eigenvalues, eigenvectors } = { ...IMAGENET_LIGHTING, ...lighting };
  const alpha = eigenvalues.map((value) => value * std * randomNormal(random));
  return [2, 1, 0].map((c) => alpha.reduce((sum, value, i) => sum + value * eigenvectors[c]![i]!, 0));
}

/** Centres are drawn inside the image, as in the paper's code, so squares may extend beyond its edge. */
function drawHoles(
  { size, count = 1 }: Cutout,
  { height, width }: { readonly height: number; readonly width: number },
  random: () => number,
): Hole[] {
  const span = (length: number) => {
    const first = randomInteger(random, length) - Math.floor(size / 2);
    return [Math.max(0, first), Math.min(length, first + size)] as const;
  };
  return Array.from({ length: count }, () => {
    const [top, bottom] = span(height);
    const [left, right] = span(width);
    return { top, bottom, left, right };
  });
}

/** @throws DataError unless there is one mean value for all channels or one for each */
export function checkMeanCount(values: readonly number[], channels: number): void {
  if (values.length > 1 && values.length !== channels)
    throw new DataError(
      'data/size',
      {},
      `has ${channels} channels; give mean_value once or ${channels} times, not ${values.length} times`,
    );
}

function checkSize(
  { offsets, width, height }: Pixels,
  { cropSize, mean, meanValues, augment }: Transform,
  channels: number,
  outputHeight: number,
  outputWidth: number,
): void {
  const size = `${offsets.length}×${height}×${width}`;
  const refuse = (text: string): never => {
    throw new DataError('data/size', {}, text);
  };
  const room = 2 * (augment.pad ?? 0);
  if (offsets.length !== channels)
    refuse(
      `has ${offsets.length} channels, the first one ${channels}; set force_color or force_gray (is_color for ImageData)`,
    );
  if (cropSize > 0 && (height + room < cropSize || width + room < cropSize))
    refuse(
      `is ${size}, smaller than crop_size ${cropSize}; enlarge the images (new_height, new_width) or crop less`,
    );
  if (cropSize === 0 && (height !== outputHeight || width !== outputWidth))
    refuse(
      `is ${size}, the first one ${channels}×${outputHeight}×${outputWidth}: all must have one size; set crop_size, or new_height and new_width`,
    );
  const expected = augment.meanOfCrop ? [channels, outputHeight, outputWidth] : [channels, height, width];
  if (mean !== null && mean.shape.slice(-3).join('×') !== expected.join('×'))
    refuse(
      `is ${size}, which needs a mean image of ${expected.join('×')}; mean_file has ${mean.shape.slice(-3).join('×')} (make it from these images, give mean_value, or set augment.meanOfCrop for a mean of the crop's size)`,
    );
  checkMeanCount(meanValues, channels);
  if (augment.lighting !== undefined && channels !== 3)
    refuse(`has ${channels} channels; augment.lighting is for three, B, G, R`);
}
