/** Runs hand-written programs on a native device, directly through native code. */

import { join } from 'node:path';
import { elementCount } from '../../ts/base/shape.ts';
import type { NativeDevice } from '../../ts/native/binding.ts';
import { loadBinding } from '../../ts/native/load.ts';
import type { Program, ProgramOperation, ProgramParameterId, TensorId } from '../../ts/operations/program.ts';

/** Opens a device without the library around it. */
export function openNative(
  kind: 'reference' | 'cpu' | 'cuda',
  { threads = 2, winograd = true, libraryFolder = loadBinding().folder } = {},
): NativeDevice {
  const { binding, folder } = loadBinding();
  return binding.openDevice(kind, {
    threads,
    winograd,
    kernels: '',
    libraryFolder,
    ordinal: 0,
    cacheFolder: join(folder, 'cache'),
    deterministic: false,
    cudnn: false,
    planMemory: 0,
    communicator: null,
  });
}

/** An array for each output of a program, for a run to write. */
export const outputArrays = ({ tensors, outputs }: Program): Float32Array[] =>
  outputs.map((id) => new Float32Array(elementCount(tensors[id]!.shape)));

/** Numbers from −1 to 1, the same for each seed. */
export function noise(count: number, seed: number): Float32Array {
  let state = (seed * 2654435761) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Builds a Program; inputs and parameters come with their values. */
export class ProgramWriter {
  readonly #tensors: { name: string; shape: readonly number[] }[] = [];
  readonly #parameters: { name: string; shape: readonly number[]; mutable: boolean }[] = [];
  readonly #operations: ProgramOperation[] = [];
  readonly #inputs: TensorId[] = [];
  readonly inputValues: Float32Array[] = [];
  readonly parameterValues: Float32Array[] = [];

  tensor(...shape: number[]): TensorId {
    return this.#tensors.push({ name: `t${this.#tensors.length}`, shape }) - 1;
  }
  input(shape: readonly number[], values = noise(elementCount(shape), this.#tensors.length + 1)): TensorId {
    const id = this.tensor(...shape);
    this.#inputs.push(id);
    this.inputValues.push(values);
    return id;
  }
  parameter(
    shape: readonly number[],
    { values = noise(elementCount(shape), 99 + this.#parameters.length), mutable = false } = {},
  ): ProgramParameterId {
    this.parameterValues.push(values);
    return this.#parameters.push({ name: `p${this.#parameters.length}`, shape, mutable }) - 1;
  }
  /** @returns The operation's index. */
  operation(inputs: readonly TensorId[], outputs: readonly TensorId[], attributes: Attributes): number {
    const operation = {
      layer: `o${this.#operations.length}`,
      inputs,
      outputs,
      ...attributes,
    } as ProgramOperation;
    return this.#operations.push(operation) - 1;
  }
  program(outputs: readonly TensorId[]): Program {
    return {
      name: 'test',
      tensors: this.#tensors,
      parameters: this.#parameters,
      operations: this.#operations,
      inputs: this.#inputs,
      outputs,
    };
  }
}

type Attributes = ProgramOperation extends infer Each
  ? Each extends ProgramOperation
    ? Omit<Each, 'layer' | 'inputs' | 'outputs'>
    : never
  : never;

/** The outputs of every run, the parameters after the last one, and the implementations. */
export interface ProgramResult {
  readonly outputs: Float32Array[][];
  readonly parameters: Float32Array[];
  readonly implementations: readonly string[];
  readonly milliseconds: Float64Array;
}

/** Runs a program `runs` times in one executable. */
export async function runProgram(
  device: NativeDevice,
  writer: ProgramWriter,
  outputs: readonly TensorId[],
  { runs = 1, inputs = (_run: number) => writer.inputValues } = {},
): Promise<ProgramResult> {
  const program = writer.program(outputs);
  const plan = await device.prepare(program, {
    precision: 'float32',
    deterministic: false,
    tune: false,
    quantization: null,
  });
  const parameters = await device.createParameters(
    program,
    writer.parameterValues.map((values) => ({
      bytes: new Uint8Array(values.slice().buffer),
      dtype: 'float32',
      channelScale: null,
    })),
  );
  const executable = await device.compile(plan, parameters);
  const results: Float32Array[][] = [];
  let milliseconds = new Float64Array();
  for (let run = 0; run < runs; run++) {
    const values = outputArrays(program);
    milliseconds = new Float64Array(program.operations.length);
    await executable.run(inputs(run), values, true, milliseconds).done;
    results.push(values);
  }
  const after = await Promise.all(writer.parameterValues.map((_, id) => parameters.read(id)));
  const { implementations } = plan;
  executable.dispose();
  parameters.dispose();
  plan.dispose();
  return { outputs: results, parameters: after, implementations, milliseconds };
}
