/** A part of a net, from one layer to another, as a separate net: pycaffe's forward(start=, end=). */
import { InWords } from '../base/describe.ts';
import { ArgumentError } from '../base/errors.ts';
import { didYouMean, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { type LayerParameter, type NetParameter, netParameter } from '../caffe/net-parameter.ts';
import { type GraphOptions, graphFromCaffe, graphRows } from './from-caffe.ts';
import type { Graph } from './graph.ts';
import { withOutputs } from './outputs.ts';

export interface LayerRange {
  /** The first layer. Default: the net's first. */
  readonly start?: string;
  /** The last layer, whose tops are the outputs. Default: the net's last, and its outputs. */
  readonly end?: string;
}

export interface NetBetweenOptions
  extends LayerRange,
    Pick<GraphOptions, 'phase' | 'inputShapes' | 'batch'> {}

/** A part that can be loaded separately. */
export interface NetPart {
  /** The blobs that the part reads from other layers become its inputs, with their shapes in the whole net. */
  readonly net: NetParameter;
  readonly outputs: readonly string[];
}

/** LayerRange as rows of a signature. */
export const rangeRows = {
  start: optional(string, "the net's first", 'The layer to begin with.'),
  end: optional(string, "the net's last", 'The layer to end with; the result returns its tops.'),
};

const NET_BETWEEN = signature('netBetween', {
  net: required(netParameter, 'An upgraded and filtered net.'),
  options: optional(
    options<NetBetweenOptions>({
      ...rangeRows,
      phase: graphRows.phase,
      inputShapes: graphRows.inputShapes,
      batch: graphRows.batch,
    }),
    'none',
    'The part of the net.',
  ),
});

/**
 * The layers from `start` to `end` that its outputs need. Each blob that they read from earlier layers gets an Input layer.
 * Use the part to run these layers alone, or with `device.train` and `diffs` to take a diff from one layer back to another.
 * @param net Upgraded and filtered, as `filterNet` returns it.
 * @throws ArgumentError for a layer that does not exist, or an end before the start; GraphError
 * @example
 * const tail = netBetween(net, { start: 'res5a_branch1', end: 'fc1000' });
 * using trainer = await device.train({ model: tail, weights, update: null, diffs: ['res4f'] });
 */
export function netBetween(net: NetParameter, options: NetBetweenOptions = {}): NetParameter {
  NET_BETWEEN.check(net, options);
  const { start, end, ...rest } = options;
  return partOf(net, graphFromCaffe(net, rest), { start, end }, null).net;
}

/**
 * @param graph The graph of the net as written.
 * @param requested The names of the outputs if no end is given: `blob` or `blob@layer`. Null: the net's own.
 * @throws ArgumentError
 */
export function partOf(
  net: NetParameter,
  graph: Graph,
  { start, end }: { readonly start?: string | undefined; readonly end?: string | undefined },
  requested: readonly string[] | null,
): NetPart {
  const layers = net.layer ?? [];
  if (layers.length === 0)
    throw new ArgumentError('net', 'a net with layers', new InWords('a net without layers'));
  const first = start === undefined ? 0 : placeOf(layers, start, 'start');
  const last = end === undefined ? layers.length - 1 : placeOf(layers, end, 'end');
  if (last < first)
    throw new ArgumentError('end', `a layer that does not come before "${layers[first]!.name}"`, end);
  const range = layers.slice(first, last + 1);
  const outputs =
    end === undefined ? outputsWithin(graph, range, requested) : [...new Set(layers[last]!.top)];
  if (outputs.length === 0)
    throw new ArgumentError(
      end === undefined ? 'start' : 'end',
      'a layer that has a top',
      end ?? start,
      end === undefined ? 'no output comes after it; give an end' : 'it has no tops',
    );
  const fed = new Set(graph.inputs.map((id) => graph.values[id]!.layer));
  const needed = new Set(outputs.map((name) => blobOf(graph, name)));
  const kept = range
    .toReversed()
    .filter(({ name = '', top = [], bottom = [] }) => {
      if (fed.has(name) || !top.some((blob) => needed.has(blob))) return false;
      for (const blob of top) needed.delete(blob);
      for (const blob of bottom) needed.add(blob);
      return true;
    })
    .reverse();
  const before = new Set(
    [...layers.slice(0, first), ...range.filter(({ name = '' }) => fed.has(name))].map(({ name }) => name),
  );
  const inputs = [...needed].map((blob): LayerParameter => {
    const value = graph.values.findLast((each) => each.blob === blob && before.has(each.layer))!;
    return { name: blob, type: 'Input', top: [blob], input_param: { shape: [{ dim: [...value.shape] }] } };
  });
  return { net: { ...net, layer: [...inputs, ...kept] }, outputs };
}

function placeOf(layers: readonly LayerParameter[], name: string, option: 'start' | 'end'): number {
  const place = layers.findIndex((layer) => layer.name === name);
  if (place < 0) {
    const names = layers.map((layer) => layer.name ?? '');
    throw new ArgumentError(option, 'a layer of the net', name, didYouMean(name, names));
  }
  return place;
}

/** The outputs that these layers make. */
function outputsWithin(
  graph: Graph,
  range: readonly LayerParameter[],
  requested: readonly string[] | null,
): string[] {
  const names = requested ?? graph.outputs.map((id) => graph.values[id]!.blob);
  const made = new Set(range.map(({ name }) => name));
  const ids = withOutputs(graph, names).outputs;
  return names.filter((_, i) => made.has(graph.values[ids[i]!]!.layer));
}

/** The blob of an output with the name `blob` or `blob@layer`. */
const blobOf = (graph: Graph, name: string): string =>
  graph.values[withOutputs(graph, [name]).outputs[0]!]!.blob;
