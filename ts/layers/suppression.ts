/**
 * Non-maximum suppression of MS-CNN and Cascade R-CNN (box_output_layer.cpp, bbox_util.cpp), with their names for the
 * overlap.
 */
import { type Message, positionOf } from '../caffe/message.ts';
import type { LayerContext } from './layer.ts';
import type { Corners } from './overlap.ts';

/** A box with its score. */
export interface Region {
  readonly score: number;
  readonly box: Corners;
}

/** nms_type: the intersection relative to the union, to the smaller box, or to the better box. */
const NMS_TYPES = ['IOU', 'IOMU', 'IOFU'] as const;
export type NmsType = (typeof NMS_TYPES)[number];

/** A layer's nms_type. The forks treat an unknown name as "IOU". */
export function nmsTypeOf(context: LayerContext, type: string, param: Message | undefined): NmsType {
  const known = NMS_TYPES.find((each) => each === type);
  return (
    known ??
    context.fail(
      'proposal',
      `nms_type must be "IOU", "IOMU" or "IOFU" (the intersection of two boxes over their union, over the smaller box, or over the better box), found "${type}"`,
      positionOf(param, 'nms_type'),
    )
  );
}

/**
 * bbox_util.cpp (JaccardOverlap).
 * @param more 1 where both corners are pixels of a box.
 */
export function overlapOfCorners(a: Corners, b: Corners, more: 0 | 1, type: NmsType = 'IOU'): number {
  const [width, height] = [
    Math.min(a[2], b[2]) - Math.max(a[0], b[0]),
    Math.min(a[3], b[3]) - Math.max(a[1], b[1]),
  ];
  if (height <= 0 || (more === 0 ? width <= 0 : width < 0)) return 0;
  const area = ([x1, y1, x2, y2]: Corners) => (x2 - x1 + more) * (y2 - y1 + more);
  const both = (width + more) * (height + more);
  const of = { IOU: area(a) + area(b) - both, IOMU: Math.min(area(a), area(b)), IOFU: area(a) }[type];
  return both / of;
}

/** Of boxes in descending order, those that no better one overlaps by more than the threshold. */
export function suppressed<T extends Region>(
  sorted: readonly T[],
  threshold: number,
  more: 0 | 1,
  type: NmsType,
): T[] {
  const kept: T[] = [];
  for (const each of sorted)
    if (kept.every(({ box }) => !(overlapOfCorners(box, each.box, more, type) > Math.fround(threshold))))
      kept.push(each);
  return kept;
}
