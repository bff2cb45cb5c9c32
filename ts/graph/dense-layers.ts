/** Layers with parameters or losses that do not slide a window. */
import { withDefaults } from '../caffe/net-parameter.ts';
import {
  around,
  type Built,
  canonicalAxis,
  type LayerContext,
  type Shape,
  showShape,
  sizeOf,
} from './builder.ts';

/** inner_product_layer.cpp */
export function innerProduct(context: LayerContext): Built {
  const p = withDefaults<{
    num_output?: number;
    bias_term: boolean;
    axis: number;
    transpose: boolean;
    weight_filler?: object;
    bias_filler?: object;
  }>('InnerProductParameter', context.layer.inner_product_param);
  const shape = context.shapes[0]!;
  const axis = canonicalAxis(context, p.axis, shape.length);
  const outputs = p.num_output ?? 0;
  if (outputs < 1) context.fail('num-output', 'num_output must be given and at least 1');
  const depth = sizeOf(shape.slice(axis));
  const weights = context.parameter(p.transpose ? [depth, outputs] : [outputs, depth], p.weight_filler);
  const bias = p.bias_term ? context.parameter([outputs], p.bias_filler) : null;
  return {
    operation: {
      kind: 'innerProduct',
      weights,
      bias,
      axis,
      numOutput: outputs,
      transpose: p.transpose,
      relu: null,
    },
    tops: [[...shape.slice(0, axis), outputs]],
  };
}

/** batch_norm_layer.cpp: an explicit use_global_stats beats the phase; frozenBatchNorm, which is ours, beats both. */
export function batchNorm(context: LayerContext): Built {
  const p = withDefaults<{ use_global_stats?: boolean; moving_average_fraction: number; eps: number }>(
    'BatchNormParameter',
    context.layer.batch_norm_param,
  );
  const shape = context.shapes[0]!;
  const specs = context.layer.param ?? [];
  if (specs.some((spec) => (spec.lr_mult ?? 1) !== 0)) {
    context.fail(
      'batch-norm-lr',
      `BatchNorm's blobs are statistics and do not learn: give three param { lr_mult: 0 }, or none`,
      'param',
    );
  }
  const { phase, frozenBatchNorm } = context.state;
  const global = frozenBatchNorm || (p.use_global_stats ?? phase === 'TEST');
  const channels = shape[1] ?? 1;
  const zero = { type: 'constant', value: 0 };
  const [mean, variance, factor] = [[channels], [channels], [1]].map((dims) =>
    context.parameter(dims, zero, { statistic: true, mutable: !global }),
  ) as [number, number, number];
  return {
    operation: global
      ? { kind: 'affine', affine: [{ kind: 'batchNorm', mean, variance, factor, eps: p.eps }], relu: null }
      : {
          kind: 'batchNorm',
          mean,
          variance,
          factor,
          eps: p.eps,
          movingAverageFraction: p.moving_average_fraction,
        },
    tops: [shape],
  };
}

/** scale_layer.cpp and bias_layer.cpp share their rules of axis and num_axes. */
function operandShape(context: LayerContext, axis: number, numAxes: number): { axis: number; shape: Shape } {
  const bottom = context.shapes[0]!;
  const operand = context.shapes[1];
  if (operand === undefined) {
    const first = numAxes === 0 ? 0 : canonicalAxis(context, axis, bottom.length);
    const end = numAxes === -1 ? bottom.length : first + numAxes;
    if (numAxes < -1 || end > bottom.length)
      context.fail(
        'num-axes',
        `num_axes ${numAxes} from axis ${first} goes beyond the bottom's ${bottom.length} dimensions`,
      );
    return { axis: first, shape: bottom.slice(first, end) };
  }
  const first = operand.length === 0 ? 0 : canonicalAxis(context, axis, bottom.length);
  if (operand.some((dim, i) => dim !== bottom[first + i])) {
    context.fail(
      'shape',
      `the second bottom is ${showShape(operand)}, which does not match ${showShape(bottom)} from axis ${first}`,
    );
  }
  return { axis: first, shape: operand };
}

/** scale_layer.cpp */
export function scale(context: LayerContext): Built {
  const p = withDefaults<{
    axis: number;
    num_axes: number;
    filler?: object;
    bias_term: boolean;
    bias_filler?: object;
  }>('ScaleParameter', context.layer.scale_param);
  const bottom = context.shapes[0]!;
  const { axis, shape } = operandShape(context, p.axis, p.num_axes);
  const two = context.shapes.length > 1;
  const gamma = two ? null : context.parameter(shape, p.filler ?? { type: 'constant', value: 1 });
  const beta = p.bias_term ? context.parameter(shape, p.bias_filler) : null;
  if (!two && axis === 1 && shape.length === 1 && bottom.length >= 2) {
    return {
      operation: { kind: 'affine', affine: [{ kind: 'scale', gamma, beta }], relu: null },
      tops: [bottom],
    };
  }
  return {
    operation: {
      kind: 'scale',
      operand: two ? 'scale' : 'none',
      scale: gamma,
      bias: beta,
      ...split(bottom, axis, shape),
    },
    tops: [bottom],
  };
}

/** bias_layer.cpp */
export function bias(context: LayerContext): Built {
  const p = withDefaults<{ axis: number; num_axes: number; filler?: object }>(
    'BiasParameter',
    context.layer.bias_param,
  );
  const bottom = context.shapes[0]!;
  const { axis, shape } = operandShape(context, p.axis, p.num_axes);
  const two = context.shapes.length > 1;
  const beta = two ? null : context.parameter(shape, p.filler);
  return {
    operation: {
      kind: 'scale',
      operand: two ? 'bias' : 'none',
      scale: null,
      bias: beta,
      ...split(bottom, axis, shape),
    },
    tops: [bottom],
  };
}

function split(bottom: Shape, axis: number, operand: Shape) {
  return {
    outer: sizeOf(bottom.slice(0, axis)),
    channels: sizeOf(operand),
    inner: sizeOf(bottom.slice(axis + operand.length)),
  };
}

/** prelu_layer.cpp */
export function prelu(context: LayerContext): Built {
  const p = withDefaults<{ filler?: object; channel_shared: boolean }>(
    'PReLUParameter',
    context.layer.prelu_param,
  );
  const shape = context.shapes[0]!;
  if (shape.length < 2)
    context.fail('dimensions', `expected a bottom of at least 2 dimensions, found ${showShape(shape)}`);
  const slope = context.parameter(
    p.channel_shared ? [] : [shape[1]!],
    p.filler ?? { type: 'constant', value: 0.25 },
  );
  return { operation: { kind: 'prelu', slope, channelShared: p.channel_shared }, tops: [shape] };
}

export function softmax(context: LayerContext): Built {
  const shape = context.shapes[0]!;
  const p = withDefaults<{ axis: number }>('SoftmaxParameter', context.layer.softmax_param);
  return {
    operation: { kind: 'softmax', ...around(shape, canonicalAxis(context, p.axis, shape.length)) },
    tops: [shape],
  };
}

function labels(context: LayerContext, axis: number): { outer: number; channels: number; inner: number } {
  const [scores, label] = context.shapes as [Shape, Shape];
  const sizes = around(scores, canonicalAxis(context, axis, scores.length));
  if (sizeOf(label) !== sizes.outer * sizes.inner) {
    context.fail(
      'label-count',
      `scores of ${showShape(scores)} need ${sizes.outer * sizes.inner} labels (one for each place outside axis ${axis}), the label bottom is ${showShape(label)}`,
    );
  }
  return sizes;
}

/** softmax_loss_layer.cpp; the legacy `normalize: false` means BATCH_SIZE. */
export function softmaxLoss(context: LayerContext): Built {
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

export function euclideanLoss(context: LayerContext): Built {
  const [a, b] = context.shapes as [Shape, Shape];
  if (sizeOf(a) !== sizeOf(b)) context.fail('shape', `inputs differ: ${showShape(a)} and ${showShape(b)}`);
  return { operation: { kind: 'euclideanLoss' }, tops: [[]] };
}

export function accuracy(context: LayerContext): Built {
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
