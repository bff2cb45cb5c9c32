/** Convolution, Pooling, LRN: layers that slide a window over height and width. */
import { withDefaults } from '../caffe/net-parameter.ts';
import { type Built, type LayerContext, type Shape, showShape } from './builder.ts';
import { checkWindow, convolutionPair, poolingWindow } from './windows.ts';

interface ConvolutionParameter {
  num_output?: number;
  bias_term: boolean;
  group: number;
  weight_filler?: object;
  bias_filler?: object;
  axis: number;
}

function fourDimensions(context: LayerContext): Shape {
  for (const shape of context.shapes) {
    if (shape.length !== 4)
      context.fail('dimensions', `expected bottoms of 4 dimensions (N×C×H×W), found ${showShape(shape)}`);
    if (showShape(shape) !== showShape(context.shapes[0]!)) {
      context.fail(
        'shape',
        `all bottoms must have one shape, found ${showShape(context.shapes[0]!)} and ${showShape(shape)}`,
      );
    }
  }
  return context.shapes[0]!;
}

/** base_conv_layer.cpp; sizes round down. */
export function convolution(context: LayerContext): Built {
  const p = withDefaults<ConvolutionParameter>('ConvolutionParameter', context.layer.convolution_param);
  const [n, channels, height, width] = fourDimensions(context) as [number, number, number, number];
  if (p.axis !== 1) context.fail('unsupported', `axis ${p.axis} is not supported, only 1`);
  const kernel = convolutionPair(context, 'kernel', null);
  const stride = convolutionPair(context, 'stride', 1);
  const pad = convolutionPair(context, 'pad', 0);
  const dilation = convolutionPair(context, 'dilation', 1);
  checkWindow(context, { kernel, stride, pad, dilation });
  const outputs = p.num_output ?? 0;
  if (outputs < 1) context.fail('num-output', 'num_output must be given and at least 1');
  if (p.group < 1 || channels % p.group !== 0)
    context.fail('group', `the bottom has ${channels} channels, which group ${p.group} does not divide`);
  if (outputs % p.group !== 0)
    context.fail('group', `num_output is ${outputs}, which group ${p.group} does not divide`);
  const size = (length: number, axis: 0 | 1) =>
    Math.floor((length + 2 * pad[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis]) + 1;
  const top = [n, outputs, size(height, 0), size(width, 1)];
  if (top[2]! < 1 || top[3]! < 1) {
    context.fail(
      'too-small',
      `a ${kernel.join('×')} kernel (dilation ${dilation.join('×')}, pad ${pad.join('×')}) does not fit the ${height}×${width} bottom`,
    );
  }
  const weights = context.parameter([outputs, channels / p.group, ...kernel], p.weight_filler);
  const bias = p.bias_term ? context.parameter([outputs], p.bias_filler) : null;
  return {
    operation: {
      kind: 'convolution',
      weights,
      bias,
      affine: [],
      kernel,
      stride,
      pad,
      dilation,
      group: p.group,
      relu: null,
    },
    tops: context.shapes.map(() => top),
  };
}

interface PoolingParameter {
  pool: 'MAX' | 'AVE' | 'STOCHASTIC';
  global_pooling: boolean;
  round_mode: 'CEIL' | 'FLOOR';
}

/** pooling_layer.cpp: the size rounds up, then a window that would start in the far padding is dropped. */
export function pooling(context: LayerContext): Built {
  const p = withDefaults<PoolingParameter>('PoolingParameter', context.layer.pooling_param);
  const [n, channels, height, width] = fourDimensions(context) as [number, number, number, number];
  if (p.pool === 'STOCHASTIC')
    context.fail('unsupported', 'pool: STOCHASTIC is not supported, only MAX and AVE');
  const { kernel, stride, pad } = poolingWindow(context, p, [height, width]);
  checkWindow(context, { kernel, stride, pad, dilation: [1, 1] });
  if (p.global_pooling && (pad[0] !== 0 || pad[1] !== 0 || stride[0] !== 1 || stride[1] !== 1))
    context.fail('global-pooling', 'global_pooling takes pad 0 and stride 1');
  if (pad[0] >= kernel[0] || pad[1] >= kernel[1])
    context.fail('pad', `pad (${pad.join('×')}) must be smaller than the kernel (${kernel.join('×')})`);
  const round = p.round_mode === 'FLOOR' ? Math.floor : Math.ceil;
  let [h, w] = [height, width].map(
    (length, axis) => round((length + 2 * pad[axis]! - kernel[axis]!) / stride[axis]!) + 1,
  ) as [number, number];
  if (pad[0] > 0 || pad[1] > 0) {
    if ((h - 1) * stride[0] >= height + pad[0]) h--;
    if ((w - 1) * stride[1] >= width + pad[1]) w--;
  }
  if (h < 1 || w < 1)
    context.fail('too-small', `a ${kernel.join('×')} window does not fit the ${height}×${width} bottom`);
  const top = [n, channels, h, w];
  const method = p.pool === 'MAX' ? 'max' : 'average';
  return {
    operation: { kind: 'pooling', method, kernel, stride, pad },
    tops: context.topCount > 1 ? [top, top] : [top],
  };
}

/** lrn_layer.cpp */
export function lrn(context: LayerContext): Built {
  const p = withDefaults<{ local_size: number; alpha: number; beta: number; k: number; norm_region: string }>(
    'LRNParameter',
    context.layer.lrn_param,
  );
  const shape = fourDimensions(context);
  if (p.local_size % 2 !== 1) context.fail('local-size', `local_size must be odd, found ${p.local_size}`);
  const region = p.norm_region === 'ACROSS_CHANNELS' ? 'across' : 'within';
  return {
    operation: { kind: 'lrn', region, size: p.local_size, alpha: p.alpha, beta: p.beta, k: p.k },
    tops: [shape],
  };
}
