/** A net as a table with one row per layer, or per group of merged layers. */

import { required, signature } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import type { Operation, ParameterId } from '../layers/operation.ts';
import { type Graph, graph, type Node } from './graph.ts';

export interface SummaryRow {
  /** Names of the merged layers, in order of execution. */
  readonly layers: readonly string[];
  /** Caffe's type of the first layer. */
  readonly type: string;
  /** The shape of its top, N×C×H×W. If there are several, the first top of its last operation. */
  readonly shape: readonly number[];
  /** The number of values in its own parameters. */
  readonly parameters: number;
  /** Multiply-accumulates. */
  readonly macs: number;
}

export interface Summary {
  readonly name: string;
  readonly layers: readonly SummaryRow[];
  readonly parameters: number;
  readonly macs: number;
}

const SUMMARISE = signature('summarise', { graph: required(graph, 'A graph, as graphFromCaffe makes it.') });

/** One row per layer, regardless of its number of operations, and the totals. The totals count shared parameters once. */
export function summarise(graph: Graph): Summary {
  SUMMARISE.check(graph);
  const sizes = graph.parameters.map(({ shape }) => elementCount(shape));
  return {
    name: graph.name,
    layers: operationsByLayer(graph).map((nodes) => {
      const parameters = new Set(nodes.flatMap(({ operation }) => parametersOf(operation)));
      return {
        layers: [...new Set(nodes.flatMap(({ layers }) => layers))],
        type: nodes[0]!.type,
        shape: graph.values[nodes.at(-1)!.outputs[0]!]!.shape,
        parameters: [...parameters].reduce((sum, id) => sum + sizes[id]!, 0),
        macs: nodes.reduce((sum, node) => sum + countMacs(graph, node), 0),
      };
    }),
    parameters: countParameters(graph),
    macs: totalMacs(graph),
  };
}

/** The nodes of each layer. An unrolled LSTM, or a layer composed of several operations, has many. */
function operationsByLayer({ nodes }: Graph): Node[][] {
  const groups: Node[][] = [];
  for (const node of nodes) {
    const before = groups.at(-1)?.[0];
    const isSame =
      before !== undefined &&
      before.name === node.name &&
      before.type === node.type &&
      before.position?.line === node.position?.line &&
      before.position?.column === node.position?.column;
    if (isSame) groups.at(-1)!.push(node);
    else groups.push([node]);
  }
  return groups;
}

/** The parameters that an operation reads, including those of folded layers. */
export function parametersOf(operation: Operation): ParameterId[] {
  const affine = 'affine' in operation ? operation.affine : [];
  const steps = affine.flatMap((step) =>
    step.kind === 'batchNorm' ? [step.mean, step.variance, step.factor] : [step.gamma, step.beta],
  );
  const own = (() => {
    switch (operation.kind) {
      case 'convolution':
      case 'innerProduct':
        return [operation.weights, operation.bias, operation.slopes];
      case 'deconvolution':
      case 'embed':
        return [operation.weights, operation.bias];
      case 'batchNorm':
        return [operation.mean, operation.variance, operation.factor];
      case 'scale':
        return [operation.scale, operation.bias];
      case 'prelu':
        return [operation.slope];
      case 'parameter':
        return [operation.blob];
      case 'normalize':
        return [operation.scale];
      case 'bn':
        return [operation.scale, operation.shift, operation.mean, operation.variance];
      default:
        return [];
    }
  })();
  return [...own, ...steps].filter((id) => id !== null);
}
/** The learnable values and the statistics of the whole net. */
export function countParameters(graph: Graph): number {
  return graph.parameters.reduce((sum, parameter) => sum + elementCount(parameter.shape), 0);
}

/**
 * Multiply-accumulates of one node. Only convolutions, transposed convolutions and inner products count, as in the
 * literature.
 */
export function countMacs(graph: Graph, node: Node): number {
  const { operation } = node;
  // A transposed convolution has as many products as the convolution in the other direction.
  if (operation.kind === 'deconvolution') {
    const weights = graph.parameters[operation.weights]!.shape;
    return (elementCount(graph.values[node.inputs[0]!]!.shape) * elementCount(weights)) / weights[0]!;
  }
  if (operation.kind !== 'convolution' && operation.kind !== 'innerProduct') return 0;
  const output = elementCount(graph.values[node.outputs[0]!]!.shape);
  const weights = graph.parameters[operation.weights]!.shape;
  const outputs = operation.kind === 'convolution' ? weights[0]! : operation.numOutput;
  return output * (elementCount(weights) / outputs);
}

/** For the whole graph. */
export function totalMacs(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + countMacs(graph, node), 0);
}
