/** Convolution, Pooling, LRN: layers that slide a window over height and width. */
import { withDefaults } from '../caffe/net-parameter.ts';
import { type Built, type LayerContext, type Shape, showShape } from './builder.ts';
import type { Pair } from './graph.ts';

interface ConvolutionParameter {
  num_output?: number;
  bias_term: boolean;
  pad?: number[];
  kernel_size?: number[];
  stride?: number[];
  dilation?: number[];
  pad_h: number;
  pad_w: number;
  kernel_h?: number;
  kernel_w?: number;
  stride_h?: number;
  stride_w?: number;
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
  const shape = fourDimensions(context);
  const [n, channels, height, width] = shape as [number, number, number, number];
  if (p.axis !== 1) context.fail('unsupported', `axis ${p.axis} is not supported, only 1`);
  const pair = (
    name: string,
    values: number[] | undefined,
    h: number | undefined,
    w: number | undefined,
    missing: number | null,
  ): Pair => {
    if (h || w) {
      if (values?.length)
        context.fail(
          name,
          `give either ${name === 'kernel' ? 'kernel_size' : name} or ${name}_h and ${name}_w, not both`,
        );
      return [h ?? 0, w ?? 0];
    }
    const list = values ?? [];
    if (list.length === 0 && missing !== null) return [missing, missing];
    if (list.length !== 1 && list.length !== 2) {
      context.fail(
        name,
        `${name === 'kernel' ? 'kernel_size' : name} must be given once, or once for height and once for width; it is given ${list.length} times`,
      );
    }
    return [list[0]!, list[1] ?? list[0]!];
  };
  const kernel = pair('kernel', p.kernel_size, p.kernel_h, p.kernel_w, null);
  const stride = pair('stride', p.stride, p.stride_h, p.stride_w, 1);
  const pad = pair('pad', p.pad, p.pad_h, p.pad_w, 0);
  const dilation = pair('dilation', p.dilation, undefined, undefined, 1);
  for (const [name, values] of Object.entries({ kernel, stride, dilation })) {
    if (values.some((value) => value < 1))
      context.fail(name, `${name} must be at least 1, found ${values.join('×')}`);
  }
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
  pad: number;
  pad_h: number;
  pad_w: number;
  kernel_size?: number;
  kernel_h?: number;
  kernel_w?: number;
  stride: number;
  stride_h?: number;
  stride_w?: number;
  global_pooling: boolean;
  round_mode: 'CEIL' | 'FLOOR';
}

/** pooling_layer.cpp: the size rounds up, then a window that would start in the far padding is dropped. */
export function pooling(context: LayerContext): Built {
  const p = withDefaults<PoolingParameter>('PoolingParameter', context.layer.pooling_param);
  const [n, channels, height, width] = fourDimensions(context) as [number, number, number, number];
  if (p.pool === 'STOCHASTIC')
    context.fail('unsupported', 'pool: STOCHASTIC is not supported, only MAX and AVE');
  const hasSides = p.kernel_h !== undefined && p.kernel_w !== undefined;
  if (p.global_pooling) {
    if (p.kernel_size !== undefined || p.kernel_h !== undefined || p.kernel_w !== undefined)
      context.fail('kernel', 'global_pooling takes no kernel size');
  } else if ((p.kernel_size !== undefined) === hasSides)
    context.fail('kernel', 'expected kernel_size, or kernel_h and kernel_w, and not both', 'pooling_param');
  const kernel: Pair = p.global_pooling
    ? [height, width]
    : hasSides
      ? [p.kernel_h!, p.kernel_w!]
      : [p.kernel_size!, p.kernel_size!];
  const written = new Set(Object.keys(context.layer.pooling_param ?? {}));
  const pad: Pair = written.has('pad_h') || written.has('pad_w') ? [p.pad_h, p.pad_w] : [p.pad, p.pad];
  const stride: Pair =
    p.stride_h !== undefined || p.stride_w !== undefined
      ? [p.stride_h ?? 0, p.stride_w ?? 0]
      : [p.stride, p.stride];
  if ([...kernel, ...stride].some((value) => value < 1))
    context.fail(
      'kernel',
      `kernel (${kernel.join('×')}) and stride (${stride.join('×')}) must be at least 1`,
    );
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
