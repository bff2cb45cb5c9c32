/** Derives the outcome of one image from its scores. */
import { ArgumentError } from '../../base/errors.ts';
import { anything, integer, list, number } from '../../base/kinds.ts';
import { fields, optional, required, signature } from '../../base/options.ts';
import { numbers } from './roc.ts';

/** The outcome of one image. */
export interface Outcome {
  /** The true class. */
  readonly label: number;
  /** The class with the highest score; if the true class ties with another one, the other one. */
  readonly predicted: number;
  /** The highest score, which is a probability. */
  readonly confidence: number;
  /** The number of other classes whose score is at least the true class's: 0 is a top-1 hit, below 5 a top-5 hit. */
  readonly rank: number;
  /** The scores of all classes, for ROC and precision-recall; evaluateImages keeps those of up to 30 classes. */
  readonly scores?: readonly number[];
  /** The index among the samples of evaluateImages, which may skip some. */
  readonly sample?: number;
}

const OUTCOME_OF = signature('outcomeOf', {
  scores: required(numbers, 'The scores, one per class.'),
  label: required(anything, 'The true class, as an integer.'),
});

/**
 * Ranks one image. Ties count against the true class, as in Caffe's accuracy_layer.cpp. Unlike there, where a NaN counts as
 * a hit, scores must be finite.
 * @throws ArgumentError
 */
export function outcomeOf(scores: ArrayLike<number>, label: number): Outcome {
  OUTCOME_OF.check(scores, label);
  if (!(Number.isInteger(label) && label >= 0 && label < scores.length))
    throw new ArgumentError('label', `a class from 0 to ${scores.length - 1}`, label);
  const own = scores[label]!;
  let other = -1;
  let rank = 0;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!;
    if (!Number.isFinite(score)) throw new ArgumentError(`the score of class ${i}`, 'a finite number', score);
    if (i === label) continue;
    if (score >= own) rank++;
    if (other < 0 || score > scores[other]!) other = i;
  }
  const predicted = rank === 0 ? label : other;
  return { label, predicted, confidence: scores[predicted]!, rank };
}

/** A result of `outcomeOf`. */
export const outcome = fields<Outcome>('an outcome of outcomeOf', {
  label: required(integer(0), 'The true class.'),
  predicted: required(integer(0), 'The class with the highest score.'),
  confidence: required(number(), 'The highest score.'),
  rank: required(integer(0), "The number of other classes whose score is at least the true class's."),
  scores: optional(list(number()), 'none', 'The scores of all classes.'),
  sample: optional(integer(0), 'none', 'The index among the samples.'),
});
