/**
 * Class activation maps: Zhou, Khosla, Lapedriza, Oliva and Torralba, "Learning Deep Features for Discriminative
 * Localization" (CVPR 2016). If a net ends in global average pooling and an inner product, the score of a class is the mean
 * over positions of M(y, x) = Σk w[class, k]·f[k, y, x], plus the bias. M shows where the score comes from.
 */

import { ArgumentError, GraphError } from '../../base/errors.ts';
import { anything, integer, record, string } from '../../base/kinds.ts';
import { fields, optional, required, signature } from '../../base/options.ts';
import { type Model, model } from '../../device/model.ts';
import type { Inputs, Tensor } from '../../device/tensor.ts';
import { type Graph, graph, type Node, type ValueId } from '../../graph/graph.ts';
import type { Pair } from '../../layers/operation.ts';

/** The end of a net from which class activation maps can be computed. */
export interface CamHead {
  /** The blob that is averaged, as `blob@layer`. */
  readonly features: string;
  /** The scores before a softmax, as `blob@layer`. */
  readonly scores: string;
  /** The InnerProduct layer. */
  readonly layer: string;
  /** The Pooling layer, and the height and width that it averages over. */
  readonly pooling: string;
  readonly window: Pair;
  readonly classes: number;
  readonly channels: number;
  readonly transpose: boolean;
  readonly hasBias: boolean;
}

const FIND_CAM_TAIL = signature('findCamHead', {
  graph: required(graph, 'The graph before any passes, as graphFromCaffe makes it.'),
  purpose: optional(string, 'a class activation map', 'What errors say the ending is needed for.'),
});

/**
 * Finds [features → global average pooling → (flatten, dropout) → InnerProduct → (softmax)] at the end of a net.
 * @param graph The graph before any passes: `graphFromCaffe`.
 * @param purpose What needs such an ending, for the error.
 * @throws GraphError `cam/no-global-average` that names the layer in the way
 */
export function findCamHead(graph: Graph, purpose = 'a class activation map'): CamHead {
  FIND_CAM_TAIL.check(graph, purpose);
  const maker = new Map<ValueId, Node>(
    graph.nodes.flatMap((node) => node.outputs.map((id) => [id, node] as const)),
  );
  const climb = (id: ValueId, kinds: readonly string[]): ValueId => {
    const node = maker.get(id);
    return node !== undefined && kinds.includes(node.operation.kind) ? climb(node.inputs[0]!, kinds) : id;
  };
  const nameOf = (id: ValueId) => `${graph.values[id]!.blob}@${graph.values[id]!.layer}`;
  const fail = (id: ValueId, expected: string): never => {
    const node = maker.get(id);
    const value = graph.values[id];
    const what =
      value === undefined
        ? 'no layer'
        : node === undefined
          ? `the input "${value.blob}"`
          : `blob "${value.blob}" of ${value.shape.join('×')}`;
    const at = node === undefined ? {} : { layer: node.name, type: node.type };
    throw new GraphError(
      'cam/no-global-average',
      { ...at, ...(node?.position === undefined ? {} : { position: node.position }) },
      `${purpose} needs a net that ends in global average pooling, then one InnerProduct; expected ${expected} here, found ${what}`,
    );
  };
  const last = graph.outputs.at(-1) ?? fail(0, 'an output');
  const scores = climb(last, ['softmax', 'identity', 'reshape']);
  const product = maker.get(scores);
  if (product?.operation.kind !== 'innerProduct') return fail(scores, 'an InnerProduct');
  const pooled = climb(product.inputs[0]!, ['identity', 'reshape']);
  const pooling = maker.get(pooled);
  const features = pooling?.inputs[0];
  if (pooling?.operation.kind !== 'pooling' || features === undefined)
    return fail(pooled, 'an average Pooling');
  const { method, kernel, pad } = pooling.operation;
  const [, channels = 0, height, width] = graph.values[features]!.shape;
  const isGlobal = kernel[0] === height && kernel[1] === width && pad[0] + pad[1] === 0;
  if (method !== 'average' || !isGlobal)
    return fail(pooled, `an average over all of its ${height}×${width} bottom`);
  const { numOutput, transpose, bias } = product.operation;
  return {
    features: nameOf(features),
    scores: nameOf(scores),
    layer: product.name,
    pooling: pooling.name,
    window: kernel,
    classes: numOutput,
    channels,
    transpose,
    hasBias: bias !== null,
  };
}

export interface ClassActivationMap {
  readonly class: number;
  /** The score before the softmax. */
  readonly score: number;
  /** H×W; its mean plus the class's bias is the score. */
  readonly map: Tensor;
}

const CLASS_ACTIVATION_MAP = signature('classActivationMap', {
  model: required(model, 'A model that was loaded with outputs: [head.features, head.scores].'),
  head: required(
    fields<Pick<CamHead, 'features' | 'scores' | 'layer' | 'classes' | 'channels'>>(
      'a CamHead of findCamHead',
      {
        features: required(string, 'The blob of features.'),
        scores: required(string, 'The blob of scores.'),
        layer: required(string, 'The InnerProduct layer.'),
        classes: required(integer(1), 'The number of classes.'),
        channels: required(integer(1), 'The number of channels of the features.'),
      },
    ),
    'The result of findCamHead.',
  ),
  inputs: required(record(anything), 'The inputs, as model.run takes them.'),
  wanted: optional(integer(0), 'the class with the highest score', 'The class, from 0.'),
});

/**
 * The map of one class for the first image of a batch.
 * @param model A model loaded with `outputs: [head.features, head.scores]`.
 * @param wanted The class. Default: the class with the highest score.
 * @throws ArgumentError for a class that the net does not have
 */
export async function classActivationMap(
  model: Model,
  head: CamHead,
  inputs: Inputs,
  wanted?: number,
): Promise<ClassActivationMap> {
  CLASS_ACTIVATION_MAP.check(model, head, inputs, wanted);
  const { classes, channels, transpose } = head;
  if (wanted !== undefined && !(Number.isInteger(wanted) && wanted >= 0 && wanted < classes))
    throw new ArgumentError('class', `an integer from 0 to ${classes - 1}`, wanted);
  const outputs = await model.run(inputs);
  const scores = outputs[head.scores]!.data.subarray(0, classes);
  const chosen = wanted ?? scores.reduce((best, score, i) => (score > scores[best]! ? i : best), 0);
  const [, , height, width] = outputs[head.features]!.shape as [number, number, number, number];
  const features = outputs[head.features]!.data;
  const weights = (await model.parameter(head.layer, 0))!;
  const data = new Float32Array(height * width);
  for (let k = 0; k < channels; k++) {
    const weight = weights[transpose ? k * classes + chosen : chosen * channels + k]!;
    for (let i = 0; i < data.length; i++) data[i]! += weight * features[k * data.length + i]!;
  }
  return { class: chosen, score: scores[chosen]!, map: { shape: [height, width], data } };
}
