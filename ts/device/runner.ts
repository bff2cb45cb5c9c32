/** A net on a device: the common part of Model, which runs it, and Trainer, which trains it. */
import { ArgumentError, DeviceError } from '../base/errors.ts';
import { onAbort } from '../base/on-abort.ts';
import { elementCount } from '../base/shape.ts';
import type { Compiled, Lowered } from '../compile/compile.ts';
import type { NativeParameters } from '../native/binding.ts';
import { convertError } from '../native/load.ts';
import { DeviceBuffer } from './buffer.ts';
import type { OpenedNet } from './compiler.ts';
import { type GivenArray, nativeInput } from './input-array.ts';

export interface RunnerParts<L extends Lowered> {
  /** The device's name, for errors. */
  readonly device: string;
  /** The device itself. A device that nothing references closes, and its nets with it; this reference prevents that. */
  readonly owner: object;
  readonly opened: OpenedNet<L>;
  /** The message of a call after `dispose`. */
  readonly disposed: string;
}

/** Options of a run. */
export interface RunMode {
  /** Whether each operation is timed. Default false. */
  readonly profile?: boolean;
  /** With false, arrays are read when the run starts. Default true. */
  readonly copyInputs?: boolean;
  /** Buffers that receive outputs, by name. Default none. */
  readonly outputs?: Readonly<Record<string, DeviceBuffer>>;
}

/** What a run computed. */
export interface RunResult {
  /** Null if a buffer received the output. */
  readonly outputs: readonly (Float32Array | null)[];
  /** Milliseconds per operation, only if requested. */
  readonly milliseconds: Float64Array | null;
}

/** A run that was queued. */
export interface Started {
  readonly done: Promise<void>;
  /** Is complete when `done` resolves. */
  readonly result: RunResult;
  cancel(): void;
}

export class Runner<L extends Lowered = Lowered> {
  /** The plan for the shapes that the net was opened with. */
  readonly compiled: Compiled<L>;
  readonly #parts: RunnerParts<L>;
  #isDisposed = false;

  constructor(parts: RunnerParts<L>) {
    this.#parts = parts;
    this.compiled = parts.opened.compiled;
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** @throws DeviceError `device/disposed` */
  checkOpen(): void {
    const { device, disposed } = this.#parts;
    if (this.#isDisposed) throw new DeviceError('device/disposed', device, disposed);
  }

  /**
   * Queues a run; the call copies its inputs.
   * @throws ArgumentError for a buffer that does not fit its output
   */
  start(
    { executable, program, names }: Compiled<Lowered>,
    arrays: readonly GivenArray[],
    { profile = false, copyInputs = true, outputs = {} }: RunMode = {},
  ): Started {
    const targets = program.outputs.map((id, i) => {
      const name = names[i];
      const count = elementCount(program.tensors[id]!.shape);
      if (name === undefined || !Object.hasOwn(outputs, name)) return new Float32Array(count);
      const buffer = outputs[name];
      if (!(buffer instanceof DeviceBuffer) || buffer.dtype !== 'float32' || buffer.bytes !== 4 * count)
        throw new ArgumentError(`output "${name}"`, `a float32 DeviceBuffer of ${4 * count} bytes`, buffer);
      return buffer.native;
    });
    const milliseconds = profile ? new Float64Array(program.operations.length) : null;
    const { done, number } = executable.run(arrays.map(nativeInput), targets, copyInputs, milliseconds);
    const result = {
      outputs: targets.map((target) => (target instanceof Float32Array ? target : null)),
      milliseconds,
    };
    return { done, result, cancel: () => executable.cancel(number) };
  }

  /** Returns the result of a run; the signal cancels it. */
  async settle(run: Started, signal: AbortSignal | undefined): Promise<RunResult> {
    const withdraw = onAbort(signal, () => run.cancel());
    try {
      await run.done;
      return run.result;
    } finally {
      withdraw();
    }
  }

  /** Runs `work` and converts its errors to the device's errors or the signal's reason. `work` starts at the call. */
  async guard<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if ((error as { code?: string }).code === 'aborted' && signal?.aborted) throw signal.reason;
      throw convertError(error, this.#parts.device);
    }
  }

  /**
   * Reads parameters as they are after the runs called so far. All reads are queued at once, so no run comes between them.
   */
  async read(ids: readonly number[]): Promise<Float32Array[]> {
    this.checkOpen();
    const { parameters } = this.#parts.opened;
    return this.guard(undefined, () => Promise.all(ids.map((id) => parameters.read(id))));
  }

  /** Writes parameters after the runs called so far. */
  async write(values: Parameters<NativeParameters['write']>[0]): Promise<void> {
    this.checkOpen();
    const { parameters } = this.#parts.opened;
    return this.guard(undefined, () => parameters.write(values));
  }

  /**
   * Frees everything after the queued runs.
   * @returns false if it was disposed before
   */
  dispose(): boolean {
    if (this.#isDisposed) return false;
    this.#isDisposed = true;
    free(this.compiled);
    this.#parts.opened.parameters.dispose();
    return true;
  }
}

/** Frees what was compiled, except the parameters. */
export function free({ executable, plan }: Compiled<Lowered>): void {
  executable.dispose();
  plan.dispose();
}
