/**
 * The typed interface of the native addon. Nothing here computes, and only device/ uses it. Every promise settles on the
 * event loop after a device thread has done the work. A native error arrives as an Error with `code` (load.ts converts it to
 * a DeviceError or GraphError).
 */
import type { ParameterData, Program } from '../operations/program.ts';

/**
 * A Program with a chosen primitive and layout for every operation and an address for every buffer, before its arena is
 * allocated.
 */
export interface NativePlan {
  /** The bytes of the arena that all buffers share. */
  readonly arenaBytes: number;
  /** The bytes that separate buffers would take. */
  readonly separateBytes: number;
  /** The bytes of scratch memory that all operations share. */
  readonly workspaceBytes: number;
  /** The bytes of the packed parameters. */
  readonly parameterBytes: number;
  /** The chosen implementation of each operation, e.g. `jit:avx512_core`. */
  readonly implementations: readonly string[];
  dispose(): void;
}

/** The parameters of a model on a device; shared by the executables of all its batch sizes. */
export interface NativeParameters {
  /** The current value of parameter `index` in Caffe's shape, float32. */
  read(index: number): Promise<Float32Array>;
  /**
   * Replaces the values of parameters after the queued runs and before later ones; the bytes are as for `createParameters`.
   * Not for plans in int8.
   */
  write(values: readonly { readonly index: number; readonly data: ParameterData | null }[]): Promise<void>;
  /** The bytes that packed and copied parameters hold now. */
  readonly bytes: number;
  dispose(): void;
}

export interface NativeRun {
  readonly done: Promise<void>;
  /** The number among the runs of its executable. */
  readonly number: number;
}

/** An array, a buffer of the same device with values of `dtype`, or bytes with a mean and a scale. */
export type NativeInput = Float32Array | Uint8Array | NormalisedBytes | NativeValues;

/** Memory of the device. */
export interface NativeValues {
  readonly buffer: NativeBuffer;
  readonly dtype: 'float32' | 'uint8';
}

/** Bytes of images N×C×…, C ≤ 4, which stand for (byte − mean) · scale of their channel. */
export interface NormalisedBytes {
  readonly bytes: Uint8Array | NativeValues;
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

export interface NativeExecutable {
  /**
   * The call copies arrays of inputs (Uint8Array values are converted to float), so they may be reused at once. With
   * `copyInputs: false` they are read when the run starts: nobody may modify or transfer them before `done`. Buffers are
   * read and written when the run starts. The run writes each output to its array or buffer, and the milliseconds of each
   * operation to `milliseconds` unless that is null; the arrays must stay untouched until `done` settles.
   */
  run(
    inputs: readonly NativeInput[],
    outputs: readonly (Float32Array | NativeBuffer)[],
    copyInputs: boolean,
    milliseconds: Float64Array | null,
  ): NativeRun;
  /**
   * Drops the run with this number if it is waiting, or stops it before the next operation if it is running; its `done`
   * rejects with code `aborted`. A settled run is not affected.
   */
  cancel(number: number): void;
  /** The bytes of arena and workspace. */
  readonly bytes: number;
  dispose(): void;
}

/** Memory of a device. Calls take effect in order with the runs; ranges are in bytes and must fit. */
export interface NativeBuffer {
  readonly bytes: number;
  /** Copies the source at the call. */
  upload(source: Uint8Array, offset: number): Promise<void>;
  download(offset: number, bytes: number): Promise<Uint8Array>;
  copy(source: NativeBuffer, sourceOffset: number, offset: number, bytes: number): Promise<void>;
  fill(value: number, offset: number, bytes: number): Promise<void>;
  dispose(): void;
}

/** The memory in bytes as the driver of a device reports it; everything that uses the device counts. */
export interface DriverMemory {
  readonly free: number;
  readonly total: number;
}

export interface NativeMemory {
  /** The bytes of packed and copied parameters. */
  readonly parameters: number;
  /** The bytes of arenas. */
  readonly activations: number;
  /** The bytes of scratch memory. */
  readonly workspace: number;
  /** The bytes of buffers that the user holds. */
  readonly buffers: number;
  /** The bytes of main memory that are page-locked for runs on a GPU. */
  readonly pinned: number;
  /** Null for devices that compute in main memory. */
  readonly driver: DriverMemory | null;
}

/** The type in which activations and weights are stored and multiplied; sums are float32, or int32 in int8. */
export type Precision = 'float32' | 'tf32' | 'float16' | 'bfloat16' | 'int8';

/** The largest magnitudes that int8 represents; 0 or null if unknown, so that the value stays float32. */
export interface NativeQuantization {
  /** One per tensor. */
  readonly tensors: Float32Array;
  /** For each parameter, one value per index of axis 0. */
  readonly parameters: readonly (Float32Array | null)[];
}

export interface NativePlanOptions {
  readonly precision: Precision;
  /** Use only implementations that give the same bits every time. */
  readonly deterministic: boolean;
  /** Measure if there are several implementations; false: use the probably fastest one at once. */
  readonly tune: boolean;
  /** The ranges for int8. */
  readonly quantization: NativeQuantization | null;
}

/**
 * Computes an operation `hostFunction` of a program on the event loop, while the device's thread waits.
 * @param index The index of the function.
 * @param reads Copies of its inputs, by position (forward: x; backward: x, y, dy); null: not present.
 * @param asked The number of values of each result (forward: y; backward: dx); 0: not requested.
 * @param done Receives an error's text, or an array for each requested result. Called once.
 */
export type NativeHostFunction = (
  index: number,
  isBackward: boolean,
  reads: readonly (Float32Array | null)[],
  sizes: readonly number[],
  done: (error: string | null, values?: readonly (Float32Array | null)[]) => void,
) => void;

export interface NativeDevice {
  readonly kind: string;
  /** A description for people: processor or GPU name, threads, library versions, instruction set. */
  readonly description: Readonly<Record<string, string | number>>;
  /**
   * Chooses primitives and layouts for every operation; it allocates nothing permanent.
   * @param like The plan of a program with the same parameters for other shapes; each operation uses the same
   * implementation, and nothing is measured or packed again. Null: none.
   */
  prepare(
    program: Program,
    options: NativePlanOptions,
    like?: NativePlan | null,
    functions?: NativeHostFunction | null,
  ): Promise<NativePlan>;
  /**
   * Takes the parameters' bytes. Views of a mapped file or of `allocateMemory` are kept and must not change any more; other
   * bytes are copied at the call; null: zeros.
   */
  createParameters(program: Program, data: readonly (ParameterData | null)[]): Promise<NativeParameters>;
  /** Allocates the plan's arena and packs parameters that are not packed yet. */
  compile(plan: NativePlan, parameters: NativeParameters): Promise<NativeExecutable>;
  /** A buffer of zeros. */
  allocateBuffer(bytes: number): Promise<NativeBuffer>;
  /** Times an operation in several ways that compute the same; only on a CUDA device. */
  benchOperation(bench: NativeOperationBench): Promise<readonly NativeOperationVariant[]>;
  memory(): NativeMemory;
  /** Closes the device after the queued work; later calls reject with code `device/disposed`. */
  dispose(): void;
}

/** A single operation to time; `copy` is of `n` bytes, and the last four fields belong to a convolution. */
export interface NativeOperationBench {
  readonly kind: 'batchNormScaleRelu' | 'addRelu' | 'convolution' | 'copy';
  readonly precision: Precision;
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
  readonly runs: number;
  /** Inputs are rotated through this many bytes; 0: twice the device's cache. */
  readonly rotatedBytes: number;
  /** False: use the probably fastest convolution at once. */
  readonly tune: boolean;
}

export interface NativeOperationVariant {
  readonly name: string;
  readonly launches: number;
  /** The bytes that its launches read and write. */
  readonly bytes: number;
  /** The largest error of its result, relative to 1 + |value|. */
  readonly worst: number;
  /** The time of each run, by the device's clock. */
  readonly microseconds: readonly number[];
}

/** Interleaved uint8 pixels, H×W×C: grey, grey and alpha, RGB, or RGBA. */
export interface NativeImage {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

export interface NativeScoreMap {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly targetWidth: number;
  readonly targetHeight: number;
  readonly scaleX: number;
  readonly offsetX: number;
  readonly lastX: number;
  readonly scaleY: number;
  readonly offsetY: number;
  readonly lastY: number;
}

export interface NativePreparation extends NativeImage {
  /** Bilinear; the image's own width means no resizing. */
  readonly resizedWidth: number;
  readonly resizedHeight: number;
  readonly left: number;
  readonly top: number;
  readonly cropWidth: number;
  readonly cropHeight: number;
  readonly outputChannels: 1 | 3;
  readonly bgr: boolean;
  /**
   * Resizes in floats, as caffe.io's Transformer does; otherwise in bytes, as OpenCV does, which does not support 16 bits.
   */
  readonly float: boolean;
  /** One factor per channel, applied after the mean is subtracted. */
  readonly scale: Float32Array;
  /** One value per channel, or channels × crop height × crop width. */
  readonly mean: Float32Array;
  /** Returns bytes, before mean and scale; not for images that are resized in floats. */
  readonly asBytes: boolean;
}

export interface NativeDeviceOptions {
  readonly threads: number;
  readonly libraryFolder: string;
  /** CPU: the kernels for convolutions, `AMX`, `AVX-512`, `AVX2` or `oneDNN`; empty: the best available. */
  readonly kernels: string;
  /** CPU: whether 3×3 convolutions may use Winograd's algorithms. */
  readonly winograd: boolean;
  /** The index among several devices. */
  readonly ordinal: number;
  /** The folder that keeps measured choices. */
  readonly cacheFolder: string;
  readonly deterministic: boolean;
  /** CUDA: false runs without cuDNN. */
  readonly cudnn: boolean;
  /** CUDA: if not 0, no GPU is opened, and plans are made for one with this many bytes. */
  readonly planMemory: number;
  /** The processes that train together on this device; null: none. */
  readonly communicator: NativeCommunicator | null;
}

/** The devices that a backend library can open. */
export interface NativeDeviceList {
  readonly devices: readonly {
    readonly ordinal: number;
    readonly name: string;
    readonly computeCapability: string;
    readonly memory: DriverMemory;
    /** Names and values for people. */
    readonly properties: readonly (readonly [name: string, value: string])[];
  }[];
  readonly driver: string | null;
  readonly runtime: string | null;
  /** The library that was opened; null if none could be. */
  readonly library: string | null;
  readonly cudnnVersion: string | null;
  readonly cudnnPath: string | null;
  /** All paths that were checked, with the results. */
  readonly cudnnTried: readonly (readonly [path: string, outcome: string])[];
  /** Why there are no devices, or why they cannot be opened. */
  readonly problem: string | null;
}

/** Processes that work together. `sum` and `finish` are collective: all processes make the same calls in the same order. */
export interface NativeCommunicator {
  /** The rank, from 0. */
  readonly rank: number;
  readonly size: number;
  /** The sum over all processes, with the same bits in each. */
  sum(values: Float32Array): Promise<Float32Array>;
  /** Sends a message; messages to one process arrive in the order in which they are sent. */
  send(rank: number, bytes: Uint8Array): Promise<void>;
  /** Whether `receive` has a message. */
  hasMessage(rank: number): boolean;
  /** Waits on one of libuv's threads. */
  receive(rank: number): Promise<Uint8Array>;
  /** Leaves; otherwise the launcher ends the job. */
  finish(): Promise<void>;
  dispose(): void;
}

export interface NativeBinding {
  readonly version: string;
  /**
   * Opens `reference`, which always exists, or a backend library in `libraryFolder`: `cpu` (oneDNN), `cuda`. Throws with
   * code `device/unavailable` and what was tried.
   */
  openDevice(kind: 'reference' | 'cpu' | 'cuda', options: NativeDeviceOptions): NativeDevice;
  /** Connects with the processes that a launcher has started. Rejects with code `communicator/unavailable`. */
  openCommunicator(kind: 'mpi', libraryFolder: string): Promise<NativeCommunicator>;
  /** Opens nothing permanently. */
  listDevices(kind: 'cuda', libraryFolder: string): NativeDeviceList;
  /** Allocates memory, without clearing it, that native code uses without a copy, like a mapped file. */
  allocateMemory(bytes: number): ArrayBuffer;
  /**
   * The bytes of a file. Small files are read; large ones are mapped read-only as long as the returned buffer, or a
   * parameter that uses it, lives. Throws with code `file/not-found`, `file/unreadable`, `file/special` or
   * `memory/too-large`.
   */
  mapFile(path: string): ArrayBuffer;
  /** False for bytes of a mapped file that was modified or truncated since. */
  isIntact(bytes: Uint8Array): boolean;
  /** Whether the bytes come from `mapFile`. */
  isOfFile(bytes: Uint8Array): boolean;
  /** For the bytes of the tuning cache: the number of lines, and the number of lines with a wrong checksum. */
  countTuningCacheLines(bytes: Uint8Array): { readonly lines: number; readonly damaged: number };
  /** Converts pixels to channels × crop height × crop width, off the event loop. Throws RangeError before it begins. */
  prepareImage(
    pixels: Uint8Array | Uint16Array,
    options: NativePreparation & { readonly asBytes: false },
  ): Promise<Float32Array>;
  prepareImage(
    pixels: Uint8Array,
    options: NativePreparation & { readonly asBytes: true },
  ): Promise<Uint8Array>;
  /** Resizes bilinearly as OpenCV's INTER_LINEAR, off the event loop. Throws RangeError before it begins. */
  resizeImage(
    pixels: Uint8Array,
    options: NativeImage & { readonly resizedWidth: number; readonly resizedHeight: number },
  ): Promise<Uint8Array>;
  /**
   * Converts scores, channels × height × width, to a map of targetHeight × targetWidth, off the event loop: the channel with
   * the largest bilinear score (`classes`); for one channel the nearest index (`indices`) or the bilinear values (`values`).
   * Pixel x of the target is at x · scaleX + offsetX of the scores, between 0 and lastX. Throws RangeError before it begins.
   */
  mapScores(
    scores: Float32Array,
    options: NativeScoreMap & { readonly result: 'values' },
  ): Promise<Float32Array>;
  mapScores(
    scores: Float32Array,
    options: NativeScoreMap & { readonly result: 'classes' | 'indices' },
  ): Promise<Uint8Array>;
}
