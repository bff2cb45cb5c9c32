/**
 * The graph of a net of which resnode can run only a part. Layers that cannot be built are omitted and reported, and so are
 * all layers that read them. The rest keeps its shapes.
 */

import { GraphError } from '../../base/errors.ts';
import { optionsOf } from '../../base/options.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import { type GraphOptions, graphFromCaffe, graphOptions } from '../../graph/from-caffe.ts';
import type { Graph } from '../../graph/graph.ts';
import { DATA_TYPES } from '../../layers/data.ts';

export interface PartialGraph {
  readonly graph: Graph;
  /** The reason why a layer of the net is not in the graph. If it is empty, the graph is complete. */
  readonly missing: ReadonlyMap<LayerParameter, string>;
  /** Inputs whose shape was not given but derived from crop_size, as `data 1×3×224×224`. */
  readonly assumed: readonly string[];
}

/**
 * Builds as much of a net as can be built; never throws for a layer.
 * @param problems Layers that are not to be built, and why. Default none.
 * A data layer without a given shape is taken as batch × 3 × crop_size × crop_size where its transform says crop_size.
 */
export function partialGraph(
  net: NetParameter,
  options: GraphOptions = {},
  problems: ReadonlyMap<LayerParameter, string> = new Map(),
): PartialGraph {
  const own = new Set(net.layer);
  const missing = new Map([...problems].filter(([layer]) => own.has(layer)));
  const { inputShapes, assumed } = assumeShapes(net, options);
  for (;;) {
    const reachable = dropUnreachable(net.layer ?? [], missing);
    const lost = new Set([...missing.keys()].flatMap(({ top = [] }) => top));
    const given = Object.entries(inputShapes).filter(([name]) => !lost.has(name));
    try {
      const graph = graphFromCaffe(
        { ...net, layer: reachable },
        { ...optionsOf(graphOptions, options), inputShapes: Object.fromEntries(given) },
      );
      return { graph, missing, assumed };
    } catch (error) {
      const culprits =
        error instanceof GraphError ? reachable.filter(({ name }) => name === error.layer) : [];
      if (culprits.length === 0) throw error;
      // The message without its position, which the page shows separately.
      const { message } = error as GraphError;
      for (const layer of culprits) missing.set(layer, message.slice(message.indexOf(': ') + 2));
    }
  }
}

/** The layers that can be built. Layers that read a missing blob are recorded with the reason. */
function dropUnreachable(
  layers: readonly LayerParameter[],
  missing: Map<LayerParameter, string>,
): LayerParameter[] {
  // An in-place layer writes its bottom again. A layer after a missing one must not read the earlier value.
  const lost = new Set<string>();
  return layers.filter((layer) => {
    const gone = missing.has(layer) ? undefined : (layer.bottom ?? []).find((name) => lost.has(name));
    if (gone !== undefined) missing.set(layer, `its bottom "${gone}" has an unknown shape`);
    const isThere = !missing.has(layer);
    for (const name of layer.top ?? []) isThere ? lost.delete(name) : lost.add(name);
    return isThere;
  });
}

function assumeShapes(net: NetParameter, options: GraphOptions) {
  const inputShapes = new Map(Object.entries(options.inputShapes ?? {}));
  const assumed: string[] = [];
  for (const layer of net.layer ?? []) {
    const crop = (layer.transform_param as { crop_size?: number } | undefined)?.crop_size;
    if (!DATA_TYPES.includes(layer.type ?? '') || !crop) continue;
    (layer.top ?? []).forEach((name, i) => {
      if (inputShapes.has(name) || i > 1) return;
      const batch = options.batch ?? 1;
      const shape = i === 0 ? [batch, 3, crop, crop] : [batch];
      inputShapes.set(name, shape);
      assumed.push(`${name} ${shape.join('×')}`);
    });
  }
  return { inputShapes: Object.fromEntries(inputShapes), assumed };
}
