/** The layers of a net as written, each with its blobs: who made them, who reads them, their shapes. */

import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import type { ValueId } from '../../graph/graph.ts';
import { isSink } from '../../layers/sinks.ts';
import type { PartialGraph } from './partial-graph.ts';

/** A blob as it stands after one layer: an in-place layer makes a new one of the same name. */
export interface TracedBlob {
  readonly name: string;
  /** In the graph; null where the graph does not have it. */
  readonly value: ValueId | null;
  readonly shape: readonly number[] | null;
  /** Index of the layer that makes it; null where none does. */
  readonly maker: number | null;
  /** Indices of the layers that read it. */
  readonly readers: number[];
}

export interface TracedLayer {
  readonly layer: LayerParameter;
  readonly bottoms: readonly TracedBlob[];
  readonly tops: readonly TracedBlob[];
  /** Why it is not in the graph; null where it is. */
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
    // The graph's values stand in the order of the layers that make them; a loss may make one that it does not name.
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
