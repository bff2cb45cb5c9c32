/**
 * The typed contract of the native addon. Nothing here computes; device/ is its only user.
 * Every promise settles on the event loop after a device thread did the work. A native error arrives as a
 * plain Error with `code` (see load.ts, which makes a DeviceError or GraphError of it).
 */
import type { ParameterData, Program } from '../operations/program.ts';

/** A Program with every primitive and layout chosen and every buffer placed, before the first byte of its arena is taken. */
export interface NativePlan {
  /** The arena that all buffers share, bytes. */
  readonly arenaBytes: number;
  /** What buffers of their own would take, bytes. */
  readonly separateBytes: number;
  /** Scratch shared by all operations, bytes. */
  readonly workspaceBytes: number;
  /** The packed parameters, bytes. */
  readonly parameterBytes: number;
  /** One line per operation: the implementation chosen, e.g. `jit:avx512_core`. */
  readonly implementations: readonly string[];
  dispose(): void;
}

/** The parameters of a model on a device; shared by the executables of all its batch sizes. */
export interface NativeParameters {
  /** The current value of parameter `index` in its plain shape, float32. */
  read(index: number): Promise<Float32Array>;
  /**
   * Gives parameters other values, all behind the runs queued and before those that follow; their bytes as for
   * `createParameters`. Not for plans in int8.
   */
  write(values: readonly { readonly index: number; readonly data: ParameterData | null }[]): Promise<void>;
  /** Bytes now held for packed and copied parameters. */
  readonly bytes: number;
  dispose(): void;
}

export interface NativeRun {
  readonly done: Promise<NativeRunResult>;
  /** Among the runs of its executable. */
  readonly number: number;
}

/** An array, a buffer of the same device whose values are of `dtype`, or bytes with what they stand for. */
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

export interface NativeRunResult {
  /** Null where a buffer took it. */
  readonly outputs: (Float32Array | null)[];
  /** Milliseconds per operation, only when asked for. */
  readonly milliseconds: Float64Array | null;
}

export interface NativeExecutable {
  /**
   * Arrays of inputs (Uint8Array values are converted to float) are copied at the call, so that they may be reused at
   * once, or with `copyInputs: false` read when the run's turn comes: nobody may write to them or transfer them before
   * `done`. Buffers are read and written when the run's turn comes. `outputs`: a buffer, or null for an array, one an
   * output.
   */
  run(
    inputs: readonly NativeInput[],
    options: {
      readonly profile: boolean;
      readonly copyInputs: boolean;
      readonly outputs: readonly (NativeBuffer | null)[];
    },
  ): NativeRun;
  /**
   * Drops the run of this number if it waits, stops it before the next operation if it runs; its `done` rejects with code
   * `aborted`. One that is settled stays as it is.
   */
  cancel(number: number): void;
  /** Arena and workspace, bytes. */
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

/** What the driver of a device with memory of its own says, bytes; everything that uses the device counts. */
export interface DriverMemory {
  readonly free: number;
  readonly total: number;
}

export interface NativeMemory {
  /** Packed and copied parameters, bytes. */
  readonly parameters: number;
  /** Arenas, bytes. */
  readonly activations: number;
  /** Scratch, bytes. */
  readonly workspace: number;
  /** Buffers that the user holds, bytes. */
  readonly buffers: number;
  /** Of main memory, page-locked for runs on a GPU, bytes. */
  readonly pinned: number;
  /** Null for devices that compute in main memory. */
  readonly driver: DriverMemory | null;
}

/** What activations and weights are stored and multiplied in; sums are float32 in all of them, int32 in int8. */
export type Precision = 'float32' | 'tf32' | 'float16' | 'bfloat16' | 'int8';

/** The largest magnitudes that int8 is to represent; 0 or null: not known, stays float32. */
export interface NativeQuantization {
  /** One a tensor. */
  readonly tensors: Float32Array;
  /** Of each parameter, one an index of axis 0. */
  readonly parameters: readonly (Float32Array | null)[];
}

export interface NativePlanOptions {
  readonly precision: Precision;
  /** Only implementations that give the same bits every time. */
  readonly deterministic: boolean;
  /** Measure where there are several; false: take the likely best, at once. */
  readonly tune: boolean;
  /** For int8. */
  readonly quantization: NativeQuantization | null;
}

/**
 * Computes an operation `hostFunction` of a program on the event loop, where the device's thread asks it and waits.
 * @param index Of the function. @param reads Copies of what it reads, by position (forward: x; backward: x, y, dy); null:
 * not there. @param asked How many values belong at each place of what it makes (forward: y; backward: dx); 0: none.
 * @param done Takes an error's text, or an array for each place that is asked for. Called once.
 */
export type NativeHostFunction = (
  index: number,
  isBackward: boolean,
  reads: readonly (Float32Array | null)[],
  asked: readonly number[],
  done: (error: string | null, values?: readonly (Float32Array | null)[]) => void,
) => void;

export interface NativeDevice {
  readonly kind: string;
  /** What a person wants to read: processor or GPU name, threads, library versions, instruction set. */
  readonly description: Readonly<Record<string, string | number>>;
  /**
   * Chooses primitives and layouts for every operation; allocates nothing that lasts.
   * @param like The plan of a program with the same parameters for other shapes, as which each operation is computed:
   * nothing is measured or packed anew. Null: none.
   */
  prepare(
    program: Program,
    options: NativePlanOptions,
    like?: NativePlan | null,
    functions?: NativeHostFunction | null,
  ): Promise<NativePlan>;
  /**
   * Takes the parameters' bytes: views of a mapped file or of `allocateMemory` are held and must not change any more,
   * anything else is copied at the call; null: zeros.
   */
  createParameters(program: Program, data: readonly (ParameterData | null)[]): Promise<NativeParameters>;
  /** Allocates the plan's arena, packs parameters not packed yet. */
  compile(plan: NativePlan, parameters: NativeParameters): Promise<NativeExecutable>;
  /** Zeros. */
  allocateBuffer(bytes: number): Promise<NativeBuffer>;
  /** Times an operation in several ways that compute the same; a CUDA device alone. */
  benchOperation(bench: NativeOperationBench): Promise<readonly NativeOperationVariant[]>;
  memory(): NativeMemory;
  /** Closes the device behind the work already queued; later calls reject with code `device/closed`. */
  dispose(): void;
}

/** An operation to time by itself; `copy` is of `n` bytes, the last four are a convolution's. */
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
  /** Inputs are rotated through so many bytes; 0: twice the device's cache. */
  readonly rotatedBytes: number;
  /** False: the likely best convolution at once. */
  readonly tune: boolean;
}

export interface NativeOperationVariant {
  readonly name: string;
  readonly launches: number;
  /** Bytes that its launches read and write. */
  readonly bytes: number;
  /** The largest error of its result, as a share of 1 + |value|. */
  readonly worst: number;
  /** Of each run, by the device's clock. */
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
  /** Bilinear; the image's own size: no resize. */
  readonly resizedWidth: number;
  readonly resizedHeight: number;
  readonly left: number;
  readonly top: number;
  readonly cropWidth: number;
  readonly cropHeight: number;
  readonly outputChannels: 1 | 3;
  readonly bgr: boolean;
  /** Resized in floats, as caffe.io's Transformer; else in bytes, as OpenCV, which takes no 16 bits. */
  readonly float: boolean;
  /** One value a channel, multiplied after the mean was subtracted. */
  readonly scale: Float32Array;
  /** One value a channel, or channels × crop height × crop width. */
  readonly mean: Float32Array;
  /** Gives bytes, before mean and scale; not of what is resized in floats. */
  readonly asBytes: boolean;
}

export interface NativeDeviceOptions {
  readonly threads: number;
  readonly libraryFolder: string;
  /** CPU: what computes convolutions, `AVX-512`, `AVX2` or `oneDNN`; empty: the best that there is. */
  readonly kernels: string;
  /** CPU: 3×3 convolutions may be computed by Winograd's algorithms. */
  readonly winograd: boolean;
  /** Which of several devices. */
  readonly ordinal: number;
  /** Where measured choices are kept. */
  readonly cacheFolder: string;
  readonly deterministic: boolean;
  /** CUDA: false runs without cuDNN. */
  readonly cudnn: boolean;
  /** CUDA: not 0: no GPU is opened, and plans are made for one with so many bytes. */
  readonly planMemory: number;
  /** The processes that this device trains with; null: none. */
  readonly communicator: NativeCommunicator | null;
}

/** What a backend library can open. */
export interface NativeDeviceList {
  readonly devices: readonly {
    readonly ordinal: number;
    readonly name: string;
    readonly computeCapability: string;
    readonly memory: DriverMemory;
    /** Names and values, for people. */
    readonly properties: readonly (readonly [name: string, value: string])[];
  }[];
  readonly driver: string | null;
  readonly runtime: string | null;
  /** The library that was opened; null: none could be. */
  readonly library: string | null;
  readonly cudnnVersion: string | null;
  readonly cudnnPath: string | null;
  /** Every place looked at, and what came of it. */
  readonly cudnnTried: readonly (readonly [path: string, outcome: string])[];
  /** Why there are no devices, or why they cannot be opened as they are. */
  readonly problem: string | null;
}

/** Processes that work together. `sum` and `finish` are collective: all processes make the same calls in the same order. */
export interface NativeCommunicator {
  /** From 0. */
  readonly rank: number;
  readonly size: number;
  /** The sum over all processes, the same bits in each. */
  sum(values: Float32Array): Promise<Float32Array>;
  /** A message; those to one process arrive in the order in which they are sent. */
  send(rank: number, bytes: Uint8Array): Promise<void>;
  /** Whether `receive` has something to give. */
  hasMessage(rank: number): boolean;
  /** Waits on one of libuv's threads. */
  receive(rank: number): Promise<Uint8Array>;
  /** Leaves; the launcher ends the job otherwise. */
  finish(): Promise<void>;
  dispose(): void;
}

export interface NativeBinding {
  readonly version: string;
  /**
   * Opens `reference` (always there), or a backend library looked for in `libraryFolder`: `cpu` (oneDNN), `cuda`.
   * Throws with code `device/unavailable` and what was tried.
   */
  openDevice(kind: 'reference' | 'cpu' | 'cuda', options: NativeDeviceOptions): NativeDevice;
  /** Enters the world of processes that a launcher has started. Rejects with code `communicator/unavailable`. */
  openCommunicator(kind: 'mpi', libraryFolder: string): Promise<NativeCommunicator>;
  /** Opens nothing that lasts. */
  listDevices(kind: 'cuda', libraryFolder: string): NativeDeviceList;
  /** Memory, not cleared, that native code holds without a copy, as it does a mapped file. */
  allocateMemory(bytes: number): ArrayBuffer;
  /**
   * A file's bytes: small ones are read, large ones mapped read-only for as long as the returned buffer, or a parameter
   * that uses it, lives. Throws with code `file/not-found`, `file/unreadable`, `file/special` or `memory/too-large`.
   */
  mapFile(path: string): ArrayBuffer;
  /** False for bytes of a mapped file that was written to, or cut short, since. */
  isIntact(bytes: Uint8Array): boolean;
  /** Whether `mapFile` gave them. */
  isOfFile(bytes: Uint8Array): boolean;
  /** Of the bytes of the file that keeps what was measured: how many lines it has, and how many do not prove themselves. */
  countTuningCacheLines(bytes: Uint8Array): { readonly lines: number; readonly damaged: number };
  /** Pixels → channels × crop height × crop width, off the event loop. Throws RangeError before it begins. */
  prepareImage(
    pixels: Uint8Array | Uint16Array,
    options: NativePreparation & { readonly asBytes: false },
  ): Promise<Float32Array>;
  prepareImage(
    pixels: Uint8Array,
    options: NativePreparation & { readonly asBytes: true },
  ): Promise<Uint8Array>;
  /** Bilinear as OpenCV's INTER_LINEAR, off the event loop. Throws RangeError before it begins. */
  resizeImage(
    pixels: Uint8Array,
    options: NativeImage & { readonly resizedWidth: number; readonly resizedHeight: number },
  ): Promise<Uint8Array>;
  /**
   * Scores, channels × height × width → a map of targetHeight × targetWidth, off the event loop: the channel whose score,
   * bilinear, is the largest (`classes`); of one channel the nearest index (`indices`) or the values, bilinear (`values`).
   * Pixel x of the target lies at x · scaleX + offsetX of the scores, between 0 and lastX. Throws RangeError before it begins.
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
