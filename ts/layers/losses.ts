/** Layers that compare scores with labels: SoftmaxWithLoss, EuclideanLoss, Accuracy. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { around, type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';

export const lossLayers: Layers = {
  SoftmaxWithLoss: { build: softmaxLoss, bottoms: [2, 2], tops: [0, 2], isLoss: true },
  EuclideanLoss: { build: euclideanLoss, bottoms: [2, 2], isLoss: true },
  Accuracy: { build: accuracy, bottoms: [2, 2], tops: [1, 2] },
};

/** softmax_loss_layer.cpp; the legacy `normalize: false` means BATCH_SIZE. */
function softmaxLoss(context: LayerContext): Built {
  const p = withDefaults<{ ignore_label?: number; normalization: string; normalize?: boolean }>(
    'LossParameter',
    context.layer.loss_param,
  );
  const { axis } = withDefaults<{ axis: number }>('SoftmaxParameter', context.layer.softmax_param);
  const explicit = (context.layer.loss_param as { normalization?: string } | undefined)?.normalization;
  const name =
    explicit === undefined && p.normalize !== undefined
      ? p.normalize
        ? 'VALID'
        : 'BATCH_SIZE'
      : p.normalization;
  const normalization = ({ FULL: 'full', VALID: 'valid', BATCH_SIZE: 'batchSize', NONE: 'none' } as const)[
    name as 'FULL'
  ];
  return {
    operation: {
      kind: 'softmaxLoss',
      ...labels(context, axis),
      ignoreLabel: p.ignore_label ?? null,
      normalization,
    },
    tops: context.topCount > 1 ? [[], context.shapes[0]!] : [[]],
  };
}

function euclideanLoss(context: LayerContext): Built {
  const [a, b] = context.shapes as [Shape, Shape];
  if (elementCount(a) !== elementCount(b))
    context.fail('shape', `inputs differ: ${showShape(a)} and ${showShape(b)}`);
  return { operation: { kind: 'euclideanLoss' }, tops: [[]] };
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
      `scores of ${showShape(scores)} need ${sizes.outer * sizes.inner} labels (one for each place outside axis ${axis}), the label bottom is ${showShape(label)}`,
    );
  }
  return sizes;
}
