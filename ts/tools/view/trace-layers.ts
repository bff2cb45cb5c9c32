/** The layers of a net as written, with their blobs: the makers, the readers, the shapes. */

import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import type { ValueId } from '../../graph/graph.ts';
import { isSink } from '../../layers/sinks.ts';
import type { PartialGraph } from './partial-graph.ts';

/** A blob after one layer. An in-place layer makes a new one with the same name. */
export interface TracedBlob {
  readonly name: string;
  /** Its value in the graph; null if the graph lacks it. */
  readonly value: ValueId | null;
  readonly shape: readonly number[] | null;
  /** The index of the layer that makes it; null if none does. */
  readonly maker: number | null;
  /** Indices of the layers that read it. */
  readonly readers: number[];
}

export interface TracedLayer {
  readonly layer: LayerParameter;
  readonly bottoms: readonly TracedBlob[];
  readonly tops: readonly TracedBlob[];
  /** The reason why it is not in the graph; null if it is. */
  readonly problem: string | null;
}

/** Follows the blobs through the layers in the order of the file. */
export function traceLayers(net: NetParameter, { graph, missing }: PartialGraph): TracedLayer[] {
  const current = new Map<string, TracedBlob>();
  const blobs = [...graph.values.keys()].filter((id) => !graph.values[id]!.isPart);
  let next = 0;
  return (net.layer ?? []).map((layer, index) => {
    const problem = missing.get(layer) ?? null;
    const bottoms = (layer.bottom ?? []).map((name) => {
      const blob = current.get(name) ?? { name, value: null, shape: null, maker: null, readers: [] };
      blob.readers.push(index);
      return blob;
    });
    // The graph's values are ordered by the layers that make them. A loss may make a value without naming it.
    const isInGraph = problem === null && !isSink(layer.type);
    const following = graph.values[blobs[next] ?? -1];
    const unnamed = isInGraph && following?.layer === layer.name ? [following!.blob] : [];
    const tops = (layer.top?.length ? layer.top : unnamed).map((name) => {
      const value: ValueId | null = isInGraph ? blobs[next++]! : null;
      const shape = value === null ? null : graph.values[value]!.shape;
      const blob: TracedBlob = { name, value, shape, maker: index, readers: [] };
      current.set(name, blob);
      return blob;
    });
    return { layer, bottoms, tops, problem };
  });
}
