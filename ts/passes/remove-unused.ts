import type { Graph } from '../graph/graph.ts';

/** Drops nodes that no output needs. BatchNorm with batch statistics stays: it updates its running sums. */
export function removeUnused(graph: Graph): Graph {
  const needed = new Set(graph.outputs);
  const nodes = [];
  for (const node of [...graph.nodes].reverse()) {
    if (node.operation.kind !== 'batchNorm' && !node.outputs.some((id) => needed.has(id))) continue;
    for (const id of node.inputs) needed.add(id);
    nodes.push(node);
  }
  return { ...graph, nodes: nodes.reverse() };
}
