/** Fine-tuning as a whole: from folders of images and a trained net to a net for these classes, judged and described. */

import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ArgumentError, ImageError, ResnodeError } from '../base/errors.ts';
import {
  callback,
  either,
  having,
  integer,
  type Kind,
  list,
  number,
  oneOf,
  path,
  signal,
  string,
} from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { warn } from '../base/warn.ts';
import { checkNewFolder, overwrite, writeModelReadme } from '../caffe/model-folder.ts';
import { writeCaffemodel } from '../caffe/write-caffemodel.ts';
import { openNetData } from '../data/open-net-data.ts';
import type { Device } from '../device/device.ts';
import { matchRows } from '../device/load-options.ts';
import type { Model } from '../device/model.ts';
import { solverRows } from '../device/train-options.ts';
import type { TrainOptions } from '../device/trainer.ts';
import { decodeImage, limitRows } from '../images/decode.ts';
import { balanceFacts, type Fact } from '../images/evaluate/balance-text.ts';
import { evaluateImages } from '../images/evaluate/evaluate-images.ts';
import {
  type EvaluateLabelsOptions,
  evaluateLabels,
  type LabelsSummary,
  labelFacts,
  summariseLabels,
} from '../images/evaluate/several-labels.ts';
import { type OutcomeSummary, summariseOutcomes } from '../images/evaluate/statistics.ts';
import { readAhead } from '../images/features/read-ahead.ts';
import { listImages } from '../images/list-images.ts';
import { decodingOf, type TunedPreprocess, tunedPreprocess } from '../images/preprocess.ts';
import { evaluationSections } from './evaluation-section.ts';
import type { DoneEvent, SolverEvent } from './events.ts';
import { type FinetuneFiles, type Recipe, writeFinetuneFiles } from './finetune-files.ts';
import { readInitialWeights } from './initial-weights.ts';
import { labelsSections } from './labels-section.ts';
import { formatDuration } from './pace.ts';
import { openReport, type Report } from './report.ts';
import type { ReportSection } from './report-data.ts';
import { Solver } from './solver.ts';
import { type Split, splitClassFolders, splitLabelLists } from './split.ts';

export interface FinetuneOptions
  extends Pick<TrainOptions, 'precision' | 'lossScale' | 'partialWeights' | 'reshapeWeights'> {
  /**
   * A folder of images for each class, in `folder` or in its `train` and `val`; or, where images have several labels, a list
   * (`readLabelList`), or a folder with `train.txt` and `val.txt`.
   */
  readonly folder: string;
  /** Names of the classes of a list. Default `class 0`, `class 1`, …; of folders their names. */
  readonly labels?: readonly string[];
  /** The deploy prototxt of the trained net, and its weights. */
  readonly model: string;
  readonly weights: string;
  /** Where the result goes; made where it is not there. */
  readonly out: string;
  /** Writes into a folder that holds files already. Default false: it is an error. */
  readonly overwrite?: boolean;
  readonly device: Device;
  /**
   * How the net was trained to see images: its mean ([0]: none), and what differs from a shorter side of 256/224 of the
   * input (256 for 224), order BGR and scale 1. Its input is the crop.
   */
  readonly preprocess: TunedPreprocess;
  /** The most pixels of an image. Default 2^26. */
  readonly maxPixels?: number;
  /**
   * Skips images that cannot be read and reports each here: every image is decoded once before the split. Default: the
   * first such image is an error.
   */
  readonly onBroken?: (error: ImageError) => void;
  /** Default 10. */
  readonly epochs?: number;
  /** Images an iteration. Default 16. */
  readonly batch?: number;
  /** At the beginning, for all layers but the head; it falls in a line to 0. Default 0.002. */
  readonly rate?: number;
  /** The head's rate is so many times `rate`. Default 10. */
  readonly headRate?: number;
  /** `frozen`: BatchNorm keeps the statistics it came with, right for small batches. Default frozen. */
  readonly batchNorm?: 'frozen' | 'live';
  /** Default 0.0001. */
  readonly weightDecay?: number;
  /**
   * Of the loss, one a class in the order of their names: an image counts so many times. `balanced`: images / (classes ·
   * images of its class). Caffe has none: it refuses such a train_val.prototxt. Default: none.
   */
  readonly classWeights?: 'balanced' | readonly number[];
  /** `balanced`: every class equally often in an epoch, so that images of rare ones come again. Default shuffled. */
  readonly sampling?: 'shuffled' | 'balanced';
  /** Share of each class that is kept to judge by, where there is no `val` folder. Default 0.2. */
  readonly valShare?: number;
  /** Of the split, the new head and the order of the images. Default 1. */
  readonly seed?: number;
  /** Ends it with its reason thrown. */
  readonly signal?: AbortSignal;
  /**
   * Ends it in order: training stops after the iteration under way and leaves a snapshot, the last event is `stopped`,
   * and nothing is judged or written. Before and after the training, its reason is thrown.
   */
  readonly stop?: AbortSignal;
}

/** The images were split and everything that the training takes was written. */
export interface SplitEvent {
  readonly type: 'split';
  readonly classes: readonly string[];
  readonly train: number;
  readonly val: number;
  readonly from: Split['from'];
  /** Name of the new last layer. */
  readonly head: string;
  /** What of the folders is not taken: by name no images, hidden, or a folder without images. */
  readonly ignored: readonly string[];
}

/** The result was judged: every image that was not trained with, through the deploy net and `preprocess.json`. */
export interface EvaluatedEvent {
  readonly type: 'evaluated';
  readonly summary: OutcomeSummary;
  readonly imagesPerSecond: number;
}

/** Everything is written. */
export interface WrittenEvent {
  readonly type: 'written';
  readonly files: FinetuneFiles['paths'];
  /** Of the whole, in seconds. */
  readonly seconds: number;
  /** The most memory that the process has held, in bytes. */
  readonly peakMemory: number;
}

/** The training was stopped before its end: what it came to lies in a snapshot. */
export interface StoppedEvent {
  readonly type: 'stopped';
  readonly iteration: number;
  /** Paths; `null` where nothing was written. */
  readonly snapshot: { readonly weights: string; readonly state: string } | null;
  /** What `resnode train` goes on with. */
  readonly solver: string;
  readonly augment: string;
}

/** The same where images have several labels. */
export interface LabelsEvaluatedEvent {
  readonly type: 'evaluatedLabels';
  readonly summary: LabelsSummary;
  readonly imagesPerSecond: number;
}

export type FinetuneEvent =
  | SolverEvent
  | SplitEvent
  | EvaluatedEvent
  | LabelsEvaluatedEvent
  | WrittenEvent
  | StoppedEvent;

const weightsOfClasses: Kind<'balanced' | readonly number[]> = either(
  oneOf('balanced'),
  list(number({ from: 0 }), { of: 'numbers of at least 0', atLeast: 2 }),
);

const FINETUNE = signature('finetune', {
  options: required(
    options<FinetuneOptions>({
      folder: required(path, 'A folder of images for each class, or a list with several labels an image.'),
      labels: optional(
        list(string, { of: 'class names' }),
        'class 0, class 1, …',
        'Names of the classes of a list.',
      ),
      model: required(path, 'The deploy prototxt.'),
      weights: required(path, 'Its weights.'),
      out: required(path, 'Where the result goes.'),
      overwrite,
      device: required(having<Device>('a Device of openDevice', 'load', 'train'), 'Where.'),
      preprocess: required(tunedPreprocess, 'How the net was trained to see images.'),
      maxPixels: limitRows.maxPixels,
      onBroken: optional(
        callback<(error: ImageError) => void>(),
        'the first is an error',
        'Told what cannot be read.',
      ),
      epochs: optional(integer(1), '10', 'How often each image is trained with.'),
      batch: optional(integer(1), '16', 'Images an iteration.'),
      rate: optional(number({ above: 0 }), '0.002', 'The rate at the beginning; it falls in a line to 0.'),
      headRate: optional(number({ above: 0 }), '10', 'The new head learns so many times faster.'),
      batchNorm: optional(
        oneOf('frozen', 'live'),
        'frozen',
        'Whether BatchNorm keeps its statistics or takes those of each batch, which is for large ones.',
      ),
      weightDecay: optional(number({ from: 0 }), '0.0001', 'Of all weights.'),
      classWeights: optional(
        weightsOfClasses,
        'none',
        'Of the loss, one a class in the order of their names; balanced: inverse to its images.',
      ),
      sampling: optional(
        oneOf('shuffled', 'balanced'),
        'shuffled',
        'balanced: every class equally often in an epoch.',
      ),
      valShare: optional(
        number({ above: 0 }),
        '0.2, or the folder val',
        'Share of each class that is kept to judge by.',
      ),
      seed: optional(integer(), '1', 'Of the split, the head and the order.'),
      signal: optional(signal, 'none', 'Ends it with its reason thrown.'),
      stop: optional(signal, 'none', 'Ends it in order, with a snapshot.'),
      ...matchRows,
      precision: solverRows.precision,
      lossScale: solverRows.lossScale,
    }),
    'Files and rates.',
  ),
});

/**
 * Splits, replaces the head, trains, judges, and writes the model folder `out`: model.prototxt, model.caffemodel,
 * labels.txt, preprocess.json and README.md, with report.html and .json; what was trained with, and the last snapshot, lie
 * in `out/training`. The same options, files and
 * device give the same split and order.
 * @throws ArgumentError, PrototxtError, WeightsError, ImageError, DeviceError; ResnodeError `train/diverged`; the
 * signal's reason. A report is written then too, if training had begun.
 * @example for await (const event of finetune({ folder, model, weights, out, device, preprocess: { mean: [104, 117, 123] } })) console.log(event);
 */
export async function* finetune(given: FinetuneOptions): AsyncGenerator<FinetuneEvent, void, void> {
  FINETUNE.check(given);
  const begin = performance.now();
  const signals = [given.signal, given.stop].filter((each) => each !== undefined);
  // Beside the training there is nothing to be kept.
  const options = signals.length === 0 ? given : { ...given, signal: AbortSignal.any(signals) };
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

  const report = openReport(paths.report, `${basename(options.model)} for ${split.classes.length} classes`);
  try {
    report.addSection({ title: 'Images', rows: imageRows(split) });
    const done = yield* train(given, files, report);
    if (done.reason === 'stopped') {
      await report.close();
      yield stopped(done, files);
      return;
    }
    await keepWeights(done, files);
    const judged = await (split.several ? judgeLabels : judge)(options, files, split);
    yield judged.evaluated;
    const seconds = (performance.now() - begin) / 1000;
    const peakMemory = process.resourceUsage().maxRSS * 1024;
    const { classes } = split;
    for (const section of await judged.sections(costRows(seconds, peakMemory))) report.addSection(section);
    await report.close();
    writeModelReadme(out, {
      title: `${basename(options.model)} for ${classes.join(', ')}`,
      madeBy: 'resnode finetune',
      facts: [...imageRows(split), ...judged.facts],
    });
    yield { type: 'written', files: paths, seconds, peakMemory };
  } catch (error) {
    await report.close();
    throw error;
  }
}

function recipeOf(options: FinetuneOptions): Recipe {
  const { epochs = 10, batch = 16, rate = 0.002, headRate = 10 } = options;
  const { batchNorm = 'frozen', weightDecay = 1e-4, seed = 1 } = options;
  const { classWeights, sampling } = options;
  for (const [name, value] of Object.entries({ epochs, batch }))
    if (!Number.isInteger(value) || value < 1) throw new ArgumentError(name, 'an integer from 1', value);
  for (const [name, value] of Object.entries({ rate, headRate }))
    if (!(value > 0 && Number.isFinite(value))) throw new ArgumentError(name, 'a number above 0', value);
  return { epochs, batch, rate, headRate, batchNorm, weightDecay, seed, classWeights, sampling };
}

async function* train(
  { device, weights, signal, stop, precision, lossScale, partialWeights, reshapeWeights }: FinetuneOptions,
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
    // Asked for before each iteration: a solver forgets what it was asked for before it ran.
    if (stop?.aborted) solver.request('stop');
    yield event;
    if (event.type === 'diverged')
      throw new ResnodeError('train/diverged', `${event.message}; a lower rate may mend it`);
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

/** The snapshot's weights become the model's; the snapshot stays, to be trained on. */
async function keepWeights({ weights }: DoneEvent, { deploy, paths }: FinetuneFiles): Promise<void> {
  const trained = (await readInitialWeights([weights!]))!;
  const layers = trained.layers.filter(({ blobs }) => blobs.length > 0);
  writeCaffemodel(paths.weights, { name: deploy.name ?? '', layers });
}

/** What was found of the images that were not trained with. */
interface Judged {
  readonly evaluated: EvaluatedEvent | LabelsEvaluatedEvent;
  readonly facts: readonly Fact[];
  sections(costs: readonly Fact[]): Promise<ReportSection[]>;
}

const JUDGED = 'Images that were not trained with';

async function judge(options: FinetuneOptions, files: FinetuneFiles, split: Split): Promise<Judged> {
  const { classes, val: images } = split;
  const { outcomes, imagesPerSecond } = await timed(options, files, split, (model, how) =>
    evaluateImages(model, images, how),
  );
  const summary = summariseOutcomes(outcomes);
  const decoding = decodingOf(files.preprocess, limitsOf(options));
  return {
    evaluated: { type: 'evaluated', summary, imagesPerSecond },
    facts: balanceFacts(summary, (label) => classes[label]!),
    sections: (costs) => evaluationSections(JUDGED, { summary, outcomes, images, classes, decoding }, costs),
  };
}

async function judgeLabels(options: FinetuneOptions, files: FinetuneFiles, split: Split): Promise<Judged> {
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
      labelsSections(JUDGED, { summary, outcomes, images: samples, classes, decoding }, costs),
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

/** Classes of which one half has no image: nothing is learned of them, or nothing said of how well they were. */
function warnOfAbsent({ classes, train, val }: Split): void {
  for (const [images, what] of [
    [train, 'train with: the net cannot learn it'],
    [val, 'judge by: no figure says how well it is found'],
  ] as const) {
    const there = new Set(images.flatMap(({ label, labels }) => labels ?? [label]));
    const absent = classes.filter((_, label) => !there.has(label)).map((name) => `"${name}"`);
    if (absent.length > 0)
      warn(
        'finetune/absent-class',
        `there is no image of ${absent.slice(0, 8).join(', ')}${absent.length > 8 ? ', …' : ''} to ${what}`,
      );
  }
}

/** A folder of class folders, or a list. */
function splitOf(
  { folder, labels, valShare }: FinetuneOptions,
  { seed }: Recipe,
  broken: ReadonlySet<string>,
): Promise<Split> {
  if (isLabelList(folder))
    return splitLabelLists(folder, { valShare, seed, broken, ...(labels === undefined ? {} : { labels }) });
  if (labels !== undefined)
    throw new ArgumentError(
      'labels',
      'none where the images lie in a folder for each class, whose names they are,',
      labels,
    );
  return splitClassFolders(folder, { valShare, seed, broken });
}

const isLabelList = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isFile() === true ||
  ['train.txt', 'val.txt'].every((name) => existsSync(join(path, name)));

const limitsOf = ({ maxPixels }: Pick<FinetuneOptions, 'maxPixels'>) =>
  maxPixels === undefined ? {} : { maxPixels };

/** Decodes all images of the folder, where they may be left out. */
async function brokenImages({
  folder,
  onBroken,
  maxPixels,
  signal,
  preprocess,
}: FinetuneOptions): Promise<Set<string>> {
  const broken = new Set<string>();
  if (onBroken === undefined) return broken;
  const decoding = {
    ...decodingOf(preprocess, limitsOf({ maxPixels })),
    ...(signal === undefined ? {} : { signal }),
  };
  const check = async (file: string): Promise<void> => {
    try {
      await decodeImage(file, decoding);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      broken.add(file);
      onBroken(error);
    }
  };
  const check4 = (part: readonly string[]) => Promise.all(part.map(check));
  const files = isLabelList(folder)
    ? await splitLabelLists(folder).then(({ train, val }) => [...train, ...val].map(({ image }) => image))
    : listImages(folder).files;
  for await (const _ of readAhead(files, 4, check4, signal));
  return broken;
}

function imageRows({ classes, train, val, from, several }: Split): Fact[] {
  const count = (images: Split['train'], label: number) =>
    images.filter((each) => (each.labels ?? [each.label]).includes(label)).length;
  return [
    [
      'split',
      from === 'drawn' ? (several ? 'drawn' : 'drawn, the same share of each class') : `as in train and val`,
    ] as const,
    ['together', `${train.length} to train with, ${val.length} to judge by`] as const,
    ...classes.map((name, label) => [name, `${count(train, label)} and ${count(val, label)}`] as const),
  ];
}

function costRows(seconds: number, peakMemory: number) {
  return [
    ['time, all in all', formatDuration(seconds)] as const,
    ['peak memory', `${(peakMemory / 2 ** 30).toFixed(2)} GiB`] as const,
  ];
}
