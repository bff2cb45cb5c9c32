/**
 * Pooling over volumes. Pooling3D (facebook/C3D; video-caffe's NdPooling is converted to it), and PoolingND (yulequan/HeartSeg)
 * with one size for all axes: pools over planes, then along the outermost axis, which together make the window.
 */
import { elementCount, showShape } from '../base/shape.ts';
import type { Message } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { Pair } from './operation.ts';
import { type PoolingParameter, planarPooling, pooled, poolingWindow } from './pooling.ts';

export const volumePoolingLayers: Layers = {
  Pooling3D: { build: pooling3d },
  PoolingND: { build: poolingNd, tops: [1, 2] },
};

/** The window along the outermost axis. */
interface Along {
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
}

const OF_PLANES = ['kernel_h', 'kernel_w', 'stride_h', 'stride_w', 'pad_h', 'pad_w'];

function poolingNd(context: LayerContext): Built {
  if (context.shapes[0]!.length !== 5) return planarPooling(context);
  const param: Message = context.layer.pooling_param ?? {};
  const planar = OF_PLANES.find((field) => param[field] !== undefined);
  if (planar !== undefined)
    context.fail(
      'kernel',
      `over a volume, ${showShape(context.shapes[0]!)}, it takes one kernel_size, stride and pad for all axes, found ${planar}; a Pooling3D has its own sizes along the outermost axis`,
      'pooling_param',
    );
  if (context.topCount > 1)
    context.fail('top-count', 'over a volume it has no mask and therefore one top, found 2');
  const { kernel_size: kernel = 1, stride = 1, pad = 0 } = param as Record<string, number | undefined>;
  return overVolume(context, { kernel, stride, pad });
}

/**
 * pool3d_layer.cpp: sizes are rounded up. A maximum of maxima is the maximum, and a mean of means over windows of equal size
 * is the mean. The first of equal values gets the gradient, as in BVLC's Pooling. C3D gives it to each of them.
 */
function pooling3d(context: LayerContext): Built {
  const {
    kernel_depth: kernel = 1,
    temporal_stride: stride = 1,
    temporal_pad: pad = 0,
  } = (context.layer.pooling_param ?? {}) as Record<string, number | undefined>;
  return overVolume(context, { kernel, stride, pad });
}

function overVolume(context: LayerContext, along: Along): Built {
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
    kernel: [p.global_pooling ? length : along.kernel, 1] as Pair,
    stride: [along.stride, 1] as Pair,
    pad: [along.pad, 0] as Pair,
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
