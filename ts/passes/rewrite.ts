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

/** Merges a node into an earlier one, where `merge` says how; a merged node is looked at again, until it stays. */
export function mergePairs(
  graph: Graph,
  merge: (node: Node, uses: Uses) => { absorbed: Node; merged: Node } | null,
): Graph {
  // Kept up to date merge by merge: found anew each time, a net of a thousand layers would take a minute.
  const { maker, readers } = usesOf(graph) as { maker: Map<ValueId, Node>; readers: Map<ValueId, Node[]> };
  const kept = new Set<Node>();
  for (const each of graph.nodes) {
    let node = each;
    for (let pair = merge(node, { maker, readers }); pair !== null; pair = merge(node, { maker, readers })) {
      const { absorbed, merged } = pair;
      kept.delete(absorbed);
      for (const old of [absorbed, node]) {
        for (const id of old.inputs)
          readers.set(
            id,
            readers.get(id)!.filter((reader) => reader !== old),
          );
        for (const id of old.outputs) maker.delete(id);
      }
      for (const id of merged.inputs) readers.set(id, [...(readers.get(id) ?? []), merged]);
      for (const id of merged.outputs) maker.set(id, merged);
      node = merged;
    }
    // The merged node takes the later place, where all its inputs exist.
    kept.add(node);
  }
  return { ...graph, nodes: [...kept] };
}
