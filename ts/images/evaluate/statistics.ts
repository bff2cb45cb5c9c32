/**
 * Computes from scores and true classes how often a net is right, how certain that figure is, and where the net is wrong.
 */

import { InWords } from '../../base/describe.ts';
import { ArgumentError } from '../../base/errors.ts';
import { list, number } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { type Balance, balanceOf } from './balance.ts';
import { type Outcome, outcome } from './outcome.ts';
import { type BinaryOptions, binaryRows } from './roc.ts';

/** A number of images as a share of all, with an estimate for new images. */
export interface Share {
  readonly correct: number;
  /** 1 − correct / images. */
  readonly error: number;
  /** Wilson's 95% interval of the error. */
  readonly interval: readonly [number, number];
}

export interface ClassCount {
  readonly label: number;
  readonly images: number;
  readonly top1: number;
  readonly top5: number;
}

export interface Confusion {
  readonly label: number;
  readonly predicted: number;
  readonly count: number;
}

/** The images whose confidence is in (from, to]. */
export interface CalibrationBin {
  readonly from: number;
  readonly to: number;
  readonly images: number;
  readonly confidence: number;
  readonly accuracy: number;
}

export interface OutcomeSummary {
  readonly images: number;
  readonly top1: Share;
  readonly top5: Share;
  /** The classes that occur, in order. */
  readonly classes: readonly ClassCount[];
  /** Pairs of different true and predicted classes, the most frequent first. */
  readonly confusions: readonly Confusion[];
  /** Figures that also hold for rare classes: recall, precision, ROC, precision-recall. */
  readonly balance: Balance;
  /** Guo et al., "On Calibration of Modern Neural Networks" (2017), section 2: 15 bins of equal width. */
  readonly calibration: { readonly expectedError: number; readonly bins: readonly CalibrationBin[] };
}

const SUMMARISE_OUTCOMES = signature('summariseOutcomes', {
  outcomes: required(list(outcome, { of: 'outcomes' }), 'The results of outcomeOf.'),
  options: optional(options<BinaryOptions>(binaryRows), 'none', 'Which figures to compute.'),
});

/**
 * Counts outcomes. If all of them have the scores of all classes, `balance` contains ROC and precision-recall of each class
 * against the others.
 * @throws ArgumentError if there are none
 * @example summariseOutcomes(outcomes, { specificities: [0.99] }).balance.balancedAccuracy;
 */
export function summariseOutcomes(outcomes: readonly Outcome[], options: BinaryOptions = {}): OutcomeSummary {
  SUMMARISE_OUTCOMES.check(outcomes, options);
  const images = outcomes.length;
  if (images === 0) throw new ArgumentError('outcomes', 'at least one image', 'none');
  const within = (limit: number, some: readonly Outcome[] = outcomes) =>
    some.filter(({ rank }) => rank < limit).length;
  const share = (correct: number): Share => ({
    correct,
    error: (images - correct) / images,
    interval: wilsonInterval(images - correct, images),
  });
  const classes = [...groups(outcomes, ({ label }) => label)]
    .sort(([a], [b]) => a - b)
    .map(([label, own]) => ({ label, images: own.length, top1: within(1, own), top5: within(5, own) }));
  const wrong = outcomes.filter(({ rank }) => rank > 0);
  const confusions = [...groups(wrong, ({ label, predicted }) => `${label} ${predicted}`).values()]
    .map((own) => ({ label: own[0]!.label, predicted: own[0]!.predicted, count: own.length }))
    .sort((a, b) => b.count - a.count || a.label - b.label || a.predicted - b.predicted);
  return {
    images,
    top1: share(within(1)),
    top5: share(within(5)),
    classes,
    confusions,
    balance: balanceOf(outcomes, options),
    calibration: calibrate(outcomes),
  };
}

const WILSON_INTERVAL = signature('wilsonInterval', {
  count: required(number({ from: 0 }), 'The number of images that count.'),
  total: required(number({ above: 0 }), 'The number of all images.'),
  z: optional(number({ from: 0 }), '1.96: 95%', 'The quantile of the normal distribution.'),
});

/**
 * The score interval for a proportion (Wilson 1927), which remains sensible for few images and for shares near 0 and 1.
 * @param z 1.96 gives 95%.
 */
export function wilsonInterval(count: number, total: number, z = 1.959963984540054): [number, number] {
  WILSON_INTERVAL.check(count, total, z);
  if (!(total > 0 && count >= 0 && count <= total))
    throw new ArgumentError(
      'count and total',
      '0 ≤ count ≤ total, total over 0',
      new InWords(`${count} of ${total}`),
    );
  const share = count / total;
  const scale = 1 + z ** 2 / total;
  const centre = (share + z ** 2 / (2 * total)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / total + z ** 2 / (4 * total ** 2));
  return [count === 0 ? 0 : centre - half, count === total ? 1 : centre + half];
}

const BINS = 15;

function calibrate(outcomes: readonly Outcome[]): OutcomeSummary['calibration'] {
  const binOf = ({ confidence }: Outcome) =>
    Math.min(BINS - 1, Math.max(0, Math.ceil(confidence * BINS) - 1));
  const bins = [...groups(outcomes, binOf)]
    .sort(([a], [b]) => a - b)
    .map(([bin, own]) => ({
      from: bin / BINS,
      to: (bin + 1) / BINS,
      images: own.length,
      confidence: own.reduce((sum, { confidence }) => sum + confidence, 0) / own.length,
      accuracy: own.filter(({ rank }) => rank === 0).length / own.length,
    }));
  const expectedError = bins.reduce(
    (sum, { images, confidence, accuracy }) =>
      sum + (images / outcomes.length) * Math.abs(accuracy - confidence),
    0,
  );
  return { expectedError, bins };
}

function groups<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const found = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = found.get(key);
    if (group === undefined) found.set(key, [item]);
    else group.push(item);
  }
  return found;
}
