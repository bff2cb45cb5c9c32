/** A net compiled for a device. Runs are queued and answered in order. */

import { ArgumentError, DeviceError } from '../base/errors.ts';
import {
  boolean,
  having,
  instance,
  integer,
  type Kind,
  readable,
  record,
  signal,
  string,
} from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { Warning } from '../base/warn.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { type LayerReport, refuseNamesTwice } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { type Compiled, describePlan, type Lowered, type ModelPlan } from '../compile/compile.ts';
import { type NetPart, rangeRows } from '../graph/net-between.ts';
import { type Summary, summarise } from '../graph/summary.ts';
import { layersOf } from './blobs-by-layer.ts';
import { DeviceBuffer } from './buffer.ts';
import { CallOrder } from './call-order.ts';
import type { OpenedNet, Reshaping } from './compiler.ts';
import { copied, type GivenArray, numbersOf } from './input-array.ts';
import { KeptPlans } from './kept-plans.ts';
import { LiveWeights } from './live-weights.ts';
import { release, watch } from './memory.ts';
import { NetParts } from './net-parts.ts';
import { changesOf, type NewWeights, newWeights } from './new-weights.ts';
import { NotFiniteWatch } from './not-finite-watch.ts';
import { free, type RunMode, Runner } from './runner.ts';
import type { Counts, Selected, Selector } from './selection.ts';
import { copiedInputs, type Inputs, resolveInputs, type Shapes, sameShapes, type Tensor } from './tensor.ts';

export interface RunOptions {
  /**
   * Rejects with its reason; the device stops before the next operation. A GPU runs a net as one piece: there a run
   * stops where it has not begun, and otherwise its result is dropped.
   */
  readonly signal?: AbortSignal;
  /**
   * Buffers that take outputs, by name: float32, of the output's size. `run` leaves these out of what it returns, and does
   * not look at them for values that are not finite.
   */
  readonly outputs?: Readonly<Record<string, DeviceBuffer>>;
  /**
   * False: arrays are read in place when the run's turn comes, and not copied at the call: they belong to the run until its
   * promise settles, however it does. Who writes to them before that gets an answer for either content, or for a mixture;
   * who transfers them (`postMessage`, `structuredClone`) ends the process in the worst case. Aborting the run, and
   * disposing of the model or the device, are safe: the promise settles when nothing reads them any more. Default true.
   */
  readonly copyInputs?: boolean;
  /**
   * A part of the net alone, pycaffe's forward(start=, end=): the layers from this one on that the outputs need. Inputs are
   * then the blobs that they read of layers before. The part is a net of its own, loaded when it first runs and kept, with
   * a copy of its weights: nothing is fused across its ends. Default: the net's first layer.
   */
  readonly start?: string;
  /** The layer to end with; its tops are returned. Default: the net's last layer, and its outputs. */
  readonly end?: string;
}

/** What `Device.load` hands over. @internal */
export interface ModelParts {
  readonly device: string;
  readonly owner: object;
  /** Filtered. */
  readonly net: NetParameter;
  /** Of the fillers. */
  readonly seed: number;
  readonly opened: OpenedNet<Lowered>;
  /** Shapes that are kept besides those that were asked for. Default 4. */
  readonly keptShapes?: number;
  /** Compiles the same net on the same parameters for other input shapes. */
  readonly compile: (shapes: Shapes, how: Reshaping) => Promise<Compiled>;
  /** Null: the net has no Filter. */
  readonly selector: Selector | null;
  /** Along which axis each output has no items, for input shapes and numbers of selected items. @throws GraphError */
  readonly emptyAxes: (shapes: Shapes, counts: Counts) => readonly (number | null)[];
  /**
   * The same net with these outputs, nothing fused: where a value of an output is not finite, it finds the first blob
   * that has one. Null: this model's outputs are not looked at.
   */
  readonly loadLayerByLayer: ((outputs: readonly string[], weights: WeightsFile) => Promise<Model>) | null;
  /** A part of the same net with these weights, as this model was loaded. */
  readonly loadPart: (part: NetPart, weights: WeightsFile) => Promise<Model>;
}

/** A run, and whether each operation is timed. */
type Submission = RunOptions & Pick<RunMode, 'profile'>;

/** The blobs that a model returns, by name. */
export type Outputs<Name extends string = string> = Record<Name, Tensor>;

/** A Model, or what stands for it. */
export const model: Kind<Model> = having<Model>('a Model of device.load', 'run');

const runOptions = options<RunOptions>({
  signal: optional(signal, 'none', "Aborts the run; the promise rejects with the signal's reason."),
  outputs: optional(
    record(instance('a DeviceBuffer', DeviceBuffer)),
    'none',
    'Buffers that receive outputs, by name.',
  ),
  copyInputs: optional(
    boolean,
    'true',
    'false reads arrays in place; do not change them until the promise settles.',
  ),
  ...rangeRows,
});
const inputsRow = required(readable, 'An array for each input blob, by name.');

const MODEL_RUN = signature('model.run', {
  inputs: inputsRow,
  options: optional(runOptions, 'none', 'How to run the net.'),
});
const MODEL_TIME = signature('model.time', {
  inputs: inputsRow,
  options: optional(runOptions, 'none', 'How to run the net.'),
});
const MODEL_KEEP = signature('model.keep', { batch: required(integer(1), 'The batch size.') });
const MODEL_SKIP_RUNS = signature('model.skipRuns', { count: required(integer(0), 'The number of runs.') });
const MODEL_PARAMETER = signature('model.parameter', {
  layer: required(string, 'The name of the layer.'),
  index: required(integer(0), 'The index of the blob.'),
});
const MODEL_SET_WEIGHTS = signature('model.setWeights', {
  weights: required(newWeights, 'New blobs by layer, or a weights file.'),
});
/** @typeParam Name Of its outputs, where `device.load` was given them in the code. */
export class Model<Name extends string = string> {
  /** Input blobs by name, with the shapes that the model was loaded with. */
  readonly inputs: Shapes;
  /** Blobs that `run` returns by name, with their shapes for the loaded inputs. */
  readonly outputs: Readonly<Record<Name, readonly number[]>>;
  /** What became of each layer's weights. */
  readonly report: readonly LayerReport[];
  /** What works and is hardly meant, e.g. `weights/partial`. */
  readonly warnings: readonly Warning[];
  readonly #parts: ModelParts;
  readonly #runner: Runner;
  /** Others that were run, the one used least recently first. */
  readonly #others: KeptPlans<Lowered>;
  /** Batch sizes that were asked for at loading. */
  readonly #asked = new Map<string, Compiled>();
  readonly #order = new CallOrder();
  readonly #weights: LiveWeights;
  readonly #netParts: NetParts<Model>;
  #runs = 0;
  readonly #watch: NotFiniteWatch | null;

  /** Use `device.load`. @internal */
  constructor(parts: ModelParts) {
    this.#parts = parts;
    const { report, warnings, compiled } = parts.opened;
    const disposed = 'The model was disposed, directly or with its device; load it again to run it';
    this.#runner = new Runner({ ...parts, disposed });
    this.#others = new KeptPlans(this.#runner, parts.keptShapes ?? 4);
    this.#weights = new LiveWeights(compiled, parts);
    const { loadLayerByLayer } = parts;
    this.#watch =
      loadLayerByLayer === null
        ? null
        : new NotFiniteWatch(compiled.written, async (outputs) =>
            loadLayerByLayer(outputs, await this.#order.behind(() => this.currentWeights())),
          );
    this.#netParts = new NetParts({
      net: parts.net,
      graph: compiled.written,
      outputs: compiled.names,
      load: parts.loadPart,
      weights: () => this.currentWeights(),
    });
    this.report = report;
    this.warnings = warnings;
    const { program, names } = compiled;
    const shape = (id: number) => program.tensors[id]!.shape;
    const given = program.inputs.slice(0, compiled.graph.inputs.length);
    this.inputs = Object.fromEntries(given.map((id) => [program.tensors[id]!.name, shape(id)]));
    const outputs = Object.fromEntries(names.map((name, i) => [name, shape(program.outputs[i]!)]));
    this.outputs = outputs as Model<Name>['outputs'];
    watch(this, `model "${compiled.graph.name}"`);
  }

  /**
   * Runs the net once; in phase TRAIN a Dropout drops others each time. Inputs are copied at the call, so their arrays may be reused at once.
   * @param inputs One array per input blob: Float32Array, or Uint8Array whose values count as 0–255. Of the loaded
   * shape, of another batch size (the length decides), or `{ shape, data }`; bytes of images also as `{ shape, data, mean,
   * scale }`, of which the device makes (byte − mean) · scale. A new shape is compiled when it first
   * occurs, without measuring; those used last are kept (`keptShapes`) and share the parameters. A DeviceBuffer is read when the run's turn comes, in
   * its own shape where that has as many dimensions as the blob, else its length decides.
   * Values that are not finite are a process warning (`output/not-finite`), once an output.
   * @returns The outputs by name, in plain row-major float32, without those that `options.outputs` takes.
   * With `start` or `end` a part of the net runs: its inputs are what it reads of layers before, its outputs the tops of
   * `end`, else the net's outputs that it makes.
   * @throws ArgumentError for a missing, unknown or wrongly sized input, or a layer that is not there; the signal's reason;
   * GraphError for a shape that the net cannot take; DeviceError
   * @example
   * const { res4f } = await model.run({ data }, { end: 'res4f_relu' });
   * const { prob } = await model.run({ res4f: res4f!.data }, { start: 'res5a_branch1' });
   */
  async run(
    inputs: Inputs,
    options: RunOptions & ({ readonly start: string } | { readonly end: string }),
  ): Promise<Outputs>;
  async run(
    inputs: Inputs,
    options: RunOptions & { readonly outputs: object },
  ): Promise<Partial<Outputs<Name>>>;
  async run(inputs: Inputs, options?: RunOptions): Promise<Outputs<Name>>;
  async run(inputs: Inputs, options: RunOptions = {}): Promise<Outputs & Outputs<Name>> {
    MODEL_RUN.check(inputs, options);
    const part = this.#partRun(inputs, options, (model, given, rest) => model.run(given, rest));
    if (part !== null) return (await part) as Outputs & Outputs<Name>;
    const { compiled, empty, result } = await this.#submit(inputs, options);
    const { program, names } = compiled;
    this.#watch?.look(compiled, result.outputs, inputs);
    const found: [name: string, output: Tensor][] = [];
    for (const [i, name] of names.entries()) {
      const data = result.outputs[i]!;
      if (data === null) continue;
      const { shape } = program.tensors[program.outputs[i]!]!;
      const axis = empty?.[i] ?? null;
      const output =
        axis === null
          ? countedRows(compiled, i, { shape, data }, result.outputs)
          : { shape: shape.with(axis, 0), data: new Float32Array(0) };
      found.push([name, output]);
    }
    // Entries, since a blob may be called __proto__.
    return Object.fromEntries(found) as Outputs & Outputs<Name>;
  }

  /** Milliseconds of each operation in one run, by layer name. Inputs and errors are those of `run`. */
  async time(inputs: Inputs, options: RunOptions = {}): Promise<{ layer: string; milliseconds: number }[]> {
    MODEL_TIME.check(inputs, options);
    const part = this.#partRun(inputs, options, (model, given, rest) => model.time(given, rest));
    if (part !== null) return part;
    const { compiled, result } = await this.#submit(inputs, { ...options, profile: true });
    this.#watch?.look(compiled, result.outputs, inputs);
    return compiled.program.operations.map(({ layer }, i) => ({
      layer,
      milliseconds: result.milliseconds![i]!,
    }));
  }

  /**
   * The current values of a layer's blob, e.g. BatchNorm's running mean; null where passes folded it away.
   * @throws DeviceError
   */
  async parameter(layer: string, index: number): Promise<Float32Array | null> {
    MODEL_PARAMETER.check(layer, index);
    const { program } = this.#runner.compiled;
    const id = program.parameters.findIndex(({ name }) => name === `${layer}/${index}`);
    return id < 0 ? null : (await this.#runner.read([id]))[0]!;
  }

  /**
   * All layers with their blobs as they are behind the runs and changes called so far (Net::ToProto), those too that passes
   * have folded into others: what `saveCaffemodel` writes and `setWeights` takes.
   * @throws WeightsError `weights/names-twice` where two layers would be one in a file; DeviceError
   * @example await saveCaffemodel('changed.caffemodel', await model.weights());
   */
  async weights(): Promise<WeightsFile> {
    this.#runner.checkOpen();
    const weights = await this.#order.behind(() => this.currentWeights());
    return { ...weights, file: '' };
  }

  /**
   * Changes weights of the loaded net, in every form that the device has of them: what was folded into others, or packed
   * for its kernels, is made anew. Runs that were called before compute with the old weights, those that are called after
   * it with the new ones, whether or not the promise has settled. Memory stays as it is.
   * @param weights Layer → its blobs in Caffe's order, as net.params has them, `null` for one that stays: a Float32Array of
   * as many values, or a Tensor of the blob's shape; copied at the call. Or a weights file, read or by its place, as
   * Net::CopyTrainedLayersFrom takes it: layers that it lacks keep what they have. A blob that layers share is given once.
   * @throws ArgumentError for a layer or a blob that is not there, or another size; WeightsError where a file does not
   * fit; DeviceError `device/unsupported` for int8, whose scales follow from the weights. Nothing is changed then.
   * @example
   * const { layers } = await model.weights();
   * const [weights] = layers.find(({ name }) => name === 'conv1')!.blobs.map(toFloat32);
   * await model.setWeights({ conv1: [weights!.map((value) => 2 * value)] });
   */
  async setWeights(weights: NewWeights): Promise<void> {
    MODEL_SET_WEIGHTS.check(weights);
    const runner = this.#runner;
    runner.checkOpen();
    if (runner.compiled.options.precision === 'int8')
      throw new DeviceError(
        'device/unsupported',
        this.#parts.device,
        'The scales of int8 follow from the weights, which cannot be changed; load the net again with the new ones',
      );
    const changes = changesOf(weights, runner.compiled.written.parameters);
    changes.catch(() => {});
    const { writing } = await this.#order.behind(async () => {
      const writes = await this.#weights.change(await changes);
      runner.checkOpen();
      const writing = runner.write(writes);
      writing.catch(() => {});
      this.#netParts.forget();
      this.#parts.selector?.dispose();
      return { writing: [writing] };
    });
    await writing[0]!;
  }

  /** Compiles another batch size and keeps it. @internal */
  async keep(batch: number): Promise<void> {
    MODEL_KEEP.check(batch);
    this.#runner.checkOpen();
    const sized = Object.entries(this.inputs).map(([name, shape]) => [name, [batch, ...shape.slice(1)]]);
    const shapes: Shapes = Object.fromEntries(sized);
    const key = JSON.stringify(shapes);
    if (sameShapes(shapes, this.inputs) || this.#asked.has(key)) return;
    this.#asked.set(
      key,
      await this.#parts.compile(shapes, { measured: true, makeRoom: this.#others.giveUpOldest }),
    );
  }

  /** Layers as they run, fused ones in one row, with shapes, parameters and multiply-accumulates. */
  summary(): Summary {
    return summarise(this.#runner.compiled.graph);
  }

  /** Bytes and implementations of the loaded shapes. */
  plan(): ModelPlan {
    return describePlan(this.#runner.compiled);
  }

  /** Frees the model behind the runs already queued; safe to call twice. */
  dispose(): void {
    if (!this.#runner.dispose()) return;
    release(this);
    this.#parts.selector?.dispose();
    for (const asked of this.#asked.values()) free(asked);
    this.#others.dispose();
    this.#netParts.forget();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch?.search;
    this.dispose();
  }

  /** As `weights`, at once: for what comes in the order of its caller. @internal */
  async currentWeights(): Promise<WeightsFile> {
    const { net } = this.#parts;
    const { parameters } = this.#runner.compiled.written;
    refuseNamesTwice(parameters, '');
    const changing = [...this.#weights.changedByRuns()];
    // The reading is queued here; what waits for it is not.
    const live = this.#runner.read(changing.map(([, index]) => index));
    const [values, blobs] = await Promise.all([live, this.#weights.read()]);
    changing.forEach(([id], i) => {
      blobs[id] = blobFromFloats(parameters[id]!.shape, values[i]!);
    });
    return { file: this.#weights.file, name: net.name ?? '', layers: layersOf(net, parameters, blobs) };
  }

  // A part's runs keep their place among those of the whole net and changes of its weights. Null: it is no part.
  #partRun<T>(
    inputs: Inputs,
    { start, end, ...options }: RunOptions,
    run: (model: Model, inputs: Inputs, options: RunOptions) => Promise<T>,
  ): Promise<T> | null {
    if (start === undefined && end === undefined) return null;
    const { signal, copyInputs = true } = options;
    this.#runner.checkOpen();
    const given = copyInputs ? copiedInputs(inputs) : inputs;
    const range = { ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }) };
    return this.#runner.guard(signal, async () => {
      signal?.throwIfAborted();
      const { result } = await this.#order.behind(() =>
        this.#netParts.begin(range, (model) => run(model, given, { ...options, copyInputs: false })),
      );
      return result;
    });
  }

  /** Random layers then draw as if so many runs had been: of those of one process another one makes some. @internal */
  skipRuns(count: number): void {
    MODEL_SKIP_RUNS.check(count);
    this.#runs += count;
  }

  #submit(inputs: Inputs, { signal, outputs = {}, copyInputs = true, profile = false }: Submission) {
    return this.#runner.guard(signal, async () => {
      signal?.throwIfAborted();
      const { shapes, arrays: given } = resolveInputs(this.inputs, inputs);
      const runner = this.#runner;
      runner.checkOpen();
      for (const name of Object.keys(outputs))
        if (!Object.hasOwn(this.outputs, name))
          throw new ArgumentError('outputs', `the names ${Object.keys(this.outputs).join(', ')}`, name);
      const first = runner.compiled;
      const pass = first.pass === null ? [] : [Float32Array.of(this.#runs++, 0)];
      const { selector } = this.#parts;
      if (selector === null && this.#order.isClear && sameShapes(shapes, this.inputs)) {
        const running = runner.start(first, [...given, ...pass], { profile, copyInputs, outputs });
        return { compiled: first, empty: null, result: await runner.settle(running, signal) };
      }
      // Behind whatever is being compiled or changed, so that runs keep their order.
      const copies = given.map(copied);
      const { compiled, empty, running } = await this.#order.behind(async () => {
        const { counts, indices } = await this.#select(shapes, copies);
        const isEmpty = Object.values(counts).includes(0);
        const empty = isEmpty ? this.#parts.emptyAxes(shapes, counts) : null;
        const isFirst = sameShapes(shapes, this.inputs) && Object.keys(counts).length === 0;
        const compiled = isFirst ? first : await this.#compiledFor(shapes, counts);
        signal?.throwIfAborted();
        runner.checkOpen();
        const mode = { profile, copyInputs: false, outputs };
        return { compiled, empty, running: runner.start(compiled, [...copies, ...indices, ...pass], mode) };
      });
      return { compiled, empty, result: await runner.settle(running, signal) };
    });
  }

  /** What Filter layers select of these inputs. */
  async #select(shapes: Shapes, arrays: readonly GivenArray[]): Promise<Selected> {
    const { selector } = this.#parts;
    if (selector === null) return { counts: {}, indices: [] };
    const named = Object.keys(this.inputs).map(async (name, i) => {
      const shape = shapes[name]!;
      return [name, { shape, data: await numbersOf(arrays[i]!, shape) }] as const;
    });
    return selector.select(Object.fromEntries(await Promise.all(named)));
  }

  async #compiledFor(shapes: Shapes, selected: Counts): Promise<Compiled> {
    const isAll = Object.keys(selected).length === 0;
    const key = JSON.stringify(isAll ? shapes : [shapes, selected]);
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    return this.#others.get(key, () =>
      this.#parts.compile(shapes, { selected, measured: false, makeRoom: this.#others.giveUpOldest }),
    );
  }
}

/** An output without the rows at its end that do not count, which are −1 throughout. */
function countedRows(
  { graph }: Compiled,
  output: number,
  tensor: Tensor,
  outputs: readonly (Float32Array | null)[],
): Tensor {
  const { rows } = graph.values[graph.outputs[output]!]!;
  if (rows === undefined) return tensor;
  const by = outputs[graph.outputs.lastIndexOf(rows)]!;
  const axis = Math.max(
    tensor.shape.findIndex((size) => size !== 1),
    0,
  );
  const all = tensor.shape[axis] ?? 1;
  const width = by.length / all;
  let end = by.length;
  while (end > 0 && by[end - 1] === -1) end--;
  const count = Math.ceil(end / width);
  if (count === all) return tensor;
  const shape = tensor.shape.map((size, i) => (i === axis ? count : size));
  return { shape, data: tensor.data.slice(0, (tensor.data.length / all) * count) };
}
