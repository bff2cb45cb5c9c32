/** A net in training: each pass runs forward, backward and the solver's update as one native call. */

import { ArgumentError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import type { Warning } from '../base/warn.ts';
import { yielding } from '../base/yielding.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { type LayerReport, refuseNamesTwice } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { type Compiled, describePlan, type ModelPlan } from '../compile/compile.ts';
import type { DiffPlace, Learnable, LoweredTraining } from '../gradient/lower-training.ts';
import { inHeldMemory } from '../native/host-memory.ts';
import { type BatchNormMode, batchNormModes } from './batch-norm-modes.ts';
import { layersOf } from './blobs-by-layer.ts';
import { CallOrder } from './call-order.ts';
import type { OpenedNet, Reshaping } from './compiler.ts';
import { copied, type GivenArray, numbersOf } from './input-array.ts';
import { KeptPlans } from './kept-plans.ts';
import { LossScale, type LossScaleState } from './loss-scale.ts';
import { release, watch } from './memory.ts';
import type { Outputs } from './model-calls.ts';
import { changesOf, type NewWeights } from './new-weights.ts';
import { Runner, type RunResult } from './runner.ts';
import { type Counts, refuseEmpty, type Selector } from './selection.ts';
import { type Inputs, resolveInputs, type Shapes, type Tensor } from './tensor.ts';
import type { CompleteTrainOptions } from './train-options.ts';
import {
  type GradientOptions,
  type Gradients,
  type PassOptions,
  type ProfiledPass,
  type Schedule,
  type TimedOperation,
  TRAINER_GRADIENTS,
  TRAINER_SET_WEIGHTS,
  TRAINER_STEP,
  TRAINER_TIME,
  TRAINER_WEIGHTS,
  type WeightsOptions,
} from './trainer-calls.ts';

export type { UpdateRule } from '../gradient/append-update.ts';
export type { Learnable } from '../gradient/lower-training.ts';
export type { BatchNormMode } from './batch-norm-modes.ts';
export type { TrainOptions, TrainPrecision } from './train-options.ts';
export type {
  GradientOptions,
  Gradients,
  PassOptions,
  Schedule,
  TimedOperation,
  WeightsOptions,
} from './trainer-calls.ts';

/**
 * The parts that `Device.train` provides.
 * @internal
 */
export interface TrainerParts {
  readonly device: string;
  readonly owner: object;
  /** The filtered net. */
  readonly net: NetParameter;
  readonly options: CompleteTrainOptions;
  readonly opened: OpenedNet<LoweredTraining>;
  /** Null if the net has no Filter. */
  readonly selector: Selector | null;
  /** Compiles the same net on the same parameters for other numbers of selected items. */
  readonly compile: (how: Reshaping) => Promise<Compiled<LoweredTraining>>;
}

/** The number of compiled selections that are kept. */
const KEPT_SELECTIONS = 8;

/** A pass: the plan that it ran, and its results. */
interface Pass {
  readonly compiled: Compiled<LoweredTraining>;
  readonly result: RunResult;
}

export class Trainer {
  /** Input blobs by name, with their shapes; a pass accepts no other shapes. */
  readonly inputs: Shapes;
  /**
   * The blobs that a pass returns: the net's outputs (sorted by name, as in Caffe), losses that a layer reads, and
   * `outputs`.
   */
  readonly outputs: Shapes;
  /** The loss_weight of each output: the loss is Σ weight · Σ values. */
  readonly lossWeights: Readonly<Record<string, number>>;
  /** Caffe's learnable_params in its order, which a .solverstate follows: every blob of the net once. */
  readonly learnable: readonly Learnable[];
  /** Which statistics each BatchNorm uses, and why. */
  readonly batchNorms: readonly BatchNormMode[];
  /** How each layer got its weights. */
  readonly report: readonly LayerReport[];
  /** What works but is probably not intended. */
  readonly warnings: readonly Warning[];
  /** Updates that were skipped because their gradients were not finite; checked in 16 bits only. */
  skippedUpdates = 0;
  readonly #net: NetParameter;
  readonly #update: CompleteTrainOptions['update'];
  readonly #runner: Runner<LoweredTraining>;
  readonly #selector: Selector | null;
  readonly #compile: TrainerParts['compile'];
  /** Plans for other numbers of selected items, least recently used first. */
  readonly #selections: KeptPlans<LoweredTraining>;
  readonly #order = new CallOrder();
  readonly #lossScale: LossScale;
  /** The index of the pass within the iteration, and the factor of its diffs. */
  #pass = 0;
  #factor: number;

  /**
   * Use `device.train`.
   * @internal
   */
  constructor({ net, options, selector, compile, ...parts }: TrainerParts) {
    this.#net = net;
    this.#update = options.update;
    this.#lossScale = new LossScale(options);
    this.#factor = this.#lossScale.factor;
    this.#selector = selector;
    this.#compile = compile;
    this.#runner = new Runner({
      ...parts,
      disposed: 'The trainer was disposed, directly or with its device; open it again',
    });
    this.#selections = new KeptPlans(this.#runner, KEPT_SELECTIONS);
    const { report, warnings, compiled } = parts.opened;
    const { program, names, learnable, lossWeights, written } = compiled;
    const shape = (id: number) => program.tensors[id]!.shape;
    const named = program.inputs.slice(0, written.inputs.length);
    this.inputs = Object.fromEntries(named.map((id) => [program.tensors[id]!.name, shape(id)]));
    this.outputs = Object.fromEntries(names.map((name, i) => [name, shape(program.outputs[i]!)]));
    this.lossWeights = lossWeights;
    this.learnable = learnable;
    this.report = report;
    this.warnings = warnings;
    this.batchNorms = batchNormModes(net, options);
    watch(this, `trainer of "${compiled.graph.name}"`);
  }

  /**
   * Runs one forward and backward pass, and after the last pass of an iteration the update. Passes run in the order of their
   * calls; the call copies inputs.
   * @param inputs As for `Model.run`, with the shapes in `inputs`.
   * @param options.signal Stops the pass before its next operation. The weights are then unchanged, but BatchNorm may
   * already have counted the batch. If one of several processes on GPUs stops, it has left, and all others fail with
   * `communicator/failed`.
   * @param options.copyInputs As for `Model.run`.
   * @internal
   * @returns The outputs before the update.
   * @throws ArgumentError; the signal's reason; DeviceError, `label/invalid` for a label that is not a class
   */
  async step(inputs: Inputs, schedule: Schedule, options: PassOptions = {}): Promise<Outputs> {
    TRAINER_STEP.check(inputs, schedule, options);
    return this.#outputs(await this.#step(inputs, schedule, options));
  }

  /**
   * Returns the milliseconds of each operation of one `step`, which learns like any other, or, with `update: null`, of one
   * pass of `gradients`: by layer name, first those of the forward pass, then the gradients, then the update. A CUDA device
   * launches the operations separately for this.
   * @param schedule Ignored with `update: null`.
   * @throws as `step`
   */
  async time(inputs: Inputs, schedule: Schedule, options: PassOptions = {}): Promise<TimedOperation[]> {
    TRAINER_TIME.check(inputs, schedule, options);
    if (this.#update !== null) TRAINER_STEP.check(inputs, schedule, options);
    const profiled = { ...options, profile: true };
    const { compiled, result } =
      this.#update === null
        ? await this.#run(inputs, [0, 0], (of) => seedsOf(of, {}, this.#factor), profiled)
        : await this.#step(inputs, schedule, profiled);
    const { program, forwardOperations } = compiled;
    return program.operations.map(({ layer, kind }, i) => ({
      layer,
      milliseconds: result.milliseconds![i]!,
      pass: i < forwardOperations ? 'forward' : kind === 'update' ? 'update' : 'backward',
    }));
  }

  /**
   * Runs one forward and backward pass, which changes only BatchNorm's running statistics.
   * @throws as `step`
   */
  async gradients(inputs: Inputs, options: GradientOptions = {}): Promise<Gradients> {
    TRAINER_GRADIENTS.check(inputs, options);
    if (this.#update !== null)
      throw new ArgumentError('gradients', 'a trainer that was opened with update: null', 'an update');
    const { topDiffs = {}, iteration = 0, ...runOptions } = options;
    const at = [iteration, 0] as const;
    const lossScale = this.#factor;
    const pass = await this.#run(
      inputs,
      at,
      (compiled) => seedsOf(compiled, topDiffs, lossScale),
      runOptions,
    );
    const { outputs: results } = pass.result;
    const { diffs } = pass.compiled;
    const { blobs, parameters } = diffs;
    const unscaled = (diff: Float32Array) =>
      lossScale === 1 ? diff : diff.map((value) => value / lossScale);
    const tensor = ({ output, shape }: DiffPlace): Tensor => ({
      shape,
      data: output === null ? new Float32Array(elementCount(shape)) : unscaled(results[output]!),
    });
    return {
      outputs: this.#outputs(pass),
      blobs: Object.fromEntries([...blobs].map(([name, place]) => [name, tensor(place)])),
      parameters: parameters.map((place) => (place.output === null ? null : tensor(place))),
    };
  }

  /**
   * All layers with their blobs as they are after the passes called so far (Net::ToProto); shared blobs appear with each of
   * their layers.
   * @throws WeightsError `weights/names-twice` if two layers would become one in a file; DeviceError
   */
  async weights(options: WeightsOptions = {}): Promise<WeightsFile> {
    TRAINER_WEIGHTS.check(options);
    const { compiled } = this.#runner;
    refuseNamesTwice(compiled.written.parameters, '');
    const { parameters, averages } = compiled;
    if (options.average === true && averages.length === 0)
      throw new ArgumentError('average', 'false without an ema_decay in the update', true);
    const values = await this.#read(
      options.average === true ? parameters.map((id, i) => averages[i] ?? id) : parameters,
    );
    const blobs = this.learnable.map(({ shape }, i) => blobFromFloats(shape, values[i]!));
    return { file: '', name: this.#net.name ?? '', layers: layersOf(this.#net, this.learnable, blobs) };
  }

  /**
   * Changes weights between passes: passes called earlier use the old weights, and passes called later the new ones, whether
   * or not the promise has settled. The update's histories and averages stay unchanged. Several processes must all set the
   * same weights.
   * @param weights As for `Model.setWeights`.
   * @throws ArgumentError for an unknown layer or blob, or another size; WeightsError if a file does not fit. After an error
   * nothing has changed.
   * @example await trainer.setWeights({ fc: [new Float32Array(10 * 64), null] }); // fc's bias stays
   */
  async setWeights(weights: NewWeights): Promise<void> {
    TRAINER_SET_WEIGHTS.check(weights);
    const runner = this.#runner;
    runner.checkOpen();
    const { parameters, written } = runner.compiled;
    const changes = changesOf(weights, written.parameters);
    changes.catch(() => {});
    const { writing } = await this.#order.afterEarlier(async () => {
      const yieldIfDue = yielding();
      const writes = [];
      for (const [id, { bytes, dtype }] of await changes)
        writes.push({
          index: parameters[id]!,
          data: { bytes: await inHeldMemory(bytes, yieldIfDue), dtype, channelScale: null },
        });
      const writing = runner.write(writes);
      writing.catch(() => {});
      return { writing: [writing] };
    });
    await writing[0]!;
  }

  /**
   * The histories of the update, in the order of a .solverstate: slot 0 of all learnable blobs, then slot 1 (AdaDelta,
   * Adam). Empty without an update.
   * @throws DeviceError
   */
  async history(): Promise<Float32Array[]> {
    const { history } = this.#runner.compiled;
    const slots = history.find((each) => each !== null)?.length ?? (history.length === 0 ? 0 : 1);
    const ids = Array.from({ length: slots }, (_, slot) =>
      history.map((each) => each?.[slot] ?? null),
    ).flat();
    const values = await this.#read(ids.filter((id) => id !== null));
    return ids.map((id, i) =>
      id === null
        ? new Float32Array(elementCount(this.learnable[i % this.learnable.length]!.shape))
        : values.shift()!,
    );
  }

  /** The factor of the next iteration's diffs: `lossScale`, or the current value of a dynamic one. */
  get lossScale(): number {
    return this.#lossScale.factor;
  }

  /**
   * The state of a dynamic loss scale, for a snapshot; null if the scale is a number.
   * @internal
   */
  get lossScaleState(): LossScaleState | null {
    return this.#lossScale.state;
  }

  /**
   * Restores the state from a snapshot; a constant scale stays unchanged.
   * @internal
   */
  set lossScaleState(state: LossScaleState | null) {
    if (state !== null) this.#lossScale.restore(state);
  }

  /** The bytes and implementations of a pass. */
  plan(): ModelPlan {
    return describePlan(this.#runner.compiled);
  }

  /** Frees everything after the passes already called. Calling it twice is safe. */
  dispose(): void {
    if (!this.#runner.dispose()) return;
    release(this);
    this.#selector?.dispose();
    this.#selections.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  async #step(
    inputs: Inputs,
    { rate, iteration, first = true, last = true }: Schedule,
    options: ProfiledPass,
  ): Promise<Pass> {
    const update = this.#update;
    if (update === null)
      throw new ArgumentError('step', 'a trainer that was given an update', 'update: null');
    if (update.iter_size === 1 && !(first && last))
      throw new ArgumentError('first and last', 'true for both if iter_size is 1', { first, last });
    // All passes of an iteration accumulate with the same factor.
    if (first) this.#factor = this.#lossScale.factor;
    const factor = this.#factor;
    const schedule = Float32Array.of(rate, iteration, first ? 1 : 0, last ? 1 : 0, factor);
    this.#pass = first ? 0 : this.#pass + 1;
    const at = [iteration, this.#pass] as const;
    const more = (compiled: LoweredTraining) => [...seedsOf(compiled, {}, factor), schedule];
    const pass = await this.#run(inputs, at, more, options);
    const { skipped } = pass.compiled;
    if (skipped !== null) {
      const isSkipped = pass.result.outputs[skipped]![0] !== 0;
      if (isSkipped) this.skippedUpdates++;
      if (last) this.#lossScale.updated(isSkipped, factor);
    }
    return pass;
  }

  #run(
    inputs: Inputs,
    pass: readonly [iteration: number, pass: number],
    more: (compiled: LoweredTraining) => readonly Float32Array[],
    { signal, ...mode }: ProfiledPass,
  ): Promise<Pass> {
    return this.#runner.guard(signal, async () => {
      signal?.throwIfAborted();
      const { shapes, arrays } = resolveInputs(this.inputs, inputs);
      for (const [name, shape] of Object.entries(this.inputs))
        if (String(shapes[name]) !== String(shape))
          throw new ArgumentError(
            `input "${name}"`,
            `the shape ${shape.join('×')} that the trainer was opened with`,
            shapes[name],
          );
      const runner = this.#runner;
      runner.checkOpen();
      const { compiled: first } = runner;
      const drawn = first.pass === null ? [] : [Float32Array.from(pass)];
      if (this.#selector === null && this.#order.isClear) {
        const running = runner.start(first, [...arrays, ...drawn, ...more(first)], mode);
        return { compiled: first, result: await runner.settle(running, signal) };
      }
      // Waits for earlier changes, and for the selections of earlier batches.
      const given = mode.copyInputs === false ? arrays : arrays.map(copied);
      const { compiled, running } = await this.#order.afterEarlier(async () => {
        const { compiled, indices } = await this.#select(given);
        signal?.throwIfAborted();
        runner.checkOpen();
        const all = [...given, ...indices, ...drawn, ...more(compiled)];
        return { compiled, running: runner.start(compiled, all, { ...mode, copyInputs: false }) };
      });
      return { compiled, result: await runner.settle(running, signal) };
    });
  }

  /** The plan for the items that Filter layers select from a batch. */
  async #select(
    arrays: readonly GivenArray[],
  ): Promise<{ compiled: Compiled<LoweredTraining>; indices: readonly Float32Array[] }> {
    if (this.#selector === null) return { compiled: this.#runner.compiled, indices: [] };
    const named = Object.entries(this.inputs).map(
      async ([name, shape], i) => [name, { shape, data: await numbersOf(arrays[i]!, shape) }] as const,
    );
    const { counts, indices } = await this.#selector.select(Object.fromEntries(await Promise.all(named)));
    refuseEmpty(counts);
    return { compiled: await this.#compiledFor(counts), indices };
  }

  async #compiledFor(selected: Counts): Promise<Compiled<LoweredTraining>> {
    if (Object.keys(selected).length === 0) return this.#runner.compiled;
    const key = JSON.stringify(selected);
    return this.#selections.get(key, () =>
      this.#compile({ selected, measured: false, makeRoom: this.#selections.giveUpOldest }),
    );
  }

  // Waits for the changes called so far.
  async #read(ids: readonly number[]): Promise<Float32Array[]> {
    if (this.#order.isClear) return this.#runner.read(ids);
    const { reading } = await this.#order.afterEarlier(async () => {
      const values = this.#runner.read(ids);
      values.catch(() => {});
      return { reading: [values] };
    });
    return reading[0]!;
  }

  #outputs({ compiled: { program, names }, result }: Pass): Outputs {
    return Object.fromEntries(
      names.map((name, i) => {
        const { shape } = program.tensors[program.outputs[i]!]!;
        return [name, { shape, data: result.outputs[i]! }];
      }),
    );
  }
}

/** The initial diff of each seed of a backward pass. */
function seedsOf(
  { seeds }: LoweredTraining,
  topDiffs: Readonly<Record<string, Float32Array>>,
  lossScale: number,
): Float32Array[] {
  const free = seeds.filter(({ weight }) => weight === 0).map(({ blob }) => blob);
  for (const name of Object.keys(topDiffs))
    if (!free.includes(name))
      throw new ArgumentError('topDiffs', `outputs that are not losses (${free.join(', ') || 'none'})`, name);
  return seeds.map(({ blob, shape, weight }) => {
    const count = elementCount(shape);
    const given = weight === 0 && Object.hasOwn(topDiffs, blob) ? topDiffs[blob] : undefined;
    if (given !== undefined && !(given instanceof Float32Array && given.length === count))
      throw new ArgumentError(`the diff of "${blob}"`, `a Float32Array of ${count} values`, given);
    return (given ?? new Float32Array(count).fill(weight)).map((value) => value * lossScale);
  });
}
