/** A net on a device: what a Model, which runs it, and a Trainer, which teaches it, are faces of. */
import { ArgumentError, DeviceError } from '../base/errors.ts';
import { onAbort } from '../base/on-abort.ts';
import { elementCount } from '../base/shape.ts';
import type { Compiled, Lowered } from '../compile/compile.ts';
import type { NativeParameters, NativeRunResult } from '../native/binding.ts';
import { convertError } from '../native/load.ts';
import { DeviceBuffer } from './buffer.ts';
import type { OpenedNet } from './compiler.ts';
import { type GivenArray, nativeInput } from './input-array.ts';

export interface RunnerParts<L extends Lowered> {
  /** The device's name, for errors. */
  readonly device: string;
  /** The device itself: one that nobody holds any more closes, and its nets with it. */
  readonly owner: object;
  readonly opened: OpenedNet<L>;
  /** Said of a call that comes after `dispose`. */
  readonly disposed: string;
}

/** How a run is made. */
export interface RunMode {
  /** Whether each operation is timed. Default false. */
  readonly profile?: boolean;
  /** False: arrays are read when the run's turn comes. Default true. */
  readonly copyInputs?: boolean;
  /** Buffers that take outputs, by name. Default none. */
  readonly outputs?: Readonly<Record<string, DeviceBuffer>>;
}

/** A run that was queued. */
export interface Started {
  readonly done: Promise<NativeRunResult>;
  cancel(): void;
}

export class Runner<L extends Lowered = Lowered> {
  /** For the shapes that it was opened with. */
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
   * Queues a run; its inputs are copied at the call.
   * @throws ArgumentError for a buffer that does not fit its output
   */
  start(
    { executable, program, names }: Compiled<Lowered>,
    arrays: readonly GivenArray[],
    { profile = false, copyInputs = true, outputs = {} }: RunMode = {},
  ): Started {
    const buffers = program.outputs.map((id, i) => {
      const name = names[i];
      if (name === undefined || !Object.hasOwn(outputs, name)) return null;
      const buffer = outputs[name];
      const bytes = 4 * elementCount(program.tensors[id]!.shape);
      if (!(buffer instanceof DeviceBuffer) || buffer.dtype !== 'float32' || buffer.bytes !== bytes)
        throw new ArgumentError(`output "${name}"`, `a float32 DeviceBuffer of ${bytes} bytes`, buffer);
      return buffer.native;
    });
    const mode = { profile, copyInputs, outputs: buffers };
    const { done, number } = executable.run(arrays.map(nativeInput), mode);
    return { done, cancel: () => executable.cancel(number) };
  }

  /** The run's result; the signal cancels it. */
  async settle(run: Started, signal: AbortSignal | undefined): Promise<NativeRunResult> {
    const withdraw = onAbort(signal, () => run.cancel());
    try {
      return await run.done;
    } finally {
      withdraw();
    }
  }

  /** Does work whose errors are the device's, or the signal's reason. `work` begins at the call. */
  async guard<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if ((error as { code?: string }).code === 'aborted' && signal?.aborted) throw signal.reason;
      throw convertError(error, this.#parts.device);
    }
  }

  /** Parameters as they are behind the runs called so far: all reads are queued at once, so that no run comes between. */
  async read(ids: readonly number[]): Promise<Float32Array[]> {
    this.checkOpen();
    const { parameters } = this.#parts.opened;
    return this.guard(undefined, () => Promise.all(ids.map((id) => parameters.read(id))));
  }

  /** Gives parameters other values, behind the runs called so far. */
  async write(values: Parameters<NativeParameters['write']>[0]): Promise<void> {
    this.checkOpen();
    const { parameters } = this.#parts.opened;
    return this.guard(undefined, () => parameters.write(values));
  }

  /** Frees everything behind the runs already queued. @returns false where that was done before */
  dispose(): boolean {
    if (this.#isDisposed) return false;
    this.#isDisposed = true;
    free(this.compiled);
    this.#parts.opened.parameters.dispose();
    return true;
  }
}

/** What was compiled, without its parameters. */
export function free({ executable, plan }: Compiled<Lowered>): void {
  executable.dispose();
  plan.dispose();
}
