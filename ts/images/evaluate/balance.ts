/** Figures that remain meaningful with rare classes, when the share of right answers says little. */

import type { Outcome } from './outcome.ts';
import { type BinaryFigures, type BinaryOptions, binaryFigures } from './roc.ts';

/** The figures of one class against all others. */
export interface ClassFigures {
  readonly label: number;
  readonly images: number;
  /** The images that were classified as this class, correctly or not. */
  readonly predicted: number;
  /** The share of its images that were found (sensitivity). */
  readonly recall: number;
  /** The share of images classified as this class that belong to it; null if there are none. */
  readonly precision: number | null;
  /** The harmonic mean of recall and precision; 0 if nothing was found. */
  readonly f1: number;
  /** Figures by score; null if the scores were not kept, or if no other class occurs. */
  readonly scores: BinaryFigures | null;
}

/** The means give each class the same weight, however many images it has. */
export interface Balance {
  /** The classes that occur, in order. */
  readonly classes: readonly ClassFigures[];
  /** The mean of the recalls; guessing gives 1 over the number of classes. */
  readonly balancedAccuracy: number;
  /** Mean of F1. */
  readonly f1: number;
  /** Means over the classes; null without scores. */
  readonly auc: number | null;
  readonly averagePrecision: number | null;
  /** The most frequent class, and its share: the accuracy of always answering it. */
  readonly majority: { readonly label: number; readonly share: number };
  /** The first class with the fewest images, which is easily missed. */
  readonly rarest: number;
}

/** @param outcomes At least one outcome. */
export function balanceOf(outcomes: readonly Outcome[], options: BinaryOptions): Balance {
  const labels = [...new Set(outcomes.map(({ label }) => label))].sort((a, b) => a - b);
  const [images, predicted, right] = [
    new Map<number, number>(),
    new Map<number, number>(),
    new Map<number, number>(),
  ];
  const count = (of: Map<number, number>, key: number) => of.set(key, (of.get(key) ?? 0) + 1);
  for (const outcome of outcomes) {
    count(images, outcome.label);
    count(predicted, outcome.predicted);
    if (outcome.rank === 0) count(right, outcome.label);
  }
  const hasScores = labels.length > 1 && outcomes.every(({ scores }) => scores !== undefined);
  const classes = labels.map((label): ClassFigures => {
    const [all, taken, found] = [images.get(label)!, predicted.get(label) ?? 0, right.get(label) ?? 0];
    return {
      label,
      images: all,
      predicted: taken,
      recall: found / all,
      precision: taken === 0 ? null : found / taken,
      f1: (2 * found) / (all + taken),
      scores: hasScores ? oneAgainstAll(outcomes, label, options) : null,
    };
  });
  const mean = (figure: (each: ClassFigures) => number) =>
    classes.reduce((sum, each) => sum + figure(each), 0) / classes.length;
  const byImages = [...classes].sort((a, b) => a.images - b.images || a.label - b.label);
  const most = byImages.findLast(({ images }, i) => byImages[i - 1]?.images !== images)!;
  return {
    classes,
    balancedAccuracy: mean(({ recall }) => recall),
    f1: mean(({ f1 }) => f1),
    auc: hasScores ? mean(({ scores }) => scores!.auc) : null,
    averagePrecision: hasScores ? mean(({ scores }) => scores!.averagePrecision) : null,
    majority: { label: most.label, share: most.images / outcomes.length },
    rarest: byImages[0]!.label,
  };
}

function oneAgainstAll(outcomes: readonly Outcome[], label: number, options: BinaryOptions): BinaryFigures {
  const scoreOf = (some: readonly Outcome[]) => some.map(({ scores }) => scores![label]!);
  return binaryFigures(
    scoreOf(outcomes.filter((each) => each.label === label)),
    scoreOf(outcomes.filter((each) => each.label !== label)),
    options,
  );
}
