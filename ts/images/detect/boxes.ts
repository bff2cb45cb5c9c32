/** A net's rows → boxes in an image's own pixels. */
import { DetectorError } from '../../base/errors.ts';
import { describeNotFinite, notFinite } from '../../base/not-finite.ts';
import type { Outputs } from '../../device/model.ts';
import type { Box } from '../geometry.ts';
import type { Placement } from '../whole.ts';
import type { Found } from './detection.ts';
import type { RegionHead, SsdHead } from './head.ts';
import { type ScoredBox, suppressed } from './nms.ts';

/** How regions become boxes. */
export interface RegionOptions {
  /** The largest overlap of two boxes of one class. */
  readonly nms: number;
  /** What regressions were divided by in training, and what was subtracted before. */
  readonly stds: readonly number[];
  readonly means: readonly number[];
}

/** Of an output: what one image has of it. */
export type ImageRows = Float32Array;

/** DetectionOutput's rows of 7, image by image. @throws DetectorError `detector/not-finite` */
export function rowsOfImages({ detections, scores }: SsdHead, outputs: Outputs, images: number): ImageRows[] {
  for (const name of [...scores, detections]) checkFinite(outputs, name);
  const { data } = outputs[detections]!;
  const rows = Array.from({ length: data.length / 7 }, (_, i) => data.subarray(7 * i, 7 * i + 7));
  return Array.from({ length: images }, (_, image) =>
    // Where nothing at all was found a row has the class −1.
    Float32Array.from(rows.filter((row) => row[0] === image && row[1]! >= 0).flatMap((row) => [...row])),
  );
}

/** Rows of 7: image, class, score and corners as shares of the input. */
export function ssdBoxes(rows: ImageRows, minScore: number, placement: Placement): Found[] {
  const found: Found[] = [];
  const { input, scale } = placement;
  for (let at = 0; at < rows.length; at += 7) {
    const [, index, score, x1, y1, x2, y2] = rows.subarray(at, at + 7) as unknown as [...number[]] as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    if (score < minScore) continue;
    const x = (share: number) => (share * input.width) / scale.x;
    const y = (share: number) => (share * input.height) / scale.y;
    const box = within(placement, x(x1), y(y1), x(x2), y(y2));
    if (box !== null) found.push({ index, score, box });
  }
  return found;
}

/**
 * Regions, moved and scaled by the regressions of each class, clipped, and suppressed by class (py-faster-rcnn,
 * lib/fast_rcnn/test.py and bbox_transform.py; of R-FCN's two class-agnostic sets the second).
 * @throws DetectorError `detector/not-finite`
 */
export function regionBoxes(
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
  const found: Found[] = [];
  for (let index = 0; index < classes; index++) {
    if (index === background) continue;
    const set = sets === classes ? index : sets - 1;
    const boxes: ScoredBox[] = [];
    for (let row = 0; row * 5 < regions.length; row++) {
      const score = probabilities[row * classes + index]!;
      if (score < minScore) continue;
      const region = regions.subarray(row * 5 + 1, row * 5 + 5);
      const at = (row * sets + set) * 4;
      boxes.push({ score, ...moved(region, regressions.subarray(at, at + 4), placement, options) });
    }
    // As coco.py of py-faster-rcnn writes boxes: both corners are pixels of the box.
    for (const { score, x1, y1, x2, y2 } of suppressed(boxes, options.nms))
      found.push({ index, score, box: { x: x1, y: y1, width: x2 - x1 + 1, height: y2 - y1 + 1 } });
  }
  return found.sort((a, b) => b.score - a.score);
}

/** bbox_transform_inv and clip_boxes. */
function moved(
  region: Float32Array,
  regression: Float32Array,
  { image, scale }: Placement,
  { stds, means }: RegionOptions,
): Omit<ScoredBox, 'score'> {
  const [dx, dy, dw, dh] = Array.from(regression, (value, i) => value * stds[i]! + means[i]!) as [
    number,
    number,
    number,
    number,
  ];
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

/** The part of a box that lies in the image; null: none does. */
function within({ image }: Placement, x1: number, y1: number, x2: number, y2: number): Box | null {
  const left = Math.max(0, x1);
  const top = Math.max(0, y1);
  const width = Math.min(image.width, x2) - left;
  const height = Math.min(image.height, y2) - top;
  return width > 0 && height > 0 ? { x: left, y: top, width, height } : null;
}

function checkFinite(outputs: Outputs, name: string): void {
  const found = notFinite(outputs[name]!.data);
  if (found === null) return;
  throw new DetectorError(
    'detector/not-finite',
    `"${name}" has no numbers to make boxes of (${describeNotFinite(found)}): weights or statistics of the net are not finite, or it was given values far from those that it was trained with`,
  );
}
