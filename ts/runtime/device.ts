/** A device: where models live and run. */
import { availableParallelism } from 'node:os';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { filterNet, type NetParameter, readNetFile } from '../caffe/net-parameter.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { ArgumentError, DeviceError } from '../errors.ts';
import type { NativeDevice, NativeParameters } from '../native/binding.ts';
import { convertError } from '../native/convert-error.ts';
import { loadBinding } from '../native/load.ts';
import {
  type Compiled,
  type CompileOptions,
  checkSameParameters,
  compileNet,
  fillParameters,
  lowerNet,
  neededBytes,
  type Planned,
  planNet,
} from './compile.ts';
import { release, watch } from './leaks.ts';
import { availableMemory, type DeviceMemory, largestBatch, outOfMemory } from './memory.ts';
import { describePlan, Model, type ModelPlan } from './model.ts';
import type { Shapes } from './tensor.ts';

/** `cpu`: oneDNN. `reference`: naive loops, the definition of right. `cuda`: an NVIDIA GPU. `auto`: `cuda`, else `cpu`. */
export type DeviceKind = 'auto' | 'cpu' | 'cuda' | 'reference';
const KINDS: readonly DeviceKind[] = ['auto', 'cpu', 'cuda', 'reference'];

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
  /** What to compute in. Default and only one so far: `float32`, IEEE. */
  readonly precision?: 'float32';
}

/**
 * Opens a device.
 * @param kind Default `auto`; `device.reason` says what it chose and why. Others never fall back.
 * @throws DeviceError `device/unavailable` with what was tried; ArgumentError
 */
export async function openDevice(kind: DeviceKind = 'auto', options: DeviceOptions = {}): Promise<Device> {
  if (!KINDS.includes(kind))
    throw new ArgumentError('kind', KINDS.map((each) => `"${each}"`).join(', '), kind);
  const {
    threads = availableParallelism(),
    winograd = true,
    memoryLimit = Number.POSITIVE_INFINITY,
  } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024)
    throw new ArgumentError('threads', 'an integer from 1 to 1024', threads);
  if (typeof winograd !== 'boolean') throw new ArgumentError('winograd', 'true or false', winograd);
  if (!(memoryLimit > 0)) throw new ArgumentError('memoryLimit', 'a positive number of bytes', memoryLimit);
  const native = { threads, winograd };
  if (kind !== 'auto') return new Device(openNative(kind, native), `${kind} was asked for`, memoryLimit);
  try {
    return new Device(openNative('cuda', native), 'a CUDA device is there', memoryLimit);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    const reason = `no CUDA device: ${error.message}`;
    return new Device(openNative('cpu', native), reason, memoryLimit);
  }
}

function openNative(
  kind: Exclude<DeviceKind, 'auto'>,
  options: { threads: number; winograd: boolean },
): NativeDevice {
  const { binding, folder } = loadBinding();
  try {
    return binding.openDevice(kind, { ...options, libraryFolder: folder });
  } catch (error) {
    throw convertError(error, kind);
  }
}

export class Device {
  readonly kind: string;
  /** Why it is this device. */
  readonly reason: string;
  /** What it is: threads, library versions, instruction set. */
  readonly description: Readonly<Record<string, string | number>>;
  readonly #native: NativeDevice;
  readonly #limit: number;

  /** Use `openDevice`. @internal */
  constructor(native: NativeDevice, reason: string, memoryLimit: number) {
    this.#native = native;
    this.#limit = memoryLimit;
    this.kind = native.kind;
    this.reason = reason;
    this.description = native.description;
    watch(this, `the ${this.kind} device`);
  }

  /**
   * Reads a net and its weights, compiles it and takes its memory.
   * @throws PrototxtError, GraphError, WeightsError, ArgumentError; DeviceError, `device/out-of-memory` before
   * anything was taken
   */
  async load(options: LoadOptions): Promise<Model> {
    const net = readModel(options);
    const lowered = lowerNet(net, options);
    const weights =
      typeof options.weights === 'string'
        ? await readWeights(options.weights, mapFile)
        : (options.weights ?? null);
    const { data, report } = fillParameters(lowered, weights, options);
    let parameters: NativeParameters | null = null;
    try {
      const planned = await planNet(this.#native, lowered);
      await this.#checkMemory(net, options, planned, neededBytes(planned).total);
      parameters = await this.#native.createParameters(planned.program, data);
      const held = parameters;
      const first = await compileNet(this.#native, planned, held);
      return new Model({
        device: this.kind,
        report,
        parameters: held,
        first,
        compile: (inputShapes) => this.#compileAgain(net, { ...options, inputShapes }, first, held),
      });
    } catch (error) {
      parameters?.dispose();
      throw convertError(error, this.kind);
    }
  }

  /**
   * What `load` would take and use, without taking it: no weights are read.
   * @throws PrototxtError, GraphError, DeviceError
   */
  async plan(options: Omit<LoadOptions, 'weights'>): Promise<ModelPlan> {
    try {
      const planned = await planNet(this.#native, lowerNet(readModel(options), options));
      const description = describePlan(planned);
      planned.plan.dispose();
      return description;
    } catch (error) {
      throw convertError(error, this.kind);
    }
  }

  /** Bytes now held by the models of this device, and what is left. */
  memory(): DeviceMemory {
    const held = this.#native.memory();
    const total = held.parameters + held.activations + held.workspace;
    return { ...held, total, free: Math.min(this.#limit - total, availableMemory()) };
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

  async #compileAgain(
    net: NetParameter,
    options: CompileOptions,
    first: Compiled,
    parameters: NativeParameters,
  ): Promise<Compiled> {
    const { batch: _, ...shaped } = options;
    const lowered = lowerNet(net, shaped);
    checkSameParameters(first.program, lowered.program);
    const planned = await planNet(this.#native, lowered);
    await this.#checkMemory(net, shaped, planned, neededBytes(planned).activations);
    return compileNet(this.#native, planned, parameters);
  }

  async #checkMemory(net: NetParameter, options: CompileOptions, planned: Planned, need: number) {
    const { free } = this.memory();
    if (need <= free) return;
    const batch = planned.program.tensors[planned.program.inputs[0] ?? -1]?.shape[0];
    const fits =
      batch === undefined
        ? null
        : await largestBatch(batch, free, async (smaller) => {
            const other = await planNet(this.#native, lowerNet(net, { ...options, batch: smaller }));
            other.plan.dispose();
            return need - neededBytes(planned).activations + neededBytes(other).activations;
          });
    planned.plan.dispose();
    throw outOfMemory(this.kind, need, free, fits);
  }
}

function readModel(options: Omit<LoadOptions, 'weights'>): NetParameter {
  const { model, precision = 'float32', batch } = options;
  if (precision !== 'float32')
    throw new ArgumentError('precision', '"float32", the only precision of this device', precision);
  if (batch !== undefined && !(Number.isInteger(batch) && batch >= 1))
    throw new ArgumentError('batch', 'a positive integer', batch);
  return filterNet(typeof model === 'string' ? readNetFile(model) : model, options);
}

function mapFile(path: string): Uint8Array {
  return new Uint8Array(loadBinding().binding.mapFile(path));
}
