/** Converts regions and a net's outputs for them to boxes in an image's own pixels, suppressed per class. */
import type { Outputs } from '../../device/model.ts';
import { regionAt } from '../../layers/overlap.ts';
import type { Size } from '../geometry.ts';
import { softmax } from '../softmax.ts';
import type { Placement } from '../whole.ts';
import { checkFinite, type Four, within } from './boxes.ts';
import type { Found } from './detection.ts';
import type { CascadeHead, MsCnnHead, RegionHead } from './head.ts';
import { type ScoredBox, suppressed } from './nms.ts';

/** How regions become boxes. */
export interface RegionOptions {
  /** The largest overlap of two boxes of one class. */
  readonly nms: number;
  /** The divisors of regressions in training, and the values subtracted before. */
  readonly stds: readonly number[];
  readonly means: readonly number[];
}

type CornersOf = Omit<ScoredBox, 'score'>;

/** @throws DetectorError `detector/not-finite` */
export function regionBoxes(
  head: RegionHead | CascadeHead | MsCnnHead,
  outputs: Outputs,
  minScore: number,
  placement: Placement,
  options: RegionOptions,
): Found[] {
  if (head.kind === 'cascade') return cascadeBoxes(head, outputs, minScore, placement, options);
  if (head.kind === 'mscnn') return msCnnBoxes(head, outputs, minScore, placement, options);
  return fasterRcnnBoxes(head, outputs, minScore, placement, options);
}

/** How the boxes of a net are found, for each row and class. */
interface ByClass {
  readonly classes: number;
  readonly background: number;
  readonly rows: number;
  readonly scoreOf: (row: number, index: number) => number;
  /** Null if there is none. */
  readonly boxOf: (row: number, index: number) => CornersOf | null;
  /** 1 if both corners are pixels of a box. */
  readonly more: 0 | 1;
  /** The size to which boxes are clipped. */
  readonly image: Size;
}

function foundByClass(
  { classes, background, rows, scoreOf, boxOf, more, image }: ByClass,
  minScore: number,
  nms: number,
): Found[] {
  const found: Found[] = [];
  for (let index = 0; index < classes; index++) {
    if (index === background) continue;
    const boxes: ScoredBox[] = [];
    for (let row = 0; row < rows; row++) {
      const score = scoreOf(row, index);
      const box = score < minScore ? null : boxOf(row, index);
      if (box !== null) boxes.push({ score, ...box });
    }
    for (const { score, x1, y1, x2, y2 } of suppressed(boxes, nms, more)) {
      const width = Math.min(x2 + more, image.width) - x1;
      const height = Math.min(y2 + more, image.height) - y1;
      if (width > 0 && height > 0) found.push({ index, score, box: { x: x1, y: y1, width, height } });
    }
  }
  return found.sort((a, b) => b.score - a.score);
}

/**
 * Regions, moved and scaled by the regressions of each class, clipped, and suppressed per class (py-faster-rcnn,
 * lib/fast_rcnn/test.py and bbox_transform.py; the second of R-FCN's two class-agnostic sets). Both corners are pixels of
 * the box, as coco.py of py-faster-rcnn writes boxes.
 */
function fasterRcnnBoxes(
  head: RegionHead,
  outputs: Outputs,
  minScore: number,
  placement: Placement,
  options: RegionOptions,
): Found[] {
  const { classes, sets, background } = head;
  for (const name of [head.probabilities, head.regressions]) checkFinite(outputs, name);
  const regions = outputs[head.regions]!.data;
  const probabilities = outputs[head.probabilities]!.data;
  const regressions = outputs[head.regressions]!.data;
  const boxOf = (row: number, index: number) => {
    const region = regions.subarray(row * 5 + 1, row * 5 + 5);
    const at = (row * sets + (sets === classes ? index : sets - 1)) * 4;
    return moved(region, regressions.subarray(at, at + 4), placement, options);
  };
  const scoreOf = (row: number, index: number) => probabilities[row * classes + index]!;
  const rows = Math.ceil(regions.length / 5);
  const { image } = placement;
  return foundByClass({ classes, background, rows, scoreOf, boxOf, more: 1, image }, minScore, options.nms);
}

/** bbox_transform_inv and clip_boxes. */
function moved(
  region: Float32Array,
  regression: Float32Array,
  { image, scale }: Placement,
  { stds, means }: RegionOptions,
): CornersOf {
  const [dx, dy, dw, dh] = Array.from(regression, (value, i) => value * stds[i]! + means[i]!) as Four;
  const [x1, y1] = [region[0]! / scale.x, region[1]! / scale.y];
  const width = region[2]! / scale.x - x1 + 1;
  const height = region[3]! / scale.y - y1 + 1;
  const [x, y] = [x1 + width / 2 + dx * width, y1 + height / 2 + dy * height];
  const [halfWidth, halfHeight] = [(Math.exp(dw) * width) / 2, (Math.exp(dh) * height) / 2];
  const clip = (value: number, length: number) => Math.max(Math.min(value, length - 1), 0);
  return {
    x1: clip(x - halfWidth, image.width),
    y1: clip(y - halfHeight, image.height),
    x2: clip(x + halfWidth, image.width),
    y2: clip(y + halfHeight, image.height),
  };
}

/**
 * The boxes of the last DecodeBBox, which are the same for all classes: corners in pixels of the input, both inside the box
 * (zhaoweicai/cascade-rcnn, examples/voc/run_cascadercnn_voc.m, whose boxes may end one pixel beyond the image).
 */
function cascadeBoxes(
  { classes, background, boxes, probabilities }: CascadeHead,
  outputs: Outputs,
  minScore: number,
  { image, scale }: Placement,
  { nms }: RegionOptions,
): Found[] {
  for (const name of [probabilities, boxes]) checkFinite(outputs, name);
  const regions = outputs[boxes]!.data;
  const scores = outputs[probabilities]!.data;
  const boxOf = (row: number): CornersOf | null => {
    const [number, x1, y1, x2, y2] = regionAt(regions, row);
    if (number < 0) return null;
    const corners = {
      x1: Math.max(0, x1 / scale.x),
      y1: Math.max(0, y1 / scale.y),
      x2: Math.min(x2 / scale.x, image.width),
      y2: Math.min(y2 / scale.y, image.height),
    };
    return corners.x2 - corners.x1 + 1 > 0 && corners.y2 - corners.y1 + 1 > 0 ? corners : null;
  };
  const scoreOf = (row: number, index: number) => scores[row * classes + index]!;
  const rows = Math.floor(regions.length / 5);
  return foundByClass({ classes, background, rows, scoreOf, boxOf, more: 1, image }, minScore, nms);
}

/**
 * Proposals, moved by the regressions of each class; here a side is the difference of its corners (zhaoweicai/mscnn,
 * examples/kitti_car/run_mscnn_detection.m).
 */
function msCnnBoxes(
  head: MsCnnHead,
  outputs: Outputs,
  minScore: number,
  placement: Placement,
  { nms, stds, means }: RegionOptions,
): Found[] {
  const { classes, background, regions, scores, regressions } = head;
  for (const name of [scores, regressions]) checkFinite(outputs, name);
  const { data: proposals, shape } = outputs[regions]!;
  const width = shape[1]!;
  const rows = Math.floor(proposals.length / width);
  const given = outputs[scores]!.data;
  const probabilities = head.isProbability ? given : softmax(given, classes);
  const deltas = outputs[regressions]!.data;
  const { image, scale } = placement;
  const boxOf = (row: number, index: number): CornersOf | null => {
    const [x1, y1, x2, y2] = proposals.subarray(width * row + 1, width * row + 5) as unknown as Four;
    const [wide, tall] = [x2 - x1, y2 - y1];
    if (wide === 0 || tall === 0) return null;
    const at = (row * classes + index) * 4;
    const [dx, dy, dw, dh] = [0, 1, 2, 3].map((k) => deltas[at + k]! * stds[k]! + means[k]!) as Four;
    const [x, y] = [dx * wide + x1 + wide / 2, dy * tall + y1 + tall / 2];
    const [halfWidth, halfHeight] = [(wide * Math.exp(dw)) / 2, (tall * Math.exp(dh)) / 2];
    const box = within(
      placement,
      (x - halfWidth) / scale.x,
      (y - halfHeight) / scale.y,
      (x + halfWidth) / scale.x,
      (y + halfHeight) / scale.y,
    );
    return box && { x1: box.x, y1: box.y, x2: box.x + box.width, y2: box.y + box.height };
  };
  const scoreOf = (row: number, index: number) => probabilities[row * classes + index]!;
  return foundByClass({ classes, background, rows, scoreOf, boxOf, more: 0, image }, minScore, nms);
}
