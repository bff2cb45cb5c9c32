/**
 * Every distinct operation of the nets, once. The benchmark times each of them, and a test compares them with the reference.
 */

import { elementCount } from '../../base/shape.ts';
import {
  addRelu,
  batchNormScaleRelu,
  convolution,
  innerProduct,
  pooling,
  type SingleOperation,
  softmax,
} from '../../device/ops.ts';
import type { Tensor } from '../../device/tensor.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import { countMacs } from '../../graph/summary.ts';
import type { Pair } from '../../layers/operation.ts';
import { runPasses } from '../../passes/index.ts';
import type { BenchNet } from './nets.ts';

/** An operation of a fused net, or a step that fusing removes from nets (BatchNorm + Scale + ReLU, sum + ReLU). */
export interface OperationCase {
  /** `convolution 1×1, 64×56×56 → 256×56×56, residual, ReLU`. */
  readonly name: string;
  /** The number of occurrences in each net: `3 in ResNet-50`. */
  readonly nets: readonly string[];
  /** Multiply-accumulates; 0 for operations that only move memory. */
  readonly macs: number;
  /** Bytes of inputs, parameters and outputs, each once. */
  readonly bytes: number;
  /** A net with only this operation. Its values have both signs and are always the same. */
  readonly make: () => SingleOperation;
}

type Item = Omit<OperationCase, 'nets' | 'bytes'> & { readonly values: number };

/** The distinct operations of nets at one batch size, ordered by decreasing arithmetic. */
export function caseList(nets: readonly BenchNet[], batch: number): OperationCase[] {
  const found = new Map<string, Item>();
  const counts = new Map<string, Map<string, number>>();
  for (const { name, net } of nets) {
    const written = graphFromCaffe(net, { batch });
    const fused = runPasses(written);
    const items = [
      ...fused.nodes.map((node) => fusedCase(fused, node)),
      ...written.nodes.map((node, i) => unfusedCase(written, node, written.nodes[i + 1])),
    ];
    for (const item of items) {
      if (item === null) continue;
      found.set(item.name, item);
      const count = counts.get(item.name) ?? new Map<string, number>();
      counts.set(item.name, count.set(name, (count.get(name) ?? 0) + 1));
    }
  }
  return [...found.values()]
    .map(({ values, ...item }) => ({
      ...item,
      bytes: 4 * values,
      nets: [...counts.get(item.name)!].map(([net, count]) => `${count} in ${net}`),
    }))
    .sort((a, b) => b.macs - a.macs || b.bytes - a.bytes);
}

function fusedCase(graph: Graph, node: Node): Item | null {
  const { operation } = node;
  const shapes = node.inputs.map((id) => graph.values[id]!.shape);
  const [input, residual] = shapes as [readonly number[], (readonly number[])?];
  const output = graph.values[node.outputs[0]!]!.shape;
  const common = {
    macs: countMacs(graph, node),
    values: [...shapes, output].reduce((sum, shape) => sum + elementCount(shape), 0),
  };
  const arrow = `${sizes(input)} → ${sizes(output)}`;
  switch (operation.kind) {
    case 'convolution': {
      const weights = graph.parameters[operation.weights]!.shape;
      const { kernel, stride, pad, relu } = operation;
      const ending = [
        ...(stride[0] === 1 && stride[1] === 1 ? [] : [`stride ${stride[0]}`]),
        ...(residual === undefined ? [] : ['residual']),
        ...(relu === null ? [] : ['ReLU']),
      ];
      return {
        ...common,
        name: [`convolution ${across(kernel)}, ${arrow}`, ...ending].join(', '),
        values: common.values + elementCount(weights),
        make: () =>
          convolution({
            input: tensor(input),
            weights: tensor(weights, Math.sqrt(6 / elementCount(weights.slice(1)))),
            bias: tensor([weights[0]!]),
            ...(residual === undefined ? {} : { residual: tensor(residual) }),
            stride,
            pad,
            relu: relu !== null,
          }),
      };
    }
    case 'pooling': {
      const { method, kernel, stride, pad } = operation;
      // Caffe rounds up by default, so a smaller size was rounded down.
      const up = (axis: 0 | 1) =>
        Math.ceil((input[axis + 2]! + 2 * pad[axis] - kernel[axis]) / stride[axis]) + 1 > output[axis + 2]!;
      const roundMode = (up(0) || up(1)) && pad[0] === 0 && pad[1] === 0 ? 'FLOOR' : 'CEIL';
      return {
        ...common,
        name: `${method} pooling ${across(kernel)}, ${arrow}`,
        make: () => pooling({ input: tensor(input), method, kernel, stride, pad, roundMode }),
      };
    }
    case 'innerProduct': {
      const weights = graph.parameters[operation.weights]!.shape;
      return {
        ...common,
        name: `inner product, ${arrow}`,
        values: common.values + elementCount(weights),
        make: () =>
          innerProduct({ input: tensor(input), weights: tensor(weights), bias: tensor([weights[0]!]) }),
      };
    }
    case 'softmax':
      return { ...common, name: `softmax, ${sizes(input)}`, make: () => softmax({ input: tensor(input) }) };
    default:
      return null;
  }
}

function unfusedCase(
  graph: Graph,
  { operation, inputs, outputs }: Node,
  next: Node | undefined,
): Item | null {
  const shape = graph.values[outputs[0]!]!.shape;
  const isNormalised = operation.kind === 'affine' && operation.affine[0]?.kind === 'batchNorm';
  const isSum = operation.kind === 'eltwise' && operation.operation === 'sum';
  if (next === undefined || (!isNormalised && !isSum)) return null;
  const values = (inputs.length + 1) * elementCount(shape);
  if (isSum)
    return {
      name: `add + ReLU, ${sizes(shape)}`,
      macs: 0,
      values,
      make: () => addRelu({ inputs: inputs.map(() => tensor(shape)) }),
    };
  const channels = [shape[1]!];
  const ones = { shape: channels, data: new Float32Array(shape[1]!).fill(1) };
  return {
    name: `BatchNorm + Scale + ReLU, ${sizes(shape)}`,
    macs: 0,
    values,
    make: () =>
      batchNormScaleRelu({
        input: tensor(shape),
        mean: tensor(channels),
        variance: ones,
        gamma: ones,
        beta: tensor(channels),
      }),
  };
}

const across = ([height, width]: Pair) => `${height}×${width}`;
const sizes = ([, ...rest]: readonly number[]) => rest.join('×');

// A golden-ratio sequence: even over [−scale, scale], nothing repeats.
function tensor(shape: readonly number[], scale = 1): Tensor {
  const data = Float32Array.from(
    { length: elementCount(shape) },
    (_, i) => scale * (2 * ((i * 0.618033988749895) % 1) - 1),
  );
  return { shape, data };
}
