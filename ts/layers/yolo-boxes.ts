/** The boxes in a map of YOLO (Redmon and Farhadi, arXiv:1612.08242, section 2; arXiv:1804.02767, section 2.1). */
import { sigmoid } from '../base/numbers.ts';
import { type Corners, overlapOf } from './overlap.ts';
import type { CentredBox } from './yolo-truth.ts';

export interface YoloBox {
  /** The class, counted from 0. */
  readonly label: number;
  readonly score: number;
  /** Relative to the image. */
  readonly box: Corners;
}

/** One map of one image. Each box of a cell has four values, an objectness and its class scores, as consecutive planes. */
interface YoloMap {
  readonly data: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  /** A softmax over the classes; otherwise each class has a sigmoid. */
  readonly softmax: boolean;
}

/** Width and height of a box, relative to the image. */
export type Size = readonly [width: number, height: number];

/** The sizes of a cell's boxes from biases, a width and a height each. The map's size is given in the same units. */
export function sizesOf(biases: readonly number[], columns: number, rows: number): Size[] {
  return Array.from(
    { length: Math.floor(biases.length / 2) },
    (_, i) => [biases[2 * i]! / columns, biases[2 * i + 1]! / rows] as const,
  );
}

/**
 * The same for the number of boxes of a layer.
 * @param refuse Reports an error of a field.
 */
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

/** The box from the first four values of a cell. */
export function decodedBox(
  value: (k: number) => number,
  cell: number,
  [columns, rows]: readonly [number, number],
  [wide, tall]: Size,
): CentredBox {
  return [
    ((cell % columns) + sigmoid(value(0))) / columns,
    (Math.floor(cell / columns) + sigmoid(value(1))) / rows,
    Math.exp(value(2)) * wide,
    Math.exp(value(3)) * tall,
  ];
}

/**
 * Each box with its best class. Its other classes would overlap it completely and be suppressed.
 * @param sizes Width and height of the boxes of a cell, relative to the image.
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
      const value = (k: number) => data[(box * (5 + classes) + k) * plane + cell]!;
      const object = sigmoid(value(4));
      if (!isEnough(object)) continue;
      let label = 0;
      for (let k = 1; k < classes; k++) if (value(5 + k) > value(5 + label)) label = k;
      const score = Math.fround(
        object * (softmax ? shareOf(value, label, classes) : sigmoid(value(5 + label))),
      );
      if (!isEnough(score)) continue;
      const [x, y, wide, tall] = decodedBox(value, cell, [width, height], size);
      found.push({ label, score, box: [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2] });
    }
  });
  return found;
}

/** The share of a class in the softmax over a box's classes. */
export function shareOf(value: (k: number) => number, label: number, classes: number): number {
  let sum = 0;
  for (let k = 0; k < classes; k++) sum += Math.exp(value(5 + k) - value(5 + label));
  return 1 / sum;
}

/** The boxes in descending order, without those that overlap a better one of any class by at least the threshold. */
export function withoutOverlaps(boxes: readonly YoloBox[], threshold: number): YoloBox[] {
  const kept: YoloBox[] = [];
  for (const each of boxes.toSorted((a, b) => b.score - a.score))
    if (kept.every(({ box }) => overlapOf(box, each.box, 0) < threshold)) kept.push(each);
  return kept;
}
