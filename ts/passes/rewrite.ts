/** What the passes share: who makes and who reads a value, and whether it may disappear. */
import type { Graph, Node, ValueId } from '../graph/graph.ts';

export interface Uses {
  readonly maker: ReadonlyMap<ValueId, Node>;
  readonly readers: ReadonlyMap<ValueId, readonly Node[]>;
}

export function usesOf(graph: Pick<Graph, 'nodes'>): Uses {
  const maker = new Map<ValueId, Node>();
  const readers = new Map<ValueId, Node[]>();
  for (const node of graph.nodes) {
    for (const id of node.outputs) maker.set(id, node);
    for (const id of node.inputs) readers.set(id, [...(readers.get(id) ?? []), node]);
  }
  return { maker, readers };
}

/** True where nobody but one node reads the value and the caller did not ask for it. */
export function isPrivate(graph: Graph, uses: Uses, id: ValueId): boolean {
  return uses.readers.get(id)?.length === 1 && !graph.outputs.includes(id);
}

/** Merges the last node of a chain into an earlier one, where `merge` says how; repeats until nothing changes. */
export function mergePairs(
  graph: Graph,
  merge: (node: Node, uses: Uses) => { absorbed: Node; merged: Node } | null,
): Graph {
  let nodes = graph.nodes;
  for (let i = 0; i < nodes.length; i++) {
    const pair = merge(nodes[i]!, usesOf({ nodes }));
    if (pair === null) continue;
    // The merged node takes the later place, where all its inputs exist.
    nodes = nodes.map((node, at) => (at === i ? pair.merged : node)).filter((node) => node !== pair.absorbed);
    i = Math.max(i - 2, -1);
  }
  return { ...graph, nodes };
}
