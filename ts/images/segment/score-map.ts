/** Resizes a net's map of any size to the size of the image. */
import type { Tensor } from '../../device/tensor.ts';
import { loadBinding } from '../../native/load.ts';
import type { Placement } from '../whole.ts';
import type { SegmenterHead } from './head.ts';

/** For one axis: position in the map = pixel · scale + offset. */
interface Line {
  readonly scale: number;
  readonly offset: number;
}

/**
 * The positions of the net's input pixels in its map. If a map has (n − 1)/s + 1 values for n pixels, its corners are the
 * corners of the input, as with DeepLab's and PSPNet's Interp; any other map covers the whole area of the input, with pixel
 * centres at one half.
 */
export function inputToMap(input: number, map: number): Line {
  if (map > 1 && (input - 1) % (map - 1) === 0) return { scale: (map - 1) / (input - 1), offset: 0 };
  return { scale: map / input, offset: (0.5 * map) / input - 0.5 };
}

/** The positions of an image's pixels in the input to which it was resized, with centres at one half as in resizing. */
const imageToInput = (image: number, resized: number): Line => ({
  scale: resized / image,
  offset: (0.5 * resized) / image - 0.5,
});

const through = (first: Line, second: Line): Line => ({
  scale: first.scale * second.scale,
  offset: first.offset * second.scale + second.offset,
});

/**
 * Returns one class or value per pixel of the image, computed off the event loop.
 * @param scores C×H×W of one image.
 */
export async function mapOfImage(
  { kind }: SegmenterHead,
  { shape, data }: Tensor,
  { image, resized, input }: Placement,
): Promise<Uint8Array | Float32Array> {
  const [channels, height, width] = shape as [number, number, number];
  const toMap = { x: inputToMap(input.width, width), y: inputToMap(input.height, height) };
  const x = through(imageToInput(image.width, resized.width), toMap.x);
  const y = through(imageToInput(image.height, resized.height), toMap.y);
  const where = {
    channels,
    height,
    width,
    targetWidth: image.width,
    targetHeight: image.height,
    ...{ scaleX: x.scale, offsetX: x.offset, lastX: (resized.width - 1) * toMap.x.scale + toMap.x.offset },
    ...{ scaleY: y.scale, offsetY: y.offset, lastY: (resized.height - 1) * toMap.y.scale + toMap.y.offset },
  };
  const { binding } = loadBinding();
  return kind === 'edges'
    ? binding.mapScores(data, { ...where, result: 'values' })
    : binding.mapScores(data, { ...where, result: kind === 'scores' ? 'classes' : 'indices' });
}
