/**
 * What a backward pass makes at another place or in another shape so that fewer bytes move, where memory is slow beside
 * arithmetic, as a GPU's is: the sums that BatchNorm's gradient reads, made where its diff is; a bit a value for the ReLU at a
 * block's end; where the maxima of windows lie, kept from the forward pass (forward-results.ts); diffs of strided 1×1 convolutions without the zeros between.
 */
import type { Program, ProgramOperation, TensorId } from '../operations/program.ts';
import { MOST_PARTS, sumBehind } from './gradient-needs.ts';

/** As many BatchNorms' sums as sumBehindRelu makes. */
const MOST_NORMS = 2;

type Pair = readonly [number, number];

interface Limits {
  readonly seeds: readonly TensorId[];
  readonly tensors: readonly TensorId[];
  readonly isKept: (tensor: TensorId) => boolean;
}

export class SparedTraffic {
  readonly #program: Program;
  readonly #isKept: Limits['isKept'];
  /** Tensors whose diffs come from elsewhere, or are asked for. */
  readonly #seeds: ReadonlySet<TensorId>;
  readonly #wanted: ReadonlySet<TensorId>;
  readonly #makers = new Map<TensorId, number>();
  readonly #readers = new Map<TensorId, ProgramOperation[]>();

  constructor(program: Program, { seeds, tensors, isKept }: Limits) {
    this.#program = program;
    this.#isKept = isKept;
    this.#seeds = new Set(seeds);
    this.#wanted = new Set(tensors);
    for (const [index, operation] of program.operations.entries()) {
      for (const id of operation.outputs) this.#makers.set(id, index);
      for (const id of operation.inputs) this.#readers.set(id, [...(this.#readers.get(id) ?? []), operation]);
    }
  }

  /**
   * BatchNorms over batch statistics whose diff is what comes through the ReLU behind a sum: the sum itself, and what alone
   * makes one of its terms.
   */
  normsOf(sum: number, terms: readonly number[]): number[] {
    const { operations } = this.#program;
    const makers = terms.flatMap((i) => {
      const id = operations[sum]!.inputs[i]!;
      const maker = this.#makers.get(id);
      const isAlone = this.#readers.get(id)!.length === 1 && !this.#seeds.has(id);
      return maker !== undefined && isAlone ? [maker] : [];
    });
    const isEnd = (index: number) => {
      const operation = operations[index]!;
      // What would be computed again for it now would lie there until its gradient.
      return operation.inputs.length === 1 && 'relu' in operation && operation.relu === null
        ? this.#isKept(operation.inputs[0]!)
        : false;
    };
    return [sum, ...makers.filter(isEnd)]
      .filter((index) => isOverBatch(operations[index]!))
      .slice(0, MOST_NORMS);
  }

  /** Whether what a BatchNorm made at the end of a block is read by the sum of its diffs as where it is positive. */
  keepsSigns(index: number): boolean {
    const operation = this.#program.operations[index]!;
    const y = operation.outputs[0]!;
    return isOverBatch(operation) && this.#isKept(y) && this.#program.tensors[y]!.shape.length === 4;
  }

  /**
   * The stride at which the diffs of some of a tensor's readers lie; null: all are whole. They are expanded by the
   * sumBehindRelu that adds them up.
   */
  strideOf(id: TensorId): Pair | null {
    const maker = this.#makers.get(id);
    const readers = this.#readers.get(id) ?? [];
    if (maker === undefined || this.#wanted.has(id)) return null;
    if (readers.length + (this.#seeds.has(id) ? 1 : 0) > MOST_PARTS) return null;
    if ((sumBehind(this.#program.operations[maker]!)?.relu ?? null) === null) return null;
    return readers.map(sampledStride).find((stride) => stride !== null) ?? null;
  }

  /** Of the diff of what an operation reads; null: as the tensor's own. */
  sampledShape(operation: ProgramOperation, id: TensorId): readonly number[] | null {
    const stride = this.strideOf(id);
    const own = sampledStride(operation);
    if (stride === null || own === null || stride[0] !== own[0] || stride[1] !== own[1]) return null;
    const [n, c] = this.#program.tensors[id]!.shape as [number, number];
    const [, , h, w] = this.#program.tensors[operation.outputs[0]!]!.shape as [
      number,
      number,
      number,
      number,
    ];
    return [n, c, h, w];
  }
}

const isOverBatch = (operation: ProgramOperation): boolean =>
  operation.kind === 'batchNorm' && operation.statistics === 'batch';

// Of a convolution whose windows see one place of each so-many.
function sampledStride(operation: ProgramOperation): Pair | null {
  if (operation.kind !== 'convolution') return null;
  const { kernel, pad, stride } = operation;
  const isSampled = Math.max(...kernel) === 1 && Math.max(...pad) === 0 && Math.max(...stride) > 1;
  return isSampled ? [stride[0]!, stride[1]!] : null;
}
