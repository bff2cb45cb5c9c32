/** Prints the results of an evaluation. */
import {
  aucText,
  averagePrecisionText,
  balanceFacts,
  percent,
  sensitivityText,
} from '../images/evaluate/balance-text.ts';
import type { EvaluationResult, ResultComparison } from '../images/evaluate/result.ts';
import { LABELS_HEAD, type LabelsSummary, labelFacts, labelRows } from '../images/evaluate/several-labels.ts';
import type { Share } from '../images/evaluate/statistics.ts';

/** The number of confusions that are printed by default. */
const MOST = 10;

/** The results for images with several labels: the means, then every class. */
export function labelLines(summary: LabelsSummary, name: (label: number) => string): string[] {
  const rows = [LABELS_HEAD, ...labelRows(summary, name)];
  const widths = LABELS_HEAD.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return [
    ...labelFacts(summary).map(([title, value]) => `${title}: ${value}`),
    ...rows.map(
      (row) =>
        `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[i]!))).join('  ')}`,
    ),
  ];
}

/** @param details Also prints every class, every confusion and the calibration. */
export function printEvaluation(result: EvaluationResult, details: boolean): void {
  const { images, top1, top5, published, confusions, skipped, calibration, recipe } = result;
  const name = (label: number) => result.labels?.[label] ?? `class ${label}`;
  const row = (title: string, { correct, error, interval: [low, high] }: Share, other?: number) =>
    console.log(
      `${title}  error ${percent(error)} (95% interval ${percent(low)} to ${percent(high)}), ${correct} right` +
        (other === undefined ? '' : `; published ${percent(other)}`),
    );
  const views =
    recipe.scales !== null
      ? `fully convolutional at ${recipe.scales.join(', ')}`
      : recipe.crops === 1
        ? '1 crop'
        : '10 crops';
  console.log(`${images} images, ${views}, ${result.imagesPerSecond.toFixed(1)} a second`);
  for (const [title, value] of balanceFacts(result, name)) console.log(`${title}: ${value}`);
  row('top-1', top1, published?.top1);
  row('top-5', top5, published?.top5);
  if (published !== null)
    console.log(`published: ${published.net}, ILSVRC 2012 validation, ${published.source}`);
  console.log(`expected calibration error ${percent(calibration.expectedError)}`);
  if (confusions.length > 0)
    console.log(details ? 'classified as another:' : 'most often classified as another:');
  for (const { label, predicted, count } of details ? confusions : confusions.slice(0, MOST))
    console.log(`  ${count} × ${name(label)} → ${name(predicted)}`);
  if (details) printTables(result, name);
  if (skipped.length > 0) console.log(`${skipped.length} left out:`);
  for (const { reason } of skipped) console.log(`  ${reason}`);
}

function printTables(
  { classes, balance, calibration }: EvaluationResult,
  name: (label: number) => string,
): void {
  const line = (...cells: readonly (string | number)[]) =>
    console.log(
      `  ${cells.map((cell, i) => (i === cells.length - 1 ? cell : String(cell).padStart(11))).join(' ')}`,
    );
  console.log('by class:');
  line('images', 'top-1 right', 'top-5 right', 'class');
  for (const { label, images, top1, top5 } of classes) line(images, top1, top5, name(label));
  line('recall', 'precision', 'F1', 'class');
  for (const { label, recall, precision, f1 } of balance.classes)
    line(percent(recall), precision === null ? '–' : percent(precision), f1.toFixed(3), name(label));
  if (balance.auc !== null) console.log('by class, against the others:');
  for (const { label, scores } of balance.classes)
    if (scores !== null)
      console.log(
        `  ${name(label)}: AUC ${aucText(scores)}, average precision ${averagePrecisionText(scores)}, sensitivity ${sensitivityText(scores)}`,
      );
  console.log('by confidence:');
  line('from', 'to', 'images', 'confidence', 'right');
  for (const { from, to, images, confidence, accuracy } of calibration.bins)
    line(percent(from), percent(to), images, percent(confidence), percent(accuracy));
}

export function printComparison(file: string, comparison: ResultComparison): void {
  const { equal, differing, calibrationDifference, changes } = comparison;
  if (equal === 'bits') console.log(`the same as ${file}, to the last bit`);
  else if (equal === 'counts')
    console.log(
      `the same counts as ${file}; confidences differ: expected calibration error by ${calibrationDifference.toExponential(1)}`,
    );
  else console.log(`different from ${file}: ${differing.join(', ')} differ`);
  for (const change of changes) console.log(`  ${change}`);
}
