/** Caffe's solver (solver.cpp, sgd_solver.cpp): a loop that reports its progress as events. */

import { ArgumentError, PrototxtError } from '../base/errors.ts';
import { boolean, callback, either, having, integer, list, oneOf, path, signal } from '../base/kinds.ts';
import { type Option, optional, options, required, signature } from '../base/options.ts';
import { weightsFile } from '../caffe/caffemodel.ts';
import { type CheckedSolver, checkSolver, type SolverSettings } from '../caffe/check-solver.ts';
import { positionOf } from '../caffe/message.ts';
import { readSolverFile, type SolverParameter, solverParameter } from '../caffe/solver-parameter.ts';
import { matchRows, netRows } from '../device/load-options.ts';
import { solverRows, trainOptions } from '../device/train-options.ts';
import { Agreement } from './agreement.ts';
import type { DivergedEvent, SnapshotEvent, SolverEvent } from './events.ts';
import type { LiveNet } from './live-net.ts';
import { type OpenData, openTraining, type Training, type TrainingOptions } from './open-training.ts';
import { extensionRows } from './schedules.ts';
import { solverData } from './solver-data.ts';
import { solverFile } from './solver-nets.ts';
import { type SolverRequest, SolverRun, type StepResult } from './solver-run.ts';

export type { SolverRequest, StepResult } from './solver-run.ts';

export interface SolverOptions extends Omit<TrainingOptions, 'data'> {
  /** The path of a solver's prototxt, or a SolverParameter. */
  readonly solver: string | SolverParameter;
  /** The source of batches. Default: the nets' data layers (`solverData`). */
  readonly data?: OpenData;
}

const SOLVER = signature('Solver', {
  options: required(
    options<SolverOptions>({
      solver: required(either(path, solverParameter), 'The path of a solver prototxt, or a SolverParameter.'),
      device: required(
        having<SolverOptions['device']>('a Device of openDevice', 'load', 'train'),
        'The device to train on.',
      ),
      snapshot: optional(path, 'none', 'A .solverstate to resume from.'),
      weights: optional(
        either(path, list(path, { of: 'paths' }), weightsFile),
        "the solver's own",
        'The weights to start from; on a command line, several files with commas between them.',
      ),
      data: optional(callback<OpenData>(), "the nets' data layers", 'Opens the source of batches.'),
      level: netRows.level,
      stages: netRows.stages,
      frozenBatchNorm: netRows.frozenBatchNorm,
      finalTest: optional(
        boolean,
        'false',
        'Also tests after the last iteration if test_interval does not divide max_iter.',
      ),
      outputs: trainOptions.table.outputs as Option<readonly string[]>,
      ...matchRows,
      ...solverRows,
      ...extensionRows,
    }),
    'What to train, and on which device.',
  ),
});
const SOLVER_REQUEST = signature('solver.request', {
  action: required(oneOf('snapshot', 'stop'), 'The action that is requested.'),
});
const SOLVER_RUN = signature('solver.run', {
  options: optional(
    options<{ readonly signal?: AbortSignal }>({
      signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
    }),
    'none',
    'How the run ends early.',
  ),
});
const SOLVER_STEP = signature('solver.step', {
  iterations: required(integer(1), 'The number of iterations.'),
  options: optional(
    options<StepOptions>({
      signal: optional(
        signal,
        'none',
        "Cancels training between two iterations; the promise rejects with the signal's reason.",
      ),
      onEvent: optional(
        callback<(event: SolverEvent) => void>(),
        'none',
        'Called with each event that `run` would yield.',
      ),
    }),
    'none',
    'How the steps end early, and who receives events.',
  ),
});

export interface StepOptions {
  /**
   * Ends the step and throws the signal's reason. The current iteration is not done; the next `step` begins with it.
   */
  readonly signal?: AbortSignal;
  /** Receives the events that `run` would yield: iterations, tests, snapshots, warnings, a divergence. */
  readonly onEvent?: (event: SolverEvent) => void;
}

interface OpenRun {
  readonly training: Training;
  readonly agreement: Agreement;
  readonly run: SolverRun;
}

export class Solver {
  /** The checked settings, with defaults. */
  readonly parameters: SolverSettings;
  readonly #options: TrainingOptions;
  readonly #checked: CheckedSolver;
  /** The solver's file; null for one made in code. */
  readonly file: string | null;
  #requests = new Set<SolverRequest>();
  #isRunning = false;
  /** What `open` and `step` keep open between calls. */
  #open: OpenRun | null = null;

  /**
   * Reads and checks a solver; no other file is opened before it runs.
   * @throws PrototxtError; ArgumentError
   */
  constructor(options: SolverOptions) {
    SOLVER.check(options);
    const { solver, weights, snapshot } = options;
    if (weights !== undefined && snapshot !== undefined)
      throw new ArgumentError('weights', 'weights to start from or a snapshot to resume from', 'both');
    const parameter = typeof solver === 'string' ? readSolverFile(solver) : solver;
    this.file = solverFile(parameter) ?? null;
    this.#options = { ...options, data: options.data ?? solverData(this.file ?? undefined) };
    this.#checked = checkSolver(parameter);
    this.parameters = this.#checked.parameters;
    if (this.parameters.snapshot_diff === true)
      throw new PrototxtError(
        'solver/snapshot-diff',
        positionOf(parameter, 'snapshot_diff') ?? { file: '<message>', line: 1, column: 1 },
        'snapshot_diff is not supported, because snapshots contain no gradients; remove it',
      );
  }

  /**
   * Requests a snapshot or a stop from the running solver, which acts after the current iteration. A stop also ends a
   * test early and writes a snapshot, unless `snapshot_after_train` is false or it ends a `step`.
   */
  request(action: SolverRequest): void {
    SOLVER_REQUEST.check(action);
    this.#requests.add(action);
  }

  /**
   * Trains from the solver's current state (the beginning, the snapshot, or the end of a `step`) to max_iter. Leaving
   * the loop early frees everything. Events come in Caffe's order: a test precedes the iteration whose number it has,
   * and snapshots follow it. If training diverges, it ends with the events `diverged` and `done`, and nothing is
   * thrown. Caffe computes the loss once more after the last iteration; this does not.
   *
   * With several processes, each runs its own Solver. Requests to and errors of one of them take effect in all at the
   * next edge of the loop. An error of one in its data, test or snapshot ends all; the others throw DeviceError
   * `communicator/other-failed`. After an error in a training step itself the others still wait in theirs: exit the
   * process then, and the launcher ends them.
   * @param options.signal Ends the run without a snapshot and throws the signal's reason; for an orderly end use
   * `request`.
   * @throws PrototxtError, GraphError, WeightsError, ArgumentError, DeviceError; the errors of the data
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
   * Opens nets, data and trainer, so that `net` can be inspected and changed before the first iteration, as with
   * pycaffe's caffe.get_solver. `step` calls it if necessary. Close the solver at the end.
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
   * Runs this many iterations, even beyond max_iter, with the tests and snapshots that are due (Solver::Step). Then
   * `net` can be inspected and changed, and `step` or `run` continues. Everything stays open: close the solver at the
   * end. Several processes call it with the same number.
   * @throws as `run`; ArgumentError after a divergence. An error other than the signal's reason closes the solver.
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
   * Writes a snapshot now, according to `snapshot_prefix` and `snapshot_format`. Opens the solver if necessary.
   * @returns Its event; `diverged` if weights are not finite, in which case nothing is written.
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

  /**
   * The trained net: pycaffe's solver.net.
   * @throws ArgumentError before `open` or `step`, and after `close`
   */
  get net(): LiveNet {
    if (this.#open === null)
      throw new ArgumentError('net', 'an open solver; await solver.open() or solver.step(n) first', 'none');
    return this.#open.run.net;
  }

  /** Iterations done; 0 before it is open. */
  get iteration(): number {
    return this.#open?.run.result.iteration ?? 0;
  }

  /**
   * Frees what `open` and `step` keep; can be called twice.
   * @throws ArgumentError while it runs
   */
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
      throw new ArgumentError(call, 'one call at a time; the previous one has not ended', call);
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
        run: new SolverRun(this, training, this.#options, agreement, this.#requests),
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
