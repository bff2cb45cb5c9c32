/** Finds the layer that computed a blob's values. */
import type { LayerParameter } from '../../caffe/net-parameter.ts';
import type { Graph } from '../../graph/graph.ts';

/** Layers that keep all values, in another shape or order. */
const SAME_VALUES = ['Reshape', 'Flatten', 'Permute', 'Dropout', 'Split'];

/** The layer that computed a blob's values, before layers that only change their shape. */
export function makerOf(layers: readonly LayerParameter[], blob: string): LayerParameter | undefined {
  const maker = layers.findLast(({ top }) => top?.includes(blob));
  const [bottom] = maker?.bottom ?? [];
  if (maker === undefined || bottom === undefined || !SAME_VALUES.includes(maker.type ?? '')) return maker;
  return bottom === blob ? makerOf(layers.slice(0, layers.indexOf(maker)), blob) : makerOf(layers, bottom);
}

/** The outputs of a net for an error: `"prob" 1×1000 (Softmax)`. */
export const describeOutputs = (layers: readonly LayerParameter[], graph: Graph): string =>
  graph.outputs
    .map((id) => graph.values[id]!)
    .map(({ blob, shape }) => `"${blob}" ${shape.join('×')} (${makerOf(layers, blob)?.type ?? 'an input'})`)
    .join(', ');
