/**
 * Reduces the bytes that a backward pass moves, for devices with memory that is slow relative to arithmetic, such as GPUs.
 * The sums that BatchNorm's gradient reads are computed together with its diff. The ReLU at a block's end keeps one bit per
 * value. The forward pass keeps the positions of the maxima of windows (forward-results.ts). The diffs of strided 1×1
 * convolutions omit the zeros between.
 */
import type { Program, ProgramOperation, TensorId } from '../operations/program.ts';
import { MOST_PARTS, sumBehind } from './gradient-needs.ts';

/** The number of BatchNorms whose sums one sumBehindRelu makes. */
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
  /** Tensors whose diffs come from elsewhere, or are requested. */
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
   * BatchNorms with batch statistics whose diff is the one after the ReLU of a sum: the sum itself, and the single maker of
   * one of its terms.
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
      // A value recomputed for it now would occupy memory until its own gradient.
      return operation.inputs.length === 1 && 'relu' in operation && operation.relu === null
        ? this.#isKept(operation.inputs[0]!)
        : false;
    };
    return [sum, ...makers.filter(isEnd)]
      .filter((index) => isOverBatch(operations[index]!))
      .slice(0, MOST_NORMS);
  }

  /** Whether the sum of its diffs reads only where the result of a BatchNorm at a block's end is positive. */
  keepsSigns(index: number): boolean {
    const operation = this.#program.operations[index]!;
    const y = operation.outputs[0]!;
    return isOverBatch(operation) && this.#isKept(y) && this.#program.tensors[y]!.shape.length === 4;
  }

  /**
   * The stride of the diffs of some of a tensor's readers; null: all diffs are complete. The sumBehindRelu that adds them
   * expands them.
   */
  strideOf(id: TensorId): Pair | null {
    const maker = this.#makers.get(id);
    const readers = this.#readers.get(id) ?? [];
    if (maker === undefined || this.#wanted.has(id)) return null;
    if (readers.length + (this.#seeds.has(id) ? 1 : 0) > MOST_PARTS) return null;
    if ((sumBehind(this.#program.operations[maker]!)?.relu ?? null) === null) return null;
    return readers.map(sampledStride).find((stride) => stride !== null) ?? null;
  }

  /** The stride of the diff of an operation's input; null: the diff has the tensor's own size. */
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

// For a convolution whose windows read one position per stride.
function sampledStride(operation: ProgramOperation): Pair | null {
  if (operation.kind !== 'convolution') return null;
  const { kernel, pad, stride } = operation;
  const isSampled = Math.max(...kernel) === 1 && Math.max(...pad) === 0 && Math.max(...stride) > 1;
  return isSampled ? [stride[0]!, stride[1]!] : null;
}
