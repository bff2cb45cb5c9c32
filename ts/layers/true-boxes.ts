/** What the targets of anchors and of regions share: rows of ground truth, their best overlap, and regressions to them. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import type { LayerContext } from './layer.ts';
import { overlapOf } from './overlap.ts';
import { frcnnSettings } from './proposal.ts';
import { type PythonParam, readPythonParam } from './python-param.ts';

export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

export interface Truth {
  readonly box: Box;
  readonly label: number;
  /** The whole row; some forks have further columns after the class. */
  readonly row: Float32Array;
}

export const paramOf = (context: LayerContext) =>
  context.layer.type === 'Python'
    ? readPythonParam(context.layer, (text, at) => context.fail('proposal', text, at))
    : frcnnSettings(context);

/** The seed in lib/fast_rcnn/config.py (RNG_SEED). */
export const SEED = 3;

const sizeOf = ([x1, y1, x2, y2]: Box) => [x2 - x1 + 1, y2 - y1 + 1] as const;

/** Corners are pixels. */
export const overlap = (a: Box, b: Box): number => overlapOf(a, b, 1);

/** lib/fast_rcnn/bbox_transform.py: the regression from a box to another one. */
export function deltas(from: Box, to: Box): readonly number[] {
  const [width, height] = sizeOf(from);
  const [wide, tall] = sizeOf(to);
  return [
    (to[0] + wide / 2 - (from[0] + width / 2)) / width,
    (to[1] + tall / 2 - (from[1] + height / 2)) / height,
    Math.log(wide / width),
    Math.log(tall / height),
  ];
}

/** @param columns The length of a row, at least 5. */
export function truthsIn(data: Float32Array, columns: number): Truth[] {
  const rows = Array.from({ length: Math.floor(data.length / columns) }, (_, i) =>
    data.subarray(columns * i, columns * (i + 1)),
  );
  return rows
    .filter((row) => row[4]! > 0)
    .map((row) => ({ box: [row[0]!, row[1]!, row[2]!, row[3]!], label: row[4]!, row }));
}

export function columnsOf(context: LayerContext, truth: Shape): number {
  const columns = truth.length > 1 ? elementCount(truth.slice(1)) : 0;
  return columns >= 5
    ? columns
    : context.fail(
        'shape',
        `ground truth must be rows of x1, y1, x2, y2 and a class, found ${showShape(truth)}`,
      );
}

/** The true box that overlaps a box most. */
export function best(box: Box, truths: readonly Truth[]): { index: number; overlap: number } {
  let found = { index: -1, overlap: -1 };
  truths.forEach((truth, index) => {
    const each = overlap(box, truth.box);
    if (each > found.overlap) found = { index, overlap: each };
  });
  return found;
}

/** @param usual The value if it is not written; undefined: it must be. */
export const numberIn = (param: PythonParam, name: string, usual: number | undefined): number =>
  usual === undefined ? param.positive(name) : (param.number(name) ?? usual);
