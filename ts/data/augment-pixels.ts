/** Resizes, transforms and colours a decoded image as `augment` says, before it is cropped. */
import { DataError } from '../base/errors.ts';
import { randomInteger } from '../base/random.ts';
import { resizedSize } from '../images/geometry.ts';
import { affinePixels, drawAffine } from './affine.ts';
import type { ResizedCrop } from './augmentations.ts';
import { jitterPixels } from './jitter.ts';
import { type Pixels, resizePixels } from './pixels.ts';
import type { Transform } from './transform.ts';

/**
 * Draws, in this order and before everything that the crop draws: the size or the region, the affine map, the changes of
 * colour.
 * @throws DataError without a position if the pixels are not bytes with up to 4 channels
 */
export async function augmentPixels(
  pixels: Pixels,
  { augment, cropSize }: Transform,
  random: () => number,
): Promise<Pixels> {
  const { shorterSide, resizedCrop, affine, jitter } = augment;
  const requested = Object.entries({ shorterSide, resizedCrop, affine, jitter }).find(
    ([, value]) => value !== undefined,
  );
  if (requested === undefined) return pixels;
  if (!(pixels.data instanceof Uint8Array) || pixels.offsets.length > 4)
    throw new DataError(
      'data/augment',
      {},
      `augment.${requested[0]} takes images of bytes with up to 4 channels`,
    );
  let result = pixels;
  if (shorterSide !== undefined) result = await toShorterSide(result, shorterSide, random);
  if (resizedCrop !== undefined) {
    const { x, y, width, height } = drawPart(result, resizedCrop, random);
    result = await resizePixels(partOf(result, { x, y, width, height }), cropSize, cropSize);
  }
  if (affine !== undefined) result = affinePixels(result, drawAffine(affine, result, random), affine.fill);
  if (jitter !== undefined) result = jitterPixels(result, jitter, random);
  return result;
}

/** Draws an integer from a range of two numbers, both included. */
function toShorterSide(
  pixels: Pixels,
  shorterSide: number | readonly [number, number],
  random: () => number,
): Promise<Pixels> {
  const [low, high] = typeof shorterSide === 'number' ? [shorterSide, shorterSide] : shorterSide;
  const side = low === high ? low : low + randomInteger(random, high - low + 1);
  const { width, height } = resizedSize(pixels, { shorterSide: side });
  return resizePixels(pixels, width, height);
}

interface Part {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** As torchvision's RandomResizedCrop.get_params: ten draws that may not fit, then the largest centred region that does. */
export function drawPart(
  { width, height }: Pick<Pixels, 'width' | 'height'>,
  { area = [0.08, 1], ratio = [3 / 4, 4 / 3] }: ResizedCrop,
  random: () => number,
): Part {
  const between = ([low, high]: readonly [number, number]) => low + random() * (high - low);
  for (let attempt = 0; attempt < 10; attempt++) {
    const target = width * height * between(area);
    const aspect = Math.exp(between([Math.log(ratio[0]), Math.log(ratio[1])]));
    const w = Math.round(Math.sqrt(target * aspect));
    const h = Math.round(Math.sqrt(target / aspect));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const y = randomInteger(random, height - h + 1);
    return { x: randomInteger(random, width - w + 1), y, width: w, height: h };
  }
  const aspect = Math.min(Math.max(width / height, ratio[0]), ratio[1]);
  const w = Math.max(1, Math.min(width, Math.round(height * aspect)));
  const h = Math.max(1, Math.min(height, Math.round(width / aspect)));
  return { x: Math.floor((width - w) / 2), y: Math.floor((height - h) / 2), width: w, height: h };
}

const partOf = (pixels: Pixels, { x, y, width, height }: Part): Pixels => ({
  ...pixels,
  width,
  height,
  offsets: pixels.offsets.map((offset) => offset + y * pixels.rowStride + x * pixels.pixelStride),
});
