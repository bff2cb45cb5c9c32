/** Converts a deploy net to the net for training (train_val): data and labels, fillers, statistics, loss and accuracy. */

import { ArgumentError } from '../base/errors.ts';
import { callback, integer, list, number, oneOf, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import {
  type LayerParameter,
  layerParameter,
  type NetParameter,
  netParameter,
} from '../caffe/net-parameter.ts';

export interface TrainingNetOptions {
  /** The layers that make the net's input and `label`, each with its `include` rule (`imageLayers`, `databaseLayers`). */
  readonly data: readonly LayerParameter[];
  /**
   * `live`: every BatchNorm uses the statistics of its batch in TRAIN and the stored ones in TEST, for training from
   * scratch. `frozen`: it uses the stored ones in both, for fine-tuning with small batches. Default live.
   */
  readonly batchNorm?: 'live' | 'frozen';
  /**
   * The share of the running statistics that each iteration keeps; they cover about 1 / (1 − this) iterations. Caffe's 0.999
   * takes thousands of iterations to forget the first ones, so a short training needs less. Default: as in the deploy net,
   * else Caffe's.
   */
  readonly movingAverageFraction?: number;
  /** Returns `lr_mult` for all blobs of a layer; 0 keeps them unchanged. Default 1 everywhere. */
  readonly rateOf?: (layer: LayerParameter) => number;
  /** The initial weights of InnerProduct layers. Default msra, as for convolutions. */
  readonly headFiller?: { readonly type: 'gaussian'; readonly std: number };
}

/** The parts of a classifier's deploy net that training needs. */
export interface Classifier {
  /** The Input layer's single top. */
  readonly input: string;
  readonly shape: readonly number[];
  /** The blob that the final Softmax, or Sigmoid, reads. */
  readonly scores: string;
  /** The last InnerProduct, which computes the scores. */
  readonly head: LayerParameter;
  readonly classes: number;
}

/** The layers that turn scores into probabilities, for classes that exclude each other and for classes that do not. */
const OUTPUTS = ['Softmax', 'Sigmoid'];

/** Whether a net's classes do not exclude each other: it ends in Sigmoid. */
export const isIndependent = ({ layer = [] }: NetParameter): boolean => layer.at(-1)?.type === 'Sigmoid';

/** The same net for classes that do not exclude each other: Sigmoid instead of Softmax. */
export const withIndependentClasses = (deploy: NetParameter): NetParameter => endingIn('Sigmoid', deploy);

/** The same net for classes that exclude each other: Softmax instead of Sigmoid; a net without either stays unchanged. */
export const withExclusiveClasses = (deploy: NetParameter): NetParameter =>
  isIndependent(deploy) ? endingIn('Softmax', deploy) : deploy;

function endingIn(type: 'Softmax' | 'Sigmoid', deploy: NetParameter): NetParameter {
  const { scores } = classifierOf(deploy);
  const layers = deploy.layer!;
  const body = OUTPUTS.includes(layers.at(-1)!.type ?? '') ? layers.slice(0, -1) : layers;
  return { ...deploy, layer: [...body, { name: 'prob', type, bottom: [scores], top: ['prob'] }] };
}

/**
 * The input, the head and the scores of a net: one Input layer, a last InnerProduct, possibly followed by a Softmax.
 * @throws ArgumentError for a net of another form
 */
export function classifierOf(deploy: NetParameter): Classifier {
  const layers = deploy.layer ?? [];
  const refuse = (found: string): never => {
    throw new ArgumentError(
      'model',
      'a deploy net: one Input layer, an InnerProduct for the scores, and Softmax or Sigmoid',
      found,
    );
  };
  const inputs = layers.filter(({ bottom = [] }) => bottom.length === 0);
  const [input] = inputs;
  if (inputs.length !== 1 || input!.type !== 'Input' || input!.top?.length !== 1)
    refuse(
      inputs.length === 0
        ? 'no input'
        : inputs.map(({ type, name, top = [] }) => `${type} "${name}" (${top.join(', ')})`).join(', '),
    );
  const shape = (input!.input_param?.shape as { dim?: number[] }[] | undefined)?.[0]?.dim ?? [];
  if (shape.length !== 4) refuse(`an input of shape ${shape.join('×') || 'unknown'}`);
  const last = layers.at(-1)!;
  const scores = OUTPUTS.includes(last.type ?? '') ? last.bottom![0]! : last.top?.[0];
  const head = layers.findLast(({ type }) => type === 'InnerProduct');
  if (head === undefined || head.top?.[0] !== scores)
    refuse(`${last.type} "${last.name}" as the last layer, over "${scores}"`);
  return {
    input: input!.top![0]!,
    shape,
    scores: scores!,
    head: head!,
    classes: head!.inner_product_param?.num_output as number,
  };
}

const REPLACE_HEAD = signature('replaceHead', {
  deploy: required(netParameter, 'A deploy net.'),
  classes: required(integer(2), 'The number of classes of the new head.'),
  name: optional(string, 'fc<classes>', 'The name of the new head.'),
});

/**
 * The same net with another number of classes. The last InnerProduct gets a new name, so that no weights file has its blobs:
 * Caffe matches weights by the layer's name.
 * @param name Default `fc<classes>`, or with `_new` if the old head has that name.
 * @throws ArgumentError as classifierOf, and for a name that another layer or blob has
 * @example const net = replaceHead(readNetFile('ResNet-50-deploy.prototxt'), 12);
 */
export function replaceHead(deploy: NetParameter, classes: number, name?: string): NetParameter {
  REPLACE_HEAD.check(deploy, classes, name);
  const { head } = classifierOf(deploy);
  if (!Number.isInteger(classes) || classes < 2)
    throw new ArgumentError('classes', 'an integer from 2', classes);
  const taken = new Set((deploy.layer ?? []).flatMap(({ name: own = '', top = [] }) => [own, ...top]));
  const chosen = name ?? (taken.has(`fc${classes}`) ? `fc${classes}_new` : `fc${classes}`);
  if (taken.has(chosen)) throw new ArgumentError('head name', 'a name that the net does not use yet', chosen);
  const old = head.top![0]!;
  const layer = deploy.layer!.map((each) => {
    if (each === head)
      return {
        ...each,
        name: chosen,
        top: [chosen],
        inner_product_param: { ...each.inner_product_param, num_output: classes },
      };
    return each.bottom?.includes(old)
      ? { ...each, bottom: each.bottom.map((blob) => (blob === old ? chosen : blob)) }
      : each;
  });
  return { ...deploy, layer };
}

const TRAINING_NET = signature('trainingNet', {
  deploy: required(netParameter, 'A deploy net.'),
  options: required(
    options<TrainingNetOptions>({
      data: required(
        list(layerParameter, { of: 'layers' }),
        "The layers that make the net's input and its label.",
      ),
      batchNorm: optional(oneOf('live', 'frozen'), 'live', 'Which statistics BatchNorm uses.'),
      movingAverageFraction: optional(
        number({ from: 0, to: 1 }),
        'as in the deploy net',
        'The share of the running statistics that each iteration keeps.',
      ),
      rateOf: optional(
        callback<NonNullable<TrainingNetOptions['rateOf']>>(),
        '1 everywhere',
        'The lr_mult of a layer.',
      ),
      headFiller: optional(
        options<NonNullable<TrainingNetOptions['headFiller']>>({
          type: required(oneOf('gaussian'), "The filler's type."),
          std: required(number({ from: 0 }), "The filler's standard deviation."),
        }),
        'msra',
        'The weight filler of InnerProduct layers.',
      ),
    }),
    'Data and statistics.',
  ),
});

/**
 * The net for phases TRAIN and TEST. Convolutions are initialised as He et al. (2015) propose for ReLU nets (filler msra),
 * biases with 0. BatchNorm has three `param` with rate 0, because its blobs are statistics, which older versions of Caffe
 * would train. SoftmaxWithLoss is `loss`; in TEST, Accuracy is `top-1`, and `top-5` with more than five classes. If a net
 * ends in Sigmoid, SigmoidCrossEntropyLoss is `loss`, with a label of 0 or 1 for each class.
 * @throws ArgumentError for a net that is not a classifier, or data layers that do not provide its input and `label`
 */
export function trainingNet(deploy: NetParameter, options: TrainingNetOptions): NetParameter {
  TRAINING_NET.check(deploy, options);
  const { data } = options;
  const { input, scores, classes } = classifierOf(deploy);
  for (const { name, top = [] } of data)
    if (!(top.includes(input) && top.includes('label')))
      throw new ArgumentError('data', `layers with the tops "${input}" and "label"`, `"${name}": ${top}`);
  const body = deploy.layer!.filter(
    ({ type, bottom }) => type !== 'Input' && !isOutput(type, bottom, scores),
  );
  return {
    ...(deploy.name === undefined ? {} : { name: deploy.name }),
    layer: [
      ...data,
      ...body.map((layer) => trained(layer, options)),
      ...(isIndependent(deploy)
        ? [{ name: 'loss', type: 'SigmoidCrossEntropyLoss', bottom: [scores, 'label'], top: ['loss'] }]
        : [
            { name: 'loss', type: 'SoftmaxWithLoss', bottom: [scores, 'label'], top: ['loss'] },
            accuracy(scores, 1),
            ...(classes > 5 ? [accuracy(scores, 5)] : []),
          ]),
    ],
  };
}

const isOutput = (type: string | undefined, bottom: string[] | undefined, scores: string) =>
  OUTPUTS.includes(type ?? '') && bottom?.[0] === scores;

function accuracy(scores: string, top: number): LayerParameter {
  return {
    name: `top-${top}`,
    type: 'Accuracy',
    bottom: [scores, 'label'],
    top: [`top-${top}`],
    include: [{ phase: 'TEST' }],
    ...(top === 1 ? {} : { accuracy_param: { top_k: top } }),
  };
}

function trained(layer: LayerParameter, options: TrainingNetOptions): LayerParameter {
  const { batchNorm = 'live', rateOf = () => 1, headFiller, movingAverageFraction } = options;
  switch (layer.type) {
    case 'BatchNorm': {
      const { use_global_stats: _, ...rest } = layer.batch_norm_param ?? {};
      const param = {
        ...rest,
        ...(batchNorm === 'frozen' ? { use_global_stats: true } : {}),
        ...(movingAverageFraction === undefined ? {} : { moving_average_fraction: movingAverageFraction }),
      };
      const { batch_norm_param: __, ...kept } = layer;
      const still = () => ({ lr_mult: 0, decay_mult: 0 });
      return {
        ...kept,
        param: [still(), still(), still()],
        ...(Object.keys(param).length > 0 ? { batch_norm_param: param } : {}),
      };
    }
    case 'Convolution':
      return {
        ...layer,
        ...rates(rateOf(layer), hasBias(layer.convolution_param, true)),
        convolution_param: {
          ...layer.convolution_param,
          weight_filler: { type: 'msra' },
          ...(hasBias(layer.convolution_param, true) ? { bias_filler: { type: 'constant', value: 0 } } : {}),
        },
      };
    case 'InnerProduct':
      return {
        ...layer,
        ...rates(rateOf(layer), hasBias(layer.inner_product_param, true)),
        inner_product_param: {
          ...layer.inner_product_param,
          weight_filler: headFiller ?? { type: 'msra' },
          ...(hasBias(layer.inner_product_param, true)
            ? { bias_filler: { type: 'constant', value: 0 } }
            : {}),
        },
      };
    case 'Scale':
      return { ...layer, ...rates(rateOf(layer), hasBias(layer.scale_param, false)) };
    default:
      return layer;
  }
}

const hasBias = (param: Record<string, unknown> | undefined, byDefault: boolean) =>
  (param?.bias_term ?? byDefault) === true;

function rates(rate: number, bias: boolean): Pick<LayerParameter, 'param'> {
  if (rate === 1) return {};
  const spec = () => (rate === 0 ? { lr_mult: 0, decay_mult: 0 } : { lr_mult: rate });
  return { param: bias ? [spec(), spec()] : [spec()] };
}
