/** A device: where models live and run. */
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { filterNet, type NetParameter, readNetFile } from '../caffe/net-parameter.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { ArgumentError, DeviceError } from '../errors.ts';
import type { NativeDevice, NativeDeviceOptions, NativeParameters, Precision } from '../native/binding.ts';
import { convertError } from '../native/convert-error.ts';
import { loadBinding } from '../native/load.ts';
import { type BufferShape, checkBufferShape, DeviceBuffer } from './buffer.ts';
import type { Communicator } from './communicator.ts';
import {
  type Compiled,
  type CompileOptions,
  checkSameParameters,
  compileNet,
  fillParameters,
  type Lowered,
  lowerNet,
  neededBytes,
  type Planned,
  planNet,
} from './compile.ts';
import { release, watch } from './leaks.ts';
import { lowerTraining } from './lower-training.ts';
import { availableMemory, type DeviceMemory, largestBatch, outOfMemory } from './memory.ts';
import { describePlan, Model, type ModelPlan } from './model.ts';
import type { Shapes } from './tensor.ts';
import { checkTrainOptions, withHistory } from './train-options.ts';
import { Trainer, type TrainOptions } from './trainer.ts';

/**
 * `cpu`: oneDNN. `reference`: naive loops, the definition of right. `cuda`: the first NVIDIA GPU, `cuda:1` the second.
 * `auto`: `cuda`, else `cpu`.
 */
export type DeviceKind = 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | 'reference';
const PRECISIONS: readonly Precision[] = ['float32', 'tf32', 'float16', 'bfloat16'];

export interface DeviceOptions {
  /** Threads of the CPU device, 1 to 1024. Default: as many as the process may use. */
  readonly threads?: number;
  /**
   * Lets the CPU device compute 3×3 convolutions by Winograd's algorithms: float32 still, with other roundings, and
   * twice as fast. Default true.
   */
  readonly winograd?: boolean;
  /** The most bytes that models may hold on this device. Default: what the system has. */
  readonly memoryLimit?: number;
  /** Only implementations that give the same bits every time, in all models of this device. Default false. */
  readonly deterministic?: boolean;
  /** CUDA: false computes with resnode's own kernels alone. Default true: without cuDNN the device does not open. */
  readonly cudnn?: boolean;
  /**
   * CUDA: false takes the likely best implementations at once. Default true: a convolution that is new to a GPU is
   * measured when it is first planned (for a minute a net at most) and remembered.
   */
  readonly tune?: boolean;
  /** Where measured choices are kept from run to run. Default: `resnode` in the user's cache folder. */
  readonly cacheFolder?: string;
  /** The processes that nets on this device are trained with: `openCommunicator`. Default none. */
  readonly communicator?: Communicator;
  /** Where backend libraries are looked for, for tests. @internal */
  readonly libraryFolder?: string;
}

export interface LoadOptions extends CompileOptions {
  /** Path of a prototxt, or a NetParameter. */
  readonly model: string | NetParameter;
  /** Path of a .caffemodel or .caffemodel.h5, or one that was read. Without it parameters keep their fillers (seed 1). */
  readonly weights?: string | WeightsFile;
  /** Blobs to return: `blob` or `blob@layer`. Default: those that no layer reads, as Caffe. */
  readonly outputs?: readonly string[];
  /** Replaces the first dimension of every input. Default: as written. */
  readonly batch?: number;
  /** Shapes of inputs by blob name; needed where the net begins with a data layer. */
  readonly inputShapes?: Shapes;
  /** Decides BatchNorm's statistics, Dropout and which layers there are. Default TEST. */
  readonly phase?: 'TRAIN' | 'TEST';
  /** Caffe's NetState level. Default 0. */
  readonly level?: number;
  /** Caffe's NetState stages. Default none. */
  readonly stages?: readonly string[];
  /** Layers without weights, and weights without a layer, are errors. Default false. */
  readonly strict?: boolean;
  /** Run the fusing passes. Default: in phase TEST; false (and phase TRAIN) runs layer by layer as written. */
  readonly optimize?: boolean;
  /**
   * What activations and weights are stored and multiplied in. Default `float32`, which is IEEE float32; the others
   * need a CUDA device, and sums stay float32 in all of them. What is no feature map (scores, labels, losses) stays
   * float32 too.
   */
  readonly precision?: Precision;
  /** Only implementations that give the same bits every time. Default: as the device was opened. */
  readonly deterministic?: boolean;
}

/**
 * Opens a device.
 * @param kind Default `auto`; `device.reason` says what it chose and why. Others never fall back.
 * @throws DeviceError `device/unavailable` with what was tried; ArgumentError
 */
export async function openDevice(kind: DeviceKind = 'auto', options: DeviceOptions = {}): Promise<Device> {
  const [, family, ordinal] = /^(auto|cpu|cuda|reference)(?::(\d{1,3}))?$/.exec(String(kind)) ?? [];
  if (family === undefined || (ordinal !== undefined && family !== 'cuda'))
    throw new ArgumentError('kind', '"auto", "cpu", "cuda", "cuda:1" (…) or "reference"', kind);
  const {
    threads = availableParallelism(),
    winograd = true,
    memoryLimit = Number.POSITIVE_INFINITY,
  } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024)
    throw new ArgumentError('threads', 'an integer from 1 to 1024', threads);
  if (typeof winograd !== 'boolean') throw new ArgumentError('winograd', 'true or false', winograd);
  if (!(memoryLimit > 0)) throw new ArgumentError('memoryLimit', 'a positive number of bytes', memoryLimit);
  const open = (chosen: NativeKind, reason: string) => {
    const name = chosen === 'cuda' ? `cuda:${ordinal ?? 0}` : chosen;
    const native = openNative(chosen, name, { ...options, threads, winograd, ordinal: Number(ordinal ?? 0) });
    return new Device(native, name, reason, { memoryLimit, tune: options.tune ?? true });
  };
  if (family !== 'auto') return open(family as NativeKind, `${kind} was asked for`);
  try {
    return open('cuda', 'a CUDA device is there');
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return open('cpu', `no CUDA device: ${error.message}`);
  }
}

type NativeKind = 'cpu' | 'cuda' | 'reference';

function openNative(
  kind: NativeKind,
  name: string,
  options: DeviceOptions & Pick<NativeDeviceOptions, 'threads' | 'winograd' | 'ordinal'>,
): NativeDevice {
  const { binding, folder } = loadBinding();
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  try {
    return binding.openDevice(kind, {
      threads: options.threads,
      winograd: options.winograd,
      ordinal: options.ordinal,
      libraryFolder: options.libraryFolder ?? folder,
      cacheFolder: options.cacheFolder ?? join(cache, 'resnode'),
      deterministic: options.deterministic ?? false,
      cudnn: options.cudnn ?? true,
      communicator: options.communicator?.native ?? null,
    });
  } catch (error) {
    throw convertError(error, name);
  }
}

export class Device {
  /** `cpu`, `cuda` or `reference`. */
  readonly kind: string;
  /** The same with its number where there may be several: `cuda:0`. */
  readonly name: string;
  /** Why it is this device. */
  readonly reason: string;
  /** What it is: threads, library versions, instruction set. */
  readonly description: Readonly<Record<string, string | number>>;
  readonly #native: NativeDevice;
  readonly #limit: number;
  readonly #tune: boolean;

  /** Use `openDevice`. @internal */
  constructor(
    native: NativeDevice,
    name: string,
    reason: string,
    { memoryLimit, tune }: { readonly memoryLimit: number; readonly tune: boolean },
  ) {
    this.#native = native;
    this.#tune = tune;
    this.name = name;
    this.#limit = memoryLimit;
    this.kind = native.kind;
    this.reason = reason;
    this.description = native.description;
    watch(this, `the ${this.name} device`);
  }

  /**
   * Reads a net and its weights, compiles it and takes its memory.
   * @throws PrototxtError, GraphError, WeightsError, ArgumentError; DeviceError, `device/out-of-memory` before
   * anything was taken
   */
  async load(options: LoadOptions): Promise<Model> {
    const net = readModel(options);
    const lowered = lowerNet(net, options);
    const weights = await readGiven(options.weights);
    const { data, report } = fillParameters(lowered, weights, options);
    let parameters: NativeParameters | null = null;
    try {
      const planned = await this.#plan(lowered, options);
      await this.#checkMemory(planned, neededBytes(planned).total, (batch) =>
        lowerNet(net, { ...options, batch }),
      );
      parameters = await this.#native.createParameters(planned.program, data);
      const held = parameters;
      const first = await compileNet(this.#native, planned, held);
      return new Model({
        device: this.name,
        report,
        parameters: held,
        first,
        compile: (inputShapes) => this.#compileAgain(net, { ...options, inputShapes }, first, held),
      });
    } catch (error) {
      parameters?.dispose();
      throw convertError(error, this.name);
    }
  }

  /**
   * Reads a net and its weights and makes it ready to learn: TRAIN phase, nothing folded, BatchNorm and Scale apart.
   * @throws PrototxtError, GraphError, WeightsError, ArgumentError; DeviceError: `device/unsupported` where the device
   * does not train, `device/out-of-memory` before anything was taken
   */
  async train(options: TrainOptions): Promise<Trainer> {
    checkTrainOptions(options);
    const phase = options.phase ?? 'TRAIN';
    const asked = { ...options, phase };
    const net = readModel(asked);
    const lowered = lowerTraining(net, asked);
    const weights = await readGiven(options.weights);
    const { data, report } = fillParameters(lowered, weights, options);
    const values = withHistory(data, lowered, options.history);
    let parameters: NativeParameters | null = null;
    try {
      const planned = { ...lowered, ...(await this.#plan(lowered, {})) };
      await this.#checkMemory(planned, neededBytes(planned).total, (batch) =>
        lowerTraining(net, { ...asked, batch }),
      );
      parameters = await this.#native.createParameters(planned.program, values);
      const compiled = { ...planned, ...(await compileNet(this.#native, planned, parameters)) };
      return new Trainer({ device: this.name, net, options, report, parameters, compiled });
    } catch (error) {
      parameters?.dispose();
      throw convertError(error, this.name);
    }
  }

  /** What `train` would take and use, without taking it: no weights are read. @throws as `plan` */
  async planTraining(options: Omit<TrainOptions, 'weights' | 'history'>): Promise<ModelPlan> {
    checkTrainOptions(options);
    const asked = { ...options, phase: options.phase ?? 'TRAIN' };
    try {
      const planned = await this.#plan(lowerTraining(readModel(asked), asked), {});
      const description = describePlan(planned);
      planned.plan.dispose();
      return description;
    } catch (error) {
      throw convertError(error, this.name);
    }
  }

  /**
   * What `load` would take and use, without taking it: no weights are read.
   * @throws PrototxtError, GraphError, DeviceError
   */
  async plan(options: Omit<LoadOptions, 'weights'>): Promise<ModelPlan> {
    try {
      const planned = await this.#plan(lowerNet(readModel(options), options), options);
      const description = describePlan(planned);
      planned.plan.dispose();
      return description;
    } catch (error) {
      throw convertError(error, this.name);
    }
  }

  /**
   * Takes memory on the device.
   * @param content Values to begin with (Float32Array or Uint8Array; one dimension, as long as it is), or a shape and a
   * type, which begin as zeros.
   * @throws ArgumentError; DeviceError, `device/out-of-memory`
   */
  async buffer(content: Float32Array | Uint8Array | BufferShape): Promise<DeviceBuffer> {
    const values = ArrayBuffer.isView(content) ? content : null;
    const dtype = values instanceof Uint8Array ? 'uint8' : 'float32';
    const {
      shape,
      dtype: type,
      bytes,
    } = checkBufferShape(values === null ? (content as BufferShape) : { shape: [values.length], dtype });
    const { free } = this.memory();
    if (bytes > free) throw outOfMemory(this.name, bytes, free, null);
    try {
      const buffer = new DeviceBuffer(await this.#native.allocateBuffer(bytes), shape, type, this.name);
      if (values !== null) await buffer.upload(values);
      return buffer;
    } catch (error) {
      throw convertError(error, this.name);
    }
  }

  /** Bytes now held by the models and buffers of this device, and what is left. */
  memory(): DeviceMemory {
    const held = this.#native.memory();
    const total = held.parameters + held.activations + held.workspace + held.buffers;
    return { ...held, total, free: Math.min(this.#limit - total, held.driver?.free ?? availableMemory()) };
  }

  /** Closes the device behind the work already queued; models loaded on it reject from then on. */
  dispose(): void {
    release(this);
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #plan(lowered: Lowered, options: CompileOptions): Promise<Planned> {
    return planNet(this.#native, lowered, { tune: this.#tune, ...options });
  }

  async #compileAgain(
    net: NetParameter,
    options: CompileOptions,
    first: Compiled,
    parameters: NativeParameters,
  ): Promise<Compiled> {
    const { batch: _, ...shaped } = options;
    const lowered = lowerNet(net, shaped);
    checkSameParameters(first.program, lowered.program);
    const planned = await this.#plan(lowered, shaped);
    await this.#checkMemory(planned, neededBytes(planned).activations, (batch) =>
      lowerNet(net, { ...shaped, batch }),
    );
    return compileNet(this.#native, planned, parameters);
  }

  // Refuses what does not fit, naming the largest batch that would. `lowerBatch`: the same net for another batch.
  async #checkMemory(planned: Planned, need: number, lowerBatch: (batch: number) => Lowered) {
    const { free } = this.memory();
    if (need <= free) return;
    const batch = planned.program.tensors[planned.program.inputs[0] ?? -1]?.shape[0];
    const fits =
      batch === undefined
        ? null
        : await largestBatch(batch, free, async (smaller) => {
            const other = await planNet(this.#native, lowerBatch(smaller), {
              ...planned.options,
              tune: false,
            });
            other.plan.dispose();
            return need - neededBytes(planned).activations + neededBytes(other).activations;
          });
    planned.plan.dispose();
    throw outOfMemory(this.name, need, free, fits);
  }
}

async function readGiven(weights: string | WeightsFile | undefined): Promise<WeightsFile | null> {
  return typeof weights === 'string' ? readWeights(weights, mapFile) : (weights ?? null);
}

function readModel(options: Omit<LoadOptions, 'weights'>): NetParameter {
  const { model, precision = 'float32', batch } = options;
  if (!PRECISIONS.includes(precision))
    throw new ArgumentError('precision', PRECISIONS.map((each) => `"${each}"`).join(', '), precision);
  if (batch !== undefined && !(Number.isInteger(batch) && batch >= 1))
    throw new ArgumentError('batch', 'a positive integer', batch);
  return filterNet(typeof model === 'string' ? readNetFile(model) : model, options);
}

function mapFile(path: string): Uint8Array {
  return new Uint8Array(loadBinding().binding.mapFile(path));
}
