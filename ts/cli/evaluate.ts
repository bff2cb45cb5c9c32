/** `resnode evaluate` */

import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { Command } from 'commander';
import { isIndependent } from '../architectures/training-net.ts';
import { ArgumentError, ImageError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { defaultBatch, evaluateImages } from '../images/evaluate/evaluate-images.ts';
import { fullyConvolutional } from '../images/evaluate/fully-convolutional.ts';
import { PAPER_SCALES } from '../images/evaluate/image-scorers.ts';
import { openProgressFile, type ProgressFile } from '../images/evaluate/progress-file.ts';
import { publishedErrors } from '../images/evaluate/published.ts';
import { evaluationRecipe } from '../images/evaluate/recipe.ts';
import {
  compareResults,
  type EvaluationResult,
  RESULT_FORMAT,
  readResult,
} from '../images/evaluate/result.ts';
import { readSamples } from '../images/evaluate/samples.ts';
import { summariseOutcomes } from '../images/evaluate/statistics.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readLabels } from '../images/labels.ts';
import { decodingOf } from '../images/preprocess.ts';
import { writeEvaluationReport } from '../train/evaluation-report.ts';
import { checkReportFile } from '../train/report.ts';
import { evaluateLabelList } from './evaluate-labels.ts';
import { checkTaskFlags, evaluateTask, type TaskFlags, taskOptions } from './evaluate-task.ts';
import { type EvaluateFlags, type Job, jobOf, replayJob } from './evaluation-job.ts';
import { flag, own } from './flag.ts';
import { sayIgnored } from './image-files.ts';
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
import { Progress, type ProgressFlags } from './progress.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends EvaluateFlags, WeightsFlags, InputShapeFlags, ProgressFlags {
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
With --replay, --model, --weights, --images, --labels, --mean and --preprocess say where the files lie now, where that
is another place; their contents must be the same. Exit status 1 where the results differ.

With --task detect or segment --images are image files, folders or lists, and --truth says what is in them: mean average
precision as PASCAL VOC 2007, 2010 and COCO count it; pixel accuracy, mean accuracy and mean IU.

Examples:
  resnode evaluate --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --images ILSVRC2012_val/ --labels synset_words.txt --out result.json
  resnode evaluate --model lesions --images held-out/ --report report.html --specificity 0.95,0.99
  resnode evaluate --replay result.json
  resnode evaluate --task detect --model ssd/ --images VOC2007/JPEGImages --truth VOC2007/Annotations
  resnode evaluate --task segment --model fcn8s/ --images val.txt --truth VOC2012/SegmentationClass`,
    );
  weightsOptions(command);
  taskOptions(command);
  const options = inputShapeOption(anyPrecisionOption(deviceOptions(preprocessOptions(command))));
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
    if (flags.task !== 'classify') return evaluateTask(flags);
    const job = before === null ? jobOf(flags) : await replayJob(before, flags);
    const result = await run(job, flags, before);
    if (result === null) return;
    if (flags.out !== undefined) writeFileAtomically(flags.out, [`${JSON.stringify(result, null, 2)}\n`]);
    const comparison = before === null ? null : compareResults(before, result);
    if (flags.json)
      console.log(JSON.stringify(comparison === null ? result : { ...result, replay: comparison }));
    else {
      printEvaluation(result, flags.details ?? false);
      if (comparison !== null) printComparison(flags.replay!, comparison);
    }
    if (comparison !== null && comparison.equal === 'none') process.exitCode = 1;
  });
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** Null where it was interrupted, or is told already. */
async function run(
  job: Job,
  flags: Flags,
  before: EvaluationResult | null,
): Promise<EvaluationResult | null> {
  const { model, weights, crops, scales, batch = defaultBatch(crops), source } = job;
  const net = readFilteredNet(model);
  await using device = await openFlagged(job);
  await using loaded = await device.load({
    model: scales === undefined ? net : fullyConvolutional(net),
    weights,
    ...matchOf(flags),
    batch: scales === undefined ? batch * crops : 2,
    inputShapes: flags.inputShape,
    ...precisionOf(job),
    // Nearly every image is of another size: none is worth measuring for.
    ...(scales === undefined ? {} : { tune: false }),
  });
  const classes = elementCount(Object.values(loaded.outputs).at(-1)!.slice(1));
  if (isIndependent(net) && isFile(source.images)) {
    await evaluateLabelList(job, flags, { device, model: loaded, classes });
    return null;
  }
  const labels = source.labels === null ? undefined : readLabels(source.labels, classes);
  const preprocess = job.preprocess(imageInput(loaded).size);
  const {
    samples: all,
    matchedBy,
    sha256,
    ignored,
    close,
  } = readSamples(source.images, {
    ...{ classes, labels },
    databaseOrder: source.databaseOrder ?? undefined,
    decoding: decodingOf(preprocess, job.limits),
  });
  sayIgnored(source.images, ignored);
  try {
    if (before !== null && sha256 !== before.source.sha256)
      throw new ArgumentError(
        'images',
        'the images and classes of the result',
        `${source.images} with others`,
      );
    const samples = all.slice(0, source.limit ?? undefined);
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
    const begin = performance.now();
    const first = kept?.resume?.done ?? 0;
    const perSecond = (done: number) => (1000 * (done - first)) / (performance.now() - begin);
    const progress = new Progress('images', samples.length, flags, first);
    const evaluated = await interruptible(kept, samples.length, (signal) =>
      evaluateImages(loaded, samples, {
        preprocess,
        ...job.limits,
        ...(scales === undefined ? { crops } : { scales }),
        batch,
        skipBroken: true,
        ...(kept?.resume ? { resume: kept.resume } : {}),
        ...(signal === undefined ? {} : { signal }),
        onProgress: (done, soFar) => {
          kept?.update({ done, ...soFar });
          progress.update(done);
        },
      }),
    );
    progress.end();
    if (evaluated === null) return null;
    const { skipped } = evaluated;
    for (const { reason } of skipped) console.error(`resnode: left out: ${reason}`);
    if (skipped.length > 0) {
      console.error(`resnode: left out ${skipped.length} of ${samples.length} images, which cannot be read`);
      if (!source.skipBroken) process.exitCode = 1;
      if (skipped.length === samples.length)
        throw new ImageError('image/none-left', undefined, 'no image is left; see above');
    }
    const { outcomes } = evaluated;
    const { specificity: specificities } = flags;
    const summary = summariseOutcomes(outcomes, specificities === undefined ? {} : { specificities });
    if (flags.report !== undefined)
      await writeEvaluationReport(flags.report, net.name ?? basename(model), {
        ...{ summary, outcomes, images: samples },
        classes: labels ?? Array.from({ length: classes }, (_, label) => `class ${label}`),
        decoding: decodingOf(preprocess, job.limits),
      });
    const isPaper = scales === undefined || String(scales) === String(PAPER_SCALES);
    const result: EvaluationResult = {
      format: RESULT_FORMAT,
      ...summary,
      skipped,
      published: isPaper ? publishedErrors(net, scales === undefined ? crops : 'multi-scale') : null,
      labels: labels ?? null,
      imagesPerSecond: perSecond(samples.length),
      ...identity,
    };
    kept?.remove();
    return result;
  } finally {
    close();
  }
}

/** With a file to keep progress in, SIGINT and SIGTERM end the work in order; whatever ends it, the file is written. */
async function interruptible<Result>(
  kept: ProgressFile | null,
  images: number,
  work: (signal?: AbortSignal) => Promise<Result>,
): Promise<Result | null> {
  if (kept === null) return work();
  const controller = new AbortController();
  const stop = () => controller.abort();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.once(signal, stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    process.exitCode = 130;
    console.error(
      `resnode: stopped at ${kept.done} of ${images} images; the same command goes on from there`,
    );
    return null;
  } finally {
    kept.save();
    for (const signal of signals) process.off(signal, stop);
  }
}
