/** What layers share that read or make rows of regions: their shape, that of the image, and boxes inside the image. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import type { LayerContext } from './layer.ts';
import type { Corners } from './overlap.ts';

/** The number of regions, which are rows of an image's index and four sides. */
export function regionRows(context: LayerContext, regions: Shape, which = 'the second bottom'): number {
  const count = regions[0] ?? 0;
  return elementCount(regions) === count * 5
    ? count
    : context.fail(
        'shape',
        `${which} must be regions, R×5 (image, x1, y1, x2, y2), found ${showShape(regions)}`,
      );
}

/** Refuses a bottom that cannot be the image's height, width and scale. */
export function checkImage(context: LayerContext, image: Shape, which: string): void {
  if (elementCount(image) < 3)
    context.fail('shape', `${which} must be the image's height, width and scale, found ${showShape(image)}`);
}

/** The nearest pixel of an image with this side. */
export const pixelWithin = (at: number, side: number): number => Math.max(0, Math.min(at, side - 1));

/**
 * A box moved by its regression and cut to the image, height and width (lib/fast_rcnn/bbox_transform.py of py-faster-rcnn,
 * bbox_transform_inv and clip_boxes). Corners are pixels of the given box.
 */
export function movedWithin(
  [x1, y1, x2, y2]: Corners,
  regression: (side: number) => number,
  [tall, wide]: readonly [number, number],
): Corners {
  const [width, height] = [x2 - x1 + 1, y2 - y1 + 1];
  const [x, y] = [regression(0) * width + x1 + width / 2, regression(1) * height + y1 + height / 2];
  const [right, down] = [(Math.exp(regression(2)) * width) / 2, (Math.exp(regression(3)) * height) / 2];
  return [
    pixelWithin(x - right, wide),
    pixelWithin(y - down, tall),
    pixelWithin(x + right, wide),
    pixelWithin(y + down, tall),
  ];
}
