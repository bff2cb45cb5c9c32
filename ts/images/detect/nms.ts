/** Boxes with scores, and non-maximum suppression. */

/** Corners in pixels, both inclusive, as Faster R-CNN counts them. */
export interface ScoredBox {
  readonly score: number;
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
}

const areaOf = ({ x1, y1, x2, y2 }: ScoredBox): number => (x2 - x1 + 1) * (y2 - y1 + 1);

/**
 * The boxes that overlap no better one by more than the threshold, best first; of equal scores the earlier one first
 * (py-faster-rcnn, lib/nms/py_cpu_nms.py, whose corners are pixels: a side is their difference and 1).
 */
export function suppressed<Box extends ScoredBox>(boxes: readonly Box[], threshold: number): Box[] {
  const kept: Box[] = [];
  for (const box of [...boxes].sort((a, b) => b.score - a.score)) {
    const overlaps = (better: ScoredBox) => {
      const width = Math.max(0, Math.min(box.x2, better.x2) - Math.max(box.x1, better.x1) + 1);
      const height = Math.max(0, Math.min(box.y2, better.y2) - Math.max(box.y1, better.y1) + 1);
      const shared = width * height;
      return shared / (areaOf(box) + areaOf(better) - shared) > threshold;
    };
    if (!kept.some(overlaps)) kept.push(box);
  }
  return kept;
}
