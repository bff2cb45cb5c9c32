/**
 * Writes a net as MatConvNet's DagNN. Parameters have the names that its importer of Caffe's nets uses
 * (utils/import-caffe.py): _filter, _bias, _mult, _moments.
 */
import { GraphError } from '../../base/errors.ts';
import { elementCount } from '../../base/shape.ts';
import { toFloat32, toFloat64 } from '../../caffe/blob.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import type { Graph, Node, ValueId } from '../../graph/graph.ts';
import { deviationOf } from '../../layers/batch-norm.ts';
import type { Operation } from '../../layers/operation.ts';
import { usesOf } from '../../passes/rewrite.ts';
import { type MatSource, writeMat5 } from '../matlab/write-mat5.ts';
import { Names } from '../names.ts';
import { blobsOf, type Network, type NetworkToWrite } from '../network.ts';
import type { Of } from '../onnx-attributes.ts';
import { poolingToOnnx } from '../onnx-pooling.ts';
import { scaleAfter } from '../scale-after.ts';

/**
 * Writes a net, its weights and, if it is known, the input's mean as a .mat file for
 * `dagnn.DagNN.loadobj(load('net.mat'))`. Channels keep their order, so a net of MSRA still expects BGR.
 * @throws GraphError `convert/matconvnet-layer` that names a layer for which MatConvNet has no block; WeightsError
 */
export function writeMatConvNet(
  path: string,
  { net, weights, preprocess }: Network & { readonly preprocess?: NetworkToWrite['preprocess'] },
): void {
  const graph = graphFromCaffe(net);
  const writer = new Writer(graph, blobsOf(graph, weights));
  const { layers, params } = writer.write();
  const shape = graph.values[graph.inputs[0] ?? 0]!.shape;
  const [, channels = 1, height = 1, width = 1] = shape;
  const imageSize = [height, width, channels, 1];
  writeMat5(path, {
    layers: { struct: layers },
    params: { struct: params },
    meta: {
      struct: [
        {
          name: graph.name,
          inputs: { struct: graph.inputs.map((id) => ({ name: graph.values[id]!.blob, size: imageSize })) },
          normalization: {
            struct: [
              {
                imageSize,
                averageImage: averageOf(preprocess),
                ...(preprocess === undefined ? {} : { colorOrder: preprocess.order ?? 'BGR' }),
              },
            ],
          },
        },
      ],
    },
  });
}

/** 1×1×channels, or the image with its height fastest. */
function averageOf(preprocess: NetworkToWrite['preprocess']): MatSource {
  if (preprocess === undefined) return [];
  const { mean } = preprocess;
  if (!('data' in mean)) return { dims: [1, 1, mean.length], values: () => Float32Array.from(mean) };
  const [channels = 1, height = 1, width = 1] = mean.shape.slice(-3);
  return { dims: [height, width, channels], values: () => swapped(mean.data, channels, height, width) };
}

type Item = Readonly<Record<string, MatSource>>;

class Writer {
  readonly layers: Item[] = [];
  readonly params: Item[] = [];
  readonly #graph: Graph;
  readonly #blobOf: ReturnType<typeof blobsOf>;
  readonly #variables = new Map<ValueId, string>();
  /** For blobs for which MatConvNet has no layer (Flatten): the blob from which each is made. */
  readonly #sources = new Map<ValueId, ValueId>();
  readonly #names: Names;

  constructor(graph: Graph, blobOf: ReturnType<typeof blobsOf>) {
    this.#graph = graph;
    this.#blobOf = blobOf;
    this.#names = new Names(graph.blobs.keys());
    for (const [name, id] of graph.blobs) this.#variables.set(id, name);
  }

  write() {
    const uses = usesOf(this.#graph);
    const merged = new Set<Node>();
    for (const node of this.#graph.nodes) {
      if (merged.has(node)) continue;
      const scale = scaleAfter(uses, node);
      if (scale !== null) merged.add(scale);
      const { kind } = node.operation;
      if (kind === 'identity' || kind === 'reshape') {
        this.#pass(node, uses);
        continue;
      }
      const rule = RULES[kind] as ((layer: Layer) => Written) | undefined;
      if (rule === undefined) this.#fail(node, 'MatConvNet has no block for it');
      const layer: Layer = {
        node,
        scale,
        bottoms: node.inputs.map((id) => this.#graph.values[this.#source(id)]!.shape),
        tops: node.outputs.map((id) => this.#graph.values[id]!.shape),
        floats: (parameter) => toFloat32(this.#blobOf(parameter)),
        doubles: (parameter) => toFloat64(this.#blobOf(parameter)),
        shapeOf: (parameter) => this.#graph.parameters[parameter]!.shape,
        fail: (reason) => this.#fail(node, reason),
      };
      const { type, block = {}, params = [] } = rule(layer);
      this.params.push(...params.map(({ role, ...value }) => ({ name: `${node.name}_${role}`, value })));
      this.layers.push({
        name: node.name,
        type: `dagnn.${type}`,
        inputs: { cell: node.inputs.map((id) => this.#variable(this.#source(id))) },
        outputs: { cell: (scale ?? node).outputs.map((id) => this.#variable(id)) },
        params: { cell: params.map(({ role }) => `${node.name}_${role}`) },
        block: { struct: [block] },
      });
    }
    return { layers: this.layers, params: this.params };
  }

  /** Layers that compute nothing: a Dropout at inference, a Split, and a Flatten before an InnerProduct or of 1×1. */
  #pass(node: Node, uses: ReturnType<typeof usesOf>): void {
    const [input, output] = [node.inputs[0]!, node.outputs[0]!];
    const shape = this.#graph.values[this.#source(input)]!.shape;
    const isPoint = elementCount(shape.slice(2)) === 1;
    const top = this.#graph.values[output]!.shape;
    const isFlat = top.length === 2 && top[0] === shape[0];
    const readers = node.outputs.flatMap((id) => [...(uses.readers.get(id) ?? [])]);
    const isRead =
      readers.length > 0 &&
      readers.every(({ operation }) => operation.kind === 'innerProduct' && operation.axis === 1);
    if (node.operation.kind === 'reshape' && !(isFlat && (isPoint || isRead)))
      this.#fail(node, 'MatConvNet changes the shape of a blob only before a fully connected layer');
    if (node.outputs.some((id) => this.#graph.outputs.includes(id)))
      this.#fail(node, 'it is an output of the net, and MatConvNet has no layer for it');
    for (const id of node.outputs) this.#sources.set(id, this.#source(input));
  }

  #source(id: ValueId): ValueId {
    return this.#sources.get(id) ?? id;
  }

  #variable(id: ValueId): string {
    const known = this.#variables.get(id);
    if (known !== undefined) return known;
    const { blob, layer } = this.#graph.values[id]!;
    const name = this.#names.take(`${blob}@${layer}`);
    this.#variables.set(id, name);
    return name;
  }

  #fail({ name, type, position }: Node, reason: string): never {
    throw new GraphError(
      'convert/matconvnet-layer',
      { layer: name, type, ...(position === undefined ? {} : { position }) },
      `cannot be written for MatConvNet: ${reason}`,
    );
  }
}

interface Layer {
  readonly node: Node;
  readonly scale: Node | null;
  readonly bottoms: readonly (readonly number[])[];
  readonly tops: readonly (readonly number[])[];
  readonly floats: (parameter: number) => Float32Array;
  readonly doubles: (parameter: number) => Float64Array;
  readonly shapeOf: (parameter: number) => readonly number[];
  readonly fail: (reason: string) => never;
}

interface Written {
  readonly type: string;
  readonly block?: Item;
  readonly params?: readonly {
    readonly role: string;
    readonly dims: readonly number[];
    readonly values: () => Float32Array;
  }[];
}

const RULES: { readonly [Kind in Operation['kind']]?: (layer: Layer) => Written } = {
  convolution(layer) {
    const p = layer.node.operation as Of<'convolution'>;
    const outputs = layer.tops[0]![1]!;
    const inputs = layer.bottoms[0]![1]! / p.group;
    const [height, width] = p.kernel;
    const [top, left] = p.pad;
    return {
      type: 'Conv',
      block: {
        size: [height, width, inputs, outputs],
        hasBias: p.bias !== null,
        pad: [top, top, left, left],
        stride: [...p.stride],
        dilate: [...p.dilation],
      },
      params: filters(layer, p.weights, p.bias, [height, width, inputs, outputs]),
    };
  },
  innerProduct(layer) {
    const p = layer.node.operation as Of<'innerProduct'>;
    const [, channels = 1, height = 1, width = 1] = layer.bottoms[0]!;
    if (p.axis !== 1 || p.transpose) layer.fail('its axis is not 1, or its weights are transposed');
    const size = [height, width, channels, p.numOutput] as const;
    return {
      type: 'Conv',
      block: { size: [...size], hasBias: p.bias !== null, pad: [0, 0, 0, 0], stride: [1, 1], dilate: [1, 1] },
      params: filters(layer, p.weights, p.bias, size),
    };
  },
  affine,
  relu(layer) {
    const { negativeSlope } = layer.node.operation as Of<'relu'>;
    return { type: 'ReLU', block: { leak: [negativeSlope] } };
  },
  sigmoid: () => ({ type: 'Sigmoid' }),
  pooling,
  eltwise(layer) {
    const { operation, coefficients } = layer.node.operation as Of<'eltwise'>;
    if (operation !== 'sum' || coefficients.some((each) => each !== 1))
      layer.fail('dagnn.Sum adds its inputs without coefficients');
    return { type: 'Sum' };
  },
  concat(layer) {
    if ((layer.node.operation as Of<'concat'>).axis !== 1) layer.fail('only channels are joined');
    return { type: 'Concat', block: { dim: [3] } };
  },
  softmax(layer) {
    const { channels, outer } = layer.node.operation as Of<'softmax'>;
    const [batch, own] = layer.bottoms[0]!;
    if (outer !== batch || channels !== own) layer.fail('dagnn.SoftMax works over channels');
    return { type: 'SoftMax' };
  },
  lrn(layer) {
    const p = layer.node.operation as Of<'lrn'>;
    if (p.region !== 'across') layer.fail('dagnn.LRN works across channels');
    return { type: 'LRN', block: { param: [p.size, p.k, p.alpha / p.size, p.beta] } };
  },
};

function filters(
  layer: Layer,
  weights: number,
  bias: number | null,
  size: readonly [number, number, number, number],
) {
  const [height, width, inputs, outputs] = size;
  return [
    {
      role: 'filter',
      dims: size,
      values: () => swapped(layer.floats(weights), inputs * outputs, height, width),
    },
    ...(bias === null ? [] : [{ role: 'bias', dims: [outputs, 1], values: () => layer.floats(bias) }]),
  ];
}

/** Reorders planes from width fastest to height fastest. */
function swapped(from: Float32Array, planes: number, height: number, width: number): Float32Array {
  if (height === 1 || width === 1) return from;
  const to = new Float32Array(from.length);
  const area = height * width;
  for (let plane = 0, at = 0; plane < planes; plane++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) to[plane * area + x * height + y] = from[at++]!;
  return to;
}

function affine(layer: Layer): Written {
  const { affine: steps } = layer.node.operation as Of<'affine'>;
  const channels = layer.bottoms[0]![1]!;
  const [step] = steps;
  if (steps.length !== 1 || step === undefined) return layer.fail('an earlier pass merged its affine steps');
  const constant = (value: number) => () => new Float32Array(channels).fill(value);
  if (step.kind === 'scale') {
    const { gamma, beta } = step;
    return {
      type: 'Scale',
      block: { size: [1, 1, channels], hasBias: beta !== null },
      params: [
        {
          role: 'mult',
          dims: [1, 1, channels],
          values: gamma === null ? constant(1) : () => layer.floats(gamma),
        },
        ...(beta === null
          ? []
          : [{ role: 'bias', dims: [1, 1, channels], values: () => layer.floats(beta) }]),
      ],
    };
  }
  const next = layer.scale?.operation as Of<'affine'> | undefined;
  const own = next?.affine[0]?.kind === 'scale' ? next.affine[0] : { gamma: null, beta: null };
  const { gamma, beta } = own;
  // Means, then deviations √(variance + ε) (vl_nnbnorm.m); a factor of 0 makes both statistics 0 (batch_norm_layer.cpp).
  const moments = () => {
    const factor = step.factor === null ? 1 : layer.doubles(step.factor)[0]!;
    const statistic = (parameter: number) =>
      layer.doubles(parameter).map((value) => (factor === 0 ? 0 : value / factor));
    return Float32Array.of(
      ...statistic(step.mean),
      ...statistic(step.variance).map((value) => deviationOf(step, value)),
    );
  };
  return {
    type: 'BatchNorm',
    block: { numChannels: [channels], epsilon: [step.eps] },
    params: [
      { role: 'mult', dims: [channels, 1], values: gamma === null ? constant(1) : () => layer.floats(gamma) },
      { role: 'bias', dims: [channels, 1], values: beta === null ? constant(0) : () => layer.floats(beta) },
      { role: 'moments', dims: [channels, 2], values: moments },
    ],
  };
}

/** Pads at the far edge replace Caffe's rounding up. An average divides by the number of positions inside the image. */
function pooling(layer: Layer): Written {
  const p = layer.node.operation as Of<'pooling'>;
  const sides = (shape: readonly number[]) => [shape[2]!, shape[3]!] as const;
  const bottom = sides(layer.bottoms[0]!);
  const found = poolingToOnnx(p, bottom, sides(layer.tops[0]!));
  if (found.kind === 'refused') return layer.fail(found.reason);
  const isGlobal = found.kind === 'global';
  const [top, left, below, right] = isGlobal ? [0, 0, 0, 0] : found.window.pads;
  const isCounted =
    !isGlobal &&
    p.method === 'average' &&
    (found.window.countIncludePad || found.zeros.some((each) => each > 0));
  if (isCounted)
    layer.fail('its average counts the padding; that of dagnn.Pooling counts only pixels of the image');
  return {
    type: 'Pooling',
    block: {
      method: p.method === 'max' ? 'max' : 'avg',
      poolSize: isGlobal ? [...bottom] : [...p.kernel],
      pad: [top, below, left, right],
      stride: isGlobal ? [1, 1] : [...p.stride],
    },
  };
}
