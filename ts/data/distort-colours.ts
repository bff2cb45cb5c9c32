/**
 * SSD's random changes of colour (im_transforms.cpp, ApplyDistort), in floating point, where OpenCV rounds to bytes after
 * each step.
 */

import { DataError } from '../base/errors.ts';
import type { Distortion } from './annotated-param.ts';
import type { Pixels } from './pixels.ts';

/**
 * @param pixels Interleaved B, G, R bytes, which are modified.
 * @throws DataError if there are not three channels
 */
export function distortColours(pixels: Pixels, distortion: Distortion, random: () => number): void {
  if (pixels.offsets.length !== 3)
    throw new DataError(
      'data/size',
      {},
      `has ${pixels.offsets.length} channels; distort_param is for three, B, G, R`,
    );
  const data = Float32Array.from(pixels.data);
  const { brightness, contrast, saturation, hue, order } = distortion;
  const happens = (probability: number) => random() < probability;
  const between = (least: number, most: number) => least + random() * (most - least);
  const brighten = () => {
    if (happens(brightness.probability)) each(data, add(between(-brightness.delta, brightness.delta)));
  };
  const stretch = () => {
    if (happens(contrast.probability)) each(data, times(between(contrast.least, contrast.most)));
  };
  const saturate = () => {
    if (!happens(saturation.probability)) return;
    const factor = between(saturation.least, saturation.most);
    eachHsv(data, (h, s) => [h, Math.min(1, s * factor)]);
  };
  const turn = () => {
    if (!happens(hue.probability)) return;
    // OpenCV's hues go from 0 to 180.
    const delta = between(-hue.delta, hue.delta) / 180;
    eachHsv(data, (h, s) => [h + delta, s]);
  };
  const shuffle = () => {
    if (!happens(order)) return;
    const places = [0, 1, 2];
    for (let i = 2; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [places[i], places[j]] = [places[j]!, places[i]!];
    }
    for (let i = 0; i < data.length; i += 3) {
      const pixel = [data[i]!, data[i + 1]!, data[i + 2]!];
      places.forEach((from, c) => {
        data[i + c] = pixel[from]!;
      });
    }
  };
  const steps = happens(0.5)
    ? [brighten, saturate, turn, stretch, shuffle]
    : [brighten, stretch, saturate, turn, shuffle];
  for (const step of steps) step();
  (pixels.data as Uint8Array).set(Uint8ClampedArray.from(data));
}

const add = (by: number) => (value: number) => value + by;
const times = (by: number) => (value: number) => value * by;

function each(data: Float32Array, change: (value: number) => number): void {
  for (let i = 0; i < data.length; i++) data[i] = Math.min(255, Math.max(0, change(data[i]!)));
}

/** @param change Maps hue (a turn is 1) and saturation, both from 0 to 1, to new ones; the value stays. */
export function eachHsv(data: Float32Array, change: (h: number, s: number) => [number, number]): void {
  for (let i = 0; i < data.length; i += 3) {
    const [b, g, r] = [data[i]!, data[i + 1]!, data[i + 2]!];
    const value = Math.max(b, g, r);
    const range = value - Math.min(b, g, r);
    if (value === 0) continue;
    const sixth =
      range === 0
        ? 0
        : value === r
          ? (g - b) / range
          : value === g
            ? 2 + (b - r) / range
            : 4 + (r - g) / range;
    const [h, s] = change(sixth / 6, range / value);
    const channel = (n: number) => {
      const k = (((n + h * 6) % 6) + 6) % 6;
      return value * (1 - s * Math.max(0, Math.min(k, 4 - k, 1)));
    };
    data[i] = channel(1);
    data[i + 1] = channel(3);
    data[i + 2] = channel(5);
  }
}
