/**
 * Evaluates a net whose classes do not exclude each other, on images with several labels or none, with figures for each
 * class.
 */

import { ArgumentError } from '../../base/errors.ts';
import { callback, integer, list, number } from '../../base/kinds.ts';
import { fields, optional, options, required, signature } from '../../base/options.ts';
import { type Model, model } from '../../device/model.ts';
import { imageInput } from '../features/image-input.ts';
import type { DeepImage, Image } from '../image.ts';
import { type Fact, percent } from './balance-text.ts';
import {
  checkCrop,
  type EvaluateOptions,
  evaluateRows,
  evaluateWith,
  imageOfSample,
  type SkippedImage,
} from './evaluate-images.ts';
import { scoreCrops } from './image-scorers.ts';
import { type BinaryFigures, type BinaryOptions, binaryFigures, binaryRows } from './roc.ts';
import { scoresOf } from './scores.ts';

export interface LabelsSample {
  /** A path, or pixels. */
  readonly image: string | Image | DeepImage;
  /** The classes of the image, in order; [] if it has none. */
  readonly labels: readonly number[];
}

export interface LabelsOutcome {
  readonly labels: readonly number[];
  /** The probability of each class. */
  readonly scores: readonly number[];
  /** The index among the samples. */
  readonly sample?: number;
}

export type EvaluateLabelsOptions = Omit<EvaluateOptions, 'scales' | 'resume' | 'onProgress'> & {
  /** Called after each run with the number of images done and the results so far. */
  readonly onProgress?: (done: number, soFar: EvaluatedLabels) => void;
};

/** The results for images with several labels. */
export interface EvaluatedLabels {
  /** One per image, in order, without skipped ones. */
  readonly outcomes: readonly LabelsOutcome[];
  readonly skipped: readonly SkippedImage[];
}

const EVALUATE_LABELS = signature('evaluateLabels', {
  model: required(model, 'A net that ends in Sigmoid.'),
  samples: required(
    list(
      fields<LabelsSample>('a sample, { image, labels }', {
        image: required(imageOfSample, 'The image: a path, or pixels.'),
        labels: required(list(integer(0), { of: 'classes' }), 'The classes of the image.'),
      }),
      { of: 'samples' },
    ),
    'The images with their classes.',
  ),
  options: required(
    options<EvaluateLabelsOptions>({
      ...evaluateRows,
      onProgress: optional(
        callback<NonNullable<EvaluateLabelsOptions['onProgress']>>(),
        'none',
        'Called after each run.',
      ),
    }),
    'How to evaluate.',
  ),
});

/**
 * Computes the probabilities of all classes for every sample; images of the next run are decoded during a run.
 * @throws ArgumentError for a net whose classes exclude each other, a label that is not a class, or non-finite scores; the
 * errors of `evaluateImages`
 * @example
 * const { images } = readLabelList('findings.txt', { classes: 14 });
 * const { outcomes } = await evaluateLabels(model, images, { preprocess });
 * console.log(summariseLabels(outcomes).meanAveragePrecision);
 */
export async function evaluateLabels(
  model: Model,
  samples: readonly LabelsSample[],
  options: EvaluateLabelsOptions,
): Promise<EvaluatedLabels> {
  EVALUATE_LABELS.check(model, samples, options);
  const input = imageInput(model);
  const scores = scoresOf(model, input.name);
  if (!scores.independent)
    throw new ArgumentError(
      'model',
      'a net that ends in Sigmoid, whose classes do not exclude each other',
      model.summary().layers.at(-1)!.type,
    );
  for (const { image, labels } of samples) {
    const wrong = labels.find((label) => label >= scores.classes);
    if (wrong !== undefined)
      throw new ArgumentError(
        `a label of ${typeof image === 'string' ? image : image.file}`,
        `a class from 0 to ${scores.classes - 1}`,
        wrong,
      );
  }
  const { preprocess, crops = 1 } = options;
  checkCrop(preprocess, input);
  const scorer = scoreCrops(input, scores, preprocess, crops);
  return evaluateWith(scorer, samples, options, (row, { labels }): LabelsOutcome => {
    const found = Array.from(row);
    if (found.every(Number.isFinite)) return { labels, scores: found };
    throw new ArgumentError(
      'the scores of an image',
      'finite numbers',
      found.find((score) => !Number.isFinite(score)),
    );
  });
}

/** The figures of one class: images with it against images without it. */
export interface LabelFigures {
  readonly label: number;
  /** The images that have the class. */
  readonly images: number;
  /** The images whose probability of the class reaches the threshold. */
  readonly predicted: number;
  /** Null if no image has the class. */
  readonly recall: number | null;
  /** Null if the class was predicted for no image. */
  readonly precision: number | null;
  /**
   * The harmonic mean of both: 2·found / (images + predicted); null if no image has the class and it was never predicted.
   */
  readonly f1: number | null;
  /** Null if all images have the class, or none. */
  readonly scores: BinaryFigures | null;
}

export interface LabelsSummary {
  readonly images: number;
  /** The probability from which a class counts as predicted. */
  readonly threshold: number;
  /** All classes of the net. */
  readonly classes: readonly LabelFigures[];
  /** Means over the classes that some images have and others do not; null if there are none. */
  readonly meanAuc: number | null;
  readonly meanAveragePrecision: number | null;
  /** The share of images for which exactly their classes were predicted. */
  readonly subsetAccuracy: number;
  /** The share of wrong answers among all pairs of a class and an image. */
  readonly hammingLoss: number;
  /** Over all answers together; 0 if nothing was found. */
  readonly microF1: number;
  /** The mean of the F1 of the classes that have one. */
  readonly macroF1: number;
}

export interface LabelsOptions extends BinaryOptions {
  /** The probability from which a class counts as predicted. Default 0.5. */
  readonly threshold?: number;
}

const labelsOutcome = fields<LabelsOutcome>('an outcome of evaluateLabels', {
  labels: required(list(integer(0), { of: 'classes' }), 'The classes of the image.'),
  scores: required(list(number()), 'The scores of all classes.'),
  sample: optional(integer(0), 'none', 'The index among the samples.'),
});
const SUMMARISE_LABELS = signature('summariseLabels', {
  outcomes: required(list(labelsOutcome, { of: 'outcomes' }), 'The outcomes of evaluateLabels.'),
  options: optional(
    options<LabelsOptions>({
      ...binaryRows,
      threshold: optional(
        number({ from: 0, to: 1 }),
        '0.5',
        'The probability from which a class counts as predicted.',
      ),
    }),
    'none',
    'Which figures to compute.',
  ),
});

/**
 * Counts outcomes, per class and together (Zhang & Zhou, "A Review on Multi-Label Learning Algorithms", 2014, section 2.2).
 * @throws ArgumentError if there are none
 */
export function summariseLabels(
  outcomes: readonly LabelsOutcome[],
  options: LabelsOptions = {},
): LabelsSummary {
  SUMMARISE_LABELS.check(outcomes, options);
  if (outcomes.length === 0) throw new ArgumentError('outcomes', 'at least one image', 'none');
  const { threshold = 0.5 } = options;
  const count = outcomes[0]!.scores.length;
  const has = outcomes.map(({ labels }) => new Set(labels));
  let [found, images, predicted] = [0, 0, 0];
  const classes = Array.from({ length: count }, (_, label): LabelFigures => {
    const [positives, negatives]: [number[], number[]] = [[], []];
    outcomes.forEach(({ scores }, i) => (has[i]!.has(label) ? positives : negatives).push(scores[label]!));
    const countPredicted = (scores: readonly number[]) => scores.filter((score) => score >= threshold).length;
    const [right, wrong] = [countPredicted(positives), countPredicted(negatives)];
    found += right;
    images += positives.length;
    predicted += right + wrong;
    const all = positives.length + right + wrong;
    return {
      label,
      images: positives.length,
      predicted: right + wrong,
      recall: positives.length === 0 ? null : right / positives.length,
      precision: right + wrong === 0 ? null : right / (right + wrong),
      f1: all === 0 ? null : (2 * right) / all,
      scores:
        positives.length === 0 || negatives.length === 0
          ? null
          : binaryFigures(positives, negatives, binaryOf(options)),
    };
  });
  const exact = outcomes.filter(({ scores }, i) =>
    scores.every((score, label) => score >= threshold === has[i]!.has(label)),
  );
  const mean = (figure: (each: LabelFigures) => number | null | undefined) => {
    const values = classes.flatMap((each) => figure(each) ?? []);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  return {
    images: outcomes.length,
    threshold,
    classes,
    meanAuc: mean(({ scores }) => scores?.auc),
    meanAveragePrecision: mean(({ scores }) => scores?.averagePrecision),
    subsetAccuracy: exact.length / outcomes.length,
    hammingLoss: (images + predicted - 2 * found) / (count * outcomes.length),
    microF1: images + predicted === 0 ? 0 : (2 * found) / (images + predicted),
    macroF1: mean(({ f1 }) => f1) ?? 0,
  };
}

const binaryOf = ({ specificities }: BinaryOptions): BinaryOptions =>
  specificities === undefined ? {} : { specificities };

/** The results as facts, the means first. */
export function labelFacts(summary: LabelsSummary): Fact[] {
  const { meanAuc, meanAveragePrecision, classes, threshold } = summary;
  const scored = classes.filter(({ scores }) => scores !== null).length;
  const of =
    scored === classes.length
      ? `${scored} classes`
      : `the ${scored} of ${classes.length} classes that some images have and others do not`;
  return [
    ...(meanAuc === null ? [] : [['mean AUC', `${meanAuc.toFixed(3)} over ${of}`] as const]),
    ...(meanAveragePrecision === null
      ? []
      : [['mean average precision', meanAveragePrecision.toFixed(3)] as const]),
    [
      'all classes right (subset accuracy)',
      `${percent(summary.subsetAccuracy)} of ${summary.images} images, at a threshold of ${threshold}`,
    ],
    [
      'F1',
      `${summary.macroF1.toFixed(3)} as the mean over classes, ${summary.microF1.toFixed(3)} over all answers`,
    ],
    ['wrong answers (Hamming loss)', percent(summary.hammingLoss)],
  ];
}

/** The columns of a table with one row per class. */
export const LABELS_HEAD: readonly string[] = [
  'class',
  'images',
  'recall',
  'precision',
  'F1',
  'AUC (95% interval)',
  'average precision',
];

export function labelRows({ classes }: LabelsSummary, name: (label: number) => string): string[][] {
  const share = (value: number | null) => (value === null ? '–' : percent(value));
  return classes.map(({ label, images, recall, precision, f1, scores }) => [
    name(label),
    String(images),
    share(recall),
    share(precision),
    f1 === null ? '–' : f1.toFixed(3),
    scores === null
      ? '–'
      : `${scores.auc.toFixed(3)}${scores.interval === null ? '' : ` (${scores.interval.map((end) => end.toFixed(3)).join(' to ')})`}`,
    scores === null ? '–' : scores.averagePrecision.toFixed(3),
  ]);
}
