import type { Graph } from '../graph/graph.ts';
import { isPrivate, mergePairs } from './rewrite.ts';

/** BatchNorm with global statistics and Scale move into the convolution, or the affine node, before them. */
export function foldAffine(graph: Graph): Graph {
  return mergePairs(graph, (node, uses) => {
    if (node.operation.kind !== 'affine') return null;
    const before = uses.maker.get(node.inputs[0]!);
    if (before === undefined || !isPrivate(uses, node.inputs[0]!)) return null;
    const { operation } = before;
    if (
      (operation.kind !== 'convolution' && operation.kind !== 'affine') ||
      operation.relu !== null ||
      before.inputs.length > 1
    )
      return null;
    return {
      absorbed: before,
      merged: {
        ...before,
        operation: {
          ...operation,
          affine: [...operation.affine, ...node.operation.affine],
          relu: node.operation.relu,
        },
        outputs: node.outputs,
        layers: [...before.layers, ...node.layers],
      },
    };
  });
}
