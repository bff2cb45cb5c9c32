/** Pictures for training: circles, squares and triangles on noise, with their boxes and the class of every pixel. */
import { seededRandom } from '../../ts/base/random.ts';
import type { Annotation } from '../../ts/data/annotated-datum.ts';

export const SIZE = 64;
export const CLASSES = ['background', 'circle', 'square', 'triangle'] as const;
/** The label of pixels at the border of a shape, which do not count in the loss or in evaluations. */
export const BORDER = 255;

export interface Picture {
  /** Planes B, G, R of bytes. */
  readonly planes: Uint8Array;
  /** The class of each pixel. */
  readonly classes: Uint8Array;
  readonly annotations: readonly Annotation[];
}

/** How far a point is inside a shape around (0, 0) with half width 1; below 0 it is outside. */
const INSIDE: Readonly<Record<number, (x: number, y: number) => number>> = {
  1: (x, y) => 1 - Math.hypot(x, y),
  2: (x, y) => 1 - Math.max(Math.abs(x), Math.abs(y)),
  // The tip is at the top.
  3: (x, y) => Math.min(1 - y, (1 + y) / 2 - Math.abs(x)),
};

/** @param seed The same seed draws the same picture. */
export function drawPicture(seed: number): Picture {
  const random = seededRandom(seed);
  const planes = new Uint8Array(3 * SIZE * SIZE);
  const classes = new Uint8Array(SIZE * SIZE);
  const ground = [0, 1, 2].map(() => 60 + 60 * random());
  for (let i = 0; i < planes.length; i++)
    planes[i] = ground[Math.floor(i / (SIZE * SIZE))]! + 50 * (random() - 0.5);
  const annotations: Annotation[] = [];
  const count = 1 + Math.floor(3 * random());
  for (let trial = 0; trial < 20 && annotations.length < count; trial++) {
    const half = 7 + 9 * random();
    const [x, y] = [half + (SIZE - 2 * half) * random(), half + (SIZE - 2 * half) * random()];
    const box = {
      xmin: (x - half) / SIZE,
      ymin: (y - half) / SIZE,
      xmax: (x + half) / SIZE,
      ymax: (y + half) / SIZE,
    };
    const label = 1 + Math.floor(3 * random());
    const colour = [0, 1, 2].map(() => 150 + 80 * random());
    const isFree = annotations.every(
      (other) =>
        other.xmin > box.xmax || other.xmax < box.xmin || other.ymin > box.ymax || other.ymax < box.ymin,
    );
    if (!isFree) continue;
    const instance = annotations.filter((other) => other.label === label).length;
    annotations.push({ ...box, label, instance, difficult: false });
    for (let row = 0; row < SIZE; row++)
      for (let column = 0; column < SIZE; column++) {
        const inside = INSIDE[label]!((column + 0.5 - x) / half, (row + 0.5 - y) / half) * half;
        const at = row * SIZE + column;
        if (Math.abs(inside) < 0.7) classes[at] = BORDER;
        else if (inside > 0) classes[at] = label;
        if (inside > 0)
          colour.forEach((value, c) => (planes[c * SIZE * SIZE + at] = value + 40 * (random() - 0.5)));
      }
  }
  return { planes, classes, annotations };
}

/** The pixels of a picture as the net's input, with the mean and scale of the prototxts. */
export const inputOf = ({ planes }: Picture): Float32Array =>
  Float32Array.from(planes, (value) => (value - 128) * 0.02);
