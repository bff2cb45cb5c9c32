/**
 * Which positions of a net's input each position of a blob depends on, along one axis: exact for windows whose strides are
 * fractions, where no line through the positions is (deconvolutions, resizes), and where a resize reads (native/operations/resize).
 */
import type { Operation } from '../layers/operation.ts';

export interface Reach {
  /** The first input position that position p sees, and the last one; ∞ and −∞ where it sees none. */
  readonly first: (p: number) => number;
  readonly last: (p: number) => number;
  /** Positions after which the pattern repeats: 1 where all see alike. */
  readonly period: number;
}

export const ITSELF: Reach = { first: (p) => p, last: (p) => p, period: 1 };

/** More phases than any net has: where a pattern does not repeat, so many positions are looked at. */
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

/** Of a convolution or a pooling. */
export function throughWindow(reach: Reach, { kernel, stride, pad, dilation }: AxisWindow): Reach {
  const taps = (p: number): Positions => ({ first: p * stride - pad, step: dilation, count: kernel });
  return kept({ ...overAll(reach, taps), period: reach.period / gcd(reach.period, stride) });
}

/** Of a deconvolution: position p is made of the inputs j with p + pad = j · stride + tap · dilation. */
export function throughTransposed(reach: Reach, { kernel, stride, pad, dilation }: AxisWindow): Reach {
  const common = gcd(stride, dilation);
  // Of the taps that meet an input each is so far from the next, and so are their inputs.
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

/** Of a resize. @param to Positions of its top. */
export function throughResize(reach: Reach, resize: Resampling, to: number): Reach {
  return kept({ ...over(reach, (p) => resampled(resize, p)), period: Math.min(MOST_PERIOD, to) });
}

/** What either of both sees. */
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
 * The same of many. What each phase of a pattern sees moves on from one repetition to the next, so that the first positions of
 * all phases begin before others, and the last ones end behind them.
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

/** What is made of the positions that `inputs` names. */
const over = (reach: Reach, inputs: (p: number) => readonly number[]): Pick<Reach, 'first' | 'last'> => ({
  first: (p) => Math.min(...inputs(p).map(reach.first)),
  last: (p) => Math.max(...inputs(p).map(reach.last)),
});

/** How many positions the one sees that sees most. @param count Positions that there are. */
export function largestOf({ first, last, period }: Reach, count: number): number {
  const phases = Array.from(
    { length: Math.max(1, Math.min(period, count)) },
    (_, p) => last(p) - first(p) + 1,
  );
  return Math.max(0, ...phases);
}

/** Branches meet again and again: each position is asked once. */
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
