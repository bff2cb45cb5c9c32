/** Layers that compare scores with labels. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { around, type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import type { Operation } from './operation.ts';
import { labelsOfRow, severalLabels } from './several-labels.ts';

export const lossLayers: Layers = {
  SoftmaxWithLoss: { build: softmaxLoss, bottoms: [2, 2], tops: [0, 3], isLoss: true },
  SoftmaxWithLossOHEM: { build: softmaxLoss, bottoms: [2, 2], tops: [0, 3], isLoss: true },
  VoxelSoftmaxLoss: { build: voxelSoftmaxLoss, bottoms: [2, 2], tops: [0, 1], isLoss: true },
  EuclideanLoss: { build: euclideanLoss, bottoms: [2, 2], isLoss: true },
  InfogainLoss: { build: infogainLoss, bottoms: [2, 3], tops: [0, 2], isLoss: true },
  SigmoidCrossEntropyLoss: { build: sigmoidCrossEntropyLoss, bottoms: [2, 2], isLoss: true },
  MultinomialLogisticLoss: { build: multinomialLogisticLoss, bottoms: [2, 2], isLoss: true },
  HingeLoss: { build: hingeLoss, bottoms: [2, 2], isLoss: true },
  ContrastiveLoss: { build: contrastiveLoss, bottoms: [3, 3], isLoss: true },
  Accuracy: { build: accuracy, bottoms: [2, 2], tops: [1, 2] },
};

const NORMALIZATIONS = { FULL: 'full', VALID: 'valid', BATCH_SIZE: 'batchSize', NONE: 'none' } as const;

interface LossParameter {
  ignore_label?: number;
  normalization: keyof typeof NORMALIZATIONS;
  normalize?: boolean;
}

/** The largest number of classes with weights, which are passed with a kernel's other arguments. */
const MOST_WEIGHTED = 256;

type Normalization = (typeof NORMALIZATIONS)[keyof typeof NORMALIZATIONS];

/** From loss_param. The legacy `normalize` counts if `normalization` is not written (softmax_loss_layer.cpp, LayerSetUp). */
function normalizationName({ layer }: LayerContext): string {
  const { normalization, normalize } = (layer.loss_param ?? {}) as Partial<LossParameter>;
  return normalization ?? (normalize === false ? 'BATCH_SIZE' : 'VALID');
}

/**
 * The divisor of a loss of R-FCN's fork from loss_param.
 * @returns `fixed`: its PRE_FIXED, at least 1; null: as `normalization` says
 */
export function lossNormalization(context: LayerContext): {
  normalization: Normalization;
  fixed: number | null;
} {
  const name = normalizationName(context);
  const { pre_fixed_normalizer } = withDefaults<{ pre_fixed_normalizer: number }>(
    'LossParameter',
    context.layer.loss_param,
  );
  return name === 'PRE_FIXED'
    ? { normalization: 'none', fixed: Math.max(1, pre_fixed_normalizer) }
    : { normalization: knownNormalization(context, name), fixed: null };
}

/** The divisor of any other loss from loss_param. */
export const normalizationOf = (context: LayerContext): Normalization =>
  knownNormalization(context, normalizationName(context));

/** R-FCN's fork divides by a fixed number only in its own losses. */
const knownNormalization = (context: LayerContext, name: string): Normalization =>
  Object.hasOwn(NORMALIZATIONS, name)
    ? NORMALIZATIONS[name as keyof typeof NORMALIZATIONS]
    : context.fail(
        'normalize',
        `normalization: ${name} is supported by SoftmaxWithLoss, SoftmaxWithLossOHEM and SmoothL1LossOHEM; write ${Object.keys(NORMALIZATIONS).join(', ')}`,
        positionOf(context.layer.loss_param, 'normalization'),
      );

interface SoftmaxLossParameter {
  ignore_label?: number;
  target_smoothing: number;
  /** An extension, whose mean is over weights, as in torch.nn.CrossEntropyLoss. */
  class_weight?: number[];
  /** SegNet's, whose mean is over positions. */
  weight_by_label_freqs: boolean;
  class_weighting?: number[];
}

const hasClassWeights = (p: SoftmaxLossParameter): boolean =>
  p.weight_by_label_freqs || p.class_weight !== undefined;

/** The class weights of a loss, with their field; [] if there are none. */
function classWeightsOf(
  context: LayerContext,
  {
    class_weight: own = [],
    weight_by_label_freqs: weighs,
    class_weighting: segnet = [],
  }: SoftmaxLossParameter,
  channels: number,
): { field: 'class_weight' | 'class_weighting'; classWeights: readonly number[] } {
  const field = weighs ? 'class_weighting' : 'class_weight';
  const classWeights = weighs ? segnet : own;
  const refuse = (text: string, at: string = field): never =>
    context.fail('loss-extension', text, positionOf(context.layer.loss_param, at));
  if (weighs && own.length > 0)
    refuse('give class_weight, or class_weighting with weight_by_label_freqs, not both', 'class_weight');
  if ((weighs || classWeights.length > 0) && (classWeights.length !== channels || channels > MOST_WEIGHTED))
    refuse(
      `${field} must be given once for each of ${channels} classes, at most ${MOST_WEIGHTED}, found ${classWeights.length} times`,
      classWeights.length > 0 ? field : 'weight_by_label_freqs',
    );
  if (!classWeights.every((weight) => weight >= 0 && Number.isFinite(weight)))
    refuse(`${field} must be finite and not negative, found ${classWeights.join(', ')}`);
  return { field, classWeights };
}

/** voxel_wise_softmax_loss_layer.cpp of C3D (facebook/C3D): SoftmaxWithLoss over all voxels. */
function voxelSoftmaxLoss(context: LayerContext): Built {
  const { loss_param: _, ...layer } = context.layer;
  return softmaxLoss({ ...context, layer: { ...layer, loss_param: { normalization: 'FULL' } } });
}

/**
 * softmax_loss_layer.cpp. In R-FCN's fork (SoftmaxWithLoss at first, SoftmaxWithLossOHEM later) a third top has the loss of
 * each position. Smoothing and class_weight are extensions.
 */
function softmaxLoss(context: LayerContext): Built {
  const p = withDefaults<SoftmaxLossParameter>('LossParameter', context.layer.loss_param);
  const { ignore_label, target_smoothing: smoothing } = p;
  const { axis } = withDefaults<{ axis: number }>('SoftmaxParameter', context.layer.softmax_param);
  const { normalization, fixed } = lossNormalization(context);
  const ofSeveral = ignore_label !== undefined && smoothing === 0 && axis === 1 && fixed === null;
  if (ofSeveral && labelsOfRow(context.shapes, ignore_label) > 1 && !hasClassWeights(p))
    return severalLabels(context, ignore_label, normalization);
  const sizes = labels(context, axis);
  if (!(smoothing >= 0 && smoothing < 1))
    context.fail(
      'loss-extension',
      `target_smoothing must be at least 0 and below 1, found ${smoothing}`,
      positionOf(context.layer.loss_param, 'target_smoothing'),
    );
  const { field, classWeights } = classWeightsOf(context, p, sizes.channels);
  const operation: Operation = {
    kind: 'softmaxLoss',
    ...sizes,
    ignoreLabel: ignore_label ?? null,
    normalization,
    smoothing,
    classWeights,
    dividesByWeights: field === 'class_weight',
  };
  if (context.topCount < 2 && fixed === null) return { operation, tops: [[]] };
  const layer = new Composition(context.shapes);
  const sum = layer.one(operation, layer.bottoms, []);
  const loss =
    fixed === null ? sum : layer.one({ kind: 'power', power: 1, scale: 1 / fixed, shift: 0 }, [sum], []);
  const places =
    context.topCount < 3
      ? []
      : [
          layer.one(
            { kind: 'placeLosses', ...sizes, ignoreLabel: ignore_label ?? null },
            layer.bottoms,
            context.shapes[1]!,
            [false, false],
          ),
        ];
  return layer.built([loss, ...probabilities(context, layer, sizes), ...places]);
}

function euclideanLoss(context: LayerContext): Built {
  const [a, b] = context.shapes as [Shape, Shape];
  if (elementCount(a) !== elementCount(b))
    context.fail('shape', `inputs differ: ${showShape(a)} and ${showShape(b)}`);
  return { operation: { kind: 'euclideanLoss' }, tops: [[]] };
}

/** infogain_loss_layer.cpp */
function infogainLoss(context: LayerContext): Built {
  const p = withDefaults<LossParameter>('LossParameter', context.layer.loss_param);
  const { axis, source } = withDefaults<{ axis: number; source?: string }>(
    'InfogainLossParameter',
    context.layer.infogain_loss_param,
  );
  if (p.normalize !== undefined)
    context.fail(
      'normalize',
      'normalize is refused by InfogainLoss in Caffe; write normalization: VALID (normalize: true) or BATCH_SIZE',
      positionOf(context.layer.loss_param, 'normalize'),
    );
  const sizes = labels(context, axis);
  const { channels } = sizes;
  const matrix = context.shapes[2];
  if (matrix === undefined && source === undefined)
    context.fail(
      'infogain-source',
      'needs the matrix H: a third bottom, or infogain_loss_param { source: FILE }, a BlobProto',
      'infogain_loss_param',
    );
  if (matrix !== undefined && elementCount(matrix) !== channels * channels)
    context.fail(
      'shape',
      `H must be ${channels}×${channels}, of ${channels} classes, found ${showShape(matrix)}`,
    );
  if (matrix !== undefined && context.state.forceBackward)
    context.fail(
      'force-backward',
      'force_backward requires the diff of H, the third bottom, which has none; remove it from the net',
    );
  const layer = new Composition(context.shapes);
  const [scores, label] = layer.bottoms as [Part, Part];
  const gains =
    layer.bottoms[2] ??
    layer.one(
      { kind: 'file', file: source!, net: positionOf(context.layer)?.file ?? '' },
      [],
      [channels, channels],
    );
  const loss = layer.one(
    {
      kind: 'infogainLoss',
      ...sizes,
      ignoreLabel: p.ignore_label ?? null,
      normalization: normalizationOf(context),
    },
    [scores, label, gains],
    [],
  );
  return layer.built([loss, ...probabilities(context, layer, sizes)]);
}

/** The optional second top of a loss over a softmax, from which no diff goes down. */
function probabilities(
  context: LayerContext,
  layer: Composition,
  sizes: { outer: number; channels: number; inner: number },
): Part[] {
  if (context.topCount < 2) return [];
  const [scores] = layer.bottoms as [Part];
  return [layer.one({ kind: 'softmax', ...sizes }, [scores], scores.shape, [false])];
}

/** loss_layer.cpp: both bottoms have the same number of items. */
function items(context: LayerContext): number {
  const [a, b] = context.shapes as [Shape, Shape];
  if (a.length === 0 || a[0] !== b[0])
    context.fail('shape', `bottoms need as many items (axis 0), found ${showShape(a)} and ${showShape(b)}`);
  return a[0]!;
}

/**
 * sigmoid_cross_entropy_loss_layer.cpp: BATCH_SIZE unless another normalization is written, despite caffe.proto's default.
 */
function sigmoidCrossEntropyLoss(context: LayerContext): Built {
  const p: Partial<LossParameter> = context.layer.loss_param ?? {};
  const outer = items(context);
  const [a, b] = context.shapes as [Shape, Shape];
  if (elementCount(a) !== elementCount(b))
    context.fail('shape', `needs a target for each score, found ${showShape(b)} for ${showShape(a)}`);
  return {
    operation: {
      kind: 'sigmoidCrossEntropyLoss',
      outer,
      ignoreLabel: p.ignore_label ?? null,
      normalization: knownNormalization(context, p.normalization ?? (p.normalize ? 'VALID' : 'BATCH_SIZE')),
    },
    tops: [[]],
  };
}

/** One label per item, regardless of further axes of size 1. */
function oneLabelEach(context: LayerContext, index: number): { outer: number; channels: number } {
  const outer = items(context);
  const label = context.shapes[index]!;
  if (elementCount(label) !== outer)
    context.fail(
      'label-count',
      `${outer} items need ${outer} labels, the label bottom is ${showShape(label)}`,
    );
  return { outer, channels: elementCount(context.shapes[0]!) / outer };
}

/** multinomial_logistic_loss_layer.cpp */
function multinomialLogisticLoss(context: LayerContext): Built {
  return { operation: { kind: 'multinomialLogisticLoss', ...oneLabelEach(context, 1) }, tops: [[]] };
}

/** hinge_loss_layer.cpp */
function hingeLoss(context: LayerContext): Built {
  const { norm } = withDefaults<{ norm: 'L1' | 'L2' }>('HingeLossParameter', context.layer.hinge_loss_param);
  return { operation: { kind: 'hingeLoss', ...oneLabelEach(context, 1), norm }, tops: [[]] };
}

/** contrastive_loss_layer.cpp */
function contrastiveLoss(context: LayerContext): Built {
  const p = withDefaults<{ margin: number; legacy_version: boolean }>(
    'ContrastiveLossParameter',
    context.layer.contrastive_loss_param,
  );
  const [a, b] = context.shapes as [Shape, Shape];
  if (elementCount(a) !== elementCount(b) || a.slice(2).some((size) => size !== 1))
    context.fail('shape', `compares vectors, N×C, found ${showShape(a)} and ${showShape(b)}`);
  return {
    operation: {
      kind: 'contrastiveLoss',
      ...oneLabelEach(context, 2),
      margin: p.margin,
      legacy: p.legacy_version,
    },
    tops: [[]],
  };
}

function accuracy(context: LayerContext): Built {
  const p = withDefaults<{ top_k: number; axis: number; ignore_label?: number }>(
    'AccuracyParameter',
    context.layer.accuracy_param,
  );
  const sizes = labels(context, p.axis);
  if (p.top_k > sizes.channels)
    context.fail('top-k', `top_k is ${p.top_k}, but there are ${sizes.channels} classes`);
  return {
    operation: { kind: 'accuracy', topK: p.top_k, ...sizes, ignoreLabel: p.ignore_label ?? null },
    tops: context.topCount > 1 ? [[], [sizes.channels]] : [[]],
  };
}

function labels(context: LayerContext, axis: number): { outer: number; channels: number; inner: number } {
  const [scores, label] = context.shapes as [Shape, Shape];
  const sizes = around(scores, canonicalAxis(context, axis, scores.length));
  if (elementCount(label) !== sizes.outer * sizes.inner) {
    context.fail(
      'label-count',
      `scores of ${showShape(scores)} need ${sizes.outer * sizes.inner} labels (one for each position outside axis ${axis}), the label bottom is ${showShape(label)}`,
    );
  }
  return sizes;
}
