/**
 * Boxes of MS-CNN (github.com/zhaoweicai/mscnn) and Cascade R-CNN (github.com/zhaoweicai/cascade-rcnn): the normalisation
 * of regressions (bbox_reg_param), their effect on regions, and the overlap of boxes given by a corner and sides.
 */
import type { LayerContext } from './layer.ts';
import type { Corners } from './overlap.ts';

/** Four numbers for x, y, width and height. */
export type Four = readonly [x: number, y: number, width: number, height: number];

/** The inverse of the normalisation: each regression times its deviation, plus its mean. */
export interface Normalisation {
  readonly means: Four;
  readonly stds: Four;
}

/** bbox_reg_param. Without both lists it has no effect. */
export function normalisationOf(context: LayerContext): Normalisation {
  const { bbox_mean: means = [], bbox_std: stds = [] } = (context.layer.bbox_reg_param ?? {}) as {
    bbox_mean?: readonly number[];
    bbox_std?: readonly number[];
  };
  if (means.length === 0 || stds.length === 0) return { means: [0, 0, 0, 0], stds: [1, 1, 1, 1] };
  if (means.length !== 4 || stds.length !== 4)
    context.fail(
      'proposal',
      `bbox_reg_param takes four bbox_mean and four bbox_std, found ${means.length} and ${stds.length}`,
      'bbox_reg_param',
    );
  return { means: means as unknown as Four, stds: stds as unknown as Four };
}

/** Whether each class has its own regressions, instead of background and object (bbox_reg_param). */
export const isClassAware = ({ layer }: LayerContext): boolean =>
  (layer.bbox_reg_param as { cls_aware?: boolean } | undefined)?.cls_aware ?? true;

/** A box by its first corner and sides. Both corners are pixels of the box. */
export const sidesOf = ([x1, y1, x2, y2]: Corners): Four => [x1, y1, x2 - x1 + 1, y2 - y1 + 1];

/** A region moved by regressions (math_functions.cpp, DecodeBBoxesWithPrior). Both corners are pixels of the region. */
export function movedRegion(
  [x1, y1, x2, y2]: Corners,
  regression: (k: number) => number,
  { means, stds }: Normalisation,
): Corners {
  const [dx, dy, dw, dh] = [0, 1, 2, 3].map((k) => regression(k) * stds[k]! + means[k]!) as unknown as Four;
  const [width, height] = [x2 - x1 + 1, y2 - y1 + 1];
  const [wide, tall] = [width * Math.exp(dw), height * Math.exp(dh)];
  const x = dx * width + (x1 + x2) / 2 - (wide - 1) / 2;
  const y = dy * height + (y1 + y2) / 2 - (tall - 1) / 2;
  return [x, y, x + wide - 1, y + tall - 1];
}

/**
 * Intersection over union of boxes given by corner and sides (MS-CNN's BoxIOU, Cascade R-CNN's JaccardOverlap).
 * @param least The smallest overlap along a side that counts, which is one pixel in Cascade R-CNN.
 */
export function overlapOfSides(a: Four, b: Four, least: 0 | 1): number {
  if (a[2] <= 0 || a[3] <= 0 || b[2] <= 0 || b[3] <= 0) return 0;
  const [width, height] = [0, 1].map(
    (side) => Math.min(a[side]! + a[side + 2]!, b[side]! + b[side + 2]!) - Math.max(a[side]!, b[side]!),
  ) as [number, number];
  if (width <= 0 || height <= 0 || width < least || height < least) return 0;
  return (width * height) / (a[2] * a[3] + b[2] * b[3] - width * height);
}
