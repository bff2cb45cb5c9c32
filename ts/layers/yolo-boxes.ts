/** The boxes that a map of YOLO means (Redmon and Farhadi, arXiv:1612.08242, section 2; arXiv:1804.02767, section 2.1). */
import { type Corners, overlapOf } from './overlap.ts';
import type { CentredBox } from './yolo-truth.ts';

export interface YoloBox {
  /** Class, from 0 on. */
  readonly label: number;
  readonly score: number;
  /** As shares of the image. */
  readonly box: Corners;
}

/** One map of one image: of each box of a cell four values, whether it is an object, and its classes, planes one after another. */
interface YoloMap {
  readonly data: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  /** Over the classes; else each has a sigmoid of its own. */
  readonly softmax: boolean;
}

/** Width and height of a box, as shares of the image. */
export type Size = readonly [width: number, height: number];

export const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));

/** The sizes that biases give the boxes of a cell, a width and a height each, of a map of so many of their units. */
export function sizesOf(biases: readonly number[], columns: number, rows: number): Size[] {
  return Array.from(
    { length: Math.floor(biases.length / 2) },
    (_, i) => [biases[2 * i]! / columns, biases[2 * i + 1]! / rows] as const,
  );
}

/** The same of as many boxes as a layer has. @param refuse Says what is wrong with a field. */
export function sizesOfBoxes(
  boxes: number,
  biases: readonly number[],
  [columns, rows]: readonly [number, number],
  refuse: (field: 'biases', text: string) => void,
): Size[] {
  if (biases.length < 2 * boxes)
    refuse(
      'biases',
      `${boxes} boxes take ${2 * boxes} biases, a width and a height each; found ${biases.length}`,
    );
  return sizesOf(biases, columns, rows).slice(0, boxes);
}

/** The box that a cell says by its first four values. */
export function saidBox(
  said: (k: number) => number,
  cell: number,
  [columns, rows]: readonly [number, number],
  [wide, tall]: Size,
): CentredBox {
  return [
    ((cell % columns) + sigmoid(said(0))) / columns,
    (Math.floor(cell / columns) + sigmoid(said(1))) / rows,
    Math.exp(said(2)) * wide,
    Math.exp(said(3)) * tall,
  ];
}

/**
 * Each box with its best class: the others of the same box would overlap it wholly, and be dropped.
 * @param sizes Width and height of the boxes of a cell, as shares of the image.
 */
export function boxesOfMap(
  { data, height, width, classes, softmax }: YoloMap,
  sizes: readonly Size[],
  isEnough: (score: number) => boolean,
): YoloBox[] {
  const plane = height * width;
  const found: YoloBox[] = [];
  sizes.forEach((size, box) => {
    for (let cell = 0; cell < plane; cell++) {
      const said = (k: number) => data[(box * (5 + classes) + k) * plane + cell]!;
      const object = sigmoid(said(4));
      if (!isEnough(object)) continue;
      let label = 0;
      for (let k = 1; k < classes; k++) if (said(5 + k) > said(5 + label)) label = k;
      const score = Math.fround(
        object * (softmax ? shareOf(said, label, classes) : sigmoid(said(5 + label))),
      );
      if (!isEnough(score)) continue;
      const [x, y, wide, tall] = saidBox(said, cell, [width, height], size);
      found.push({ label, score, box: [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2] });
    }
  });
  return found;
}

function shareOf(said: (k: number) => number, label: number, classes: number): number {
  let sum = 0;
  for (let k = 0; k < classes; k++) sum += Math.exp(said(5 + k) - said(5 + label));
  return 1 / sum;
}

/** The best first, without what overlaps a better one, of whatever class, by the threshold or more. */
export function withoutOverlaps(boxes: readonly YoloBox[], threshold: number): YoloBox[] {
  const kept: YoloBox[] = [];
  for (const each of boxes.toSorted((a, b) => b.score - a.score))
    if (kept.every(({ box }) => overlapOf(box, each.box, 0) < threshold)) kept.push(each);
  return kept;
}
