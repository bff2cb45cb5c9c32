/** Finds why two sources diverge: the first layer that differs alone, and the change that makes it agree. */
import { elementCount } from '../../../base/shape.ts';
import type { Blob } from '../../../caffe/blob.ts';
import type { WeightsFile } from '../../../caffe/caffemodel.ts';
import { matchWeights, noWeights } from '../../../caffe/match-weights.ts';
import type { NetParameter } from '../../../caffe/net-parameter.ts';
import { withWrittenBlobs } from '../../../caffe/written-blobs.ts';
import type { Device } from '../../../device/device.ts';
import type { Tensor } from '../../../device/tensor.ts';
import type { Graph, Node } from '../../../graph/graph.ts';
import { parametersOf } from '../../../graph/summary.ts';
import { apartBy } from '../difference.ts';
import { runSingleLayer, type SingleLayer } from '../single-layer.ts';
import { type CauseName, type Hypothesis, hypotheses } from './hypotheses.ts';
import type { LayerTop, Tops } from './tops.ts';

export type { CauseName } from './hypotheses.ts';

/** The cause of a divergence, as far as it could be computed. */
export interface Cause {
  readonly name: CauseName;
  /** The layer that differs on the other side's bottoms; null if no single layer does. */
  readonly layer: string | null;
  readonly text: string;
}

/** A divergence: the values of both sides, from the net's inputs (as `blob@layer`) to the top beyond the tolerance. */
export interface Divergence {
  readonly device: Device;
  readonly net: NetParameter;
  readonly weights: WeightsFile | null;
  /** As written. */
  readonly graph: Graph;
  readonly tops: readonly LayerTop[];
  /** The first top beyond the tolerance. */
  readonly index: number;
  readonly actual: Tops;
  readonly expected: Tops;
}

/** The tolerance of one layer on the same bottoms, relative to its largest value: sums in another order, in float32. */
const ALONE = 1e-5;
/** The tolerance of whole nets. */
const WHOLE = 1e-4;

/** Computes layer after layer on the other side's bottoms until one differs, and then tests hypotheses about it. */
export async function findCause(divergence: Divergence): Promise<Cause> {
  const { device, tops, index, actual, expected } = divergence;
  const { graph, net } = divergence;
  const weights = withWrittenBlobs(net, divergence.weights);
  const { blobs } =
    weights === null
      ? noWeights(graph.parameters)
      : matchWeights(graph.parameters, weights, { partialWeights: true });
  let isKnown = true;
  for (const top of tops.slice(0, index + 1)) {
    const theirs = expected.get(top.name);
    if (theirs === undefined) continue;
    const node = graph.nodes.find(({ outputs }) => outputs.includes(top.value))!;
    const needed = parametersOf(node.operation).map((id) => blobs[id]!);
    if (needed.some((blob) => blob === null)) {
      if (apartBy(actual.get(top.name)!, theirs, WHOLE).ok) continue;
      const text = `the weights file has no blobs for layer "${top.layer}": its fillers were used here`;
      return { name: 'no-weights', layer: top.layer, text };
    }
    const single = singleLayer(divergence, node, top, needed);
    isKnown = single !== null;
    const alone = single === null ? null : await runSingleLayer(device, single);
    if (single === null || alone === null || apartBy(alone, theirs, ALONE).ok) continue;
    return causeAt(divergence, top, node, single, { alone, theirs });
  }
  return isKnown
    ? {
        name: 'accumulated',
        layer: null,
        text: 'every layer up to here agrees when it is given the same bottoms: small differences have accumulated from layer to layer',
      }
    : {
        name: 'unknown',
        layer: tops[index]!.layer,
        text: 'the other side does not have the bottoms of this layer, so it could not be computed alone',
      };
}

function singleLayer(
  { net, graph, expected }: Divergence,
  node: Node,
  top: LayerTop,
  blobs: readonly Blob[],
): SingleLayer | null {
  const layer = net.layer?.find(({ name, type }) => (name ?? '') === node.name && type === node.type);
  const bottoms = node.inputs.map((id) => expected.get(nameOf(graph, id)));
  if (layer === undefined || bottoms.some((bottom) => bottom === undefined)) return null;
  return {
    layer,
    bottoms: bottoms as Tensor[],
    blobs,
    tops: node.outputs.length,
    top: node.outputs.indexOf(top.value),
  };
}

async function causeAt(
  divergence: Divergence,
  top: LayerTop,
  node: Node,
  single: SingleLayer,
  { alone, theirs }: { readonly alone: Tensor; readonly theirs: Tensor },
): Promise<Cause> {
  const { device, graph } = divergence;
  const { layer } = top;
  const overwritten = sameBlob(graph, top.value).find((id) => {
    const ours = divergence.actual.get(nameOf(graph, id));
    return ours !== undefined && apartBy(ours, theirs, WHOLE).ok;
  });
  if (overwritten !== undefined)
    return {
      name: 'in-place',
      layer,
      text: `the other side has "${top.blob}" as it is after layer "${graph.values[overwritten]!.layer}", which works in place: it was read at another moment`,
    };
  const readsInput = node.inputs.some((id) => graph.inputs.includes(id));
  const before = apartBy(alone, theirs, ALONE).relative;
  let best: { hypothesis: Hypothesis; relative: number } | null = null;
  for (const hypothesis of [...hypotheses(single, readsInput), ...otherBottoms(divergence, node, single)]) {
    const result = await runSingleLayer(device, hypothesis.single);
    if (result === null) continue;
    const { relative, ok } = apartBy(result, theirs, ALONE);
    // The result must be clearly better than without the change: a hypothesis that changes nothing proves nothing.
    if (ok && relative <= before / 10 && relative < (best?.relative ?? Number.POSITIVE_INFINITY))
      best = { hypothesis, relative };
  }
  if (best !== null)
    return {
      name: best.hypothesis.name,
      layer,
      text: `${best.hypothesis.text} (computed this way, layer "${layer}" agrees: ${best.relative.toExponential(1)} of the largest value)`,
    };
  const added = single.blobs.length < 2 ? constantPerChannel(alone, theirs) : null;
  if (added !== null)
    return { name: 'bias', layer, text: `the other side adds a bias that this net does not have (${added})` };
  return {
    name: 'unknown',
    layer,
    text: `given the same bottoms, layer "${layer}" differs by ${before.toExponential(1)} of the largest value, and no known cause explains it: compare its fields and its weights with those of the other side`,
  };
}

const nameOf = (graph: Graph, id: number) => `${graph.values[id]!.blob}@${graph.values[id]!.layer}`;

/** The blob's other values, before and after in-place layers. */
const sameBlob = (graph: Graph, value: number): number[] =>
  graph.values.flatMap(({ blob }, id) => (blob === graph.values[value]!.blob && id !== value ? [id] : []));

/** The bottoms as they were before or after other in-place layers. */
function otherBottoms({ graph, expected }: Divergence, node: Node, single: SingleLayer): Hypothesis[] {
  return node.inputs.flatMap((input, i) =>
    sameBlob(graph, input).flatMap((id) => {
      const bottom = expected.get(nameOf(graph, id));
      if (bottom === undefined) return [];
      const { blob, layer } = graph.values[id]!;
      return {
        name: 'in-place' as const,
        text: `the other side reads bottom "${blob}" after layer "${layer}", this net after "${graph.values[input]!.layer}": the in-place layers run in another order`,
        single: { ...single, bottoms: single.bottoms.map((each, k) => (k === i ? bottom : each)) },
      };
    }),
  );
}

/** The first values of an added bias if it is one value per channel; otherwise null. */
function constantPerChannel(ours: Tensor, theirs: Tensor): string | null {
  if (String(ours.shape) !== String(theirs.shape) || ours.shape.length < 2) return null;
  const channels = ours.shape[1]!;
  const inner = elementCount(ours.shape.slice(2));
  const largest = theirs.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const added = Array.from({ length: channels }, (_, c) => theirs.data[c * inner]! - ours.data[c * inner]!);
  const isConstant = theirs.data.every((value, i) => {
    const c = Math.floor(i / inner) % channels;
    return Math.abs(value - ours.data[i]! - added[c]!) <= ALONE * largest;
  });
  if (!isConstant) return null;
  const shown = added.slice(0, 3).map((value) => value.toPrecision(3));
  return `${shown.join(', ')}${channels > 3 ? ', …' : ''} by channel`;
}
