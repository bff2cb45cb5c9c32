/** A Program and its backward pass as one Program: reverse differentiation by Caffe's rules (net.cpp, split_layer.cpp). */

import type { FusedRelu } from '../operations/operations.ts';
import type {
  Program,
  ProgramOperation,
  ProgramParameterId,
  ProgramTensor,
  TensorId,
} from '../operations/program.ts';
import { isDifferentiable, isUnscaledSum, learnedParameters, readAgain } from './gradient-needs.ts';

export interface DiffRequest {
  /** Where the backward pass begins: losses, or whatever a diff is given for. */
  readonly seeds: readonly TensorId[];
  /** What learns. Diffs flow down to the first of them and no further. */
  readonly parameters: ReadonlySet<ProgramParameterId>;
  /** Tensors whose diffs are wanted besides. Default none. */
  readonly tensors?: readonly TensorId[];
  /** Whether a tensor waits for the backward pass; the others are computed again there. Default: all wait. */
  readonly isKept?: (tensor: TensorId) => boolean;
}

export interface Differentiated {
  /** Its inputs are the program's, then a diff for each seed, in their order. */
  readonly program: Program;
  /** Missing where a parameter does not contribute to any seed. */
  readonly parameterDiffs: ReadonlyMap<ProgramParameterId, TensorId>;
  /** Of the wanted tensors: the whole diff, and what each reader adds to it, in their order; null: nothing. */
  readonly tensorDiffs: ReadonlyMap<
    TensorId,
    { readonly whole: TensorId | null; readonly byReader: readonly (TensorId | null)[] }
  >;
}

/** Appends the gradients of a forward program. A value with several readers gets the sum of their diffs. */
export function differentiate(program: Program, request: DiffRequest): Differentiated {
  const pass = new BackwardPass(program, request);
  for (const index of [...program.operations.keys()].reverse()) pass.differentiate(index);
  return pass.result(request.tensors ?? []);
}

class BackwardPass {
  readonly #program: Program;
  readonly #learns: ReadonlySet<ProgramParameterId>;
  readonly #tensors: ProgramTensor[];
  readonly #forward: ProgramOperation[];
  readonly #backward: ProgramOperation[] = [];
  readonly #carries: ReadonlySet<TensorId>;
  readonly #readers: ReadonlyMap<TensorId, readonly Reader[]>;
  /** What each reader adds to a tensor's diff, in their order; then what a seed does. */
  readonly #parts = new Map<TensorId, (TensorId | null)[]>();
  readonly #wholes = new Map<TensorId, TensorId | null>();
  readonly #parameterParts = new Map<ProgramParameterId, TensorId[]>();
  readonly #seedDiffs: readonly TensorId[];
  /** A tensor of the forward pass as the backward pass reads it. */
  readonly #recall: (id: TensorId) => TensorId;

  constructor(program: Program, { seeds, parameters, tensors = [], isKept = () => true }: DiffRequest) {
    this.#program = program;
    this.#learns = parameters;
    this.#tensors = [...program.tensors];
    this.#forward = [...program.operations];
    this.#carries = carriersOf(program, parameters, new Set(tensors));
    this.#readers = readersOf(program);
    this.#recall = recomputation(program, (name, shape) => this.#add(name, shape), isKept, this.#backward);
    this.#seedDiffs = seeds.map((id) => {
      const diff = this.#diffLike(id);
      this.#partsOf(id).push(diff);
      return diff;
    });
  }

  /** Appends the gradient of an operation whose readers have theirs. */
  differentiate(index: number): void {
    const operation = this.#forward[index]!;
    const sum = sumOf(operation);
    const dy = operation.outputs.map((id) =>
      !this.#carries.has(id) ? null : sum === null ? this.#wholeDiff(id) : this.#behindRelu(id, sum.relu),
    );
    const learned = learnedParameters(operation);
    const asked = {
      inputs: operation.inputs.map((id, i) => this.#carries.has(id) && goesDown(operation, i)),
      parameters: learned.map((id) => id !== null && this.#learns.has(id)),
    };
    if (dy.every((id) => id === null) || ![...asked.inputs, ...asked.parameters].includes(true)) return;
    for (const i of sum?.terms ?? []) {
      if (asked.inputs[i]) this.#give(index, i, dy[0]!);
      asked.inputs[i] = false;
    }
    if (![...asked.inputs, ...asked.parameters].includes(true)) return;
    if (operation.kind === 'batchNorm' && operation.statistics === 'batch')
      this.#forward[index] = this.#withStatistics(operation);
    const { outputs } = this.#forward[index]!;
    const again = readAgain(this.#forward[index]!, asked);
    const read = (ids: readonly TensorId[], which: readonly boolean[]) =>
      ids.map((id, i) => (which[i] ? this.#recall(id) : -1));
    this.#backward.push({
      kind: 'gradient',
      layer: operation.layer,
      of: index,
      inputs: [
        ...read(operation.inputs, again.inputs),
        ...read(outputs, again.outputs),
        ...outputs.map((_, i) => dy[i] ?? -1),
      ],
      outputs: [
        ...this.#inputDiffs(index, asked.inputs),
        ...learned.map((id, i) => (asked.parameters[i] ? this.#parameterDiff(id!) : -1)),
      ],
    });
  }

  result(wanted: readonly TensorId[]): Differentiated {
    const tensorDiffs = new Map(
      wanted.map((id) => {
        const byReader = this.#partsOf(id).slice(0, this.#readers.get(id)?.length ?? 0);
        return [id, { whole: this.#wholeDiff(id), byReader }];
      }),
    );
    const parameterDiffs = new Map(
      [...this.#parameterParts].map(([id, all]) => [id, this.#sum(this.#program.parameters[id]!.name, all)!]),
    );
    return {
      program: {
        ...this.#program,
        tensors: this.#tensors,
        operations: [...this.#forward, ...this.#backward],
        inputs: [...this.#program.inputs, ...this.#seedDiffs],
      },
      parameterDiffs,
      tensorDiffs,
    };
  }

  #add(name: string, shape: readonly number[]): TensorId {
    return this.#tensors.push({ name, shape }) - 1;
  }

  #diffLike(id: TensorId): TensorId {
    return this.#add(`${this.#tensors[id]!.name} diff`, this.#tensors[id]!.shape);
  }

  #partsOf(id: TensorId): (TensorId | null)[] {
    if (!this.#parts.has(id)) this.#parts.set(id, new Array(this.#readers.get(id)?.length ?? 0).fill(null));
    return this.#parts.get(id)!;
  }

  #give(index: number, input: number, diff: TensorId): void {
    const id = this.#program.operations[index]!.inputs[input]!;
    const at = this.#readers.get(id)!.findIndex(([of, place]) => of === index && place === input);
    this.#partsOf(id)[at] = diff;
  }

  #inputDiffs(index: number, asked: readonly boolean[]): TensorId[] {
    return this.#program.operations[index]!.inputs.map((id, i) => {
      if (!asked[i]) return -1;
      const diff = this.#diffLike(id);
      this.#give(index, i, diff);
      return diff;
    });
  }

  // What comes through the ReLU behind a sum, in one pass over the parts of its diff.
  #behindRelu(id: TensorId, relu: FusedRelu | null): TensorId | null {
    const parts = this.#partsOf(id).filter((part) => part !== null);
    if (relu === null || parts.length === 0) return this.#wholeDiff(id);
    const through = this.#diffLike(id);
    this.#backward.push({
      kind: 'sumBehindRelu',
      layer: `${this.#tensors[id]!.name} diff`,
      negativeSlope: relu.negativeSlope,
      inputs: [this.#recall(id), ...(parts.length > MOST_PARTS ? [this.#wholeDiff(id)!] : parts)],
      outputs: [through],
    });
    return through;
  }

  #parameterDiff(id: ProgramParameterId): TensorId {
    const { name, shape } = this.#program.parameters[id]!;
    const diff = this.#add(`${name} diff`, shape);
    this.#parameterParts.set(id, [...(this.#parameterParts.get(id) ?? []), diff]);
    return diff;
  }

  #wholeDiff(id: TensorId): TensorId | null {
    if (!this.#wholes.has(id)) this.#wholes.set(id, this.#sum(this.#tensors[id]!.name, this.#partsOf(id)));
    return this.#wholes.get(id)!;
  }

  #sum(name: string, all: readonly (TensorId | null)[]): TensorId | null {
    const inputs = all.filter((id) => id !== null);
    if (inputs.length < 2) return inputs[0] ?? null;
    const whole = this.#add(`${name} diff`, this.#tensors[inputs[0]!]!.shape);
    const coefficients = inputs.map(() => 1);
    const layer = `${name} diff`;
    const outputs = [whole];
    this.#backward.push({
      kind: 'eltwise',
      operation: 'sum',
      layer,
      coefficients,
      stableProdGrad: true,
      relu: null,
      inputs,
      outputs,
    });
    return whole;
  }

  // The mean and the variance that a batch had are kept for the gradient.
  #withStatistics(operation: Extract<ProgramOperation, { kind: 'batchNorm' }>): ProgramOperation {
    const shape = [this.#tensors[operation.inputs[0]!]!.shape[1] ?? 1];
    const statistics = ['mean', 'variance'].map((name) => this.#add(`${operation.layer} ${name}`, shape));
    return { ...operation, outputs: [...operation.outputs, ...statistics] };
  }
}

/** As many diffs as sumBehindRelu adds up. */
const MOST_PARTS = 4;

// The terms of a sum at an operation's end that get its diff as it comes through the ReLU behind it.
function sumOf(operation: ProgramOperation): { terms: readonly number[]; relu: FusedRelu | null } | null {
  const isBatchNorm = operation.kind === 'batchNorm' && operation.inputs.length === 2;
  if (!isBatchNorm && !isUnscaledSum(operation)) return null;
  const { relu, inputs } = operation;
  // A slope below 0 changes signs: what was made does not show where the ReLU cut.
  if (relu !== null && !(relu.negativeSlope >= 0)) return null;
  return { terms: isBatchNorm ? [1] : inputs.map((_, i) => i), relu };
}

function goesDown(operation: ProgramOperation, input: number): boolean {
  return operation.propagateDown?.[input] !== false && isDifferentiable(operation, 'input', input);
}

// Tensors that depend on something whose diff is asked for.
function carriersOf(
  { operations }: Program,
  parameters: ReadonlySet<ProgramParameterId>,
  wanted: ReadonlySet<TensorId>,
): ReadonlySet<TensorId> {
  const carries = new Set(wanted);
  for (const operation of operations) {
    const learns = learnedParameters(operation).some((id) => id !== null && parameters.has(id));
    if (!learns && !operation.inputs.some((id, i) => carries.has(id) && goesDown(operation, i))) continue;
    operation.outputs.forEach((id, i) => {
      if (isDifferentiable(operation, 'output', i)) carries.add(id);
    });
  }
  return carries;
}

type Reader = readonly [operation: number, place: number];

function readersOf({ operations }: Program): ReadonlyMap<TensorId, readonly Reader[]> {
  const readers = new Map<TensorId, Reader[]>();
  operations.forEach(({ inputs }, index) => {
    inputs.forEach((id, place) => {
      readers.set(id, [...(readers.get(id) ?? []), [index, place]]);
    });
  });
  return readers;
}

// Gives a tensor of the forward pass to the backward pass: itself where it waits, else what the same operations make
// of tensors that do, just before it is needed.
function recomputation(
  { operations, tensors, inputs }: Program,
  add: (name: string, shape: readonly number[]) => TensorId,
  isKept: (tensor: TensorId) => boolean,
  backward: ProgramOperation[],
): (id: TensorId) => TensorId {
  const makers = new Map(
    operations.flatMap((operation) => operation.outputs.map((id) => [id, operation] as const)),
  );
  const again = new Map<TensorId, TensorId>();
  const recall = (id: TensorId): TensorId => {
    const maker = makers.get(id);
    if (maker === undefined || inputs.includes(id) || isKept(id)) return id;
    if (!again.has(id)) {
      const read = maker.inputs.map(recall);
      const made = maker.outputs.map((output) =>
        add(`${tensors[output]!.name} again`, tensors[output]!.shape),
      );
      maker.outputs.forEach((output, i) => again.set(output, made[i]!));
      const still = maker.kind === 'batchNorm' || maker.kind === 'bn' ? { ...maker, update: false } : maker;
      backward.push({ ...still, inputs: read, outputs: made });
    }
    return again.get(id)!;
  };
  return recall;
}
