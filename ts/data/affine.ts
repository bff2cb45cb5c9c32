/** Affine maps of images (torchvision's RandomAffine and functional.affine), bilinear between the centres of pixels. */
import { randomInteger } from '../base/random.ts';
import type { Affine } from './augmentations.ts';
import type { Pixels } from './pixels.ts';

/** Angles in degrees, shifts in pixels. */
export interface AffineMap {
  readonly rotation: number;
  readonly shiftX: number;
  readonly shiftY: number;
  readonly scale: number;
  readonly shear: number;
}

/** Draws, in this order: rotation, shifts, scale, shear; each only if it can have an effect. */
export function drawAffine(
  { rotation = 0, translate = [0, 0], scale = [1, 1], shear = 0 }: Affine,
  { width, height }: Pick<Pixels, 'width' | 'height'>,
  random: () => number,
): AffineMap {
  const between = ([low, high]: readonly [number, number]) =>
    low === high ? low : low + random() * (high - low);
  const aroundZero = (value: number | readonly [number, number]) =>
    between(typeof value === 'number' ? [-value, value] : value);
  const shift = (share: number, length: number) => {
    const most = Math.round(share * length);
    return most === 0 ? 0 : randomInteger(random, 2 * most + 1) - most;
  };
  return {
    rotation: aroundZero(rotation),
    shiftX: shift(translate[0], width),
    shiftY: shift(translate[1], height),
    scale: between(scale),
    shear: aroundZero(shear),
  };
}

/**
 * @param fill The value outside the image.
 * @returns Interleaved floats of the same size.
 */
export function affinePixels(pixels: Pixels, map: AffineMap, fill = 0): Pixels {
  const { data, width, height, offsets, rowStride, pixelStride } = pixels;
  const channels = offsets.length;
  const made = new Float32Array(width * height * channels);
  const rotation = (map.rotation * Math.PI) / 180;
  const tangent = Math.tan((map.shear * Math.PI) / 180);
  const [cos, sin] = [Math.cos(rotation), Math.sin(rotation)];
  // The inverse of scale · rotation · shear along x, whose determinant is scale².
  const [a, b] = [(cos - sin * tangent) / map.scale, (sin + cos * tangent) / map.scale];
  const [c, d] = [-sin / map.scale, cos / map.scale];
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [u, v] = [x - centreX - map.shiftX, y - centreY - map.shiftY];
      const fromX = a * u + b * v + centreX;
      const fromY = c * u + d * v + centreY;
      const [left, top] = [Math.floor(fromX), Math.floor(fromY)];
      const [right, low] = [fromX - left, fromY - top];
      for (let channel = 0; channel < channels; channel++, to++) {
        const at = (column: number, row: number) =>
          column < 0 || row < 0 || column >= width || row >= height
            ? fill
            : data[offsets[channel]! + row * rowStride + column * pixelStride]!;
        const upper = at(left, top) * (1 - right) + at(left + 1, top) * right;
        const lower = at(left, top + 1) * (1 - right) + at(left + 1, top + 1) * right;
        made[to] = upper * (1 - low) + lower * low;
      }
    }
  return {
    data: made,
    width,
    height,
    offsets: offsets.map((_, channel) => channel),
    rowStride: width * channels,
    pixelStride: channels,
  };
}
