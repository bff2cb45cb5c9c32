/**
 * Sequences of Reshape, Permute and Reduction within a layer: a shuffle of channels, blocks of a plane as channels or as
 * items. The digits of an output index determine the rows and columns that it reads.
 */
import { elementCount, type Shape } from '../base/shape.ts';
import type { Operation, Pair } from '../layers/operation.ts';
import type { Graph, Node } from './graph.ts';

/** The input positions that the positions of a sequence's end read: a block for each, or one position several times. */
export interface Regrouping {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly pad: Pair;
  readonly isTransposed: boolean;
}

const KINDS: readonly Operation['kind'][] = ['reshape', 'permute', 'reduction'];
/** By node, for sequences that keep positions: the effect of the sequence at its first node, null for its later nodes. */
export function regroupings(graph: Graph): ReadonlyMap<Node, Regrouping | null> {
  const found = new Map<Node, Regrouping | null>();
  for (const run of runsOf(graph)) {
    const window = windowOf(graph, run);
    if (window !== null) for (const [i, node] of run.entries()) found.set(node, i === 0 ? window : null);
  }
  return found;
}

function runsOf(graph: Graph): Node[][] {
  const layerOf = ({ name, position }: Node) => `${name} ${position?.line}:${position?.column}`;
  const runs: Node[][] = [];
  for (const node of graph.nodes) {
    if (!KINDS.includes(node.operation.kind)) continue;
    const before = runs.at(-1)?.at(-1);
    const goesOn =
      before !== undefined && layerOf(before) === layerOf(node) && node.inputs[0] === before.outputs[0];
    if (goesOn) runs.at(-1)!.push(node);
    else runs.push([node]);
  }
  return runs.filter((nodes) => nodes.length > 1);
}

function windowOf({ values }: Graph, run: readonly Node[]): Regrouping | null {
  const [from, to] = [run[0]!.inputs[0]!, run.at(-1)!.outputs[0]!].map((id) => values[id]!.shape) as [
    Shape,
    Shape,
  ];
  if (from.length !== 4 || to.length !== 4) return null;
  // A sum over groups of channels reads each position separately.
  if (run.some(({ operation }) => operation.kind === 'reduction'))
    return from.slice(2).join() === to.slice(2).join() ? SAME : null;
  const parts = partsOf(values, run, from);
  if (parts === null) return null;
  const axes = ([2, 3] as const).map((axis) => along(readBy(parts, axis, from, to), from[axis]!, to[axis]!));
  const [rows, columns] = axes;
  if (rows == null || columns == null || rows.isTransposed !== columns.isTransposed) return null;
  return {
    kernel: [rows.kernel, columns.kernel],
    stride: [rows.stride, columns.stride],
    pad: [rows.pad, columns.pad],
    isTransposed: rows.isTransposed,
  };
}

const SAME: Regrouping = { kernel: [1, 1], stride: [1, 1], pad: [0, 0], isTransposed: false };

/** A digit of an index: it counts to `size`, and each step moves a number of values in the sequence's input. */
interface Part {
  readonly size: number;
  readonly step: number;
}

/** The axes of the sequence's end, each as digits from the outermost on; null if a Reshape divides one. */
function partsOf(values: Graph['values'], run: readonly Node[], from: Shape): Part[][] | null {
  const steps = from.map((_, axis) => elementCount(from.slice(axis + 1)));
  let axes: Part[][] | null = from.map((size, axis) => [{ size, step: steps[axis]! }]);
  for (const { operation, outputs } of run) {
    if (axes === null) return null;
    const before: Part[][] = axes;
    axes =
      operation.kind === 'permute'
        ? operation.order.map((axis) => before[axis]!)
        : reshaped(before.flat(), values[outputs[0]!]!.shape);
  }
  return axes;
}

function reshaped(parts: readonly Part[], shape: Shape): Part[][] | null {
  const left = parts.filter(({ size }) => size > 1);
  const axes = [];
  for (const dim of [...shape].reverse()) {
    const axis: Part[] = [];
    for (let rest = dim; rest > 1; ) {
      const part = left.pop();
      if (part === undefined) return null;
      const inner = Math.min(part.size, rest);
      if (rest % inner !== 0 || part.size % inner !== 0) return null;
      axis.unshift({ size: inner, step: part.step });
      if (part.size > inner) left.push({ size: part.size / inner, step: part.step * inner });
      rest /= inner;
    }
    axes.unshift(axis);
  }
  return axes;
}

/**
 * For each row (axis 2) or column (3) of the end: the first and last one that it reads, over all values of the other axes.
 */
function readBy(axes: readonly (readonly Part[])[], axis: 2 | 3, from: Shape, to: Shape) {
  const unit = elementCount(from.slice(axis + 1));
  // The number of rows or columns per step of a digit; 0 for digits that count something else.
  const weight = ({ step }: Part) => (step >= unit && step < unit * from[axis]! ? step / unit : 0);
  const extent = (parts: readonly Part[]) =>
    parts.reduce((sum, part) => sum + (part.size - 1) * weight(part), 0);
  const free = extent(axes.filter((_, i) => i !== axis).flat());
  return Array.from({ length: to[axis]! }, (_, place) => {
    let [rest, first] = [place, 0];
    for (const part of [...axes[axis]!].reverse()) {
      first += (rest % part.size) * weight(part);
      rest = Math.floor(rest / part.size);
    }
    return { first, last: first + free };
  });
}

/** Equal ranges at equal distances, or each position several times in a row; null in other cases. */
function along(read: readonly { first: number; last: number }[], from: number, to: number) {
  const [{ first, last }] = read as [{ first: number; last: number }];
  const stride = from / to;
  if (read.every((at, i) => at.first === first + i * stride && at.last === last + i * stride))
    return { kernel: last - first + 1, stride, pad: -first, isTransposed: false };
  const times = to / from;
  if (read.every((at, i) => at.first === at.last && at.first === Math.floor(i / times)))
    return { kernel: times, stride: times, pad: 0, isTransposed: true };
  return null;
}
