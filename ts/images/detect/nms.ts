/** Boxes with scores, and non-maximum suppression. */

import { type Corners, overlapOf } from '../../layers/overlap.ts';

/** The corners in pixels. */
export interface ScoredBox {
  readonly score: number;
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

const cornersOf = ({ x1, y1, x2, y2 }: ScoredBox): Corners => [x1, y1, x2, y2];

/**
 * The boxes that overlap no better box by more than the threshold, best first; among equal scores the earlier box comes
 * first (py-faster-rcnn, lib/nms/py_cpu_nms.py, whose corners are pixels: a side is their difference plus 1).
 * @param more What is added to the difference of corners to get a side.
 */
export function suppressed<Box extends ScoredBox>(
  boxes: readonly Box[],
  threshold: number,
  more: 0 | 1,
): Box[] {
  const kept: Box[] = [];
  for (const box of [...boxes].sort((a, b) => b.score - a.score)) {
    const corners = cornersOf(box);
    if (!kept.some((better) => overlapOf(corners, cornersOf(better), more) > threshold)) kept.push(box);
  }
  return kept;
}
