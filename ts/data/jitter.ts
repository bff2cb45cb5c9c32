/**
 * Random brightness, contrast, saturation and hue (torchvision's ColorJitter), in floats that are clamped to 0 to 255 after
 * each step.
 */
import { randomInteger } from '../base/random.ts';
import type { Jitter } from './augmentations.ts';
import { eachHsv } from './distort-colours.ts';
import { interleavedFloats, type Pixels } from './pixels.ts';

/**
 * Draws the order of the given changes, and then a factor for each.
 * @returns Interleaved floats.
 */
export function jitterPixels(pixels: Pixels, jitter: Jitter, random: () => number): Pixels {
  const result = interleavedFloats(pixels);
  const data = result.data as Float32Array;
  const channels = pixels.offsets.length;
  const isColour = channels === 3;
  const factor = (v: number) => Math.max(0, 1 - v) + random() * (1 + v - Math.max(0, 1 - v));
  const changes: Record<keyof Jitter, (v: number) => void> = {
    brightness: (v) => blend(data, () => 0, factor(v)),
    contrast: (v) => {
      const mean = meanGrey(data, channels);
      blend(data, () => mean, factor(v));
    },
    saturation: (v) => {
      const by = factor(v);
      if (isColour) blend(data, (i) => greyAt(data, i - (i % 3)), by);
    },
    hue: (v) => {
      const turn = (2 * random() - 1) * v;
      if (isColour) eachHsv(data, (h, s) => [h + turn, s]);
    },
  };
  const order = (Object.keys(changes) as (keyof Jitter)[]).filter((name) => jitter[name]);
  for (let i = order.length - 1; i > 0; i--) {
    const j = randomInteger(random, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  for (const name of order) changes[name](jitter[name]!);
  return result;
}

/** Grey by ITU-R BT.601 from B, G, R. */
const greyAt = (data: Float32Array, at: number): number =>
  0.114 * data[at]! + 0.587 * data[at + 1]! + 0.299 * data[at + 2]!;

function meanGrey(data: Float32Array, channels: number): number {
  let sum = 0;
  if (channels === 3) for (let at = 0; at < data.length; at += 3) sum += greyAt(data, at);
  else for (const value of data) sum += value;
  return sum / (channels === 3 ? data.length / 3 : data.length);
}

/** value · factor + other · (1 − factor). All channels of a pixel are read before the first is written. */
function blend(data: Float32Array, other: (index: number) => number, factor: number): void {
  let pixel = -1;
  let otherValue = 0;
  for (let i = 0; i < data.length; i++) {
    if (i - (i % 3) !== pixel) {
      pixel = i - (i % 3);
      otherValue = other(i);
    }
    data[i] = Math.min(255, Math.max(0, data[i]! * factor + otherValue * (1 - factor)));
  }
}
