/** Fine-tuning from folders of images and a trained net to an evaluated and documented net for their classes. */

import { basename, dirname, join } from 'node:path';
import { ResnodeError } from '../../base/errors.ts';
import { checkNewFolder, writeModelReadme } from '../../caffe/model-folder.ts';
import { writeCaffemodel } from '../../caffe/write-caffemodel.ts';
import { openNetData } from '../../data/open-net-data.ts';
import type { DoneEvent, SolverEvent } from '../events.ts';
import { readInitialWeights } from '../initial-weights.ts';
import { formatDuration } from '../pace.ts';
import { openReport, type Report } from '../report/report.ts';
import { Solver } from '../solver.ts';
import { evaluateResult } from './evaluate-result.ts';
import type { FinetuneEvent, StoppedEvent } from './events.ts';
import { type FinetuneFiles, writeFinetuneFiles } from './files.ts';
import { brokenImages, imageRows, splitOf, warnOfAbsent } from './images.ts';
import {
  type CompleteOptions,
  FINETUNE,
  type FinetuneOptions,
  recipeOf,
  withModelFolder,
} from './options.ts';

/**
 * Splits the images, replaces the head, trains, evaluates, and writes the model folder `out`: model.prototxt,
 * model.caffemodel, labels.txt, preprocess.json and README.md, with report.html and .json. `out/training` contains the
 * files of the training and the last snapshot. The same options, files and device give the same split and order.
 * @throws ArgumentError, PrototxtError, WeightsError, ImageError, DeviceError; ResnodeError `train/diverged`; the
 * signal's reason. If training had begun, a report is written in these cases, too.
 * @example
 * const net = { model: 'deploy.prototxt', weights: 'net.caffemodel', preprocess: { mean: [104, 117, 123] } };
 * for await (const event of finetune({ folder: 'photographs', out: 'ants-and-bees', device, ...net })) console.log(event);
 * // A model folder has its weights and its preprocessing.
 * finetune({ folder: 'more-photographs', out: 'ants-bees-and-wasps', device, model: 'ants-and-bees' });
 */
export async function* finetune(given: FinetuneOptions): AsyncGenerator<FinetuneEvent, void, void> {
  FINETUNE.check(given);
  const begin = performance.now();
  const signals = [given.signal, given.stop].filter((each) => each !== undefined);
  // Before and after the training there is nothing to save.
  const whole = withModelFolder(given);
  const options = signals.length === 0 ? whole : { ...whole, signal: AbortSignal.any(signals) };
  const { out } = options;
  checkNewFolder(out, options.overwrite);
  const recipe = recipeOf(options);
  const broken = await brokenImages(options);
  const split = await splitOf(options, recipe, broken);
  warnOfAbsent(split);
  const files = writeFinetuneFiles(out, options, split, recipe);
  const { paths } = files;
  yield {
    type: 'split',
    classes: split.classes,
    train: split.train.length,
    val: split.val.length,
    from: split.from,
    head: files.head,
    ignored: split.ignored,
  };

  const report = openReport(paths.report, `${basename(given.model)} for ${split.classes.length} classes`);
  try {
    report.addSection({ title: 'Images', rows: imageRows(split) });
    const done = yield* train(whole, files, report);
    if (done.reason === 'stopped') {
      await report.close();
      yield stopped(done, files);
      return;
    }
    await keepWeights(done, files);
    const evaluation = await evaluateResult(options, files, split);
    yield evaluation.evaluated;
    const seconds = (performance.now() - begin) / 1000;
    const peakMemory = process.resourceUsage().maxRSS * 1024;
    const { classes } = split;
    for (const section of await evaluation.sections(costRows(seconds, peakMemory)))
      report.addSection(section);
    await report.close();
    writeModelReadme(out, {
      title: `${basename(given.model)} for ${classes.join(', ')}`,
      task: 'classify',
      madeBy: 'resnode finetune',
      facts: [...imageRows(split), ...evaluation.facts],
    });
    yield { type: 'written', files: paths, seconds, peakMemory };
  } catch (error) {
    await report.close();
    throw error;
  }
}

async function* train(
  { device, weights, signal, stop, precision, lossScale, partialWeights, reshapeWeights }: CompleteOptions,
  { solver: file, augment }: FinetuneFiles,
  report: Report,
): AsyncGenerator<SolverEvent, DoneEvent, void> {
  const solver = new Solver({
    solver: file,
    device,
    weights,
    ...(precision === undefined ? {} : { precision }),
    ...(lossScale === undefined ? {} : { lossScale }),
    ...(partialWeights === undefined ? {} : { partialWeights }),
    ...(reshapeWeights === undefined ? {} : { reshapeWeights }),
    data: (net, { phase, seed }) => openNetData(net, { phase, seed, augment: augment[phase] }),
  });
  for await (const event of solver.run(signal === undefined ? {} : { signal })) {
    report.add(event);
    // Requested before each iteration, because a solver forgets requests that came before it ran.
    if (stop?.aborted) solver.request('stop');
    yield event;
    if (event.type === 'diverged')
      throw new ResnodeError('train/diverged', `${event.message}; a lower rate may help`);
    if (event.type === 'done') return event;
  }
  throw new ResnodeError('train/no-end', 'the solver ended without its last event');
}

function stopped({ iteration, weights }: DoneEvent, { solver }: FinetuneFiles): StoppedEvent {
  const state = weights?.replace(/caffemodel$/, 'solverstate');
  return {
    type: 'stopped',
    iteration,
    snapshot: weights === null ? null : { weights, state: state! },
    solver,
    augment: join(dirname(solver), 'augment.json'),
  };
}

/** The snapshot's weights become the model's. The snapshot remains, so that training can continue from it. */
async function keepWeights({ weights }: DoneEvent, { deploy, paths }: FinetuneFiles): Promise<void> {
  const trained = (await readInitialWeights([weights!]))!;
  const layers = trained.layers.filter(({ blobs }) => blobs.length > 0);
  writeCaffemodel(paths.weights, { name: deploy.name ?? '', layers });
}

function costRows(seconds: number, peakMemory: number) {
  return [
    ['total time', formatDuration(seconds)] as const,
    ['peak memory', `${(peakMemory / 2 ** 30).toFixed(2)} GiB`] as const,
  ];
}
