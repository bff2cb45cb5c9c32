/**
 * Pooling3D (facebook/C3D; video-caffe's NdPooling is converted to it): pools over planes, then along time, which together
 * make its window.
 */
import { elementCount, showShape } from '../base/shape.ts';
import type { Message } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { Pair } from './operation.ts';
import { type PoolingParameter, pooled, poolingWindow } from './pooling.ts';

export const volumePoolingLayers: Layers = { Pooling3D: { build: pooling3d } };

/**
 * pool3d_layer.cpp: sizes are rounded up. A maximum of maxima is the maximum, and a mean of means over windows of equal size
 * is the mean. The first of equal values gets the gradient, as in BVLC's Pooling. C3D gives it to each of them.
 */
function pooling3d(context: LayerContext): Built {
  const param: Message = context.layer.pooling_param ?? {};
  const p = withDefaults<PoolingParameter>('PoolingParameter', param);
  const [shape] = context.shapes;
  if (shape?.length !== 5)
    context.fail('dimensions', `expected a bottom of 5 dimensions (N×C×L×H×W), found ${showShape(shape!)}`);
  const [n, channels, length, height, width] = shape as readonly number[] as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (p.pool !== 'MAX' && p.pool !== 'AVE')
    context.fail(
      'unsupported',
      `pool: ${p.pool} is not supported over volumes; use MAX or AVE`,
      'pooling_param',
    );
  const plane = poolingWindow(context, p, [height, width]);
  const time = {
    kernel: [p.global_pooling ? length : ((param.kernel_depth as number | undefined) ?? 1), 1] as Pair,
    stride: [(param.temporal_stride as number | undefined) ?? 1, 1] as Pair,
    pad: [(param.temporal_pad as number | undefined) ?? 0, 0] as Pair,
  };
  const made = new Composition(context.shapes);
  const pool = (part: (typeof made.bottoms)[number], window: typeof time) => {
    const pads = { before: window.pad, after: window.pad };
    const { operation, top } = pooled(context, part.shape, { ...window, pads }, p.round_mode, p.pool);
    return made.one(operation, [part], top);
  };
  const slices = made.reshape(made.bottoms[0]!, [n, channels * length, height, width]);
  const planes = pool(slices, plane);
  const area = planes.shape.slice(2);
  const columns = made.reshape(planes, [n, channels, length, elementCount(area)]);
  const result = pool(columns, time);
  return made.built([made.reshape(result, [n, channels, result.shape[2]!, ...area])]);
}
