/**
 * The graph of a net of which resnode can run only a part: what cannot be built is left out and said, with all that
 * reads it, so that the rest keeps its shapes.
 */

import { GraphError } from '../../base/errors.ts';
import { optionsOf } from '../../base/options.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import { type GraphOptions, graphFromCaffe, graphOptions } from '../../graph/from-caffe.ts';
import type { Graph } from '../../graph/graph.ts';
import { DATA_TYPES } from '../../layers/data.ts';

export interface PartialGraph {
  readonly graph: Graph;
  /** Why a layer (of the net) is not in the graph. Empty: the graph is whole. */
  readonly missing: ReadonlyMap<LayerParameter, string>;
  /** Inputs whose shape was not written but taken from crop_size, as `data 1×3×224×224`. */
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
      // The message without its place, which the page shows beside it.
      const { message } = error as GraphError;
      for (const layer of culprits) missing.set(layer, message.slice(message.indexOf(': ') + 2));
    }
  }
}

/** The layers that are not missing, without those that read what a missing one makes, which are noted with why. */
function dropUnreachable(
  layers: readonly LayerParameter[],
  missing: Map<LayerParameter, string>,
): LayerParameter[] {
  // A layer in place makes its bottom anew: what follows a missing one must not read what lay before it.
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
