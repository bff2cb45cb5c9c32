/**
 * Boxes by their corners: rows of regions, and intersection over union, which decides on matches, suppression and scores.
 */

/** x1, y1, x2, y2. */
export type Corners = readonly [x1: number, y1: number, x2: number, y2: number];

/** @param more The addition to the difference of a side's ends: 1 if corners are pixels of the box (Faster R-CNN). */
export function overlapOf(a: Corners, b: Corners, more: 0 | 1): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]) + more;
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]) + more;
  if (!(width > 0 && height > 0)) return 0;
  const area = ([x1, y1, x2, y2]: Corners) => (x2 - x1 + more) * (y2 - y1 + more);
  return (width * height) / (area(a) + area(b) - width * height);
}

/** A row of regions R×5: the image's number (negative: no region), and the corners. */
export function regionAt(regions: Float32Array, row: number): readonly [image: number, ...Corners] {
  return regions.subarray(5 * row, 5 * row + 5) as unknown as readonly [number, ...Corners];
}
