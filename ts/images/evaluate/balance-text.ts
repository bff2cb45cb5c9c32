/** The results of an evaluation as text, in their order of importance for unbalanced classes. */
import type { ClassFigures } from './balance.ts';
import { type OutcomeSummary, wilsonInterval } from './statistics.ts';

/** A name and a value, for a table or a line. */
export type Fact = readonly [name: string, value: string];

export const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

/**
 * Balanced accuracy, the recall of the rarest class, the share of right answers compared with always answering the most
 * frequent class, and the quality of the scores at other thresholds.
 * @param name Returns the name of a class.
 */
export function balanceFacts(summary: OutcomeSummary, name: (label: number) => string): Fact[] {
  const { images, top1, balance } = summary;
  const { classes, majority, rarest } = balance;
  const [low, high] = top1.interval;
  const rare = classes.find(({ label }) => label === rarest)!;
  const least = classes.reduce((worst, each) => (each.recall < worst.recall ? each : worst), rare);
  const always = `always "${name(majority.label)}" is right for ${percent(majority.share)}`;
  return [
    ...(classes.length === 1
      ? []
      : [
          [
            'balanced accuracy',
            `${percent(balance.balancedAccuracy)} over ${classes.length} classes (guessing: ${percent(1 / classes.length)})`,
          ] as const,
          foundOf(rare, name, 'the rarest class'),
          ...(least === rare ? [] : [foundOf(least, name, 'least found')]),
        ]),
    [
      'right',
      `${top1.correct} of ${images}: ${percent(1 - top1.error)} (95% interval ${percent(1 - high)} to ${percent(1 - low)}); ${always}${
        classes.length > 1 && 1 - top1.error <= majority.share ? ', no less than the net' : ''
      }`,
    ],
    ...scoreFacts(summary, rare, name),
  ];
}

function foundOf(
  { label, images, recall, precision }: ClassFigures,
  name: (label: number) => string,
  why: string,
): Fact {
  const found = Math.round(recall * images);
  const [low, high] = wilsonInterval(found, images);
  return [
    `recall of "${name(label)}", ${why}`,
    `${found} of ${images}: ${percent(recall)} (95% interval ${percent(low)} to ${percent(high)}), precision ${
      precision === null ? 'none: no image was classified as it' : percent(precision)
    }`,
  ];
}

/** For two classes the figures of the rarer one; for more the means. */
function scoreFacts(
  { images, balance: { classes, auc, averagePrecision } }: OutcomeSummary,
  { label, scores }: ClassFigures,
  name: (label: number) => string,
): Fact[] {
  if (auc === null || averagePrecision === null || scores === null) return [];
  if (classes.length > 2)
    return [
      ['mean AUC, each class against the others', auc.toFixed(3)],
      ['mean average precision', averagePrecision.toFixed(3)],
    ];
  return [
    [`AUC of "${name(label)}"`, aucText(scores)],
    [
      `average precision of "${name(label)}"`,
      `${averagePrecisionText(scores)} (guessing: ${(scores.positives / images).toFixed(3)})`,
    ],
    [`sensitivity to "${name(label)}"`, sensitivityText(scores)],
  ];
}

type Scores = NonNullable<ClassFigures['scores']>;

/** `0.812 (95% interval 0.704 to 0.921)`. */
export function aucText({ auc, interval }: Scores): string {
  if (interval === null) return `${auc.toFixed(3)} (no interval: too few of a class, or perfectly separated)`;
  return `${auc.toFixed(3)} (95% interval ${interval.map((end) => end.toFixed(3)).join(' to ')})`;
}

export const averagePrecisionText = ({ averagePrecision }: Scores): string => averagePrecision.toFixed(3);

/** `83.3% at 90.0% specificity, 66.7% at 95.0%`. */
export const sensitivityText = ({ sensitivityAt }: Scores): string =>
  sensitivityAt
    .map(
      ({ specificity, sensitivity }, i) =>
        `${percent(sensitivity)} at ${percent(specificity)}${i === 0 ? ' specificity' : ''}`,
    )
    .join(', ');
