/** One run of a solver (Solver::Solve and Solver::Step in solver.cpp), which yields events. */

import { ArgumentError } from '../base/errors.ts';
import type { SolverSettings } from '../caffe/check-solver.ts';
import type { Batch } from '../data/source.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { Agreement, Wish } from './agreement.ts';
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
  TestEvent,
  WarningEvent,
} from './events.ts';
import { LiveNet } from './live-net.ts';
import type { Training, TrainingOptions } from './open-training.ts';
import { Pace } from './pace.ts';
import { SmoothedLoss } from './smoothed-loss.ts';
import { parameterNames, type SnapshotFiles, saveSnapshot, snapshotFiles } from './snapshot.ts';
import { testEvents } from './solver-tests.ts';
import { startEvent } from './start-event.ts';
import { outputValues, weightedLoss } from './test-net.ts';
import { explainLabel } from './wrong-label.ts';

const { fround } = Math;

/** Caffe's SolverAction, requested from outside, for example by a signal. */
export type SolverRequest = 'snapshot' | 'stop';

/** The state of a solver after a `step`. */
export interface StepResult {
  /** Iterations done since the training began. */
  readonly iteration: number;
  /** The loss of the last iteration and its running mean; null if none is done. */
  readonly loss: number | null;
  readonly smoothedLoss: number | null;
  /** `done`: all iterations were done; `stopped`: a stop was requested; `diverged`: the solver cannot continue. */
  readonly reason: 'done' | 'stopped' | 'diverged';
}

/** The parts of its solver that a run uses. */
interface SolverFace {
  readonly file: string | null;
  readonly parameters: SolverSettings;
}

/**
 * The state of a solver's run; `Solver` is its public interface.
 * @internal
 */
export class SolverRun {
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
  // What all processes know since the last edge. A process that runs alone knows it from itself.
  #isDiverged = false;
  #isStopped = false;
  #isSnapshotAskedFor = false;
  #hasBegun = false;
  readonly net: LiveNet;

  constructor(
    { file, parameters }: SolverFace,
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

  /** What a caller of `step` sees. */
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
        'one that has not diverged; open another one from the last snapshot',
        'a diverged one',
      );
    this.#signal = signal;
    this.#isStopped = false;
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    yield startEvent(this.#training, this.#options, this.#parameters, {
      solver: this.#file,
      iteration: this.#iteration,
      samplesPerIteration: this.#samples,
    });
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

  /** Solver::Step for one iteration: the passes, the update, and their result. */
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
      // If there are several processes, none ends a step that the others are still in.
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
      // Other processes continue, and would wait for this one.
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

  /** An edge of the loop: all processes act on the requests and errors of each. */
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

  /** Solver::Snapshot. Weights that are not finite are not written, so the previous snapshot remains the last. */
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

  async *#tests(): AsyncGenerator<TestEvent | WarningEvent, void, void> {
    if (!this.#agreement.isFirst) return;
    yield* testEvents(this.#training, this.#options.device, this.#parameters, {
      iteration: this.#iteration,
      signal: this.#signal,
      isStopAsked: () => this.#requests.has('stop'),
    });
  }

  async #debugInfo(batch: Batch) {
    const { net, trainer, source, seed } = this.#training;
    const { device, frozenBatchNorm, precision, lossScale } = this.#options;
    return debugInfo(device, net, await trainer.weights(), batch, {
      iteration: this.#iteration,
      passesBefore: this.#iteration * this.#parameters.iter_size,
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
      // The search for the layer takes memory in addition to the trainer's. The divergence is reported in any case.
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

/** Requested blobs that are not outputs of the net, which events contain. */
function shownOf({ net, source, trainer, shown: outputs }: Training): ReadonlySet<string> {
  if (outputs.length === 0) return new Set();
  const graph = graphFromCaffe(net.filtered, { phase: net.state.phase, inputShapes: source.shapes });
  const own = new Set([
    ...graph.outputs.map((id) => graph.values[id]!.blob),
    ...Object.keys(trainer.lossWeights),
  ]);
  return new Set(outputs.filter((name) => !own.has(name)));
}
