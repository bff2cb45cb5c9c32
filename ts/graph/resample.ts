/** Where a resize reads: position i of its top lies at shift + i · ratio of its bottom (native/operations/resize). */
import type { Operation } from '../layers/operation.ts';

type Method = Extract<Operation, { kind: 'resize' }>['method'];

export interface Resampling {
  /** Positions of the bottom from one of the top to the next. */
  readonly ratio: number;
  /** Of position 0. */
  readonly shift: number;
  /** Positions of the bottom that one of the top is made of, at most: 2 where some lie between two. */
  readonly reach: 1 | 2;
}

/** The positions of the bottom, first and last, of which one of the top is made; those beyond the border are not cut off. */
export function resampled({ ratio, shift, reach }: Resampling, position: number): readonly [number, number] {
  const at = shift + position * ratio;
  // Sums of fractions may lie beside the pixel that they mean.
  const low = Math.floor(at + 1e-9);
  return [low, reach === 2 && at - low > 1e-9 ? low + 1 : low];
}

/** Along an axis of `from` positions in the bottom, `to` in the top. */
export function resampling(method: Method, from: number, to: number): Resampling {
  const ratio = method === 'aligned' ? (from - 1) / Math.max(1, to - 1) : from / to;
  const shift = method === 'halfPixel' ? (ratio - 1) / 2 : 0;
  const liesOnPixels = method === 'nearest' || (Number.isInteger(ratio) && Number.isInteger(shift));
  return { ratio, shift, reach: liesOnPixels ? 1 : 2 };
}
