/** ArgMax, Reduction and MVN: reductions of whole rows. */
import { elementCount, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { around, type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';

export const reductionLayers: Layers = {
  ArgMax: { build: argMax },
  Reduction: { build: reduction },
  MVN: { build: mvn },
};

/** argmax_layer.cpp: along an axis. Without an axis, over each whole item, and the top has at least three axes. */
function argMax(context: LayerContext): Built {
  const p = withDefaults<{ axis?: number; top_k: number; out_max_val: boolean }>(
    'ArgMaxParameter',
    context.layer.argmax_param,
  );
  const shape = context.shapes[0]!;
  const axis = p.axis === undefined ? null : canonicalAxis(context, p.axis, shape.length);
  if (shape.length === 0) context.fail('dimensions', 'the bottom has no axis');
  const places =
    axis === null
      ? { outer: shape[0]!, channels: elementCount(shape.slice(1)), inner: 1 }
      : around(shape, axis);
  if (p.top_k < 1 || p.top_k > places.channels)
    context.fail(
      'top-k',
      `top_k must be from 1 to ${places.channels}, the number of values that are compared, found ${p.top_k}`,
      positionOf(context.layer.argmax_param, 'top_k'),
    );
  const both = p.out_max_val && axis === null;
  const top =
    axis === null
      ? [shape[0]!, both ? 2 : 1, p.top_k, ...shape.slice(3).map(() => 1)]
      : shape.map((size, i) => (i === axis ? p.top_k : size));
  const what = both ? 'both' : p.out_max_val ? 'values' : 'indices';
  return { operation: { kind: 'argMax', ...places, topK: p.top_k, what }, tops: [top] };
}

const METHODS = { SUM: 'sum', ASUM: 'asum', SUMSQ: 'sumsq', MEAN: 'sum' } as const;

/** reduction_layer.cpp: `axis` and all later axes become one value. */
function reduction(context: LayerContext): Built {
  const p = withDefaults<{ operation: keyof typeof METHODS; axis: number; coeff: number }>(
    'ReductionParameter',
    context.layer.reduction_param,
  );
  const shape = context.shapes[0]!;
  const axis = shape.length === 0 && p.axis === 0 ? 0 : canonicalAxis(context, p.axis, shape.length);
  const [outer, inner] = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))];
  const coefficient = p.operation === 'MEAN' ? p.coeff / inner : p.coeff;
  return {
    operation: { kind: 'reduction', method: METHODS[p.operation], coefficient, outer, inner },
    tops: [shape.slice(0, axis)],
  };
}

/** mvn_layer.cpp: the top has four axes for any bottom. */
function mvn(context: LayerContext): Built {
  const p = withDefaults<{ normalize_variance: boolean; across_channels: boolean; eps: number }>(
    'MVNParameter',
    context.layer.mvn_param,
  );
  const shape = context.shapes[0]!;
  if (shape.length > 4) context.fail('dimensions', `takes up to 4 axes, found ${showShape(shape)}`);
  const top = [...shape, 1, 1, 1, 1].slice(0, 4);
  const outer = p.across_channels ? top[0]! : top[0]! * top[1]!;
  return {
    operation: {
      kind: 'mvn',
      outer,
      inner: elementCount(top) / outer,
      normalizeVariance: p.normalize_variance,
      eps: p.eps,
    },
    tops: [top],
  };
}
