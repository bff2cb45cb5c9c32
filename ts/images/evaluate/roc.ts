/**
 * Computes figures from the scores of positives and negatives, both those that depend on their numbers and those that do
 * not.
 */

import { ArgumentError } from '../../base/errors.ts';
import { kind, list, number } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';

/** The largest number of true positives at a specificity that is at least the requested one. */
export interface OperatingPoint {
  /** The minimum share of negatives that are recognised as negative. */
  readonly specificity: number;
  /** The share of positives that are then found. */
  readonly sensitivity: number;
  /** Scores of at least this count as positive; null if none do. */
  readonly threshold: number | null;
}

/** A point of both curves: the result if scores of at least `threshold` count as positive. */
export interface ThresholdPoint {
  readonly threshold: number;
  /** Sensitivity, recall. */
  readonly truePositiveRate: number;
  /** 1 − specificity. */
  readonly falsePositiveRate: number;
  readonly precision: number;
}

export interface BinaryFigures {
  readonly positives: number;
  readonly negatives: number;
  /** The area under the ROC curve: how often a positive scores higher than a negative; ties count half. */
  readonly auc: number;
  /**
   * DeLong's 95% interval, clipped to [0, 1]. Null if it is meaningless: with fewer than two positives or negatives, and if
   * the scores separate them perfectly, so that its estimate of the variance is 0.
   */
  readonly interval: readonly [number, number] | null;
  /** The area under the steps of the precision-recall curve; for random scores, the share of positives. */
  readonly averagePrecision: number;
  readonly sensitivityAt: readonly OperatingPoint[];
  /** From the highest to the lowest threshold, with at most `MOST_POINTS` points. */
  readonly curve: readonly ThresholdPoint[];
}

export interface BinaryOptions {
  /** Default 0.9 and 0.95. */
  readonly specificities?: readonly number[];
}

/** The number of points of a curve that are kept; more are indistinguishable. */
const MOST_POINTS = 200;
const SPECIFICITIES: readonly number[] = [0.9, 0.95];
const Z95 = 1.959963984540054;

/** Rows of BinaryOptions. */
export const binaryRows = {
  specificities: optional(
    list(number({ from: 0, to: 1 }), { of: 'shares from 0 to 1' }),
    '0.9 and 0.95',
    'The specificities at which sensitivity is reported.',
  ),
};

/** Class scores in any array form. */
export const numbers = kind<ArrayLike<number>>(
  'a list of numbers or a typed array',
  (value) => Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value),
);

const BINARY_FIGURES = signature('binaryFigures', {
  positives: required(numbers, 'The scores of positive samples.'),
  negatives: required(numbers, 'The scores of negative samples.'),
  options: optional(options<BinaryOptions>(binaryRows), 'none', 'Which figures to compute.'),
});

/**
 * ROC and precision-recall of a score; a higher score means more probably positive.
 * @throws ArgumentError if there is no positive or no negative
 * @example binaryFigures([0.9, 0.4], [0.5, 0.3, 0.1]).auc; // 5/6
 */
export function binaryFigures(
  positives: ArrayLike<number>,
  negatives: ArrayLike<number>,
  options: BinaryOptions = {},
): BinaryFigures {
  BINARY_FIGURES.check(positives, negatives, options);
  for (const [name, scores] of Object.entries({ positives, negatives })) {
    if (scores.length === 0) throw new ArgumentError(name, 'at least one score', 'none');
    const bad = Array.from(scores).findIndex((score) => !Number.isFinite(score));
    if (bad >= 0) throw new ArgumentError(`${name}[${bad}]`, 'a finite number', scores[bad]);
  }
  const { auc, variance } = deLong(Float64Array.from(positives), Float64Array.from(negatives));
  const half = Z95 * Math.sqrt(variance ?? 0);
  const points = thresholds(positives, negatives);
  const at = (points: readonly Counts[]) => points.map((each) => curvePoint(each, positives, negatives));
  const curve = at(points);
  return {
    positives: positives.length,
    negatives: negatives.length,
    auc,
    interval: half > 0 ? [Math.max(0, auc - half), Math.min(1, auc + half)] : null,
    // sklearn.metrics.average_precision_score: Σ (R_n − R_{n−1}) P_n, without interpolation.
    averagePrecision: curve.reduce(
      (sum, { truePositiveRate, precision }, i) =>
        sum + (truePositiveRate - (curve[i - 1]?.truePositiveRate ?? 0)) * precision,
      0,
    ),
    sensitivityAt: (options.specificities ?? SPECIFICITIES).map((specificity) => {
      // Shares of whole counts: the rounding error is less than one negative.
      const most = Math.floor((1 - specificity) * negatives.length + 1e-9);
      const best = points.findLast(({ falsePositives }) => falsePositives <= most);
      return {
        specificity,
        sensitivity: (best?.truePositives ?? 0) / positives.length,
        threshold: best?.threshold ?? null,
      };
    }),
    curve: thinned(corners(curve)),
  };
}

/**
 * AUC and its variance as estimated by DeLong, DeLong & Clarke-Pearson (Biometrics 44, 1988), by the midranks of Sun & Xu
 * (IEEE Signal Processing Letters 21, 2014). Null with one positive or one negative, which has no variance.
 */
function deLong(
  positives: Float64Array,
  negatives: Float64Array,
): { readonly auc: number; readonly variance: number | null } {
  const [m, n] = [positives.length, negatives.length];
  const all = midranks(Float64Array.from([...positives, ...negatives]));
  const ownPositive = midranks(positives);
  const ownNegative = midranks(negatives);
  // For each positive the share of negatives below it, and the reverse.
  const above = positives.map((_, i) => (all[i]! - ownPositive[i]!) / n);
  const below = negatives.map((_, j) => 1 - (all[m + j]! - ownNegative[j]!) / m);
  const auc = mean(above);
  return { auc, variance: m < 2 || n < 2 ? null : varianceOf(above) / m + varianceOf(below) / n };
}

/** Ranks from 1; equal values get their mean rank. */
function midranks(values: Float64Array): Float64Array {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Float64Array(values.length);
  for (let begin = 0, end = 0; begin < order.length; begin = end) {
    while (end < order.length && values[order[end]!] === values[order[begin]!]) end++;
    for (let i = begin; i < end; i++) ranks[order[i]!] = (begin + 1 + end) / 2;
  }
  return ranks;
}

const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

function varianceOf(values: Float64Array): number {
  const centre = mean(values);
  return values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1);
}

interface Counts {
  readonly threshold: number;
  readonly truePositives: number;
  readonly falsePositives: number;
}

/** The counts for each occurring score as a threshold, from the highest. */
function thresholds(positives: ArrayLike<number>, negatives: ArrayLike<number>): Counts[] {
  const [high, low] = [positives, negatives].map((scores) => Float64Array.from(scores).sort().reverse());
  const found: Counts[] = [];
  for (let [i, j] = [0, 0]; i < high!.length || j < low!.length; ) {
    const threshold = Math.max(high![i] ?? Number.NEGATIVE_INFINITY, low![j] ?? Number.NEGATIVE_INFINITY);
    while (i < high!.length && high![i]! === threshold) i++;
    while (j < low!.length && low![j]! === threshold) j++;
    found.push({ threshold, truePositives: i, falsePositives: j });
  }
  return found;
}

const curvePoint = (
  { threshold, truePositives, falsePositives }: Counts,
  positives: ArrayLike<number>,
  negatives: ArrayLike<number>,
): ThresholdPoint => ({
  threshold,
  truePositiveRate: truePositives / positives.length,
  falsePositiveRate: falsePositives / negatives.length,
  precision: truePositives / (truePositives + falsePositives),
});

/** Removes points within a straight part of the ROC curve, where only one of the rates changes. */
function corners(curve: readonly ThresholdPoint[]): ThresholdPoint[] {
  return curve.filter((point, i) => {
    const [before, after] = [curve[i - 1], curve[i + 1]];
    if (before === undefined || after === undefined) return true;
    return (['truePositiveRate', 'falsePositiveRate'] as const).every(
      (rate) => before[rate] !== point[rate] || point[rate] !== after[rate],
    );
  });
}

function thinned(curve: readonly ThresholdPoint[]): readonly ThresholdPoint[] {
  if (curve.length <= MOST_POINTS) return curve;
  const step = (curve.length - 1) / (MOST_POINTS - 1);
  return Array.from({ length: MOST_POINTS }, (_, i) => curve[Math.round(i * step)]!);
}
