/** SSD's layers before its boxes (github.com/weiliu89/caffe, branch ssd; arXiv:1512.02325): Permute, Normalize. */
import { showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { unitPlaces } from './unit-length.ts';

export const detectionLayers: Layers = {
  Permute: { build: permute },
  Normalize: { build: normalize, tops: [1, 2] },
};

/** permute_layer.cpp: axes that are not listed follow in their order. */
function permute(context: LayerContext): Built {
  const shape = context.shapes[0]!;
  const { order: named = [] }: { order?: number[] } = context.layer.permute_param ?? {};
  const at = positionOf(context.layer.permute_param, 'order');
  named.forEach((axis, i) => {
    if (axis >= shape.length)
      context.fail('axis', `order ${axis} does not exist in a bottom of ${shape.length} dimensions`, at);
    if (named.indexOf(axis) < i) context.fail('axis', `order names axis ${axis} twice`, at);
  });
  const order = [...named, ...shape.map((_, axis) => axis).filter((axis) => !named.includes(axis))];
  if (order.length > 8) context.fail('dimensions', `takes up to 8 axes, found ${showShape(shape)}`);
  if (order.every((axis, i) => axis === i)) return { operation: { kind: 'identity' }, tops: [shape] };
  return { operation: { kind: 'permute', order }, tops: [order.map((axis) => shape[axis]!)] };
}

/** normalize_layer.cpp */
function normalize(context: LayerContext): Built {
  if (context.layer.normalize_param !== undefined) return unitPlaces(context);
  const p = withDefaults<{
    across_spatial: boolean;
    scale_filler?: object;
    channel_shared: boolean;
    eps: number;
  }>('NormalizeParameter', context.layer.norm_param);
  const shape = context.shapes[0]!;
  if (shape.length < 2)
    context.fail('dimensions', `expected a bottom of at least 2 dimensions, found ${showShape(shape)}`);
  if (context.topCount > 1)
    context.fail(
      'top-count',
      "takes 1 top, found 2; a second one, the norms, is happynear's, which has normalize_param {}",
    );
  const scale = context.parameter(
    p.channel_shared ? [] : [shape[1]!],
    p.scale_filler ?? { type: 'constant', value: 1 },
  );
  return {
    operation: {
      kind: 'normalize',
      scale,
      acrossSpatial: p.across_spatial,
      channelShared: p.channel_shared,
      eps: p.eps,
    },
    tops: [shape],
  };
}
