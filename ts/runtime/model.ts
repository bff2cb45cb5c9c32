/** A net compiled for a device. Runs are queued and answered in order. */
import type { LayerReport } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { ArgumentError } from '../errors.ts';
import { totalMacs } from '../graph/count.ts';
import type { Graph } from '../graph/graph.ts';
import type { NativeExecutable, NativeParameters, NativePlan } from '../native/binding.ts';
import { convertError } from '../native/convert-error.ts';
import type { MemoryPlan } from '../program/plan-memory.ts';
import type { Program } from '../program/program.ts';

/** Row-major float32. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface RunOptions {
  /** Rejects with its reason; the device stops before the next operation. */
  readonly signal?: AbortSignal;
}

interface Parts {
  readonly device: string;
  readonly net: NetParameter;
  readonly graph: Graph;
  readonly program: Program;
  readonly names: readonly string[];
  readonly report: readonly LayerReport[];
  readonly plan: NativePlan;
  readonly memory: MemoryPlan;
  readonly parameters: NativeParameters;
  readonly executable: NativeExecutable;
}

export class Model {
  /** Input blobs by name, with their shapes N×C×H×W. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** What became of each layer's weights. */
  readonly report: readonly LayerReport[];
  readonly #parts: Parts;

  /** Use `device.load`. */
  constructor(parts: Parts) {
    this.#parts = parts;
    this.report = parts.report;
    this.inputs = Object.fromEntries(
      parts.program.inputs.map((id) => [parts.program.tensors[id]!.name, parts.program.tensors[id]!.shape]),
    );
  }

  /**
   * Runs the net once. Inputs are copied at the call; Uint8Array values count as 0–255.
   * @returns The outputs by name, in plain row-major float32.
   * @throws ArgumentError for a missing, unknown or wrongly sized input; the signal's reason; DeviceError
   */
  async run(
    inputs: Readonly<Record<string, Float32Array | Uint8Array>>,
    options: RunOptions = {},
  ): Promise<Record<string, Tensor>> {
    const { signal } = options;
    signal?.throwIfAborted();
    const { executable, device } = this.#parts;
    try {
      const run = executable.run(this.#inputArrays(inputs), { profile: false });
      const cancel = () => run.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      try {
        return this.#named((await run.done).outputs);
      } finally {
        signal?.removeEventListener('abort', cancel);
      }
    } catch (error) {
      if ((error as { code?: string }).code === 'aborted' && signal?.aborted) throw signal.reason;
      throw convertError(error, device);
    }
  }

  /** Milliseconds of each operation in one run, by layer name. */
  async time(
    inputs: Readonly<Record<string, Float32Array | Uint8Array>>,
  ): Promise<{ layer: string; milliseconds: number }[]> {
    const result = await this.#parts.executable.run(this.#inputArrays(inputs), { profile: true }).done;
    return this.#parts.program.operations.map(({ layer }, i) => ({
      layer,
      milliseconds: result.milliseconds![i]!,
    }));
  }

  /** The current values of a layer's blob, e.g. BatchNorm's running mean; null where passes folded it away. */
  async parameter(layer: string, index: number): Promise<Float32Array | null> {
    const id = this.#parts.program.parameters.findIndex(({ name }) => name === `${layer}/${index}`);
    return id < 0 ? null : this.#parts.parameters.read(id);
  }

  /** Bytes: parameters as packed, activations in one arena (and what separate buffers would take), workspace; and MACs. */
  plan(): {
    parameterBytes: number;
    arenaBytes: number;
    separateBytes: number;
    workspaceBytes: number;
    macs: number;
    implementations: readonly string[];
  } {
    const { plan, memory, graph } = this.#parts;
    return {
      parameterBytes: plan.parameterBytes,
      arenaBytes: memory.bytes,
      separateBytes: memory.separate,
      workspaceBytes: plan.workspaceBytes,
      macs: totalMacs(graph),
      implementations: plan.implementations,
    };
  }

  /** Frees the model behind the runs already queued. */
  dispose(): void {
    this.#parts.executable.dispose();
    this.#parts.parameters.dispose();
    this.#parts.plan.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #inputArrays(inputs: Readonly<Record<string, Float32Array | Uint8Array>>): (Float32Array | Uint8Array)[] {
    for (const name of Object.keys(inputs)) {
      if (!Object.hasOwn(this.inputs, name))
        throw new ArgumentError('inputs', `the names ${Object.keys(this.inputs).join(', ')}`, name);
    }
    return Object.entries(this.inputs).map(([name, shape]) => {
      const array = inputs[name];
      const count = shape.reduce((product, dim) => product * dim, 1);
      const isArray = array instanceof Float32Array || array instanceof Uint8Array;
      if (!isArray || array.length !== count)
        throw new ArgumentError(
          `input "${name}"`,
          `a Float32Array or Uint8Array of ${shape.join('×')} = ${count} values`,
          array,
        );
      return array;
    });
  }

  #named(arrays: readonly Float32Array[]): Record<string, Tensor> {
    const { program, names } = this.#parts;
    return Object.fromEntries(
      arrays.map((data, i) => [names[i]!, { shape: program.tensors[program.outputs[i]!]!.shape, data }]),
    );
  }
}
