/**
 * The results of an evaluation as the first part of a report: figures, curves, confusions, and pictures of the
 * mistakes.
 */

import type { DecodeOptions } from '../../images/decode.ts';
import type { ClassFigures } from '../../images/evaluate/balance.ts';
import { balanceFacts, type Fact, percent } from '../../images/evaluate/balance-text.ts';
import type { LazySample, Sample } from '../../images/evaluate/evaluate-images.ts';
import type { Outcome } from '../../images/evaluate/outcome.ts';
import type { OutcomeSummary } from '../../images/evaluate/statistics.ts';
import type { Chart, ChartPoint } from '../../pages/chart.ts';
import type { ReportSection } from './data.ts';
import { confusionMatrix, MOST_CLASSES, missesOf } from './mistakes.ts';

/** With more classes, curves cannot be told apart: a page has four colours, one of which is for the guess. */
const MOST_CURVES = 3;

export interface EvaluatedImages {
  readonly summary: OutcomeSummary;
  readonly outcomes: readonly Outcome[];
  /** One path for each outcome. */
  readonly images: readonly (Sample | LazySample)[];
  /** The name of each class. */
  readonly classes: readonly string[];
  /** The options for decoding the files. */
  readonly decoding: DecodeOptions;
}

/** @param facts Rows below its own. */
export async function evaluationSections(
  title: string,
  { summary, outcomes, images, classes, decoding }: EvaluatedImages,
  facts: readonly Fact[] = [],
): Promise<ReportSection[]> {
  const name = (label: number) => classes[label] ?? `class ${label}`;
  const isSmall = classes.length <= MOST_CLASSES;
  const pictures = await missesOf(outcomes, images, classes, decoding);
  return [
    {
      title,
      leads: true,
      rows: [...balanceFacts(summary, name), ...(isSmall ? [] : confusionFacts(summary, name)), ...facts],
      ...(isSmall ? { confusions: confusionMatrix(outcomes, classes) } : {}),
    },
    ...(pictures.length === 0
      ? []
      : [{ title: 'The most confident mistakes', leads: true, rows: [], pictures }]),
    ...(isSmall ? [classSection(summary, name)] : []),
  ];
}

const confusionFacts = ({ confusions }: OutcomeSummary, name: (label: number) => string): Fact[] =>
  confusions
    .slice(0, 20)
    .map(({ label, predicted, count }) => [`${name(label)} classified as ${name(predicted)}`, `${count}`]);

/** The curve of each class against all others. */
function classSection({ balance }: OutcomeSummary, name: (label: number) => string): ReportSection {
  const scored = balance.classes.flatMap(({ scores, ...each }) =>
    scores === null ? [] : [{ ...each, scores }],
  );
  // With two classes, one curve is the mirror image of the other.
  const charts = curvesOf(scored, name, scored.length === 2 ? 1 : MOST_CURVES);
  return {
    title: 'Class by class',
    rows: [],
    table: {
      head: ['class', 'images', 'recall', 'precision', 'F1', 'AUC', 'average precision'],
      rows: balance.classes.map((each) => [
        name(each.label),
        `${each.images}`,
        percent(each.recall),
        each.precision === null ? '–' : percent(each.precision),
        each.f1.toFixed(3),
        each.scores?.auc.toFixed(3) ?? '–',
        each.scores?.averagePrecision.toFixed(3) ?? '–',
      ]),
    },
    charts,
  };
}

type Scored = Pick<ClassFigures, 'label' | 'images'> & {
  readonly scores: NonNullable<ClassFigures['scores']>;
};

/** ROC and precision over recall, for the rarest classes. */
export function curvesOf(
  classes: readonly Scored[],
  name: (label: number) => string,
  most = MOST_CURVES,
): Chart[] {
  const drawn = [...classes].sort((a, b) => a.images - b.images || a.label - b.label).slice(0, most);
  return drawn.length === 0 ? [] : [rocChart(drawn, name), precisionRecallChart(drawn, name)];
}

const share = (label: string) => ({ label, percent: true, zero: true, reach: 1 });

function rocChart(classes: readonly Scored[], name: (label: number) => string): Chart {
  return {
    title: 'ROC',
    summary: classes.map(({ label, scores }) => `${name(label)}: AUC ${scores.auc.toFixed(3)}`).join('; '),
    x: share('false positives, 1 − specificity'),
    y: share('sensitivity'),
    series: [
      ...classes.map(({ label, scores }) => ({
        name: name(label),
        shape: 'line' as const,
        points: [
          [0, 0] as ChartPoint,
          ...scores.curve.map(
            ({ falsePositiveRate, truePositiveRate }): ChartPoint => [falsePositiveRate, truePositiveRate],
          ),
        ],
      })),
      {
        name: 'guessing',
        shape: 'dotted line' as const,
        points: [
          [0, 0],
          [1, 1],
        ] as ChartPoint[],
      },
    ],
  };
}

function precisionRecallChart(classes: readonly Scored[], name: (label: number) => string): Chart {
  return {
    title: 'Precision and recall',
    summary: classes
      .map(({ label, scores }) => `${name(label)}: average precision ${scores.averagePrecision.toFixed(3)}`)
      .join('; '),
    x: share('recall'),
    y: share('precision'),
    series: classes.map(({ label, scores }) => ({
      name: name(label),
      shape: 'line' as const,
      points: scores.curve.map(
        ({ truePositiveRate, precision }): ChartPoint => [truePositiveRate, precision],
      ),
    })),
  };
}
