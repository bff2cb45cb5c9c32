/**
 * The graph of a net of which resnode can run only a part: what cannot be built is left out and said, with all that
 * reads it, so that the rest keeps its shapes.
 */
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import { GraphError } from '../errors.ts';
import { type GraphOptions, graphFromCaffe } from '../graph/from-caffe.ts';
import type { Graph } from '../graph/graph.ts';
import { DATA_TYPES } from '../graph/unknown-layer.ts';

export interface PartialGraph {
  readonly graph: Graph;
  /** Why a layer (of the net) is not in the graph. Empty: the graph is whole. */
  readonly missing: ReadonlyMap<LayerParameter, string>;
  /** Inputs whose shape was not written but taken from crop_size, as `data 1×3×224×224`. */
  readonly assumed: readonly string[];
}

/**
 * Builds as much of a net as can be built; never throws for a layer.
 * A data layer without a given shape is taken as batch × 3 × crop_size × crop_size where its transform says crop_size.
 */
export function partialGraph(net: NetParameter, options: GraphOptions = {}): PartialGraph {
  const missing = new Map<LayerParameter, string>();
  const { inputShapes, assumed } = assumeShapes(net, options);
  const given = { ...options, inputShapes };
  for (;;) {
    const layers = (net.layer ?? []).filter((layer) => !missing.has(layer));
    const reachable = dropUnreachable(layers, missing);
    try {
      return { graph: graphFromCaffe({ ...net, layer: reachable }, given), missing, assumed };
    } catch (error) {
      const culprits =
        error instanceof GraphError ? reachable.filter(({ name }) => name === error.layer) : [];
      if (culprits.length === 0) throw error;
      // The message without its place, which the page shows beside it.
      const { message } = error as GraphError;
      for (const layer of culprits) missing.set(layer, message.slice(message.indexOf(': ') + 2));
    }
  }
}

/** Removes the layers that read a blob which nothing makes any more, and notes why. */
function dropUnreachable(
  layers: readonly LayerParameter[],
  missing: Map<LayerParameter, string>,
): LayerParameter[] {
  const lost = new Set([...missing.keys()].flatMap((layer) => layer.top ?? []));
  const made = new Set<string>();
  return layers.filter((layer) => {
    const gone = (layer.bottom ?? []).find((name) => !made.has(name) && lost.has(name));
    for (const name of layer.top ?? []) gone === undefined ? made.add(name) : lost.add(name);
    if (gone !== undefined) missing.set(layer, `its bottom "${gone}" has no known shape`);
    return gone === undefined;
  });
}

function assumeShapes(net: NetParameter, options: GraphOptions) {
  const inputShapes: Record<string, readonly number[]> = { ...options.inputShapes };
  const assumed: string[] = [];
  for (const layer of net.layer ?? []) {
    const crop = (layer.transform_param as { crop_size?: number } | undefined)?.crop_size;
    if (!DATA_TYPES.includes(layer.type ?? '') || !crop) continue;
    (layer.top ?? []).forEach((name, i) => {
      if (inputShapes[name] !== undefined || i > 1) return;
      const batch = options.batch ?? 1;
      inputShapes[name] = i === 0 ? [batch, 3, crop, crop] : [batch];
      assumed.push(`${name} ${inputShapes[name]!.join('×')}`);
    });
  }
  return { inputShapes, assumed };
}
