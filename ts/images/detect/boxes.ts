/** Converts the rows of an SSD or a YOLO to boxes in an image's own pixels. */
import { DetectorError } from '../../base/errors.ts';
import { describeNotFinite, notFinite } from '../../base/not-finite.ts';
import type { Outputs } from '../../device/model.ts';
import type { Box } from '../geometry.ts';
import type { Placement } from '../whole.ts';
import type { Found } from './detection.ts';
import type { SsdHead } from './head.ts';

/** The rows of an output that belong to one image. */
export type ImageRows = Float32Array;

/**
 * The rows of DetectionOutput (7 values each), by image.
 * @throws DetectorError `detector/not-finite`
 */
export function rowsOfImages({ detections, scores }: SsdHead, outputs: Outputs, images: number): ImageRows[] {
  for (const name of [...scores, detections]) checkFinite(outputs, name);
  const { data } = outputs[detections]!;
  const rows = Array.from({ length: data.length / 7 }, (_, i) => data.subarray(7 * i, 7 * i + 7));
  return Array.from({ length: images }, (_, image) =>
    // If nothing was found, a row has the class −1.
    Float32Array.from(rows.filter((row) => row[0] === image && row[1]! >= 0).flatMap((row) => [...row])),
  );
}

/**
 * Rows of 7 values: image, class, score, and a box as shares of the input.
 * @param form How a row gives the box; undefined: its corners, x before y.
 */
export function ssdBoxes(
  rows: ImageRows,
  minScore: number,
  placement: Placement,
  form?: SsdHead['form'],
): Found[] {
  const found: Found[] = [];
  const { input, scale } = placement;
  for (let at = 0; at < rows.length; at += 7) {
    const [, index, score, ...sides] = rows.subarray(at, at + 7) as unknown as [
      number,
      number,
      number,
      ...Four,
    ];
    const [x1, y1, x2, y2] = cornersOf(sides, form);
    if (score < minScore) continue;
    const x = (share: number) => (share * input.width) / scale.x;
    const y = (share: number) => (share * input.height) / scale.y;
    const box = within(placement, x(x1), y(y1), x(x2), y(y2));
    if (box !== null) found.push({ index, score, box });
  }
  return found;
}

export type Four = [number, number, number, number];

function cornersOf(sides: Four, form: SsdHead['form']): Four {
  const [a, b, c, d] = sides;
  if (form === 'yx') return [b, a, d, c];
  return form === 'centred' ? [a - c / 2, b - d / 2, a + c / 2, b + d / 2] : sides;
}

/** The part of a box inside the image; null if there is none. */
export function within({ image }: Placement, x1: number, y1: number, x2: number, y2: number): Box | null {
  const left = Math.max(0, x1);
  const top = Math.max(0, y1);
  const width = Math.min(image.width, x2) - left;
  const height = Math.min(image.height, y2) - top;
  return width > 0 && height > 0 ? { x: left, y: top, width, height } : null;
}

/** @throws DetectorError `detector/not-finite` */
export function checkFinite(outputs: Outputs, name: string): void {
  const found = notFinite(outputs[name]!.data);
  if (found === null) return;
  throw new DetectorError(
    'detector/not-finite',
    `"${name}" has values that are not finite (${describeNotFinite(found)}): weights or statistics of the net are not finite, or its inputs are far from those that it was trained with`,
  );
}
