/** A device: where models live and run. */

import { DeviceError } from '../base/errors.ts';
import {
  boolean,
  callback,
  didYouMean,
  either,
  having,
  type Kind,
  kind,
  nullOr,
  number,
  string,
  written,
} from '../base/kinds.ts';
import { fields, optional, required, signature } from '../base/options.ts';
import type { Warning } from '../base/warn.ts';
import type { ModelPlan } from '../compile/compile.ts';
import type { NativeDevice, NativeOperationBench, NativeOperationVariant } from '../native/binding.ts';
import { convertError } from '../native/load.ts';
import { type BufferShape, bufferShape, checkBufferShape, DeviceBuffer } from './buffer.ts';
import type { Communicator } from './communicator.ts';
import type { LoadOptions } from './load-options.ts';
import { availableMemory, type DeviceMemory, Holdings, outOfMemory, release, watch } from './memory.ts';
import type { Model } from './model.ts';
import type { DeviceNets } from './nets.ts';
import {
  cacheFolderOf,
  type DeviceOptions,
  deviceOptions,
  type NativeKind,
  openNative,
} from './open-native.ts';
import type { TrainOptions } from './train-options.ts';
import type { Trainer } from './trainer.ts';

export type { LoadOptions } from './load-options.ts';
export type { DeviceOptions } from './open-native.ts';

/**
 * `cpu`: resnode's own loops, or oneDNN. `reference`: naive loops, which define the correct results. `cuda`: the first
 * NVIDIA GPU; `cuda:1`: the second. `auto`: `cuda` if possible, otherwise `cpu`.
 */
export type DeviceKind = 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | 'reference';
const DEVICE_KIND = /^(auto|cpu|cuda|reference)(?::(\d{1,3}))?$/;

export const deviceKind: Kind<DeviceKind> = written(
  kind(
    '"auto", "cpu", "cuda", "cuda:1" (…) or "reference"',
    (value) => typeof value === 'string' && /^(?:auto|cpu|cuda(?::\d{1,3})?|reference)$/.test(value),
    (value) =>
      /^(gpu|nvidia)/i.test(String(value))
        ? 'did you mean "cuda"?'
        : didYouMean(value, ['auto', 'cpu', 'cuda', 'reference']),
  ),
  (text) => text,
  'auto, cpu, cuda, cuda:1 (…) or reference',
);

const OPEN_DEVICE = signature('openDevice', {
  kind: optional(deviceKind, 'auto', 'The device to compute on.'),
  options: optional(deviceOptions, 'none', 'How to open it.'),
});

/**
 * Opens a device.
 * @param kind Default `auto`; `device.reason` says which device it chose and why. Other kinds never fall back. With a
 * communicator of several processes, `cuda` is the GPU whose number is the local rank of the process: `cuda:1` in the second
 * process of a machine.
 * @throws DeviceError `device/unavailable` with what was tried; ArgumentError
 * @example await using device = await openDevice('cpu', { threads: 2 });
 */
export async function openDevice(kind: DeviceKind = 'auto', options: DeviceOptions = {}): Promise<Device> {
  OPEN_DEVICE.check(kind, options);
  const [, family, ordinal] = DEVICE_KIND.exec(kind)!;
  const {
    threads = (await import('../base/processors.ts')).usableProcessors(),
    winograd = true,
    memoryLimit = Number.POSITIVE_INFINITY,
  } = options;
  const { communicator = null, tune = true, onWarning = null } = options;
  if (tune && family !== 'reference') {
    const { warnOfDamagedCache } = await import('./tuning-cache.ts');
    await warnOfDamagedCache(cacheFolderOf(options));
  }
  const isOneOfSeveral = ordinal === undefined && (communicator?.size ?? 1) > 1;
  const local = isOneOfSeveral ? (await import('./local-rank.ts')).localRank() : null;
  const gpu = Number(ordinal ?? local?.rank ?? 0);
  const open = (chosen: NativeKind, reason: string) => {
    const name = chosen === 'cuda' ? `cuda:${gpu}` : chosen;
    const native = openNative(chosen, name, { ...options, threads, winograd, ordinal: gpu });
    return new Device(native, name, reason, { memoryLimit, tune, communicator, onWarning });
  };
  const place = local === null ? '' : `, and ${local.variable} is ${local.rank}`;
  if (family !== 'auto')
    return open(family as NativeKind, `${kind} was requested${family === 'cuda' ? place : ''}`);
  try {
    return open('cuda', `a CUDA device is available${place}`);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    const { hasNvidiaGpu } = await import('./nvidia.ts');
    const here = { root: '/', environment: process.env };
    return open(
      'cpu',
      hasNvidiaGpu(here) ? `no CUDA device: ${error.message}` : 'this machine has no NVIDIA GPU',
    );
  }
}

const BENCH_OPERATION = signature('device.benchOperation', {
  bench: required(
    kind<NativeOperationBench>(
      'an operation to time',
      (value) => typeof (value as NativeOperationBench | null)?.kind === 'string',
    ),
    "The addon's functions for benchmarks.",
  ),
});
const BUFFER = signature('device.buffer', {
  content: required(
    either(
      kind<Float32Array | Uint8Array>(
        'a Float32Array or Uint8Array',
        (value) => value instanceof Float32Array || value instanceof Uint8Array,
      ),
      bufferShape,
    ),
    'Values, or a shape and a type.',
  ),
});
const DEVICE = signature('Device', {
  native: required(
    having<NativeDevice>('a native device (use openDevice)', 'memory', 'dispose'),
    "The addon's device.",
  ),
  name: required(string, 'The name, e.g. `cuda:0`.'),
  reason: required(string, 'Why this device was chosen.'),
  parts: required(
    fields<DeviceParts>('the options of openDevice', {
      memoryLimit: required(number({ above: 0, infinite: true }), 'The limit in bytes.'),
      tune: required(boolean, 'Whether convolutions are measured.'),
      communicator: required(
        nullOr(having<Communicator>('a communicator', 'sum')),
        'The processes that train together; null: this process is alone.',
      ),
      onWarning: required(
        nullOr(callback<(warning: Warning) => void>()),
        'Called for each warning; null: Node prints warnings.',
      ),
    }),
    'How the device was opened.',
  ),
});

interface DeviceParts {
  readonly memoryLimit: number;
  readonly tune: boolean;
  readonly communicator: Communicator | null;
  readonly onWarning: ((warning: Warning) => void) | null;
}

/** The options as they were at the call, because their reader may have to be imported first. */
function asGiven<Options>(options: Options): Options {
  if (typeof options !== 'object' || options === null) return options;
  try {
    return options instanceof URL ? options : { ...options };
  } catch {
    return options; // its reader reports that they cannot be read
  }
}

/** A Device, or an object with its methods. */
export const deviceLike: Kind<Device> = having<Device>('a Device of openDevice', 'load');

export class Device {
  /** `cpu`, `cuda` or `reference`. */
  readonly kind: string;
  /** The kind with its number if there may be several: `cuda:0`. */
  readonly name: string;
  /** Why this device was chosen. */
  readonly reason: string;
  /** Properties of the device: threads, library versions, instruction set. */
  readonly description: Readonly<Record<string, string | number>>;
  /** The processes that train together on this device's nets; null if this process is alone. */
  readonly communicator: Communicator | null;
  readonly #native: NativeDevice;
  readonly #parts: DeviceParts;
  readonly #holdings = new Holdings();
  #nets: Promise<DeviceNets> | null = null;

  /**
   * Use `openDevice`.
   * @internal
   */
  constructor(native: NativeDevice, name: string, reason: string, parts: DeviceParts) {
    DEVICE.check(native, name, reason, parts);
    this.#native = native;
    this.#parts = parts;
    this.communicator = parts.communicator;
    this.name = name;
    this.kind = native.kind;
    this.reason = reason;
    this.description = native.description;
    watch(this, `the ${this.name} device`);
  }

  /**
   * Reads a net and its weights, compiles the net and allocates its memory.
   * @param source A model folder, a prototxt (whose parameters keep the values of their fillers), or an object with all
   * options.
   * @param options Options if `source` is a folder or a prototxt.
   * @throws PrototxtError, GraphError, WeightsError, ArgumentError; DeviceError, `device/out-of-memory` before any memory is
   * allocated
   * @example using model = await device.load('ants-and-bees', { batch: 8 });
   */
  async load<const Name extends string = string>(
    source: string | URL | (LoadOptions & { readonly outputs?: readonly Name[] }),
    options: Omit<LoadOptions, 'model'> & { readonly outputs?: readonly Name[] } = {},
  ): Promise<Model<Name>> {
    const given = [asGiven(source), asGiven(options)] as const;
    const model = this.#holdings.add(await (await this.#openNets()).load(...given));
    // The model returns the blobs that `outputs` names.
    return model as unknown as Model<Name>;
  }

  /**
   * Reads a net and its weights and prepares the net for training: in phase TRAIN, with nothing folded and BatchNorm
   * separate from Scale.
   * @throws PrototxtError, GraphError, WeightsError, ArgumentError; DeviceError: `device/unsupported` if the device cannot
   * train, `device/out-of-memory` before any memory is allocated
   */
  async train(options: TrainOptions): Promise<Trainer> {
    const given = asGiven(options);
    return this.#holdings.add(await (await this.#openNets()).train(given));
  }

  /**
   * Computes what `train` would allocate and use, without allocating it or reading weights.
   * @throws as `plan`
   */
  async planTraining(options: Omit<TrainOptions, 'weights' | 'history'>): Promise<ModelPlan> {
    const given = asGiven(options);
    return (await this.#openNets()).planTraining(given);
  }

  /**
   * Computes what `load` would allocate and use, without allocating it or reading weights.
   * @throws PrototxtError, GraphError, DeviceError
   */
  async plan(options: Omit<LoadOptions, 'weights' | 'batches'>): Promise<ModelPlan> {
    const given = asGiven(options);
    return (await this.#openNets()).plan(given);
  }

  /**
   * Times an operation in several ways; for benchmarks.
   * @throws DeviceError
   * @internal
   */
  async benchOperation(bench: NativeOperationBench): Promise<readonly NativeOperationVariant[]> {
    BENCH_OPERATION.check(bench);
    try {
      return await this.#native.benchOperation(bench);
    } catch (error) {
      throw convertError(error, this.name);
    }
  }

  /**
   * Allocates memory on the device.
   * @param content Initial values (a Float32Array or Uint8Array, as a buffer of one dimension), or a shape and a type, for a
   * buffer of zeros.
   * @throws ArgumentError; DeviceError, `device/out-of-memory`
   */
  async buffer(content: Float32Array | Uint8Array | BufferShape): Promise<DeviceBuffer> {
    BUFFER.check(content);
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
      const native = await this.#native.allocateBuffer(bytes);
      const buffer = this.#holdings.add(new DeviceBuffer(native, shape, type, this.name));
      if (values !== null) await buffer.upload(values);
      return buffer;
    } catch (error) {
      throw convertError(error, this.name);
    }
  }

  /** The bytes that this device's models and buffers hold, and the bytes that are still available. */
  memory(): DeviceMemory {
    const held = this.#native.memory();
    const total = held.parameters + held.activations + held.workspace + held.buffers;
    return {
      ...held,
      total,
      free: Math.min(this.#parts.memoryLimit - total, held.driver?.free ?? availableMemory()),
    };
  }

  /** Closes the device after the queued work, and disposes its models, trainers and buffers. Calling it twice is safe. */
  dispose(): void {
    release(this);
    this.#holdings.dispose();
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  // Imported with the first net, so that importing the package for other purposes does not wait for it.
  #openNets(): Promise<DeviceNets> {
    const { tune, onWarning } = this.#parts;
    this.#nets ??= import('./nets.ts').then(
      ({ DeviceNets }) => new DeviceNets(this.#native, { device: this, tune, onWarning }),
    );
    return this.#nets;
  }
}
