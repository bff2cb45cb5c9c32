/** The results of an evaluation of images with several labels, as the first part of a report. */
import type { DecodeOptions } from '../../images/decode.ts';
import type { Fact } from '../../images/evaluate/balance-text.ts';
import {
  LABELS_HEAD,
  type LabelsOutcome,
  type LabelsSample,
  type LabelsSummary,
  labelFacts,
  labelRows,
} from '../../images/evaluate/several-labels.ts';
import type { ReportSection } from './data.ts';
import { curvesOf } from './evaluation-section.ts';
import { type Miss, picturesOf } from './mistakes.ts';

export interface EvaluatedLabelImages {
  readonly summary: LabelsSummary;
  readonly outcomes: readonly LabelsOutcome[];
  /** Indexed by the outcomes' `sample`. */
  readonly images: readonly LabelsSample[];
  /** The name of each class. */
  readonly classes: readonly string[];
  /** The options for decoding the files. */
  readonly decoding: DecodeOptions;
}

/** @param facts Rows below its own. */
export async function labelsSections(
  title: string,
  { summary, outcomes, images, classes, decoding }: EvaluatedLabelImages,
  facts: readonly Fact[] = [],
): Promise<ReportSection[]> {
  const name = (label: number) => classes[label] ?? `class ${label}`;
  const sizes = new Map(summary.classes.map((each) => [each.label, each.images]));
  const misses = outcomes.flatMap((outcome) => missesIn(outcome, images[outcome.sample!]!, summary, name));
  const pictures = await picturesOf(misses, sizes, decoding);
  const scored = summary.classes.flatMap(({ label, images, scores }) =>
    scores === null ? [] : [{ label, images, scores }],
  );
  return [
    {
      title,
      leads: true,
      rows: [...labelFacts(summary), ...facts],
      table: { head: LABELS_HEAD, rows: labelRows(summary, name) },
    },
    ...(pictures.length === 0
      ? []
      : [{ title: 'The most confident mistakes', leads: true, rows: [], pictures }]),
    { title: 'Class by class', rows: [], charts: curvesOf(scored, name) },
  ];
}

/** Each class of an image that was not predicted, and each predicted class that the image does not have. */
function missesIn(
  { labels, scores }: LabelsOutcome,
  image: LabelsSample,
  { threshold }: LabelsSummary,
  name: (label: number) => string,
): Miss[] {
  return scores.flatMap((score, label): Miss[] => {
    const [has, isPredicted] = [labels.includes(label), score >= threshold];
    if (has === isPredicted) return [];
    const caption = `${name(label)} ${has ? 'missed' : 'predicted, but absent'}, ${(100 * score).toFixed(0)}%`;
    return [{ image, label, sureness: has ? 1 - score : score, caption }];
  });
}
