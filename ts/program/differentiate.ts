/** A Program and its backward pass as one Program: reverse differentiation by Caffe's rules (net.cpp, split_layer.cpp). */
import { isDifferentiable, learnedParameters, readAgain } from './gradient-needs.ts';
import type { Program, ProgramOperation, ProgramParameterId, TensorId } from './program.ts';

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
  const { seeds, parameters, tensors: wanted = [], isKept = () => true } = request;
  const tensors = [...program.tensors];
  const forward: ProgramOperation[] = [...program.operations];
  const backward: ProgramOperation[] = [];
  const carries = carriersOf(program, parameters, new Set(wanted));
  const readers = readersOf(program);
  const parts = new Map<TensorId, (TensorId | null)[]>();
  const partsOf = (id: TensorId) => {
    if (!parts.has(id)) parts.set(id, new Array(readers.get(id)?.length ?? 0).fill(null));
    return parts.get(id)!;
  };
  const add = (name: string, shape: readonly number[]): TensorId => tensors.push({ name, shape }) - 1;
  const diffLike = (id: TensorId) => add(`${tensors[id]!.name} diff`, tensors[id]!.shape);
  const recall = recomputation(program, add, isKept, backward);

  const seedDiffs = seeds.map((id) => {
    const diff = diffLike(id);
    partsOf(id).push(diff);
    return diff;
  });

  const sum = (name: string, all: readonly (TensorId | null)[]): TensorId | null => {
    const terms = all.filter((id) => id !== null);
    if (terms.length < 2) return terms[0] ?? null;
    const whole = add(`${name} diff`, tensors[terms[0]!]!.shape);
    const coefficients = terms.map(() => 1);
    backward.push({
      kind: 'eltwise',
      layer: `${name} diff`,
      operation: 'sum',
      coefficients,
      relu: null,
      inputs: terms,
      outputs: [whole],
    });
    return whole;
  };
  const wholes = new Map<TensorId, TensorId | null>();
  const wholeDiff = (id: TensorId): TensorId | null => {
    if (!wholes.has(id)) wholes.set(id, sum(tensors[id]!.name, partsOf(id)));
    return wholes.get(id)!;
  };

  const parameterParts = new Map<ProgramParameterId, TensorId[]>();
  for (const [index, operation] of [...program.operations.entries()].reverse()) {
    const dy = operation.outputs.map((id) => (carries.has(id) ? wholeDiff(id) : null));
    const asked = {
      inputs: operation.inputs.map((id, i) => carries.has(id) && goesDown(operation, i)),
      parameters: learnedParameters(operation).map((id) => id !== null && parameters.has(id)),
    };
    if (dy.every((id) => id === null) || ![...asked.inputs, ...asked.parameters].includes(true)) continue;
    const give = (i: number, diff: TensorId) => {
      const at = readers.get(operation.inputs[i]!)!.findIndex(([of, place]) => of === index && place === i);
      partsOf(operation.inputs[i]!)[at] = diff;
    };
    // A plain sum hands its diff on as it is, to all its inputs.
    const isPlainSum =
      operation.kind === 'eltwise' &&
      operation.operation === 'sum' &&
      operation.coefficients.every((coefficient) => coefficient === 1);
    if (isPlainSum && operation.relu === null) {
      asked.inputs.forEach((is, i) => is && give(i, dy[0]!));
      continue;
    }
    if (operation.kind === 'batchNorm' && operation.statistics === 'batch')
      forward[index] = withStatistics(operation, add, tensors);
    const { inputs: x, outputs: y } = readAgain(forward[index]!, asked);
    const read = (ids: readonly TensorId[], which: readonly boolean[]) =>
      ids.map((id, i) => (which[i] ? recall(id) : -1));
    const inputs = [
      ...read(operation.inputs, x),
      ...read(forward[index]!.outputs, y),
      ...forward[index]!.outputs.map((_, i) => dy[i] ?? -1),
    ];
    let shared: TensorId | null = null;
    const dx = asked.inputs.map((is, i) => {
      if (!is) return -1;
      if (isPlainSum && shared !== null) {
        give(i, shared);
        return -1;
      }
      shared = diffLike(operation.inputs[i]!);
      give(i, shared);
      return shared;
    });
    const dw = learnedParameters(operation).map((id, i) => {
      if (!asked.parameters[i]) return -1;
      const { name, shape } = program.parameters[id!]!;
      const diff = add(`${name} diff`, shape);
      parameterParts.set(id!, [...(parameterParts.get(id!) ?? []), diff]);
      return diff;
    });
    backward.push({
      kind: 'gradient',
      layer: operation.layer,
      of: index,
      inputs,
      outputs: [...dx, ...dw],
    });
  }

  const tensorDiffs = new Map(
    wanted.map((id) => [
      id,
      { whole: wholeDiff(id), byReader: partsOf(id).slice(0, readers.get(id)?.length ?? 0) },
    ]),
  );
  const parameterDiffs = new Map<ProgramParameterId, TensorId>();
  for (const [id, all] of parameterParts) parameterDiffs.set(id, sum(program.parameters[id]!.name, all)!);
  return {
    program: {
      ...program,
      tensors,
      operations: [...forward, ...backward],
      inputs: [...program.inputs, ...seedDiffs],
    },
    parameterDiffs,
    tensorDiffs,
  };
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

// The mean and the variance that a batch had are kept for the gradient.
function withStatistics(
  operation: Extract<ProgramOperation, { kind: 'batchNorm' }>,
  add: (name: string, shape: readonly number[]) => TensorId,
  tensors: Program['tensors'],
): ProgramOperation {
  const shape = [tensors[operation.inputs[0]!]!.shape[1] ?? 1];
  const statistics = ['mean', 'variance'].map((name) => add(`${operation.layer} ${name}`, shape));
  return { ...operation, outputs: [...operation.outputs, ...statistics] };
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
      const still = maker.kind === 'batchNorm' ? { ...maker, update: false } : maker;
      backward.push({ ...still, inputs: read, outputs: made });
    }
    return again.get(id)!;
  };
  return recall;
}
