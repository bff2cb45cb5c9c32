/** Makes all data of a net's page, including the layout. Only here are the parts combined. */

import { having, number, string } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { elementCount } from '../../base/shape.ts';
import { positionOf } from '../../caffe/message.ts';
import { type LayerParameter, type NetParameter, netParameter } from '../../caffe/net-parameter.ts';
import { printPrototxt } from '../../caffe/print.ts';
import type { GraphOptions } from '../../graph/from-caffe.ts';
import { graphRows } from '../../graph/from-caffe.ts';
import type { Graph, Node } from '../../graph/graph.ts';
import { receptiveFields, regionValues } from '../../graph/receptive-field.ts';
import { countMacs, countParameters, parametersOf, totalMacs } from '../../graph/summary.ts';
import { DATA_TYPES } from '../../layers/data.ts';
import type { Operation } from '../../layers/operation.ts';
import { sinkLayers } from '../../layers/sinks.ts';
import { type Card, type Fused, groupIntoBoxes, workOf } from './boxes.ts';
import type { ForkMarks } from './fork-marks.ts';
import { kindOf } from './layer-kinds.ts';
import { placeBoxes } from './layout.ts';
import { boundOf, findRoofs, type MeasuredTimes } from './measured-times.ts';
import type { Measured, PageBlob, PageCard, PageData, PageLayer, PageParameter, Roofs } from './page-data.ts';
import { type PartialGraph, partialGraph } from './partial-graph.ts';
import { type TracedBlob, type TracedLayer, traceLayers } from './trace-layers.ts';

export interface DescribeOptions extends GraphOptions {
  /** The file's name on the page. */
  readonly file?: string;
  /** Measured with the same input shapes. */
  readonly times?: MeasuredTimes;
  /** The machine's limits in GFLOP/s and GB/s. Default: the highest rates in `times`. */
  readonly roofs?: { readonly gflops?: number; readonly gigabytes?: number };
  /** The parts of a net for a fork of Caffe that were omitted (readNetWithMarks). */
  readonly marks?: ForkMarks;
}

export interface Description {
  readonly data: PageData;
  readonly layers: readonly TracedLayer[];
  readonly partial: PartialGraph;
}

const CARD_WIDTH = 288;
const ROW = 19;
const HEADER_AND_FOOTER = 40;

const DESCRIBE_NET = signature('describeNet', {
  net: required(netParameter, 'An upgraded and filtered net.'),
  options: optional(
    options<DescribeOptions>({
      ...graphRows,
      file: optional(string, 'none', 'The name of the file on the page.'),
      times: optional(having<MeasuredTimes>('times of readTimes'), 'none', 'The result of readTimes.'),
      roofs: optional(
        options<NonNullable<DescribeOptions['roofs']>>({
          gflops: optional(
            number({ above: 0 }),
            "the best operation's",
            "The machine's arithmetic in GFLOP/s.",
          ),
          gigabytes: optional(
            number({ above: 0 }),
            "the best operation's",
            "The machine's memory bandwidth in GB/s.",
          ),
        }),
        'the highest rates in times',
        'The limits of the machine.',
      ),
      marks: optional(
        having<ForkMarks>('marks of readNetWithMarks'),
        'none',
        'The result of readNetWithMarks.',
      ),
    }),
    'none',
    'What the page shows beside the net.',
  ),
});

/**
 * Describes an upgraded, filtered net for its page. Layers that resnode cannot run are drawn and marked.
 * @throws GraphError if the rest does not make a graph
 */
export function describeNet(net: NetParameter, options: DescribeOptions = {}): Description {
  DESCRIBE_NET.check(net, options);
  const partial = partialGraph(net, options, options.marks?.problems);
  const layers = traceLayers(net, partial);
  const fused = groupIntoBoxes(layers, partial);
  const sizes = fused.cards.map((card) => ({
    width: CARD_WIDTH,
    height: HEADER_AND_FOOTER + ROW * card.layers.length,
  }));
  const placed = placeBoxes(sizes, edgesBetween(layers, fused.cardOf));
  const { measured, roofs } = measure(fused, options);
  const cards = fused.cards.map((card, i) => ({
    ...placed.cards[i]!,
    ...describeCard(card, layers, partial.graph, fused.graph),
    measured: measured.get(card) ?? null,
  }));
  const data: PageData = {
    title: net.name || options.file || 'a net',
    file: options.file ?? '',
    version: 'resnode-view/1',
    totals: {
      layers: layers.length,
      operations: fused.graph.nodes.length,
      parameters: countParameters(partial.graph),
      macs: totalMacs(partial.graph),
      activationBytes: 4 * partial.graph.values.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      milliseconds: options.times?.milliseconds ?? null,
    },
    remarks: [...remarksOn(layers, partial), ...(options.marks?.net ?? [])],
    roofs,
    width: placed.width,
    height: placed.height,
    layers: describeLayers(layers, fused, partial, options.marks),
    cards,
    edges: placed.edges,
  };
  return { data, layers, partial };
}

function remarksOn(layers: readonly TracedLayer[], { assumed }: PartialGraph): string[] {
  const problems = layers.filter(({ problem }) => problem !== null);
  const data = problems.find(({ layer }) => DATA_TYPES.includes(layer.type ?? ''));
  return [
    ...(problems.length === 0
      ? []
      : [
          `${problems.length} of ${layers.length} layers cannot be run or have an unknown shape; their outline is broken.`,
        ]),
    ...(data === undefined
      ? []
      : [
          `Give the shape of ${data.layer.top?.join(' and ')} (resnode view --input-shape) to see the others.`,
        ]),
    ...(assumed.length === 0 ? [] : [`Shapes assumed from crop_size: ${assumed.join(', ')}.`]),
  ];
}

function edgesBetween(layers: readonly TracedLayer[], cardOf: readonly number[]): [number, number][] {
  const edges = new Map<string, [number, number]>();
  const ofSizes = new Set<string>();
  layers.forEach(({ layer, bottoms }, index) => {
    bottoms.forEach(({ maker }, i) => {
      if (maker === null || cardOf[maker] === cardOf[index]) return;
      const key = `${cardOf[maker]} ${cardOf[index]}`;
      if (!edges.has(key) && layer.type === 'Crop' && i === 1) ofSizes.add(key);
      else if (!(layer.type === 'Crop' && i === 1)) ofSizes.delete(key);
      edges.set(key, [cardOf[maker]!, cardOf[index]!]);
    });
  });
  // A Crop reads only a size and may run before its reference is computed. Fused cards would then wait for each other.
  for (const key of ofSizes) {
    const [from, to] = edges.get(key)!;
    const others = [...edges.values()].filter((edge) => edge !== edges.get(key));
    if (isReached(from, to, others)) edges.delete(key);
  }
  return [...edges.values()];
}

/** Whether a card comes after another one. */
function isReached(target: number, start: number, edges: readonly (readonly [number, number])[]): boolean {
  const reached = new Set([start]);
  for (const card of reached) for (const [from, to] of edges) if (from === card) reached.add(to);
  return reached.has(target);
}

function describeCard(card: Card, layers: readonly TracedLayer[], written: Graph, graph: Graph) {
  const last = layers[card.layers.at(-1)!]!.tops[0];
  const first = layers[card.layers[0]!]!;
  const output = card.node?.outputs[0];
  // A pass may make a value that the original net lacks.
  const before = output === undefined ? undefined : written.values[output]?.shape.join('×');
  const after = output === undefined ? undefined : graph.values[output]!.shape.join('×');
  return {
    layers: card.layers,
    runs: first.problem === null,
    kind: kindOf(first.layer.type ?? ''),
    shape: last?.shape?.slice(1).join('×') ?? '',
    note:
      before === undefined || before === after
        ? null
        : `Runs as ${after}, not ${before}: a later stride was moved to this layer, where it saves work.`,
    ...(card.node === null ? { macs: 0, bytes: 0 } : workOf(graph, card.node)),
  } satisfies Partial<PageCard>;
}

function measure({ graph, cards }: Fused, { times, roofs: given }: DescribeOptions) {
  const measured = new Map<Card, Measured>();
  if (times === undefined) return { measured, roofs: null };
  const byName = new Map<string, { milliseconds: number; implementation: string }>();
  for (const { layer, milliseconds, implementation } of times.operations)
    byName.set(layer, {
      milliseconds: milliseconds + (byName.get(layer)?.milliseconds ?? 0),
      implementation,
    });
  const timed = cards.flatMap((card) => {
    const time = card.node === null ? undefined : byName.get(card.node.name);
    return time === undefined ? [] : [{ card, ...time, ...workOf(graph, card.node!) }];
  });
  const roofs: Roofs = findRoofs(timed, given ?? {});
  for (const { card, milliseconds, implementation, ...work } of timed)
    measured.set(card, { milliseconds, implementation, ...boundOf(work, roofs) });
  return { measured, roofs };
}

function describeLayers(
  layers: readonly TracedLayer[],
  { cardOf }: Fused,
  { graph }: PartialGraph,
  marks: ForkMarks | undefined,
): PageLayer[] {
  const fields = receptiveFields(graph);
  const regions = regionValues(graph);
  const makers = new Map<number, Node>(
    graph.nodes.flatMap((node) => node.outputs.map((id) => [id, node] as const)),
  );
  const nodesOf = nodesByLayer(graph);
  return layers.map(({ layer, bottoms, tops, problem }, index) => {
    const value = tops[0]?.value ?? null;
    const node = value === null ? undefined : makers.get(value);
    const nodes = node === undefined ? [] : nodesOf(node);
    return {
      name: layer.name ?? '',
      type: layer.type ?? '',
      detail: nodes.map(({ operation }) => windowText(operation)).find((text) => text !== '') ?? '',
      line: positionOf(layer)?.line ?? null,
      card: cardOf[index]!,
      bottoms: bottoms.map((blob) => pageBlob(blob, blob.maker === null ? [] : [blob.maker])),
      tops: tops.map((blob) => pageBlob(blob, blob.readers)),
      parameters: nodes.flatMap((each) => pageParameters(graph, each)),
      macs: nodes.reduce((sum, each) => sum + countMacs(graph, each), 0),
      field: value === null ? null : fields[value]!,
      isOfRegions: value !== null && regions.has(value),
      text: printPrototxt(layer, 'LayerParameter'),
      problem,
      remark: marks?.remarks.get(layer) ?? remarkOn(layer, node),
    };
  });
}

/** All nodes of a node's layer, because some layers are several operations. */
function nodesByLayer({ nodes }: Graph): (node: Node) => readonly Node[] {
  const byName = new Map<string, Node[]>();
  for (const node of nodes) {
    const others = byName.get(node.name);
    if (others === undefined) byName.set(node.name, [node]);
    else others.push(node);
  }
  return ({ name, position }) => byName.get(name)!.filter((each) => each.position === position);
}

const pageBlob = ({ name, shape }: TracedBlob, others: readonly number[]): PageBlob => ({
  name,
  shape,
  others,
});

function pageParameters(graph: Graph, node: Node): PageParameter[] {
  return parametersOf(node.operation).map((id) => {
    const { shape, layer } = graph.parameters[id]!;
    return { shape, sharedWith: layer === node.name ? null : layer };
  });
}

type Windowed = Extract<
  Operation,
  { kind: 'convolution' | 'deconvolution' | 'pooling' | 'stochasticPooling' }
>;
const isWindow = (operation: Operation): operation is Windowed =>
  ['convolution', 'deconvolution', 'pooling', 'stochasticPooling'].includes(operation.kind);

/** `3×3 /2`: kernel and stride, followed by unusual settings. */
function windowText(operation: Operation): string {
  if (!isWindow(operation)) return '';
  const both = ([height, width]: readonly [number, number]) =>
    height === width ? `${height}` : `${height}×${width}`;
  const { kernel, stride } = operation;
  return [
    kernel.join('×'),
    stride[0] * stride[1] > 1 ? `/${both(stride)}` : '',
    'dilation' in operation && operation.dilation[0] * operation.dilation[1] > 1
      ? `d${both(operation.dilation)}`
      : '',
    'group' in operation && operation.group > 1 ? `g${operation.group}` : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function remarkOn(layer: LayerParameter, node: Node | undefined): string | null {
  if (layer.type === 'Silence') return 'Reads its bottoms and does nothing.';
  if (layer.type === 'HDF5Output') return 'Writes its bottoms to an HDF5 file when trained or tested.';
  if (sinkLayers[layer.type ?? '']?.keeps)
    return 'Writes a file in its fork of Caffe; its bottoms are outputs here.';
  return node?.operation.kind === 'identity'
    ? 'Computes nothing when testing; its bottom is read instead.'
    : null;
}
