/** Opens everything that a run of a solver needs: nets, data, weights or snapshot, and the trainer. */

import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { ArgumentError, DataError, WeightsError } from '../base/errors.ts';
import { optionsOf } from '../base/options.ts';
import { shellWord } from '../base/shell-words.ts';
import { toFloat32 } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { CheckedSolver, SolverSettings } from '../caffe/check-solver.ts';
import { needHdf5Writer } from '../caffe/hdf5-writer.ts';
import { refuseNamesTwice } from '../caffe/match-weights.ts';
import { positionOf } from '../caffe/message.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { checkHdf5Outputs, Hdf5Files } from '../data/hdf5-output.ts';
import type { DataSource } from '../data/source.ts';
import type { TrainOptions, UpdateRule } from '../device/trainer.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { hdf5Blobs, hdf5Outputs } from '../layers/sinks.ts';
import type { Agreement } from './agreement.ts';
import type { WarningEvent } from './events.ts';
import { readInitialWeights } from './initial-weights.ts';
import { checkLabels, checkLearning } from './learning-check.ts';
import { mixedNet, mixingSource } from './mixup.ts';
import { Schedule, type ScheduleExtensions, scheduleExtensions } from './schedules.ts';
import { averageFile, type Resumed, readSnapshot } from './snapshot.ts';
import {
  checkSnapshotFolder,
  findFile,
  namedFile,
  type ReadNet,
  readSolverNet,
  splitList,
  type TrainState,
} from './solver-nets.ts';
import { checkFed, checkSameNet, checkTrained, trainingWarnings } from './training-checks.ts';
import type { SolverTrainer, TrainingDevice } from './training-device.ts';

/** Opens the data of a filtered net. */
export type OpenData = (
  net: NetParameter,
  options: {
    readonly phase: 'TRAIN' | 'TEST';
    readonly seed: number;
    /** The number of this process among `ranks`. Default 0 of 1. */
    readonly rank?: number;
    readonly ranks?: number;
    readonly share?: 'samples' | 'batches';
  },
) => Promise<DataSource>;

export interface TrainingOptions
  extends ScheduleExtensions,
    TrainState,
    Pick<TrainOptions, 'precision' | 'lossScale' | 'partialWeights' | 'reshapeWeights'> {
  /**
   * The device; it remains the caller's. `solver_mode` and `device_id` do not matter here: the caller opens the device.
   */
  readonly device: TrainingDevice;
  /** Initial weights, instead of the solver's own `weights`; if there are several files, the later ones count. */
  readonly weights?: string | readonly string[] | WeightsFile;
  /** The path of the .solverstate from which training resumes, ours or Caffe's. Excludes `weights`. */
  readonly snapshot?: string;
  /** The source of batches. */
  readonly data: OpenData;
  /** Saves memory at the cost of time: blocks are computed again in the backward pass. Default false. */
  readonly recompute?: boolean;
  /** Every BatchNorm uses its stored statistics, as with `use_global_stats: true`. Default false. */
  readonly frozenBatchNorm?: boolean;
  /**
   * Computes BatchNorm's statistics over the batches of all processes. Default false: each uses its own, as in Caffe.
   */
  readonly synchronisedBatchNorm?: boolean;
  /**
   * Blobs that `solver.net.blobs` contains after a step, in addition to the net's outputs: `blob` or `blob@layer`.
   * Default none.
   */
  readonly outputs?: readonly string[];
  /**
   * Tests after the last iteration, even if `test_interval` does not divide its number, where Caffe does not. Default
   * false.
   */
  readonly finalTest?: boolean;
}

/** A test net with its data; it is loaded when it is needed. */
export interface TestNet extends ReadNet {
  readonly iterations: number;
  readonly source: DataSource;
  /** Output → loss_weight. */
  readonly lossWeights: Readonly<Record<string, number>>;
}

export interface Training extends AsyncDisposable {
  readonly net: ReadNet;
  readonly trainer: SolverTrainer;
  readonly source: DataSource;
  readonly tests: readonly TestNet[];
  readonly schedule: Schedule;
  readonly seed: number;
  /** The snapshot from which training resumes. */
  readonly resumed: Resumed | null;
  /** Blobs that a step returns in addition to the net's outputs. */
  readonly shown: readonly string[];
  /** The files of the training net's HDF5Output layers; closing moves them to their final paths. */
  readonly files: Hdf5Files;
  readonly warnings: readonly WarningEvent[];
}

/**
 * Opens everything or nothing: if a part cannot be opened, the parts before it are closed.
 * @throws PrototxtError, GraphError, WeightsError, ArgumentError, DeviceError; the errors of the data
 */
export async function openTraining(
  options: TrainingOptions,
  checked: CheckedSolver,
  file: string | undefined,
  agreement: Agreement,
): Promise<Training> {
  const { parameters } = checked;
  const { frozenBatchNorm, synchronisedBatchNorm } = options;
  const { rank, size: ranks } = agreement;
  const chosen = await seedOf(parameters.random_seed, agreement);
  if (parameters.snapshot > 0 || parameters.snapshot_after_train) {
    checkSnapshotFolder(parameters.snapshot_prefix);
    if (parameters.snapshot_format === 'HDF5') needHdf5Writer();
  }
  const written = smoothed(readSolverNet(checked.train, file, options), parameters.label_smoothing);
  const resumed = options.snapshot === undefined ? null : await readSnapshot(options.snapshot);
  const seed = resumed?.extra?.seed ?? chosen;
  const schedule = new Schedule(parameters, optionsOf(scheduleExtensions, options), resumed?.currentStep);

  const closing: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const each of closing.splice(0).reverse()) await each();
  };
  const openSource = async (filtered: NetParameter, phase: 'TRAIN' | 'TEST', state: unknown) => {
    const source = await options.data(filtered, { phase, seed, rank, ranks });
    closing.push(() => source.dispose());
    restore(source, state, options.snapshot);
    return source;
  };
  try {
    const hdf5 = hdf5Outputs(written.filtered);
    checkHdf5Outputs([
      ...hdf5,
      ...checked.tests.flatMap((test) => hdf5Outputs(readSolverNet(test, file).filtered)),
    ]);
    if (hdf5.length > 0 && ranks > 1)
      throw new DataError(
        'data/layer',
        { layer: hdf5[0]!.layer },
        `writes the rows of one process, but ${ranks} train; use HDF5Output only in the test net (include { phase: TEST })`,
      );
    const weights = await beginningWeights(options, parameters, resumed, file);
    const data = await openSource(written.filtered, 'TRAIN', resumed?.extra?.data.train);
    const tests: TestNet[] = [];
    for (const [i, test] of checked.tests.entries()) {
      const read = readSolverNet(test, file);
      const testSource = await openSource(read.filtered, 'TEST', resumed?.extra?.data.tests[i]);
      const lossWeights = lossWeightsOf(read, testSource);
      tests.push({ ...read, iterations: test.iterations, source: testSource, lossWeights });
    }
    const learning = checkLearning(written, {
      inputShapes: data.shapes,
      weights,
      frozenBatchNorm: frozenBatchNorm ?? false,
      processes: synchronisedBatchNorm ? ranks : 1,
    });
    const find = (path: string) => [findFile(path, file)].find(existsSync);
    await checkLabels(written, data.shapes, find);
    const { net, source } = mixedTraining(written, data, parameters, {
      seed,
      rank,
      drawn: (resumed?.iteration ?? 0) * parameters.iter_size,
    });
    for (const test of tests) await checkLabels(test, test.source.shapes, find);
    const averages =
      resumed === null || parameters.ema_decay === 0
        ? null
        : await readAverages(resumed.weights, net, source);
    const shown = [...new Set([...(options.outputs ?? []), ...hdf5Blobs(hdf5)])];
    await agreement.reach();
    const trainer = await openTrainer(options, parameters, net, {
      ...{ weights, resumed, averages, seed, shown },
      inputShapes: source.shapes,
    });
    closing.push(() => trainer.dispose());
    checkFed(trainer, source);
    if (resumed !== null) checkSameNet(trainer, resumed, options.snapshot!);
    if (resumed?.extra?.lossScale !== undefined) trainer.lossScaleState = resumed.extra.lossScale;
    refuseNamesTwice(trainer.learnable, '');
    const files = await Hdf5Files.open(hdf5);
    closing.push(() => files.finish());
    for (const test of tests) checkTrained(test, trainer);
    const found = { trainer, source, resumed, hasAverage: averages !== null };
    const warnings = [...trainingWarnings(checked, file, found), ...learning].map((warning) => ({
      type: 'warning' as const,
      ...warning,
    }));
    return {
      ...{ net, trainer, source, tests, schedule, seed, resumed, warnings, shown, files },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

// The data continues from its position in the snapshot.
function restore(source: DataSource, state: unknown, snapshot: string | undefined): void {
  try {
    if (state !== undefined) source.restore(state);
  } catch (error) {
    if (!(error instanceof DataError && error.code === 'data/state')) throw error;
    throw new DataError(
      error.code,
      {},
      `${error.message}; to resume anyway, from the data's first sample, remove ${snapshot}.json`,
      { cause: error },
    );
  }
}

/** The initial state of the trainer. */
interface Beginning {
  readonly weights: WeightsFile | null;
  readonly resumed: Resumed | null;
  readonly averages: Float32Array[] | null;
  readonly seed: number;
  readonly shown: readonly string[];
  readonly inputShapes: DataSource['shapes'];
}

async function openTrainer(
  options: TrainingOptions,
  parameters: SolverSettings,
  { net, state }: ReadNet,
  { weights, resumed, averages, seed, shown, inputShapes }: Beginning,
): Promise<SolverTrainer> {
  const { recompute, frozenBatchNorm, synchronisedBatchNorm, precision, lossScale } = options;
  try {
    return await options.device.train({
      model: net,
      phase: state.phase,
      level: state.level,
      stages: state.stages,
      inputShapes,
      update: updateRule(parameters),
      seed,
      outputs: shown,
      ...(weights === null ? {} : { weights }),
      ...(resumed === null
        ? {}
        : { history: resumed.history, passesBefore: resumed.iteration * parameters.iter_size }),
      ...(averages === null ? {} : { averages }),
      ...(options.partialWeights === undefined ? {} : { partialWeights: options.partialWeights }),
      ...(options.reshapeWeights === undefined ? {} : { reshapeWeights: options.reshapeWeights }),
      ...(recompute === undefined ? {} : { recompute }),
      ...(frozenBatchNorm === undefined ? {} : { frozenBatchNorm }),
      ...(synchronisedBatchNorm === undefined ? {} : { synchronisedBatchNorm }),
      ...(precision === undefined ? {} : { precision }),
      ...(lossScale === undefined ? {} : { lossScale }),
    });
  } catch (error) {
    if (resumed === null || !(error instanceof ArgumentError && /history/.test(error.message))) throw error;
    throw new WeightsError(
      'weights/other-history',
      { file: options.snapshot! },
      `its history is not that of ${parameters.type} on this net: ${error.message}; resume with the solver type and net that wrote it, or start with only its weights (--weights ${shellWord(resumed.weights)})`,
      { cause: error },
    );
  }
}

// Caffe uses 32 bits of the seed, and chooses one itself if it is negative. Of several processes the first one chooses,
// and uses as many bits as a float32 represents exactly.
async function seedOf(seed: number | bigint, agreement: Agreement): Promise<number> {
  if (seed >= 0) return Number(BigInt.asUintN(32, BigInt(seed)));
  return agreement.choose(() => randomInt(agreement.size === 1 ? 2 ** 32 : 2 ** 24));
}

async function beginningWeights(
  { weights }: TrainingOptions,
  parameters: SolverSettings,
  resumed: Resumed | null,
  file: string | undefined,
): Promise<WeightsFile | null> {
  if (resumed !== null) return readInitialWeights([resumed.weights]);
  if (typeof weights === 'object' && 'layers' in weights) return weights;
  if (weights === undefined)
    return readInitialWeights(
      (parameters.weights ?? [])
        .flatMap(splitList)
        .map((path) => namedFile(path, 'weights', positionOf(parameters, 'weights'), file)),
    );
  return readInitialWeights((typeof weights === 'string' ? [weights] : weights).flatMap(splitList));
}

/**
 * The average next to a snapshot's weights, one array for each learnable blob; null if there is none.
 * @throws WeightsError
 */
async function readAverages(
  weights: string,
  { filtered, state }: ReadNet,
  source: DataSource,
): Promise<Float32Array[] | null> {
  const file = averageFile(weights);
  if (!existsSync(file)) return null;
  const read = (await readInitialWeights([file]))!;
  const blobs = new Map(read.layers.map((layer) => [layer.name, layer.blobs]));
  const { parameters } = graphFromCaffe(filtered, { phase: state.phase, inputShapes: source.shapes });
  return parameters.map(({ layer, index }) => {
    const blob = blobs.get(layer)?.[index];
    return blob === undefined ? new Float32Array() : toFloat32(blob);
  });
}

/** The net with label smoothing in the losses of classifiers that do not specify their own. */
function smoothed(read: ReadNet, label_smoothing: number): ReadNet {
  if (label_smoothing === 0) return read;
  const apply = (net: NetParameter): NetParameter => ({
    ...net,
    layer: (net.layer ?? []).map((layer) =>
      layer.type === 'SoftmaxWithLoss'
        ? { ...layer, loss_param: { target_smoothing: label_smoothing, ...layer.loss_param } }
        : layer,
    ),
  });
  return { ...read, net: apply(read.net), filtered: apply(read.filtered) };
}

/** Adds mixup if the solver requests it. */
function mixedTraining(
  written: ReadNet,
  data: DataSource,
  parameters: SolverSettings,
  drawing: { readonly seed: number; readonly rank: number; readonly drawn: number },
): { readonly net: ReadNet; readonly source: DataSource } {
  const { mixup: alpha } = parameters;
  if (alpha === 0) return { net: written, source: data };
  const at = positionOf(parameters, 'mixup') ?? { file: '<message>', line: 1, column: 1 };
  const { net, samples } = mixedNet(written, data.shapes, at);
  return { net, source: mixingSource(data, samples, { alpha, ...drawing }) };
}

/** The settings of a solver that its update needs. */
export function updateRule(parameters: SolverSettings): UpdateRule {
  const { type, momentum, momentum2, delta, rms_decay, clip_gradients, iter_size, weight_decay } = parameters;
  const regularization_type = parameters.regularization_type as 'L1' | 'L2';
  const { momentum_convention, lars_trust, ema_decay } = parameters;
  return {
    ...{ type, momentum, momentum2, delta, rms_decay, iter_size, weight_decay, regularization_type },
    clip_gradients: clip_gradients < 0 ? null : clip_gradients,
    ...{ momentum_convention, lars_trust, ema_decay },
  };
}

/** Output → loss_weight of a net that is not trained. */
export function lossWeightsOf(
  { filtered, state }: Pick<ReadNet, 'filtered' | 'state'>,
  source: Pick<DataSource, 'shapes'>,
): Record<string, number> {
  const graph = graphFromCaffe(filtered, { phase: state.phase, inputShapes: source.shapes });
  return Object.fromEntries([...graph.lossWeights].map(([id, weight]) => [graph.values[id]!.blob, weight]));
}
