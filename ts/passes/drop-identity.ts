import type { Graph, ValueId } from '../graph/graph.ts';

/** Maps each value that an identity makes to the value that it was made from. */
export function identitySources(graph: Graph): (id: ValueId) => ValueId {
  const source = new Map<ValueId, ValueId>();
  const resolve = (id: ValueId) => source.get(id) ?? id;
  for (const { operation, inputs, outputs } of graph.nodes)
    if (operation.kind === 'identity') for (const id of outputs) source.set(id, resolve(inputs[0]!));
  return resolve;
}

/** Dropout at inference and Split compute nothing: their readers read their input instead. */
export function dropIdentity(graph: Graph): Graph {
  const resolve = identitySources(graph);
  const nodes = graph.nodes
    .filter(({ operation }) => operation.kind !== 'identity')
    .map((node) => ({ ...node, inputs: node.inputs.map(resolve) }));
  const blobs = new Map([...graph.blobs].map(([name, id]) => [name, resolve(id)]));
  const lossWeights = new Map([...graph.lossWeights].map(([id, weight]) => [resolve(id), weight]));
  return { ...graph, nodes, blobs, lossWeights, outputs: graph.outputs.map(resolve) };
}
