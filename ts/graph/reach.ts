/**
 * The positions of a net's input that each position of a blob depends on, along one axis. The result is exact also for
 * windows with fractional strides, whose positions do not lie on a line (deconvolutions, resizes), and for the positions
 * that a resize reads (native/operations/resize).
 */
import type { Operation } from '../layers/operation.ts';

export interface Reach {
  /** The first and the last input position that position p depends on; ∞ and −∞ if there is none. */
  readonly first: (p: number) => number;
  readonly last: (p: number) => number;
  /** The period of the pattern in positions: 1 if all positions are alike. */
  readonly period: number;
}

export const ITSELF: Reach = { first: (p) => p, last: (p) => p, period: 1 };

/** More phases than any net has. If a pattern does not repeat, this many positions are examined. */
const MOST_PERIOD = 4096;

/** Positions at equal distances. */
interface Positions {
  readonly first: number;
  readonly step: number;
  readonly count: number;
}

interface AxisWindow {
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
  readonly dilation: number;
}

/** For a convolution or a pooling. */
export function throughWindow(reach: Reach, { kernel, stride, pad, dilation }: AxisWindow): Reach {
  const taps = (p: number): Positions => ({ first: p * stride - pad, step: dilation, count: kernel });
  return kept({ ...overAll(reach, taps), period: reach.period / gcd(reach.period, stride) });
}

/** For a deconvolution: position p depends on the inputs j with p + pad = j · stride + tap · dilation. */
export function throughTransposed(reach: Reach, { kernel, stride, pad, dilation }: AxisWindow): Reach {
  const common = gcd(stride, dilation);
  // The taps that meet an input have a fixed distance from each other, and so have their inputs.
  const [tapStep, step] = [stride / common, dilation / common];
  const inputs = (p: number): Positions => {
    const input = (tap: number) => (p + pad - tap * dilation) / stride;
    const tries = Math.min(kernel, tapStep, MOST_PERIOD);
    let tap = 0;
    while (tap < tries && !Number.isInteger(input(tap))) tap++;
    if (tap === tries) return { first: 0, step, count: 0 };
    const count = Math.floor((kernel - 1 - tap) / tapStep) + 1;
    return { first: input(tap) - step * (count - 1), step, count };
  };
  return kept({ ...overAll(reach, inputs), period: Math.min(MOST_PERIOD, stride * reach.period) });
}

/**
 * For a resize.
 * @param to The number of positions of its top.
 */
export function throughResize(reach: Reach, resize: Resampling, to: number): Reach {
  return kept({ ...over(reach, (p) => resampled(resize, p)), period: Math.min(MOST_PERIOD, to) });
}

/** The union of two reaches. */
export function joined(a: Reach, b: Reach): Reach {
  if (a === b) return a;
  const period = Math.min(MOST_PERIOD, (a.period * b.period) / gcd(a.period, b.period));
  return kept({
    first: (p) => Math.min(a.first(p), b.first(p)),
    last: (p) => Math.max(a.last(p), b.last(p)),
    period,
  });
}

/**
 * The union of many reaches. From one repetition of a pattern to the next, the reach of each phase moves on. So the first
 * positions of all phases begin before later ones, and the last ones end after earlier ones.
 */
function overAll(reach: Reach, inputs: (p: number) => Positions): Pick<Reach, 'first' | 'last'> {
  const some = ({ first, step, count }: Positions, isEnd: boolean) => {
    const length = Math.min(count, reach.period);
    const from = isEnd ? count - length : 0;
    return Array.from({ length }, (_, i) => first + (from + i) * step);
  };
  const first = over(reach, (p) => some(inputs(p), false)).first;
  const last = over(reach, (p) => some(inputs(p), true)).last;
  return { first, last };
}

/** The reach of a value that is made from the positions in `inputs`. */
const over = (reach: Reach, inputs: (p: number) => readonly number[]): Pick<Reach, 'first' | 'last'> => ({
  first: (p) => Math.min(...inputs(p).map(reach.first)),
  last: (p) => Math.max(...inputs(p).map(reach.last)),
});

/**
 * The largest number of positions that one position depends on.
 * @param count The number of positions.
 */
export function largestOf({ first, last, period }: Reach, count: number): number {
  const phases = Array.from(
    { length: Math.max(1, Math.min(period, count)) },
    (_, p) => last(p) - first(p) + 1,
  );
  return Math.max(0, ...phases);
}

/** Branches meet again and again, so each position is computed once. */
function kept({ first, last, period }: Reach): Reach {
  return { first: remembered(first), last: remembered(last), period };
}

function remembered(of: (p: number) => number): (p: number) => number {
  const known = new Map<number, number>();
  return (p) => {
    const before = known.get(p);
    if (before !== undefined) return before;
    const value = of(p);
    known.set(p, value);
    return value;
  };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

type Method = Extract<Operation, { kind: 'resize' }>['method'];

export interface Resampling {
  /** The step in the bottom from one position of the top to the next. */
  readonly ratio: number;
  /** Of position 0. */
  readonly shift: number;
  /** The largest number of bottom positions that a position of the top depends on: 2 if some lie between two. */
  readonly reach: 1 | 2;
}

/** The first and last bottom position that a position of the top depends on. Positions beyond the border are included. */
function resampled({ ratio, shift, reach }: Resampling, position: number): readonly [number, number] {
  const at = shift + position * ratio;
  // Rounding may move a sum of fractions slightly off its pixel.
  const low = Math.floor(at + 1e-9);
  return [low, reach === 2 && at - low > 1e-9 ? low + 1 : low];
}

/** Along an axis with `from` positions in the bottom and `to` in the top. */
export function resampling(method: Method, from: number, to: number): Resampling {
  const ratio = method === 'aligned' ? (from - 1) / Math.max(1, to - 1) : from / to;
  const shift = method === 'halfPixel' ? (ratio - 1) / 2 : 0;
  const liesOnPixels = method === 'nearest' || (Number.isInteger(ratio) && Number.isInteger(shift));
  return { ratio, shift, reach: liesOnPixels ? 1 : 2 };
}
