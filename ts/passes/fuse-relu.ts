import type { Graph } from '../graph/graph.ts';
import { isPrivate, mergePairs } from './rewrite.ts';

/** ReLU becomes the last step of what comes before it. */
export function fuseRelu(graph: Graph): Graph {
  return mergePairs(graph, (node, uses) => {
    if (node.operation.kind !== 'relu') return null;
    const before = uses.maker.get(node.inputs[0]!);
    if (before === undefined || !isPrivate(uses, node.inputs[0]!)) return null;
    const { operation } = before;
    if (!('relu' in operation) || operation.relu !== null) return null;
    const relu = { negativeSlope: node.operation.negativeSlope };
    return {
      absorbed: before,
      merged: {
        ...before,
        operation: { ...operation, relu },
        outputs: node.outputs,
        layers: [...before.layers, ...node.layers],
      },
    };
  });
}
