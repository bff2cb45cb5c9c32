/** `resnode evaluate` for nets whose classes do not exclude each other: images with several labels. */
import { ArgumentError, ImageError } from '../base/errors.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { readLabelList } from '../data/label-list.ts';
import type { Device } from '../device/device.ts';
import type { Model } from '../device/model.ts';
import type { SkippedImage } from '../images/evaluate/evaluate-images.ts';
import { openProgressFile } from '../images/evaluate/progress-file.ts';
import { evaluationRecipe, fileHash } from '../images/evaluate/recipe.ts';
import {
  type EvaluatedLabels,
  evaluateLabels,
  type LabelsOutcome,
  summariseLabels,
} from '../images/evaluate/several-labels.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readLabels } from '../images/labels.ts';
import { decodingOf, type Preprocess } from '../images/preprocess.ts';
import { writeLabelsReport } from '../train/report/evaluation-report.ts';
import type { EvaluateFlags, Job } from './evaluation-job.ts';
import { interruptible } from './interruptible.ts';
import { precisionOf } from './options.ts';
import { labelLines } from './print-evaluation.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { isFirst, placeOf, type Share } from './share.ts';

export interface LabelsFlags extends EvaluateFlags, ProgressFlags {
  out?: string;
  resume?: string;
  report?: string;
  specificity?: number[];
  json?: boolean;
}

/** Flags of evaluate that apply only to nets with one class per image. */
const OTHERS = {
  replay: '--replay',
  multiScale: '--multi-scale',
} as const;

/** The loaded model and its device. */
interface Loaded {
  readonly device: Device;
  readonly model: Model;
  readonly classes: number;
  readonly share: Share;
  /** The title of the net. */
  readonly title: string;
}

interface Opening {
  readonly preprocess: Preprocess;
  readonly batch: number;
  readonly classes: number;
  readonly device: Device;
}

/** The part that only the first process does: it reads the list, identifies the evaluation and restores earlier progress. */
async function open(job: Job, { resume }: LabelsFlags, { preprocess, batch, classes, device }: Opening) {
  const { model, weights, crops, source } = job;
  const { images } = readLabelList(source.images, { classes });
  const recipe = await evaluationRecipe({
    ...{ model, weights, preprocess, crops, batch, device },
    ...precisionOf(job),
  });
  const { sha256 } = await fileHash(source.images);
  const identity = { recipe, source: { ...source, sha256 } };
  const kept = resume === undefined ? null : openProgressFile<LabelsOutcome>(resume, identity);
  return { images: images.slice(0, source.limit ?? undefined), identity, kept };
}

/** @throws ArgumentError for flags that do not apply */
export function checkLabelsFlags(flags: LabelsFlags): void {
  for (const [name, flag] of Object.entries(OTHERS))
    if ((flags as unknown as Record<string, unknown>)[name] !== undefined)
      throw new ArgumentError(
        flag,
        'none where images have several labels',
        (flags as unknown as Record<string, unknown>)[name],
      );
}

/** @throws the errors of `evaluateLabels` */
export async function evaluateLabelList(
  job: Job,
  flags: LabelsFlags,
  { device, model, classes, share, title }: Loaded,
): Promise<void> {
  const { source, crops } = job;
  const labels = source.labels === null ? null : readLabels(source.labels, classes);
  const name = (label: number) => labels?.[label] ?? `class ${label}`;
  const preprocess = job.preprocess(imageInput(model).size);
  const batch = job.batch ?? (crops === 10 ? 1 : 8);
  const opened = isFirst(share) ? await open(job, flags, { preprocess, batch, classes, device }) : null;
  const kept = opened?.kept ?? null;
  const first = kept?.resume?.done ?? 0;
  const { own, total } = await share.deal(batch, async () => opened!.images.slice(first));
  const progress = new Progress('images', first + total, flags, first);
  const outcomes: LabelsOutcome[] = [...(kept?.resume?.outcomes ?? [])];
  const skipped: SkippedImage[] = [...(kept?.resume?.skipped ?? [])];
  const work = async (put: (part: EvaluatedLabels) => void, signal: AbortSignal) => {
    let [judged, broken] = [0, 0];
    await evaluateLabels(model, own, {
      ...{ preprocess, crops, batch, signal, skipBroken: true },
      ...job.limits,
      onProgress: (_, soFar) => {
        const found = soFar.outcomes
          .slice(judged)
          .map((each) => ({ ...each, sample: first + placeOf(each.sample!, batch, share) }));
        put({ outcomes: found, skipped: soFar.skipped.slice(broken) });
        [judged, broken] = [soFar.outcomes.length, soFar.skipped.length];
      },
    });
  };
  const take = (part: EvaluatedLabels) => {
    outcomes.push(...part.outcomes);
    skipped.push(...part.skipped);
    const done = outcomes.length + skipped.length;
    kept?.update({ done, outcomes, skipped });
    progress.update(done);
  };
  const isWhole = await interruptible(flags.resume !== undefined, kept, first + total, (signal) =>
    share.collect(Math.ceil(total / batch), work, take, signal),
  );
  progress.end();
  if (!isWhole || opened === null) return;
  const { images, identity } = opened;
  for (const { reason } of skipped) console.error(`resnode: skipped: ${reason}`);
  if (skipped.length > 0 && !source.skipBroken) process.exitCode = 1;
  if (skipped.length === images.length)
    throw new ImageError('image/none-left', undefined, 'no image could be read; see above');
  const { specificity: specificities } = flags;
  const summary = summariseLabels(outcomes, specificities === undefined ? {} : { specificities });
  if (flags.report !== undefined)
    await writeLabelsReport(flags.report, title, {
      ...{ summary, outcomes, images, decoding: decodingOf(preprocess, job.limits) },
      classes: Array.from({ length: classes }, (_, label) => name(label)),
    });
  kept?.remove();
  const result = { format: 'resnode-labels-evaluation/1', ...summary, skipped, labels, ...identity };
  if (flags.out !== undefined) writeFileAtomically(flags.out, [`${JSON.stringify(result, null, 2)}\n`]);
  if (flags.json) console.log(JSON.stringify(result));
  else console.log([`${outcomes.length} images`, ...labelLines(summary, name)].join('\n'));
}
