/** Caffe's solver (solver.cpp, sgd_solver.cpp): a loop that reports what happens as events. */

import { ArgumentError, PrototxtError } from '../base/errors.ts';
import { boolean, callback, either, having, integer, list, oneOf, path, signal } from '../base/kinds.ts';
import { type Option, optional, options, required, signature } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import { weightsFile } from '../caffe/caffemodel.ts';
import { type CheckedSolver, checkSolver, type SolverSettings } from '../caffe/check-solver.ts';
import { matchText } from '../caffe/match-weights.ts';
import { positionOf } from '../caffe/message.ts';
import { readSolverFile, type SolverParameter, solverParameter } from '../caffe/solver-parameter.ts';
import type { Batch } from '../data/source.ts';
import { matchRows, netRows } from '../device/load-options.ts';
import { solverRows, trainOptions } from '../device/train-options.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { hdf5Blobs, hdf5Outputs } from '../layers/sinks.ts';
import { Agreement, type Wish } from './agreement.ts';
import { debugInfo } from './debug-info.ts';
import {
  type Culprit,
  DivergenceWatch,
  divergenceMessage,
  findCulprit,
  firstNotFinite,
} from './divergence.ts';
import type {
  DivergedEvent,
  DoneEvent,
  IterationEvent,
  SnapshotEvent,
  SolverEvent,
  StartEvent,
  TestEvent,
  WarningEvent,
} from './events.ts';
import { LiveNet } from './live-net.ts';
import {
  type OpenData,
  openTraining,
  type TestNet,
  type Training,
  type TrainingOptions,
} from './open-training.ts';
import { Pace } from './pace.ts';
import { extensionRows } from './schedules.ts';
import { SmoothedLoss } from './smoothed-loss.ts';
import { parameterNames, type SnapshotFiles, saveSnapshot, snapshotFiles } from './snapshot.ts';
import { solverData } from './solver-data.ts';
import { solverFile } from './solver-nets.ts';
import { detectionOutputs, outputValues, testNet, weightedLoss } from './test-net.ts';
import { explainLabel } from './wrong-label.ts';

const { fround } = Math;

export interface SolverOptions extends Omit<TrainingOptions, 'data'> {
  /** Path of a solver's prototxt, or a SolverParameter. */
  readonly solver: string | SolverParameter;
  /** Where batches come from. Default: the nets' data layers (`solverData`). */
  readonly data?: OpenData;
}

/** Caffe's SolverAction, asked for from outside: by a signal, say. */
export type SolverRequest = 'snapshot' | 'stop';

const SOLVER = signature('Solver', {
  options: required(
    options<SolverOptions>({
      solver: required(either(path, solverParameter), 'A path, or a SolverParameter.'),
      device: required(
        having<SolverOptions['device']>('a Device of openDevice', 'load', 'train'),
        'Where to train.',
      ),
      snapshot: optional(path, 'none', 'A .solverstate to go on from.'),
      weights: optional(
        either(path, list(path, { of: 'paths' }), weightsFile),
        "the solver's own",
        'Weights to begin with; on a command line several with commas between them.',
      ),
      data: optional(callback<OpenData>(), "the nets' data layers", 'Where batches come from.'),
      level: netRows.level,
      stages: netRows.stages,
      frozenBatchNorm: netRows.frozenBatchNorm,
      finalTest: optional(
        boolean,
        'false',
        'Tests after the last iteration too, where test_interval does not divide it.',
      ),
      outputs: trainOptions.table.outputs as Option<readonly string[]>,
      ...matchRows,
      ...solverRows,
      ...extensionRows,
    }),
    'What is trained, and where.',
  ),
});
const SOLVER_REQUEST = signature('solver.request', {
  action: required(oneOf('snapshot', 'stop'), 'What is asked for.'),
});
const SOLVER_RUN = signature('solver.run', {
  options: optional(
    options<{ readonly signal?: AbortSignal }>({
      signal: optional(signal, 'none', 'Ends it with its reason thrown.'),
    }),
    'none',
    'When it ends.',
  ),
});
const SOLVER_STEP = signature('solver.step', {
  iterations: required(integer(1), 'How many.'),
  options: optional(
    options<StepOptions>({
      signal: optional(signal, 'none', 'Ends it with its reason thrown, between two iterations.'),
      onEvent: optional(
        callback<(event: SolverEvent) => void>(),
        'none',
        'Told what happens, as `run` tells it.',
      ),
    }),
    'none',
    'When it ends, and who is told.',
  ),
});

export interface StepOptions {
  /** Ends the step with its reason thrown: the iteration that it stops is not done, and the next `step` goes on from there. */
  readonly signal?: AbortSignal;
  /** Told what `run` would yield: iterations, tests, snapshots, warnings, a divergence. */
  readonly onEvent?: (event: SolverEvent) => void;
}

/** Where a solver is behind a `step`. */
export interface StepResult {
  /** Iterations done, since the training began. */
  readonly iteration: number;
  /** Of the last iteration, and its running mean; null where none is done. */
  readonly loss: number | null;
  readonly smoothedLoss: number | null;
  /** `done`: all were; `stopped`: one was asked for; `diverged`: the solver cannot go on. */
  readonly reason: 'done' | 'stopped' | 'diverged';
}

interface OpenRun {
  readonly training: Training;
  readonly agreement: Agreement;
  readonly run: Run;
}

export class Solver {
  /** As checked, with defaults. */
  readonly parameters: SolverSettings;
  readonly #options: TrainingOptions;
  readonly #checked: CheckedSolver;
  /** The solver's file; null for one made in code. */
  readonly file: string | null;
  #requests = new Set<SolverRequest>();
  #isRunning = false;
  /** What `open` and `step` keep between calls. */
  #open: OpenRun | null = null;

  /**
   * Reads and checks a solver; nothing else is opened before it runs.
   * @throws PrototxtError; ArgumentError
   */
  constructor(options: SolverOptions) {
    SOLVER.check(options);
    const { solver, weights, snapshot } = options;
    if (weights !== undefined && snapshot !== undefined)
      throw new ArgumentError('weights', 'weights to begin with or a snapshot to go on from', 'both');
    const parameter = typeof solver === 'string' ? readSolverFile(solver) : solver;
    this.file = solverFile(parameter) ?? null;
    this.#options = { ...options, data: options.data ?? solverData(this.file ?? undefined) };
    this.#checked = checkSolver(parameter);
    this.parameters = this.#checked.parameters;
    if (this.parameters.snapshot_diff === true)
      throw new PrototxtError(
        'solver/snapshot-diff',
        positionOf(parameter, 'snapshot_diff') ?? { file: '<message>', line: 1, column: 1 },
        'snapshot_diff is not supported, a snapshot holds no gradients; remove it',
      );
  }

  /**
   * Asks the running solver for a snapshot, or to stop: honoured after the current iteration; a stop ends a test early
   * and leaves a snapshot too, unless `snapshot_after_train` is false or it ends a `step`.
   */
  request(action: SolverRequest): void {
    SOLVER_REQUEST.check(action);
    this.#requests.add(action);
  }

  /**
   * Trains, from where the solver is (the beginning, the snapshot, or behind a `step`) to max_iter; leaving the loop early
   * frees everything. Events come in Caffe's order: a test before the iteration whose number it has, snapshots after it. A
   * training that diverges ends with `diverged` and `done`; nothing is thrown then. The loss that Caffe computes once more
   * after the last iteration is left out.
   *
   * Of several processes each runs its own Solver. What one is asked for, or runs into, all do at the next edge of the
   * loop. An error of one in its data, test or snapshot ends all: the others throw DeviceError
   * `communicator/other-failed`. An error in a training step itself leaves the others waiting in theirs: end the process
   * then, and the launcher ends them.
   * @param options.signal Ends the run with its reason thrown and no snapshot; for an orderly end use `request`.
   * @throws PrototxtError, GraphError, WeightsError, ArgumentError, DeviceError; what the data throws
   */
  async *run(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<SolverEvent, void, void> {
    SOLVER_RUN.check(options);
    this.#begin('run');
    this.#requests.clear();
    try {
      const { run } = await this.#opened(options.signal);
      yield* run.events(options.signal);
    } finally {
      await this.#close();
      this.#isRunning = false;
    }
  }

  /**
   * Opens nets, data and trainer, so that `net` can be looked at and changed before the first iteration: pycaffe's
   * caffe.get_solver. Done by `step` where it was not done before. Close the solver in the end.
   * @throws as `run`
   */
  async open(): Promise<LiveNet> {
    if (this.#open !== null) return this.net;
    this.#begin('open');
    try {
      await this.#opened();
      return this.net;
    } finally {
      this.#isRunning = false;
    }
  }

  /**
   * So many iterations, with the tests and snapshots that are due among them, beyond max_iter too (Solver::Step); then `net`
   * may be looked at and changed, and `step` or `run` goes on. What is open stays open: close the solver in the end. Several
   * processes call it with the same number.
   * @throws as `run`; ArgumentError behind a divergence. An error other than the signal's reason closes the solver.
   * @example
   * await using solver = new Solver({ solver: 'solver.prototxt', device, outputs: ['conv1'] });
   * const { loss } = await solver.step(100);
   * console.log(loss, solver.net.blobs.conv1!.shape, (await solver.net.weights()).layers[0]!.blobs[0]!.shape);
   */
  async step(iterations: number, options: StepOptions = {}): Promise<StepResult> {
    SOLVER_STEP.check(iterations, options);
    const { signal, onEvent } = options;
    this.#begin('step');
    this.#requests.delete('stop');
    let isOpen = this.#options.device.communicator == null;
    try {
      const { run, agreement } = await this.#opened(signal);
      isOpen = agreement.size === 1; // others wait for this one
      for await (const event of run.step(iterations, signal)) onEvent?.(event);
      return run.result;
    } catch (error) {
      if (!isOpen || !(signal?.aborted && error === signal.reason)) await this.#close();
      throw error;
    } finally {
      this.#isRunning = false;
    }
  }

  /**
   * Writes a snapshot now, as `snapshot_prefix` and `snapshot_format` say. Opens the solver where it is not open.
   * @returns Its event; `diverged` where weights are not finite, and nothing is written.
   * @throws as `run`
   */
  async snapshot(): Promise<SnapshotEvent | DivergedEvent | null> {
    this.#begin('snapshot');
    try {
      const { run } = await this.#opened();
      let last: SnapshotEvent | DivergedEvent | null = null;
      for await (const event of run.snapshot('request'))
        if (event.type === 'snapshot' || event.type === 'diverged') last = event;
      return last;
    } finally {
      this.#isRunning = false;
    }
  }

  /** The net that learns: pycaffe's solver.net. @throws ArgumentError before `open` or `step`, and behind `close` */
  get net(): LiveNet {
    if (this.#open === null)
      throw new ArgumentError('net', 'an open solver; await solver.open() or solver.step(n) first', 'none');
    return this.#open.run.net;
  }

  /** Iterations done; 0 before it is open. */
  get iteration(): number {
    return this.#open?.run.result.iteration ?? 0;
  }

  /** Frees what `open` and `step` keep; safe to call twice. @throws ArgumentError while it runs */
  async close(): Promise<void> {
    if (this.#open === null) return;
    this.#begin('close');
    try {
      await this.#close();
    } finally {
      this.#isRunning = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(call: string): void {
    if (this.#isRunning)
      throw new ArgumentError(call, 'one call at a time; the last one has not ended', call);
    this.#isRunning = true;
  }

  async #opened(signal?: AbortSignal): Promise<OpenRun> {
    if (this.#open !== null) {
      signal?.throwIfAborted();
      return this.#open;
    }
    const agreement = new Agreement(this.#options.device.communicator);
    try {
      signal?.throwIfAborted();
      const training = await openTraining(this.#options, this.#checked, this.file ?? undefined, agreement);
      this.#open = {
        training,
        agreement,
        run: new Run(this, training, this.#options, agreement, this.#requests),
      };
      return this.#open;
    } catch (error) {
      await agreement.leave();
      throw error;
    }
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    if (open === null) return;
    try {
      await open.training[Symbol.asyncDispose]();
    } finally {
      await open.agreement.leave();
    }
  }
}

/** One run: where it is. */
class Run {
  readonly #file: string | null;
  readonly #training: Training;
  readonly #options: TrainingOptions;
  readonly #parameters: SolverSettings;
  readonly #requests: Set<SolverRequest>;
  #signal: AbortSignal | undefined;
  readonly #pace = new Pace();
  readonly #smoothed: SmoothedLoss;
  readonly #divergence = new DivergenceWatch();
  readonly #samples: number;
  readonly #begin: number;
  /** Iterations done. */
  #iteration: number;
  #losses: Pick<DoneEvent, 'loss' | 'smoothedLoss'> = { loss: null, smoothedLoss: null };
  #lastSnapshot: { readonly iteration: number; readonly weights: string } | null;
  readonly #agreement: Agreement;
  // What all processes know since the last edge; a run of its own has it from itself.
  #isDiverged = false;
  #isStopped = false;
  #isSnapshotAskedFor = false;
  #hasBegun = false;
  readonly net: LiveNet;

  constructor(
    { file, parameters }: Solver,
    training: Training,
    options: TrainingOptions,
    agreement: Agreement,
    requests: Set<SolverRequest>,
  ) {
    const { resumed, source } = training;
    this.#file = file;
    this.#training = training;
    this.#options = options;
    this.#parameters = parameters;
    this.#requests = requests;
    this.#smoothed = new SmoothedLoss(parameters.average_loss);
    this.#agreement = agreement;
    this.#samples = (Object.values(source.shapes)[0]?.[0] ?? 1) * parameters.iter_size * agreement.size;
    this.#begin = resumed?.iteration ?? 0;
    this.#iteration = this.#begin;
    this.#lastSnapshot = resumed;
    this.net = new LiveNet(training.trainer, shownOf(training));
  }

  /** What a user of `step` sees. */
  get result(): StepResult {
    const reason = this.#isDiverged ? 'diverged' : this.#isStopped ? 'stopped' : 'done';
    return { iteration: this.#iteration, ...this.#losses, reason };
  }

  /** Solver::Solve. */
  async *events(signal: AbortSignal | undefined): AsyncGenerator<SolverEvent, void, void> {
    const { max_iter, snapshot_after_train } = this.#parameters;
    yield* this.#beginning(signal);
    yield* this.#until(max_iter);
    const isStopped = this.#isStopped;
    const isKept = this.#isDiverged || this.#lastSnapshot?.iteration === this.#iteration;
    if (snapshot_after_train && !isKept) yield* this.snapshot('end');
    const isTested = this.#isTestDue() || this.#options.finalTest === true;
    if (!this.#isDiverged && !isStopped && isTested) yield* this.#tests();
    await this.#agreement.finish();
    yield this.#doneEvent(this.#isDiverged ? 'diverged' : isStopped ? 'stopped' : 'finished');
  }

  /** Solver::Step. */
  async *step(iterations: number, signal: AbortSignal | undefined): AsyncGenerator<SolverEvent, void, void> {
    yield* this.#beginning(signal);
    yield* this.#until(this.#iteration + iterations);
  }

  async *#beginning(signal: AbortSignal | undefined): AsyncGenerator<SolverEvent, void, void> {
    if (this.#isDiverged)
      throw new ArgumentError(
        'the solver',
        'one that has not diverged; open another, from the last snapshot',
        'a diverged one',
      );
    this.#signal = signal;
    this.#isStopped = false;
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    yield this.#startEvent();
    yield* this.#training.warnings;
  }

  async *#until(end: number): AsyncGenerator<SolverEvent, void, void> {
    const { snapshot, test_initialization } = this.#parameters;
    while (this.#iteration < end) {
      if (this.#isTestDue() && (this.#iteration > 0 || test_initialization)) {
        yield* this.#tests();
        yield* this.#agree();
        if (this.#isStopped) break;
      }
      yield* this.#iterate();
      yield* this.#agree();
      if (this.#isDiverged) break;
      this.#iteration++;
      const isDue = snapshot > 0 && this.#iteration % snapshot === 0;
      if (this.#isSnapshotAskedFor || isDue)
        yield* this.snapshot(this.#isSnapshotAskedFor ? 'request' : 'interval');
      if (this.#isDiverged || this.#isStopped) break;
    }
  }

  /** Solver::Step for one iteration: passes, update, what came of it. */
  async *#iterate(): AsyncGenerator<SolverEvent, void, void> {
    const { display, debug_info, iter_size } = this.#parameters;
    const { trainer, source, schedule } = this.#training;
    const iteration = this.#iteration;
    const isDisplayed = display > 0 && iteration % display === 0;
    const rate = schedule.rate(iteration);
    const signal = this.#signal;
    const outputNames = Object.keys(trainer.outputs).filter((name) => !this.net.shown.has(name));

    const isAlone = this.#agreement.size === 1;
    const skippedBefore = trainer.skippedUpdates;
    let [busy, waited, loss] = [0, 0, 0];
    let outputs: IterationEvent['outputs'] = [];
    let batch: Batch = {};
    for (let pass = 0; pass < iter_size; pass++) {
      signal?.throwIfAborted();
      if (pass > 0) source.recycle?.(batch);
      const begin = performance.now();
      batch = await source.next(signal);
      waited += performance.now() - begin;
      if (isDisplayed && debug_info && pass === 0 && this.#agreement.isFirst)
        yield await this.#debugInfo(batch);
      await this.#agreement.reach();
      const computing = performance.now();
      const schedule = { rate, iteration, first: pass === 0, last: pass === iter_size - 1 };
      // Of several processes none ends a step that the others are in.
      const stops = signal === undefined || !isAlone ? {} : { signal };
      const result = await this.#agreement
        .together(() => trainer.step(batch, schedule, { ...stops, copyInputs: source.recycle === undefined }))
        .catch(async (error) => {
          throw await explainLabel(error, this.#training.net.filtered, source, batch);
        });
      busy += performance.now() - computing;
      this.net.keep(result);
      await this.#training.files.add(result);
      outputs = outputValues(result, trainer.lossWeights, outputNames);
      loss = fround(loss + weightedLoss(outputs));
      // Other processes go on, and would wait for this one.
      if (!Number.isFinite(loss) && isAlone) break;
    }
    loss = fround(loss / iter_size);
    const isSkipped = trainer.skippedUpdates > skippedBefore;
    const reason = this.#divergence.check(outputs, loss, isSkipped);
    if (reason !== null) {
      this.#losses = { ...this.#losses, loss };
      const culprit = reason === 'gradients' ? null : await this.#culprit(batch);
      yield this.#diverged(reason, loss, culprit);
      return;
    }
    if (isSkipped)
      yield {
        type: 'warning',
        code: 'solver/update-skipped',
        message: `iteration ${iteration}: the gradients are not finite, so the update was skipped (${trainer.skippedUpdates} so far); ${this.#options.lossScale === 'dynamic' ? `the loss scale is now ${trainer.lossScale}` : 'lower the loss scale if this happens often, or make it dynamic'}`,
      };
    source.recycle?.(batch);
    this.#pace.add(this.#samples, busy + waited, waited);
    const smoothedLoss = this.#smoothed.add(loss);
    this.#losses = { loss, smoothedLoss };
    const { imagesPerSecond, waiting } = this.#pace.recent();
    const done = iteration + 1 - this.#begin;
    const remaining = this.#pace.remaining(done, Math.max(0, this.#parameters.max_iter - iteration - 1));
    const elapsed = this.#pace.elapsed();
    if (isDisplayed) this.#pace.mark();
    yield {
      type: 'iteration',
      iteration,
      display: isDisplayed,
      ...{ loss, smoothedLoss, rate, outputs, imagesPerSecond, elapsed, remaining, waiting },
    };
  }

  /** An edge of the loop: what one process was asked for, or ran into, all do. */
  async *#agree(): AsyncGenerator<DivergedEvent, void, void> {
    const wishes = new Set<Wish>(this.#requests);
    if (this.#isDiverged) wishes.add('diverged');
    this.#requests.delete('snapshot');
    const agreed = await this.#agreement.reach(wishes);
    this.#isStopped ||= agreed.has('stop');
    this.#isSnapshotAskedFor ||= agreed.has('snapshot');
    const diverged = agreed.get('diverged');
    if (diverged !== undefined && !this.#isDiverged)
      yield this.#diverged('other', this.#losses.loss ?? Number.NaN, null, diverged);
  }

  #isTestDue(): boolean {
    const { test_interval } = this.#parameters;
    return test_interval > 0 && this.#iteration % test_interval === 0;
  }

  /** Solver::TestAll; a stop ends it without a result. */
  async *#tests(): AsyncGenerator<TestEvent | WarningEvent, void, void> {
    if (!this.#agreement.isFirst) return;
    for (const [i, net] of this.#training.tests.entries()) {
      const begin = performance.now();
      const result = await this.#test(net);
      if (result === null) return;
      const bad = result.outputs.find(({ values }) => !values.every(Number.isFinite));
      if (bad !== undefined) {
        const { blobs, values } = graphFromCaffe(net.filtered, {
          phase: net.state.phase,
          inputShapes: net.source.shapes,
        });
        yield {
          type: 'warning',
          code: 'solver/test-not-finite',
          message: `test net ${i} at iteration ${this.#iteration}: output "${bad.name}", made by layer "${values[blobs.get(bad.name) ?? -1]?.layer ?? bad.name}", is not finite`,
        };
      }
      yield {
        type: 'test',
        iteration: this.#iteration,
        net: i,
        iterations: net.iterations,
        outputs: result.outputs,
        loss: this.#parameters.test_compute_loss === true ? result.loss : null,
        seconds: (performance.now() - begin) / 1000,
      };
    }
  }

  async #test({ net, filtered, state, source, iterations, lossWeights }: TestNet) {
    const hdf5 = hdf5Outputs(filtered);
    using model = await this.#options.device.load({
      model: net,
      ...state,
      weights: await this.#training.trainer.weights(this.#parameters.ema_decay > 0 ? { average: true } : {}),
      inputShapes: source.shapes,
      moreOutputs: hdf5Blobs(hdf5),
    });
    return await testNet(model, source, {
      iterations,
      lossWeights,
      detections: detectionOutputs(filtered),
      hdf5,
      filtered,
      apVersion: this.#parameters.ap_version,
      perClass: this.#parameters.show_per_class_result,
      signal: this.#signal,
      onBatch: () => !this.#requests.has('stop'),
    });
  }

  /** Solver::Snapshot; weights that are not finite are no snapshot: the last one before them stays the last. */
  async *snapshot(reason: SnapshotEvent['reason']): AsyncGenerator<SolverEvent, void, void> {
    const { snapshot_prefix, snapshot_format, ema_decay } = this.#parameters;
    const format = snapshot_format ?? 'BINARYPROTO';
    const files = snapshotFiles(snapshot_prefix, this.#iteration, format, ema_decay > 0);
    if (this.#agreement.isFirst) yield* this.#write(files, reason);
    this.#isSnapshotAskedFor = false;
    yield* this.#agree();
    if (!this.#isDiverged) this.#lastSnapshot = { iteration: this.#iteration, weights: files.weights };
  }

  async *#write(
    files: SnapshotFiles,
    reason: SnapshotEvent['reason'],
  ): AsyncGenerator<SolverEvent, void, void> {
    const begin = performance.now();
    const { trainer, source, tests, schedule, seed } = this.#training;
    const iteration = this.#iteration;
    const weights = await trainer.weights();
    const culprit = await firstNotFinite(weights);
    if (culprit !== null) {
      yield this.#diverged('weights', this.#losses.loss ?? Number.NaN, culprit);
      return;
    }
    const average = files.average === null ? null : await trainer.weights({ average: true });
    await saveSnapshot(
      files,
      { weights, average },
      await trainer.history(),
      trainer.learnable,
      schedule.currentStep,
      {
        format: 'resnode-solver-state/1',
        iteration,
        seed,
        rule: this.#parameters.type,
        parameters: parameterNames(trainer.learnable),
        ...(trainer.lossScaleState === null ? {} : { lossScale: trainer.lossScaleState }),
        data: { train: source.state(), tests: tests.map((test) => test.source.state()) },
      },
    );
    const { average: averageFile, ...written } = files;
    const kept = averageFile === null ? written : { ...written, average: averageFile };
    yield { type: 'snapshot', iteration, ...kept, reason, seconds: (performance.now() - begin) / 1000 };
  }

  async #debugInfo(batch: Batch) {
    const { net, trainer, source, seed } = this.#training;
    const { device, frozenBatchNorm, precision, lossScale } = this.#options;
    return debugInfo(device, net, await trainer.weights(), batch, {
      iteration: this.#iteration,
      inputShapes: source.shapes,
      seed,
      ...(frozenBatchNorm === undefined ? {} : { frozenBatchNorm }),
      ...(precision === undefined ? {} : { precision }),
      ...(lossScale === undefined ? {} : { lossScale: trainer.lossScale }),
    });
  }

  async #culprit(batch: Batch): Promise<Culprit | null> {
    const { net, trainer, source } = this.#training;
    try {
      const { device, precision } = this.#options;
      return await findCulprit(device, net, await trainer.weights(), batch, source.shapes, precision);
    } catch {
      // The search for the layer takes memory beside the trainer's; the divergence is reported in any case.
      return null;
    }
  }

  #diverged(
    reason: DivergedEvent['reason'],
    loss: number,
    culprit: Culprit | null,
    processes: readonly number[] = [],
  ): DivergedEvent {
    this.#isDiverged = true;
    const iteration = this.#iteration;
    const lastSnapshot = this.#lastSnapshot?.weights ?? null;
    return {
      type: 'diverged',
      ...{ iteration, reason, loss, lastSnapshot },
      layer: culprit?.layer ?? null,
      blob: culprit?.blob ?? null,
      message: divergenceMessage(iteration, reason, loss, culprit, lastSnapshot, processes),
    };
  }

  #startEvent(): StartEvent {
    const { net, trainer, source, tests, seed } = this.#training;
    const { device, warmup, cosine } = this.#options;
    const { max_iter, type, lr_policy, iter_size } = this.#parameters;
    const withStatus = (...wanted: string[]) =>
      trainer.report.filter(({ status }) => wanted.includes(status)).map(({ layer }) => layer);
    return {
      type: 'start',
      net: net.net.name ?? '',
      solver: this.#file,
      device: device.name,
      iteration: this.#iteration,
      maxIterations: max_iter,
      rule: type,
      policy: cosine === true ? 'cosine' : lr_policy,
      warmup: warmup ?? null,
      batch: this.#samples / iter_size,
      samplesPerIteration: this.#samples,
      epochSize: source.epochSize,
      learnable: trainer.learnable
        .filter(({ lrMult }) => lrMult !== 0)
        .reduce((sum, { shape }) => sum + elementCount(shape), 0),
      seed,
      batchNorms: trainer.batchNorms,
      loaded: withStatus('matched', 'reshaped'),
      filled: withStatus('missing'),
      weights: trainer.report.some(({ status }) => status !== 'missing') ? matchText(trainer.report) : null,
      unused: withStatus('ignored'),
      tests: tests.map(({ iterations }) => ({ iterations })),
    };
  }

  #doneEvent(reason: DoneEvent['reason']): DoneEvent {
    return {
      type: 'done',
      iteration: this.#iteration,
      reason,
      ...this.#losses,
      weights: this.#lastSnapshot?.weights ?? null,
      seconds: this.#pace.elapsed(),
      ...this.#pace.overall(),
    };
  }
}

/** Blobs that are asked for and are no outputs of the net, of which events tell. */
function shownOf({ net, source, trainer, shown: outputs }: Training): ReadonlySet<string> {
  if (outputs.length === 0) return new Set();
  const graph = graphFromCaffe(net.filtered, { phase: net.state.phase, inputShapes: source.shapes });
  const own = new Set([
    ...graph.outputs.map((id) => graph.values[id]!.blob),
    ...Object.keys(trainer.lossWeights),
  ]);
  return new Set(outputs.filter((name) => !own.has(name)));
}
