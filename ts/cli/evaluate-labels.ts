/** `resnode evaluate` of a net whose classes do not exclude each other: images with several labels. */
import { ArgumentError, ImageError } from '../base/errors.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { readLabelList } from '../data/label-list.ts';
import type { Device } from '../device/device.ts';
import type { Model } from '../device/model.ts';
import type { SkippedImage } from '../images/evaluate/evaluate-images.ts';
import { evaluationRecipe } from '../images/evaluate/recipe.ts';
import {
  type EvaluatedLabels,
  evaluateLabels,
  type LabelsOutcome,
  summariseLabels,
} from '../images/evaluate/several-labels.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readLabels } from '../images/labels.ts';
import type { EvaluateFlags, Job } from './evaluation-job.ts';
import { precisionOf } from './options.ts';
import { labelLines } from './print-evaluation.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { isFirst, placeOf, type Share } from './share.ts';

export interface LabelsFlags extends EvaluateFlags, ProgressFlags {
  out?: string;
  specificity?: number[];
  json?: boolean;
}

/** Flags of evaluate that are for nets of one class an image. */
const OTHERS = {
  replay: '--replay',
  resume: '--resume',
  report: '--report',
  multiScale: '--multi-scale',
} as const;

/** What evaluates, and where. */
interface Loaded {
  readonly device: Device;
  readonly model: Model;
  readonly classes: number;
  readonly share: Share;
}

/** @throws ArgumentError for flags that are not for it; what `evaluateLabels` throws */
export async function evaluateLabelList(
  job: Job,
  flags: LabelsFlags,
  { device, model, classes, share }: Loaded,
): Promise<void> {
  for (const [name, flag] of Object.entries(OTHERS))
    if ((flags as unknown as Record<string, unknown>)[name] !== undefined)
      throw new ArgumentError(
        flag,
        'none where images have several labels',
        (flags as unknown as Record<string, unknown>)[name],
      );
  const { source, crops } = job;
  const labels = source.labels === null ? null : readLabels(source.labels, classes);
  const name = (label: number) => labels?.[label] ?? `class ${label}`;
  const preprocess = job.preprocess(imageInput(model).size);
  const batch = job.batch ?? (crops === 10 ? 1 : 8);
  const { own, total } = await share.deal(batch, async () =>
    readLabelList(source.images, { classes }).images.slice(0, source.limit ?? undefined),
  );
  const progress = new Progress('images', total, flags);
  const outcomes: LabelsOutcome[] = [];
  const skipped: SkippedImage[] = [];
  await share.collect<EvaluatedLabels>(
    Math.ceil(total / batch),
    async (put, signal) => {
      let [judged, broken] = [0, 0];
      await evaluateLabels(model, own, {
        ...{ preprocess, crops, batch, signal, skipBroken: true },
        ...job.limits,
        onProgress: (_, soFar) => {
          const found = soFar.outcomes
            .slice(judged)
            .map((each) => ({ ...each, sample: placeOf(each.sample!, batch, share) }));
          put({ outcomes: found, skipped: soFar.skipped.slice(broken) });
          [judged, broken] = [soFar.outcomes.length, soFar.skipped.length];
        },
      });
    },
    (part) => {
      outcomes.push(...part.outcomes);
      skipped.push(...part.skipped);
      progress.update(outcomes.length + skipped.length);
    },
  );
  progress.end();
  if (!isFirst(share)) return;
  for (const { reason } of skipped) console.error(`resnode: left out: ${reason}`);
  if (skipped.length > 0 && !source.skipBroken) process.exitCode = 1;
  if (skipped.length === total)
    throw new ImageError('image/none-left', undefined, 'no image is left; see above');
  const { specificity: specificities } = flags;
  const summary = summariseLabels(outcomes, specificities === undefined ? {} : { specificities });
  const recipe = await evaluationRecipe({
    ...{ model: job.model, weights: job.weights, preprocess, crops, batch, device },
    ...precisionOf(job),
  });
  const result = { format: 'resnode-labels-evaluation/1', ...summary, skipped, labels, source, recipe };
  if (flags.out !== undefined) writeFileAtomically(flags.out, [`${JSON.stringify(result, null, 2)}\n`]);
  if (flags.json) console.log(JSON.stringify(result));
  else console.log([`${outcomes.length} images`, ...labelLines(summary, name)].join('\n'));
}
