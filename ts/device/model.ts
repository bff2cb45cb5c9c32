/** A net that is compiled for a device. Runs are queued and return in order. */

import { ArgumentError, DeviceError } from '../base/errors.ts';
import { having, type Kind } from '../base/kinds.ts';
import type { Warning } from '../base/warn.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { type LayerReport, refuseNamesTwice } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { type Compiled, describePlan, type Lowered, type ModelPlan } from '../compile/compile.ts';
import type { NetPart } from '../graph/net-between.ts';
import { type Summary, summarise } from '../graph/summary.ts';
import { layersOf } from './blobs-by-layer.ts';
import { CallOrder } from './call-order.ts';
import type { OpenedNet, Reshaping } from './compiler.ts';
import { copied, type GivenArray, numbersOf } from './input-array.ts';
import { KeptPlans } from './kept-plans.ts';
import { LiveWeights } from './live-weights.ts';
import { release, watch } from './memory.ts';
import {
  MODEL_KEEP,
  MODEL_PARAMETER,
  MODEL_RUN,
  MODEL_SET_WEIGHTS,
  MODEL_SKIP_RUNS,
  MODEL_TIME,
  type Outputs,
  type RunOptions,
  type Submission,
} from './model-calls.ts';
import { NetParts } from './net-parts.ts';
import { changesOf, type NewWeights } from './new-weights.ts';
import { NotFiniteWatch } from './not-finite-watch.ts';
import { free, Runner } from './runner.ts';
import type { Counts, Selected, Selector } from './selection.ts';
import { copiedInputs, type Inputs, resolveInputs, type Shapes, sameShapes, type Tensor } from './tensor.ts';
import { UsualInputs } from './usual-inputs.ts';

export type { Outputs, RunOptions } from './model-calls.ts';

/**
 * The parts that `Device.load` provides.
 * @internal
 */
export interface ModelParts {
  readonly device: string;
  readonly owner: object;
  /** The filtered net. */
  readonly net: NetParameter;
  /** The seed of the fillers. */
  readonly seed: number;
  readonly opened: OpenedNet<Lowered>;
  /** The number of further shapes that stay compiled. Default 4. */
  readonly keptShapes?: number;
  /** Compiles the same net on the same parameters for other input shapes. */
  readonly compile: (shapes: Shapes, how: Reshaping) => Promise<Compiled>;
  /** Null if the net has no Filter. */
  readonly selector: Selector | null;
  /**
   * For each output the axis along which it has no items, for given input shapes and numbers of selected items.
   * @throws GraphError
   */
  readonly emptyAxes: (shapes: Shapes, counts: Counts) => readonly (number | null)[];
  /**
   * Loads the same net with the given outputs and nothing fused. It finds the first blob with a non-finite value if an
   * output has one. Null: outputs are not checked.
   */
  readonly loadLayerByLayer: ((outputs: readonly string[], weights: WeightsFile) => Promise<Model>) | null;
  /** Loads a part of the same net with the given weights and the options of this model. */
  readonly loadPart: (part: NetPart, weights: WeightsFile) => Promise<Model>;
}

/** A Model, or an object with its methods. */
export const model: Kind<Model> = having<Model>('a Model of device.load', 'run');

const NO_OPTIONS: RunOptions = {};
/** @typeParam Name The names of the outputs, if the code passes them to `device.load`. */
export class Model<Name extends string = string> {
  /** Input blobs by name, with the shapes that the model was loaded with. */
  readonly inputs: Shapes;
  /** Blobs that `run` returns by name, with their shapes for the loaded inputs. */
  readonly outputs: Readonly<Record<Name, readonly number[]>>;
  /** How each layer got its weights. */
  readonly report: readonly LayerReport[];
  /** Warnings about probable mistakes, e.g. `weights/partial`. */
  readonly warnings: readonly Warning[];
  readonly #parts: ModelParts;
  readonly #runner: Runner;
  /** Further shapes that were run, least recently used first. */
  readonly #others: KeptPlans<Lowered>;
  /** The batch sizes that were requested when loading. */
  readonly #asked = new Map<string, Compiled>();
  readonly #usualInputs: UsualInputs;
  readonly #order = new CallOrder();
  readonly #weights: LiveWeights;
  readonly #netParts: NetParts<Model>;
  #runs = 0;
  readonly #watch: NotFiniteWatch | null;

  /**
   * Use `device.load`.
   * @internal
   */
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
            loadLayerByLayer(outputs, await this.#order.afterEarlier(() => this.currentWeights())),
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
    this.#usualInputs = new UsualInputs(this.inputs);
    const outputs = Object.fromEntries(names.map((name, i) => [name, shape(program.outputs[i]!)]));
    this.outputs = outputs as Model<Name>['outputs'];
    watch(this, `model "${compiled.graph.name}"`);
  }

  /**
   * Runs the net once. In phase TRAIN, each run drops other values in Dropout. The call copies inputs, so their arrays may
   * be reused at once.
   * @param inputs One array per input blob: a Float32Array, or a Uint8Array whose values count as 0–255. An array has the
   * loaded shape or another batch size, which its length determines; `{ shape, data }` gives any shape. Images as bytes may
   * also be `{ shape, data, mean, scale }`, from which the device computes (byte − mean) · scale. A new shape is compiled
   * when it first occurs, without measuring; the most recent ones stay compiled (`keptShapes`) and share the parameters. A
   * DeviceBuffer is read when the run starts; its own shape counts if it has as many dimensions as the blob, otherwise its
   * length. Non-finite values in outputs cause a process warning (`output/not-finite`), once per output.
   * @returns The outputs by name, as row-major float32, without those that `options.outputs` receives. With `start` or `end`
   * only a part of the net runs: its inputs are the blobs that it reads from earlier layers, and its outputs are the tops of
   * `end`, or else the net's outputs that it computes.
   * @throws ArgumentError for a missing, unknown or wrongly sized input, or an unknown layer; the signal's reason;
   * GraphError for a shape that the net does not accept; DeviceError
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
  async run(inputs: Inputs, options: RunOptions = NO_OPTIONS): Promise<Outputs & Outputs<Name>> {
    const usual = options === NO_OPTIONS ? this.#usualInputs.arrays(inputs) : null;
    if (usual === null) {
      MODEL_RUN.check(inputs, options);
      const part = this.#partRun(inputs, options, (model, given, rest) => model.run(given, rest));
      if (part !== null) return (await part) as Outputs & Outputs<Name>;
    }
    const { compiled, empty, result } = await this.#submit(inputs, options, usual);
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
    // Uses entries, because a blob may be called __proto__.
    return Object.fromEntries(found) as Outputs & Outputs<Name>;
  }

  /** Returns the milliseconds of each operation in one run, by layer name. Inputs and errors are those of `run`. */
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
   * The current values of a layer's blob, e.g. BatchNorm's running mean; null if passes folded it into another blob.
   * @throws DeviceError
   */
  async parameter(layer: string, index: number): Promise<Float32Array | null> {
    MODEL_PARAMETER.check(layer, index);
    const { program } = this.#runner.compiled;
    const id = program.parameters.findIndex(({ name }) => name === `${layer}/${index}`);
    return id < 0 ? null : (await this.#runner.read([id]))[0]!;
  }

  /**
   * All layers with their blobs as they are after the runs and changes called so far (Net::ToProto), including blobs that
   * passes folded into others. `saveCaffemodel` writes the result, and `setWeights` accepts it.
   * @throws WeightsError `weights/names-twice` if two layers would become one in a file; DeviceError
   * @example await saveCaffemodel('changed.caffemodel', await model.weights());
   */
  async weights(): Promise<WeightsFile> {
    this.#runner.checkOpen();
    const weights = await this.#order.afterEarlier(() => this.currentWeights());
    return { ...weights, file: '' };
  }

  /**
   * Changes weights of the loaded net, in all forms in which the device has them: parameters into which they were folded, or
   * that are packed for kernels, are computed again. Runs called earlier use the old weights, and runs called later use the
   * new ones, whether or not the promise has settled. Memory use does not change.
   * @param weights Layers with their blobs in Caffe's order, as in net.params, with `null` for a blob that stays: a
   * Float32Array with as many values, or a Tensor with the blob's shape; the call copies them. Alternatively a weights file,
   * as a path or as read before, which behaves as in Net::CopyTrainedLayersFrom: layers that are missing in it keep their
   * values. Give a blob that layers share only once.
   * @throws ArgumentError for an unknown layer or blob, or another size; WeightsError if a file does not fit; DeviceError
   * `device/unsupported` for int8, whose scales depend on the weights. After an error nothing has changed.
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
    const { writing } = await this.#order.afterEarlier(async () => {
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

  /**
   * Compiles another batch size and keeps it.
   * @internal
   */
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

  /** A table of the layers as they run, with fused layers in one row: shapes, parameters and multiply-accumulates. */
  summary(): Summary {
    return summarise(this.#runner.compiled.graph);
  }

  /** The bytes and implementations for the loaded shapes. */
  plan(): ModelPlan {
    return describePlan(this.#runner.compiled);
  }

  /** Frees the model after the queued runs. Calling it twice is safe. */
  dispose(): void {
    if (!this.#runner.dispose()) return;
    release(this);
    this.#parts.selector?.dispose();
    for (const compiled of this.#asked.values()) free(compiled);
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

  /**
   * Like `weights`, but at once, for callers that keep the order themselves.
   * @internal
   */
  async currentWeights(): Promise<WeightsFile> {
    const { net } = this.#parts;
    const { parameters } = this.#runner.compiled.written;
    refuseNamesTwice(parameters, '');
    const changing = [...this.#weights.changedByRuns()];
    // Queues the read here; the code that waits for it is not queued.
    const live = this.#runner.read(changing.map(([, index]) => index));
    const [values, blobs] = await Promise.all([live, this.#weights.read()]);
    changing.forEach(([id], i) => {
      blobs[id] = blobFromFloats(parameters[id]!.shape, values[i]!);
    });
    return { file: this.#weights.file, name: net.name ?? '', layers: layersOf(net, parameters, blobs) };
  }

  // Runs of a part keep their order among runs of the whole net and changes of its weights. Null: the range is the whole
  // net.
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
      const { result } = await this.#order.afterEarlier(() =>
        this.#netParts.begin(range, (model) => run(model, given, { ...options, copyInputs: false })),
      );
      return result;
    });
  }

  /**
   * Makes random layers continue as if `count` runs had happened, because another process did them.
   * @internal
   */
  skipRuns(count: number): void {
    MODEL_SKIP_RUNS.check(count);
    this.#runs += count;
  }

  // `usual`: the arrays of inputs that need no resolving, or null.
  #submit(
    inputs: Inputs,
    { signal, outputs = {}, copyInputs = true, profile = false }: Submission,
    usual: Float32Array[] | null = null,
  ) {
    return this.#runner.guard(signal, async () => {
      signal?.throwIfAborted();
      const { shapes, arrays: given } =
        usual === null ? resolveInputs(this.inputs, inputs) : { shapes: this.inputs, arrays: usual };
      const runner = this.#runner;
      runner.checkOpen();
      for (const name of Object.keys(outputs))
        if (!Object.hasOwn(this.outputs, name))
          throw new ArgumentError(
            'outputs',
            `names of the model's outputs (${Object.keys(this.outputs).join(', ')})`,
            name,
          );
      const first = runner.compiled;
      const pass = first.pass === null ? [] : [Float32Array.of(this.#runs++, 0)];
      const { selector } = this.#parts;
      if (selector === null && this.#order.isClear && sameShapes(shapes, this.inputs)) {
        const running = runner.start(first, [...given, ...pass], { profile, copyInputs, outputs });
        return { compiled: first, empty: null, result: await runner.settle(running, signal) };
      }
      // Waits for compilations and changes that are in progress, so that runs keep their order.
      const copies = given.map(copied);
      const { compiled, empty, running } = await this.#order.afterEarlier(async () => {
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

  /** The items of these inputs that Filter layers select. */
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
    const known = this.#asked.get(key);
    if (known !== undefined) return known;
    return this.#others.get(key, () =>
      this.#parts.compile(shapes, { selected, measured: false, makeRoom: this.#others.giveUpOldest }),
    );
  }
}

/** An output without the rows at its end that do not count, whose values are all −1. */
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
