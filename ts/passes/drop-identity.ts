import type { Graph, ValueId } from '../graph/graph.ts';

/** Dropout at inference and Split compute nothing: their readers read what they read. */
export function dropIdentity(graph: Graph): Graph {
  const source = new Map<ValueId, ValueId>();
  const resolve = (id: ValueId) => source.get(id) ?? id;
  const nodes = [];
  for (const node of graph.nodes) {
    if (node.operation.kind === 'identity')
      for (const id of node.outputs) source.set(id, resolve(node.inputs[0]!));
    else nodes.push({ ...node, inputs: node.inputs.map(resolve) });
  }
  const blobs = new Map([...graph.blobs].map(([name, id]) => [name, resolve(id)]));
  return { ...graph, nodes, blobs, outputs: graph.outputs.map(resolve) };
}
