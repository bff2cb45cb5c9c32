/** Helpers of the passes: the makers and readers of a value, and whether it may disappear. */
import type { Graph, Node, ValueId } from '../graph/graph.ts';

export interface Uses {
  readonly maker: ReadonlyMap<ValueId, Node>;
  readonly readers: ReadonlyMap<ValueId, ReadonlySet<Node>>;
  /** The values that the caller sees. */
  readonly requested: ReadonlySet<ValueId>;
}

interface ChangingUses extends Uses {
  readonly maker: Map<ValueId, Node>;
  readonly readers: Map<ValueId, Set<Node>>;
}

export function usesOf({ nodes, outputs }: Pick<Graph, 'nodes' | 'outputs'>): Uses {
  return changingUses({ nodes, outputs });
}

function changingUses({ nodes, outputs }: Pick<Graph, 'nodes' | 'outputs'>): ChangingUses {
  const maker = new Map<ValueId, Node>();
  const readers = new Map<ValueId, Set<Node>>();
  for (const node of nodes) {
    for (const id of node.outputs) maker.set(id, node);
    for (const id of node.inputs) {
      if (!readers.has(id)) readers.set(id, new Set());
      readers.get(id)!.add(node);
    }
  }
  return { maker, readers, requested: new Set(outputs) };
}

/** True if a single node reads the value, once, and the caller did not request it. */
export function isPrivate({ readers, requested: asked }: Uses, id: ValueId): boolean {
  const reading = readers.get(id);
  if (reading?.size !== 1 || asked.has(id)) return false;
  const [reader] = reading;
  return reader!.inputs.indexOf(id) === reader!.inputs.lastIndexOf(id);
}

/** Merges a node into an earlier one if `merge` returns a merged node, which is examined again until nothing merges. */
export function mergePairs(
  graph: Graph,
  merge: (node: Node, uses: Uses) => { absorbed: Node; merged: Node } | null,
): Graph {
  // Updated with each merge: computed anew each time, a net of a thousand layers would take a minute.
  const uses = changingUses(graph);
  const kept = new Set<Node>();
  for (const each of graph.nodes) {
    let node = each;
    for (let pair = merge(node, uses); pair !== null; pair = merge(node, uses)) {
      const { absorbed, merged } = pair;
      kept.delete(absorbed);
      for (const old of [absorbed, node]) {
        for (const id of old.inputs) uses.readers.get(id)!.delete(old);
        for (const id of old.outputs) uses.maker.delete(id);
      }
      for (const id of merged.inputs) uses.readers.get(id)!.add(merged);
      for (const id of merged.outputs) uses.maker.set(id, merged);
      node = merged;
    }
    // The merged node takes the later position, where all its inputs exist.
    kept.add(node);
  }
  return { ...graph, nodes: [...kept] };
}
