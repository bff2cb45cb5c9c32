/** A net's map, whatever its size, as a map of the image's own. */
import type { Tensor } from '../../device/tensor.ts';
import { loadBinding } from '../../native/load.ts';
import type { Placement } from '../whole.ts';
import type { SegmenterHead } from './head.ts';

/** Along one axis: place in the map = pixel · scale + offset. */
interface Line {
  readonly scale: number;
  readonly offset: number;
}

/**
 * Where the pixels of the net's input lie in its map. A map of (n − 1)/s + 1 values for n pixels has its corners on the
 * corners of the input, as DeepLab's and PSPNet's Interp has it; any other the whole input's area, pixel centres at half.
 */
export function inputToMap(input: number, map: number): Line {
  if (map > 1 && (input - 1) % (map - 1) === 0) return { scale: (map - 1) / (input - 1), offset: 0 };
  return { scale: map / input, offset: (0.5 * map) / input - 0.5 };
}

/** Where the pixels of an image lie in the input that it was resized to: centres at half, as resizing took them. */
const imageToInput = (image: number, resized: number): Line => ({
  scale: resized / image,
  offset: (0.5 * resized) / image - 0.5,
});

const through = (first: Line, second: Line): Line => ({
  scale: first.scale * second.scale,
  offset: first.offset * second.scale + second.offset,
});

/** Off the event loop: one class or value a pixel of the image. @param scores C×H×W of one image. */
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
