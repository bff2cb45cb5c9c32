/** Parameters and multiply-accumulates, for tables. */
import type { Graph, Node } from './graph.ts';

const product = (values: readonly number[]) => values.reduce((result, value) => result * value, 1);

/** Learnable and statistics values of the whole net. */
export function countParameters(graph: Graph): number {
  return graph.parameters.reduce((sum, parameter) => sum + product(parameter.shape), 0);
}

/** Multiply-accumulates of one node; only convolutions and inner products count, as the literature does. */
export function countMacs(graph: Graph, node: Node): number {
  const { operation } = node;
  if (operation.kind !== 'convolution' && operation.kind !== 'innerProduct') return 0;
  const output = product(graph.values[node.outputs[0]!]!.shape);
  const weights = graph.parameters[operation.weights]!.shape;
  const outputs = operation.kind === 'convolution' ? weights[0]! : operation.numOutput;
  return output * (product(weights) / outputs);
}

/** Of the whole graph. */
export function totalMacs(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + countMacs(graph, node), 0);
}
