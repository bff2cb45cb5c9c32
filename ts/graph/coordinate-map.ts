/**
 * The positions of a blob in the input: the coordinate maps of FCN (github.com/shelhamer/fcn.berkeleyvision.org, net surgery
 * by `coord_map`; Long, Shelhamer, Darrell, arXiv:1411.4038), which align its crops.
 */
import type { Pair } from '../layers/operation.ts';
import type { Graph, Node, ValueId } from './graph.ts';
import { resampling } from './reach.ts';

/** The centre of position (y, x) of a blob is at start + (y, x) · stride in the input. */
export interface CoordinateMap {
  /** The net's input (blob). */
  readonly input: string;
  readonly stride: Pair;
  readonly start: Pair;
}

/** What maps are read of. */
type Part = Pick<Graph, 'values' | 'nodes' | 'inputs'>;

/** Where in `a` the first place of `b` lies; null: they have no positions of one input, or not at one scale. */
export function offsetBetween(graph: Part, a: ValueId, b: ValueId): Pair | null {
  const maps = coordinateMaps(graph);
  const [from, to] = [maps[a], maps[b]];
  if (from == null || to == null || from.input !== to.input) return null;
  if ([0, 1].some((axis) => Math.abs(from.stride[axis]! / to.stride[axis]! - 1) > 1e-3)) return null;
  const along = (axis: 0 | 1) => (to.start[axis] - from.start[axis]) / from.stride[axis];
  return [along(0), along(1)];
}

/** By value id; null if a value's positions are not those of an image. If branches meet, the first one counts. */
export function coordinateMaps(graph: Part): (CoordinateMap | null)[] {
  const maps: (CoordinateMap | null)[] = graph.values.map(() => null);
  for (const id of graph.inputs) {
    const { blob, shape } = graph.values[id]!;
    if (shape.length === 4) maps[id] = { input: blob, stride: [1, 1], start: [0, 0] };
  }
  for (const node of graph.nodes) {
    const map = node.inputs.map((id) => maps[id]).find((each) => each != null);
    const from = graph.values[node.inputs[0] ?? -1]?.shape;
    for (const id of node.outputs)
      maps[id] = map == null || from === undefined ? null : through(map, graph, node, from, id);
  }
  return maps;
}

function through(
  { input, stride, start }: CoordinateMap,
  graph: Part,
  { operation }: Node,
  from: readonly number[],
  output: ValueId,
): CoordinateMap | null {
  const to = graph.values[output]!.shape;
  const moved = (step: (axis: 0 | 1) => number, shift: (axis: 0 | 1) => number): CoordinateMap => {
    const both = (of: (axis: 0 | 1) => number): Pair => [of(0), of(1)];
    return {
      input,
      stride: both((axis) => stride[axis] * step(axis)),
      start: both((axis) => start[axis] + stride[axis] * shift(axis)),
    };
  };
  switch (operation.kind) {
    case 'convolution':
    case 'deconvolution': {
      const { kernel, pad, dilation } = operation;
      const middle = (axis: 0 | 1) => (dilation[axis] * (kernel[axis] - 1)) / 2 - pad[axis];
      if (operation.kind === 'convolution') return moved((axis) => operation.stride[axis], middle);
      return moved(
        (axis) => 1 / operation.stride[axis],
        (axis) => -middle(axis) / operation.stride[axis],
      );
    }
    case 'pooling':
      return moved(
        (axis) => operation.stride[axis],
        (axis) => (operation.kernel[axis] - 1) / 2 - operation.pad[axis],
      );
    case 'crop':
      return operation.offset.length === 4
        ? moved(
            () => 1,
            (axis) => operation.offset[2 + axis]!,
          )
        : null;
    case 'resize':
    case 'unpool': {
      const method = operation.kind === 'resize' ? operation.method : 'nearest';
      const along = (axis: 0 | 1) => resampling(method, from[2 + axis]!, to[2 + axis]!);
      return moved(
        (axis) => along(axis).ratio,
        (axis) => along(axis).shift,
      );
    }
    default:
      // A layer that keeps height and width keeps the positions.
      return to.length === 4 && from.length === 4 && to[2] === from[2] && to[3] === from[3]
        ? { input, stride, start }
        : null;
  }
}
