import type { Graph } from '../graph/graph.ts';
import { isPrivate, mergePairs } from './rewrite.ts';

/** A plain sum of two becomes the last step of the convolution that ends one of its branches (the later one). */
export function fuseResidual(graph: Graph): Graph {
  const order = new Map(graph.nodes.flatMap(({ outputs }, i) => outputs.map((id) => [id, i] as const)));
  return mergePairs(graph, (node, uses) => {
    const { operation } = node;
    if (operation.kind !== 'eltwise' || operation.operation !== 'sum' || node.inputs.length !== 2)
      return null;
    if (operation.coefficients.some((coefficient) => coefficient !== 1) || node.inputs[0] === node.inputs[1])
      return null;
    const ends = node.inputs.filter((id) => {
      const maker = uses.maker.get(id);
      return (
        maker?.operation.kind === 'convolution' &&
        maker.operation.relu === null &&
        maker.inputs.length === 1 &&
        isPrivate(uses, id)
      );
    });
    const end = ends.sort((a, b) => order.get(a)! - order.get(b)!).at(-1);
    if (end === undefined) return null;
    const convolution = uses.maker.get(end)!;
    const residual = node.inputs.find((id) => id !== end)!;
    if (convolution.operation.kind !== 'convolution') return null;
    return {
      absorbed: convolution,
      merged: {
        ...convolution,
        operation: { ...convolution.operation, relu: operation.relu },
        inputs: [...convolution.inputs, residual],
        outputs: node.outputs,
        layers: [...convolution.layers, ...node.layers],
      },
    };
  });
}
