/**
 * Makes one Program of a Program and its backward pass: reverse differentiation by Caffe's rules (net.cpp, split_layer.cpp).
 */

import type {
  Program,
  ProgramOperation,
  ProgramParameterId,
  ProgramTensor,
  TensorId,
} from '../operations/program.ts';
import type { Asked } from '../operations/row.ts';
import { ForwardResults } from './forward-results.ts';
import {
  carriersOf,
  goesDown,
  learnedParameters,
  MOST_PARTS,
  readAgain,
  type SumBehind,
  sumBehind,
} from './gradient-needs.ts';
import { recomputation } from './recomputation.ts';
import { SparedTraffic } from './spare-traffic.ts';

export interface DiffRequest {
  /** The start of the backward pass: losses, or any tensors for which a diff is given. */
  readonly seeds: readonly TensorId[];
  /** The learnable parameters. Diffs flow down to the first of them and no further. */
  readonly parameters: ReadonlySet<ProgramParameterId>;
  /** More tensors whose diffs are returned. Default none. */
  readonly tensors?: readonly TensorId[];
  /** Whether a tensor is kept for the backward pass. The others are recomputed there. Default: all are kept. */
  readonly isKept?: (tensor: TensorId) => boolean;
  /**
   * Whether memory is slow relative to arithmetic, as on a GPU; spare-traffic.ts describes the consequences. Default false.
   */
  readonly sparesTraffic?: boolean;
}

export interface Differentiated {
  /** Its inputs are those of the program, followed by a diff for each seed, in their order. */
  readonly program: Program;
  /** Absent if a parameter does not contribute to any seed. */
  readonly parameterDiffs: ReadonlyMap<ProgramParameterId, TensorId>;
  /** For the wanted tensors: the whole diff, and the part of each reader, in their order; null: nothing. */
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
  readonly #forward: ForwardResults;
  readonly #backward: ProgramOperation[] = [];
  readonly #carries: ReadonlySet<TensorId>;
  readonly #readers: ReadonlyMap<TensorId, readonly Reader[]>;
  /** The parts of a tensor's diff: those of its readers in their order, then that of a seed. */
  readonly #parts = new Map<TensorId, (TensorId | null)[]>();
  readonly #wholes = new Map<TensorId, TensorId | null>();
  readonly #parameterParts = new Map<ProgramParameterId, TensorId[]>();
  /** Σ diff and Σ diff · x̂ of a BatchNorm, if they were computed together with its diff. */
  readonly #normSums = new Map<number, readonly [TensorId, TensorId]>();
  readonly #traffic: SparedTraffic | null;
  readonly #seedDiffs: readonly TensorId[];
  /** A tensor of the forward pass, in the form that the backward pass reads. */
  readonly #recall: (id: TensorId) => TensorId;

  constructor(
    program: Program,
    { seeds, parameters, tensors = [], isKept = () => true, sparesTraffic = false }: DiffRequest,
  ) {
    this.#program = program;
    this.#learns = parameters;
    this.#tensors = [...program.tensors];
    this.#carries = carriersOf(program, parameters, new Set(tensors));
    this.#readers = readersOf(program);
    this.#traffic = sparesTraffic ? new SparedTraffic(program, { seeds, tensors, isKept }) : null;
    const add = (name: string, shape: readonly number[]) => this.#add(name, shape);
    this.#forward = new ForwardResults(program, add, { keepsMaxima: sparesTraffic });
    this.#recall = recomputation(program, add, isKept, this.#backward);
    this.#seedDiffs = seeds.map((id) => {
      const diff = this.#diffLike(id);
      this.#partsOf(id).push(diff);
      return diff;
    });
  }

  /** Appends the gradient of an operation whose readers have their gradients. */
  differentiate(index: number): void {
    const operation = this.#forward.operations[index]!;
    const sum = sumBehind(operation);
    const dy = operation.outputs.map((id) =>
      !this.#carries.has(id) ? null : sum === null ? this.#wholeDiff(id) : this.#behindRelu(index, sum),
    );
    const learned = learnedParameters(operation);
    const asked = this.#askedOf(index);
    if (dy.every((id) => id === null) || !isAny(asked)) return;
    for (const i of sum?.terms ?? []) {
      if (asked.inputs[i]) this.#give(index, i, dy[0]!);
      asked.inputs[i] = false;
    }
    const normSums = this.#normSums.get(index);
    if (normSums !== undefined) this.#takeNormSums(learned, asked, normSums);
    if (!isAny(asked)) return;
    const { outputs } = this.#forward.complete(index);
    const again = readAgain(this.#forward.operations[index]!, asked);
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
        ...(normSums ?? []),
      ],
      outputs: [
        ...this.#inputDiffs(index, asked.inputs),
        ...learned.map((id, i) => (asked.parameters[i] ? this.#parameterDiff(id!) : -1)),
      ],
    });
  }

  result(requested: readonly TensorId[]): Differentiated {
    const tensorDiffs = new Map(
      requested.map((id) => {
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
        operations: [...this.#forward.operations, ...this.#backward],
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
      const shape =
        this.#traffic?.sampledShape(this.#program.operations[index]!, id) ?? this.#tensors[id]!.shape;
      const diff = this.#add(`${this.#tensors[id]!.name} diff`, shape);
      this.#give(index, i, diff);
      return diff;
    });
  }

  // The needed results of an operation's gradient.
  #askedOf(index: number): { inputs: boolean[]; parameters: boolean[] } {
    const operation = this.#forward.operations[index]!;
    return {
      inputs: operation.inputs.map((id, i) => this.#carries.has(id) && goesDown(operation, i)),
      parameters: learnedParameters(operation).map((id) => id !== null && this.#learns.has(id)),
    };
  }

  // The diff after the ReLU of a sum, in one pass over the parts of the diff.
  #behindRelu(index: number, { terms, relu }: SumBehind): TensorId | null {
    const id = this.#forward.operations[index]!.outputs[0]!;
    const parts = this.#partsOf(id).filter((part) => part !== null);
    if (relu === null || parts.length === 0) return this.#wholeDiff(id);
    const through = this.#diffLike(id);
    const given = terms.filter((i) => this.#askedOf(index).inputs[i]);
    const norms = this.#traffic?.normsOf(index, given) ?? [];
    const sums = norms.filter((of) => this.#needsSums(of)).map((of) => this.#makeNormSums(of));
    this.#backward.push({
      kind: 'sumBehindRelu',
      layer: `${this.#tensors[id]!.name} diff`,
      negativeSlope: relu.negativeSlope,
      stride: this.#traffic?.strideOf(id) ?? [1, 1],
      eps: sums.map(({ eps }) => eps),
      inputs: [
        this.#traffic?.keepsSigns(index) ? this.#forward.signsOf(index) : this.#recall(id),
        ...(parts.length > MOST_PARTS ? [this.#wholeDiff(id)!] : parts),
        ...sums.flatMap(({ reads }) => reads),
      ],
      outputs: [through, ...sums.flatMap(({ makes }) => makes)],
    });
    return through;
  }

  // Whether a BatchNorm's gradient does more than pass its residual's diff on.
  #needsSums(index: number): boolean {
    const { inputs, parameters } = this.#askedOf(index);
    return inputs[0]! || parameters.includes(true);
  }

  // Σ diff and Σ diff · x̂ of a BatchNorm, from sumBehindRelu.
  #makeNormSums(index: number): { eps: number; reads: TensorId[]; makes: readonly TensorId[] } {
    const { layer, eps, inputs, outputs } = this.#forward.complete(index) as BatchNorm;
    const { shape } = this.#tensors[outputs[1]!]!;
    const makes = [this.#add(`${layer} diff sum`, shape), this.#add(`${layer} diff product`, shape)] as const;
    this.#normSums.set(index, makes);
    return { eps, reads: [this.#recall(inputs[0]!), ...outputs.slice(1, 3)], makes };
  }

  // They are the diffs of its bias and of its scale.
  #takeNormSums(
    learned: readonly (ProgramParameterId | null)[],
    asked: { readonly parameters: boolean[] },
    [sum, product]: readonly [TensorId, TensorId],
  ): void {
    for (const [i, diff] of [product, sum].entries()) {
      if (asked.parameters[i]) this.#addParameterPart(learned[i]!, diff);
      asked.parameters[i] = false;
    }
  }

  #parameterDiff(id: ProgramParameterId): TensorId {
    const { name, shape } = this.#program.parameters[id]!;
    return this.#addParameterPart(id, this.#add(`${name} diff`, shape));
  }

  #addParameterPart(id: ProgramParameterId, diff: TensorId): TensorId {
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
}

type BatchNorm = Extract<ProgramOperation, { kind: 'batchNorm' }>;

const isAny = ({ inputs, parameters }: Omit<Asked, 'made'>): boolean =>
  [...inputs, ...parameters].includes(true);

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
