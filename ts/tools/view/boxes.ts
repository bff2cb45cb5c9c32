/** Groups layers that run as one operation: one card for each, from the graph after the passes. */

import { elementCount } from '../../base/shape.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import { countMacs, parametersOf } from '../../graph/summary.ts';
import { isSink } from '../../layers/sinks.ts';
import { runPasses } from '../../passes/index.ts';
import type { PartialGraph } from './partial-graph.ts';
import type { TracedLayer } from './trace-layers.ts';

export interface Card {
  /** Indices of layers, ascending. */
  readonly layers: number[];
  /** The operation as it runs; null for inputs and for layers that cannot run. */
  readonly node: Node | null;
}

export interface Fused {
  /** The graph as it runs. */
  readonly graph: Graph;
  readonly cards: readonly Card[];
  /** For each layer, the index of its card. */
  readonly cardOf: readonly number[];
}

/** Every layer is on exactly one card, in the order of each card's first layer. */
export function groupIntoBoxes(layers: readonly TracedLayer[], { graph: written }: PartialGraph): Fused {
  const graph = runPasses(written);
  const indices = new Map<string, number[]>();
  layers.forEach(({ layer, problem }, index) => {
    const name = layer.name ?? '';
    if (problem === null) indices.set(name, [...(indices.get(name) ?? []), index]);
  });
  const owner = new Map<number, Card>();
  for (const node of graph.nodes) {
    // If several layers have one name, each belongs to one node, in order.
    // If several operations belong to a layer, the layer belongs to the one that makes its top.
    const made = graph.values[node.outputs[0]!]!;
    const names = node.layers.filter((name) => !(made.isPart && name === made.layer));
    const found = names.flatMap((name) => indices.get(name)?.shift() ?? []);
    const card: Card = { layers: found, node };
    for (const index of found) owner.set(index, card);
  }
  layers.forEach(({ layer, bottoms, problem }, index) => {
    if (owner.has(index)) return;
    // A layer that computes nothing (Dropout, Split) joins the card of its input. This cannot make a cycle of cards.
    const above = bottoms[0]?.maker == null ? undefined : owner.get(bottoms[0].maker);
    const isCopy = problem === null && bottoms.length > 0 && !isSink(layer.type);
    const card = isCopy && above?.node ? above : { layers: [], node: null };
    card.layers.push(index);
    owner.set(index, card);
  });
  const cards = [...new Set(layers.map((_, index) => owner.get(index)!))];
  for (const card of cards) card.layers.sort((a, b) => a - b);
  const place = new Map(cards.map((card, i) => [card, i]));
  return { graph, cards, cardOf: layers.map((_, index) => place.get(owner.get(index)!)!) };
}

/** The minimal cost of an operation: multiply-accumulates, and bytes read and written once each (float32). */
export function workOf(graph: Graph, node: Node): { macs: number; bytes: number } {
  const values = [...node.inputs, ...node.outputs].map((id) => elementCount(graph.values[id]!.shape));
  const parameters = parametersOf(node.operation).map((id) => elementCount(graph.parameters[id]!.shape));
  return {
    macs: countMacs(graph, node),
    bytes: 4 * [...values, ...parameters].reduce((sum, count) => sum + count, 0),
  };
}
