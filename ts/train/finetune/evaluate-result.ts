/** Evaluates a fine-tuned net on the images that were held out. */
import type { Model } from '../../device/model.ts';
import { balanceFacts, type Fact } from '../../images/evaluate/balance-text.ts';
import { evaluateImages } from '../../images/evaluate/evaluate-images.ts';
import {
  type EvaluateLabelsOptions,
  evaluateLabels,
  labelFacts,
  summariseLabels,
} from '../../images/evaluate/several-labels.ts';
import { summariseOutcomes } from '../../images/evaluate/statistics.ts';
import { decodingOf } from '../../images/preprocess.ts';
import type { ReportSection } from '../report/data.ts';
import { evaluationSections } from '../report/evaluation-section.ts';
import { labelsSections } from '../report/labels-section.ts';
import type { EvaluatedEvent, LabelsEvaluatedEvent } from './events.ts';
import type { FinetuneFiles } from './files.ts';
import { type FinetuneOptions, limitsOf } from './options.ts';
import type { Split } from './split.ts';

/** The results on the images that were held out. */
export interface Evaluation {
  readonly evaluated: EvaluatedEvent | LabelsEvaluatedEvent;
  readonly facts: readonly Fact[];
  sections(costs: readonly Fact[]): Promise<ReportSection[]>;
}

const HELD_OUT = 'Held-out images';

async function evaluateClasses(
  options: FinetuneOptions,
  files: FinetuneFiles,
  split: Split,
): Promise<Evaluation> {
  const { classes, val: images } = split;
  const { outcomes, imagesPerSecond } = await timed(options, files, split, (model, how) =>
    evaluateImages(model, images, how),
  );
  const summary = summariseOutcomes(outcomes);
  const decoding = decodingOf(files.preprocess, limitsOf(options));
  return {
    evaluated: { type: 'evaluated', summary, imagesPerSecond },
    facts: balanceFacts(summary, (label) => classes[label]!),
    sections: (costs) =>
      evaluationSections(HELD_OUT, { summary, outcomes, images, classes, decoding }, costs),
  };
}

async function evaluateSeveralLabels(
  options: FinetuneOptions,
  files: FinetuneFiles,
  split: Split,
): Promise<Evaluation> {
  const samples = split.val.map(({ image, labels = [] }) => ({ image, labels }));
  const { outcomes, imagesPerSecond } = await timed(options, files, split, (model, how) =>
    evaluateLabels(model, samples, how),
  );
  const summary = summariseLabels(outcomes);
  const { classes } = split;
  const decoding = decodingOf(files.preprocess, limitsOf(options));
  return {
    evaluated: { type: 'evaluatedLabels', summary, imagesPerSecond },
    facts: labelFacts(summary),
    sections: (costs) =>
      labelsSections(HELD_OUT, { summary, outcomes, images: samples, classes, decoding }, costs),
  };
}

async function timed<Result>(
  { device, maxPixels, signal }: FinetuneOptions,
  { paths, preprocess }: FinetuneFiles,
  { val }: Split,
  evaluate: (model: Model, how: Omit<EvaluateLabelsOptions, 'onProgress'>) => Promise<Result>,
): Promise<Result & { imagesPerSecond: number }> {
  const batch = Math.min(8, val.length);
  await using model = await device.load({ model: paths.model, weights: paths.weights, batch });
  const begin = performance.now();
  const result = await evaluate(model, {
    preprocess,
    batch,
    ...limitsOf({ maxPixels }),
    ...(signal === undefined ? {} : { signal }),
  });
  return { ...result, imagesPerSecond: (1000 * val.length) / (performance.now() - begin) };
}

/** Evaluates with the deploy net and `preprocess.json`, as the net's users will run it. */
export function evaluateResult(
  options: FinetuneOptions,
  files: FinetuneFiles,
  split: Split,
): Promise<Evaluation> {
  return (split.several ? evaluateSeveralLabels : evaluateClasses)(options, files, split);
}
