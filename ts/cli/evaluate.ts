/** `resnode evaluate` */

import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { Command } from 'commander';
import { isIndependent } from '../architectures/training-net.ts';
import { ArgumentError, ImageError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import {
  defaultBatch,
  type Evaluated,
  evaluateImages,
  type LazySample,
  type Sample,
  type SkippedImage,
} from '../images/evaluate/evaluate-images.ts';
import { fullyConvolutional } from '../images/evaluate/fully-convolutional.ts';
import { PAPER_SCALES } from '../images/evaluate/image-scorers.ts';
import type { Outcome } from '../images/evaluate/outcome.ts';
import { openProgressFile, type ProgressFile } from '../images/evaluate/progress-file.ts';
import { publishedErrors } from '../images/evaluate/published.ts';
import { evaluationRecipe } from '../images/evaluate/recipe.ts';
import {
  compareResults,
  type EvaluationResult,
  RESULT_FORMAT,
  readResult,
} from '../images/evaluate/result.ts';
import { readSamples, type Samples } from '../images/evaluate/samples.ts';
import { summariseOutcomes } from '../images/evaluate/statistics.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readLabels } from '../images/labels.ts';
import { decodingOf } from '../images/preprocess.ts';
import { writeEvaluationReport } from '../train/report/evaluation-report.ts';
import { checkReportFile } from '../train/report/report.ts';
import { checkLabelsFlags, evaluateLabelList } from './evaluate-labels.ts';
import { checkTaskFlags, evaluateTask, type TaskFlags, taskOptions } from './evaluate-task.ts';
import { type EvaluateFlags, type Job, jobOf, replayJob } from './evaluation-job.ts';
import { flag, own } from './flag.ts';
import { sayIgnored } from './image-files.ts';
import { interruptible } from './interruptible.ts';
import {
  anyPrecisionOption,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  precisionOf,
  readFilteredNet,
} from './options.ts';
import { PREPROCESS_ATTRIBUTES, preprocessOptions } from './preprocess-options.ts';
import { printComparison, printEvaluation } from './print-evaluation.ts';
import { type ProcessFlags, processOptions } from './processes.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { isFirst, placeOf, type Share, shared } from './share.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends EvaluateFlags, WeightsFlags, InputShapeFlags, ProgressFlags, ProcessFlags {
  replay?: string;
  resume?: string;
  out?: string;
  report?: string;
  specificity?: number[];
  details?: boolean;
  json?: boolean;
}

export function evaluate(): Command {
  const command = new Command()
    .addOption(own('deployModel'))
    .addOption(own('weights'))
    .addOption(own('labelledImages'))
    .addOption(flag('readSamples', 'databaseOrder', '--database-order <order>'))
    .addOption(own('labels'))
    .addOption(flag('evaluateImages', 'crops', '--crops <n>', 1))
    .addOption(own('multiScale').preset(PAPER_SCALES.join(',')).conflicts(['crops', 'shorterSide', 'resize']))
    .addOption(flag('evaluateImages', 'batch', '--batch <n>'))
    .addOption(own('limit'))
    .addOption(own('skipBroken'))
    .addOption(own('progress'))
    .addOption(own('resume'))
    .addOption(
      own('replay').conflicts([
        'crops',
        'multiScale',
        'batch',
        'limit',
        'skipBroken',
        'precision',
        'specificity',
        ...PREPROCESS_ATTRIBUTES.filter((name) => name !== 'mean'),
      ]),
    )
    .addOption(own('outResult'))
    .addOption(own('evaluationReport'))
    .addOption(flag('summariseOutcomes', 'specificities', '--specificity <shares>'))
    .addOption(own('details'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
With --replay, the flags --model, --weights, --images, --labels, --mean and --preprocess name files that have moved; their contents
must be the same. The exit status is 1 if the results differ.

With --task detect or segment, --images takes image files, folders or lists, and --truth the ground truth. The figures are mean average
precision as PASCAL VOC 2007, 2010 and COCO define it, or pixel accuracy, mean accuracy and mean IU.

Examples:
  resnode evaluate --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --images ILSVRC2012_val/ --labels synset_words.txt --out result.json
  resnode evaluate --model lesions --images held-out/ --report report.html --specificity 0.95,0.99
  resnode evaluate --replay result.json
  mpirun -n 4 resnode evaluate --model lesions --images held-out/ --threads 2
  resnode evaluate --task detect --model ssd/ --images VOC2007/JPEGImages --truth VOC2007/Annotations
  resnode evaluate --task segment --model fcn8s/ --images val.txt --truth VOC2012/SegmentationClass`,
    );
  weightsOptions(command);
  taskOptions(command);
  const options = inputShapeOption(
    anyPrecisionOption(deviceOptions(preprocessOptions(processOptions(command)))),
  );
  return options.action(async (flags: Flags & TaskFlags) => {
    checkTaskFlags(command, flags.task);
    if (flags.report !== undefined) checkReportFile(flags.report);
    const before = flags.replay === undefined ? null : readResult(flags.replay);
    for (const name of ['model', 'weights', 'images'] as const)
      if (before === null && flags[name] === undefined)
        command.error(
          `error: required option '${command.options.find((each) => each.attributeName() === name)!.flags}' not specified`,
          { exitCode: 2 },
        );
    return shared(command, flags, async (share) => {
      if (flags.task !== 'classify') return evaluateTask(flags, share);
      const job = before === null ? jobOf(flags) : await replayJob(before, flags);
      const result = await run(job, flags, before, share);
      if (result !== null) tell(result, flags, before);
    });
  });
}

/** Prints the result and writes it. */
function tell(result: EvaluationResult, flags: Flags, before: EvaluationResult | null): void {
  if (flags.out !== undefined) writeFileAtomically(flags.out, [`${JSON.stringify(result, null, 2)}\n`]);
  const comparison = before === null ? null : compareResults(before, result);
  if (flags.json)
    console.log(JSON.stringify(comparison === null ? result : { ...result, replay: comparison }));
  else {
    printEvaluation(result, flags.details ?? false);
    if (comparison !== null) printComparison(flags.replay!, comparison);
  }
  if (comparison !== null && comparison.equal === 'none') process.exitCode = 1;
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** The result of a batch. */
type Part = Evaluated & { readonly images: number };

/** Null if the evaluation was interrupted or its result is already printed, and in all processes except the first. */
async function run(
  job: Job,
  flags: Flags,
  before: EvaluationResult | null,
  share: Share,
): Promise<EvaluationResult | null> {
  const { model, weights, crops, scales, batch = defaultBatch(crops), source } = job;
  const net = readFilteredNet(model);
  const hasSeveralLabels = isIndependent(net) && isFile(source.images);
  if (hasSeveralLabels) checkLabelsFlags(flags);
  await using device = await openFlagged(job, share.communicator);
  await using loaded = await share.inTurn(() =>
    device.load({
      model: scales === undefined ? net : fullyConvolutional(net),
      weights,
      ...matchOf(flags),
      batch: scales === undefined ? batch * crops : 2,
      inputShapes: flags.inputShape,
      ...precisionOf(job),
      // Nearly every image has another size, so measuring algorithms does not pay off.
      ...(scales === undefined ? {} : { tune: false }),
    }),
  );
  const classes = elementCount(Object.values(loaded.outputs).at(-1)!.slice(1));
  if (hasSeveralLabels) {
    const title = net.name ?? basename(model);
    await evaluateLabelList(job, flags, { device, model: loaded, classes, share, title });
    return null;
  }
  const labels = source.labels === null ? undefined : readLabels(source.labels, classes);
  const preprocess = job.preprocess(imageInput(loaded).size);
  const decoding = decodingOf(preprocess, job.limits);
  const { databaseOrder } = source;
  using samples = new SharedSamples(source.images, {
    ...{ classes, labels, decoding, databaseOrder: databaseOrder ?? undefined },
  });
  const open = async (): Promise<Opened> => {
    const { samples: all, matchedBy, sha256, ignored } = samples.whole;
    sayIgnored(source.images, ignored);
    if (before !== null && sha256 !== before.source.sha256)
      throw new ArgumentError(
        'images',
        'the images and classes of the result',
        `${source.images} with others`,
      );
    const recipe = await evaluationRecipe({
      model,
      weights,
      preprocess,
      crops,
      scales,
      batch,
      device,
      ...precisionOf(job),
    });
    const identity = { recipe, source: { ...source, matchedBy, sha256 } };
    const kept = flags.resume === undefined ? null : openProgressFile(flags.resume, identity);
    return { images: all.slice(0, source.limit ?? undefined), identity, kept };
  };
  const opened = isFirst(share) ? await open() : null;
  const kept = opened?.kept ?? null;
  const first = kept?.resume?.done ?? 0;
  const { own, total } = await share.deal(batch, async () =>
    samples.places.slice(first, opened!.images.length),
  );
  const begin = performance.now();
  const progress = new Progress('images', first + total, flags, first);
  const outcomes: Outcome[] = [...(kept?.resume?.outcomes ?? [])];
  const skipped: SkippedImage[] = [...(kept?.resume?.skipped ?? [])];
  let done = first;
  const work = async (put: (part: Part) => void, signal: AbortSignal) => {
    let [images, judged, broken] = [0, 0, 0];
    await evaluateImages(loaded, samples.at(own), {
      ...{ preprocess, batch, signal, skipBroken: true },
      ...job.limits,
      ...(scales === undefined ? { crops } : { scales }),
      onProgress: (now, soFar) => {
        const found = soFar.outcomes
          .slice(judged)
          .map((each) => ({ ...each, sample: first + placeOf(each.sample!, batch, share) }));
        put({ outcomes: found, skipped: soFar.skipped.slice(broken), images: now - images });
        [images, judged, broken] = [now, soFar.outcomes.length, soFar.skipped.length];
      },
    });
  };
  const take = (part: Part) => {
    outcomes.push(...part.outcomes);
    skipped.push(...part.skipped);
    done += part.images;
    kept?.update({ done, outcomes, skipped });
    progress.update(done);
  };
  const isWhole = await interruptible(flags.resume !== undefined, kept, first + total, (signal) =>
    share.collect(Math.ceil(total / batch), work, take, signal),
  );
  progress.end();
  if (!isWhole || opened === null) return null;
  const { images, identity } = opened;
  for (const { reason } of skipped) console.error(`resnode: skipped: ${reason}`);
  if (skipped.length > 0) {
    console.error(`resnode: skipped ${skipped.length} of ${images.length} images, which cannot be read`);
    if (!source.skipBroken) process.exitCode = 1;
    if (skipped.length === images.length)
      throw new ImageError('image/none-left', undefined, 'no image could be read; see above');
  }
  const specificities = flags.specificity ?? specificitiesOf(before);
  const summary = summariseOutcomes(outcomes, specificities === undefined ? {} : { specificities });
  const imagesPerSecond = (1000 * total) / (performance.now() - begin);
  if (flags.report !== undefined)
    await writeEvaluationReport(flags.report, net.name ?? basename(model), {
      ...{ summary, outcomes, images, decoding },
      classes: labels ?? Array.from({ length: classes }, (_, label) => `class ${label}`),
    });
  const isPaper = scales === undefined || String(scales) === String(PAPER_SCALES);
  kept?.remove();
  return {
    format: RESULT_FORMAT,
    ...summary,
    skipped,
    published: isPaper ? publishedErrors(net, scales === undefined ? crops : 'multi-scale') : null,
    labels: labels ?? null,
    imagesPerSecond,
    ...identity,
  };
}

/** The specificities of an earlier result; undefined if it has none, as results of earlier versions. */
const specificitiesOf = (before: EvaluationResult | null): number[] | undefined =>
  before?.balance?.classes
    .find(({ scores }) => scores !== null)
    ?.scores?.sensitivityAt.map(({ specificity }) => specificity);

/** What only the first process opens. */
interface Opened {
  readonly images: Samples['samples'];
  readonly identity: Pick<EvaluationResult, 'recipe' | 'source'>;
  readonly kept: ProgressFile | null;
}

/** Samples that can be sent to another process as plain objects: files with their classes, or positions in a database. */
class SharedSamples implements Disposable {
  readonly #open: () => Samples;
  #whole: Samples | null = null;

  constructor(...of: Parameters<typeof readSamples>) {
    this.#open = () => readSamples(...of);
  }

  /**
   * All samples, which are listed at the first access.
   * @throws as `readSamples`
   */
  get whole(): Samples {
    this.#whole ??= this.#open();
    return this.#whole;
  }

  get places(): readonly (Sample | number)[] {
    return this.whole.samples.map((sample, i) => (typeof sample === 'function' ? i : sample));
  }

  at(places: readonly (Sample | number)[]): (Sample | LazySample)[] {
    return places.map((place) => (typeof place === 'number' ? this.whole.samples[place]! : place));
  }

  [Symbol.dispose](): void {
    this.#whole?.close();
  }
}
