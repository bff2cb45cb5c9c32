/** Maps of another size whose rows and columns are weighted means, each along its own axis. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import type { Composition, Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import { checkTop, type LayerContext } from './layer.ts';

/** What each row or column of the top is made of: places along the bottom, and their weights. */
export type Sources = readonly (readonly { readonly at: number; readonly weight: number }[])[];

/** The longest side of maps, since each row and column has a list of weights. */
export const MOST_ALONG_A_SIDE = 65536;

/** Refuses a top that is too large, and sides that are too long. Call it before the weights are made. */
export function checkSize(
  context: LayerContext,
  size: readonly [height: number, width: number],
  at: string,
): void {
  const [items, channels, ...from] = context.shapes[0] as [number, number, number, number];
  checkTop(context, [items, channels, ...size], at);
  if (Math.max(...from, ...size) > MOST_ALONG_A_SIDE)
    context.fail(
      'too-large',
      `takes and makes maps of up to ${MOST_ALONG_A_SIDE} pixels along a side, found ${showShape(from)} to ${showShape(size)}`,
      at,
    );
}

/** @param learns Whether a diff goes down. */
export function weightedMeans(
  context: LayerContext,
  layer: Composition,
  x: Part,
  [tall, wide]: readonly [height: number, width: number],
  rows: Sources,
  columns: Sources,
  learns = false,
): Part {
  const [items, channels, height, width] = x.shape as [number, number, number, number];
  const top: Shape = [items, channels, tall, wide];
  const planes = items * channels;
  const operation = hostFunction(context, [x.shape], [top], {
    forward: ([from]) => {
      const made = new Float32Array(elementCount(top));
      const line = new Float64Array(width);
      for (let plane = 0; plane < planes; plane++)
        rows.forEach((sources, y) => {
          line.fill(0);
          for (const { at, weight } of sources)
            for (let i = 0; i < width; i++)
              line[i]! += weight * from!.data[(plane * height + at) * width + i]!;
          columns.forEach((across, i) => {
            let sum = 0;
            for (const { at, weight } of across) sum += weight * line[at]!;
            made[(plane * tall + y) * wide + i] = sum;
          });
        });
      return [made];
    },
    backward: ({ topDiffs: [diff] }) => {
      if (!learns) return [null];
      const made = new Float64Array(planes * height * width);
      const line = new Float64Array(width);
      for (let plane = 0; plane < planes; plane++)
        rows.forEach((sources, y) => {
          line.fill(0);
          columns.forEach((across, i) => {
            const down = diff!.data[(plane * tall + y) * wide + i]!;
            for (const { at, weight } of across) line[at]! += weight * down;
          });
          for (const { at, weight } of sources)
            for (let i = 0; i < width; i++) made[(plane * height + at) * width + i]! += weight * line[i]!;
        });
      return [Float32Array.from(made)];
    },
  });
  return layer.one(operation, [x], top, [learns]);
}
