/** Makes a net for training and testing (train_val) from a deploy net: the reverse of `deployNet`, for any net. */
import { dataLayers } from '../architectures/data-layers.ts';
import { GraphError } from '../base/errors.ts';
import { required, signature } from '../base/options.ts';
import { positionOf } from '../caffe/message.ts';
import { type LayerParameter, type NetParameter, netParameter } from '../caffe/net-parameter.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { DATA_TYPES } from '../layers/data.ts';
import { isLossType } from '../layers/index.ts';
import { refuseForeignLayers } from '../layers/known-layers.ts';

/** Layers whose weights would all be zero without a filler, with their parameter and the field of the filler. */
const FILLED: Readonly<Record<string, `${string}_param`>> = {
  Convolution: 'convolution_param',
  Deconvolution: 'convolution_param',
  InnerProduct: 'inner_product_param',
};

const LOSSES: Readonly<Record<string, string>> = {
  Softmax: 'SoftmaxWithLoss',
  Sigmoid: 'SigmoidCrossEntropyLoss',
};

const TRAIN_NET = signature('trainNet', { net: required(netParameter, 'The net.') });

/**
 * The train_val net of a deploy net. Its Input becomes data layers for TRAIN and TEST, which read the LMDBs `train_lmdb` and
 * `test_lmdb`. Replace these names. A square input is cropped. Each final Softmax becomes a SoftmaxWithLoss with an Accuracy
 * in TEST. Weights without a filler start from msra, and BatchNorm's statistics have rate 0. Layers keep their names, and so
 * their weights. A net with data layers and a loss stays as it is.
 * @param net As read, not filtered.
 * @throws GraphError `graph/no-train` with the reason: several inputs, no image, or outputs without a known loss
 * @example printPrototxt(trainNet(readNetFile('ResNet-50-deploy.prototxt')))
 */
export function trainNet(net: NetParameter): NetParameter {
  TRAIN_NET.check(net);
  const layers = net.layer ?? [];
  const isTrained = layers.some(({ type = '' }) => isLossType(type));
  if (isTrained && layers.some(({ type = '' }) => DATA_TYPES.includes(type))) return net;
  refuseForeignLayers(layers);
  const inputs = layers.filter(({ bottom = [] }) => bottom.length === 0);
  const tops = inputs.flatMap(({ top = [] }) => top);
  if (tops.length !== 1 || inputs[0]!.type !== 'Input')
    throw refuse(
      net,
      `it has ${tops.length} inputs (${tops.join(', ') || 'none'}); data layers provide one image`,
    );
  const graph = graphFromCaffe(net);
  const shape = graph.values[graph.inputs[0]!]!.shape;
  const [, channels, height, width] = shape;
  if (shape.length !== 4) throw refuse(net, `its input is ${shape.join('×')}, no image N×C×H×W`);
  const isHead = ({ id, type }: { id: number; type: string }) =>
    Object.hasOwn(LOSSES, type) && graph.outputs.includes(id);
  const made = graph.nodes.flatMap(({ outputs, type, name }) => outputs.map((id) => ({ id, type, name })));
  const heads = made.filter(isHead);
  const others = graph.outputs.filter((id) => !heads.some((head) => head.id === id));
  // Scores without a Softmax: the classes of an image along axis 1.
  if (heads.length === 0 && (others.length !== 1 || (graph.values[others[0]!]!.shape[1] ?? 1) < 2))
    throw refuse(
      net,
      `it has no outputs with a known loss (${graph.outputs.map((id) => `${graph.values[id]!.blob} ${graph.values[id]!.shape.join('×')}`).join(', ')}); a Softmax, or scores N×C, was expected`,
    );
  const removed = new Set(heads.map(({ name }) => name));
  const scored =
    heads.length > 0
      ? layers.filter(({ name = '', type = '' }) => removed.has(name) && Object.hasOwn(LOSSES, type))
      : [{ type: 'Softmax', bottom: [graph.values[others[0]!]!.blob] }];
  return {
    ...(net.name === undefined ? {} : { name: net.name }),
    layer: [
      ...dataLayers({
        kind: 'lmdb',
        train: 'train_lmdb',
        test: 'test_lmdb',
        batch: 32,
        testBatch: 50,
        input: tops[0]!,
        crop: height === width ? height! : null,
        mirror: true,
        mean: [],
        channels: channels!,
      }),
      ...layers.filter((layer) => !inputs.includes(layer) && !scored.includes(layer)).map(trained),
      ...scored.flatMap((layer, i) => losses(layer, i === 0 ? '' : `_${layer.bottom![0]}`)),
    ],
  };
}

function losses({ type, bottom = [], softmax_param }: LayerParameter, suffix: string): LayerParameter[] {
  const bottoms = [bottom[0]!, 'label'];
  const loss = `loss${suffix}`;
  const accuracy = `accuracy${suffix}`;
  const axis = softmax_param?.axis as number | undefined;
  const made: LayerParameter = { name: loss, type: LOSSES[type!]!, bottom: bottoms, top: [loss] };
  if (type !== 'Softmax') return [made];
  return [
    softmax_param === undefined ? made : { ...made, softmax_param },
    {
      name: accuracy,
      type: 'Accuracy',
      bottom: bottoms,
      top: [accuracy],
      include: [{ phase: 'TEST' }],
      ...(axis === undefined ? {} : { accuracy_param: { axis } }),
    },
  ];
}

function trained(layer: LayerParameter): LayerParameter {
  const { type = '' } = layer;
  if (type === 'BatchNorm' && layer.param === undefined)
    return { ...layer, param: [1, 2, 3].map(() => ({ lr_mult: 0, decay_mult: 0 })) };
  const field = Object.hasOwn(FILLED, type) ? FILLED[type]! : undefined;
  if (field === undefined || layer[field]?.weight_filler !== undefined) return layer;
  return { ...layer, [field]: { ...layer[field], weight_filler: { type: 'msra' } } };
}

function refuse(net: NetParameter, text: string): GraphError {
  const position = positionOf(net);
  return new GraphError(
    'graph/no-train',
    position === undefined ? {} : { position },
    `the net has no training form: ${text}`,
  );
}
