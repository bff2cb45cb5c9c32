/** Convolution. */
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { ANY, type Built, type LayerContext, type Layers } from './layer.ts';
import type { Pair } from './operation.ts';
import { checkWindow, fourDimensions } from './window.ts';

export const convolutionLayers: Layers = {
  Convolution: { build: convolution, bottoms: ANY, tops: ANY, eachBottom: true },
};

interface ConvolutionParameter {
  num_output?: number;
  bias_term: boolean;
  group: number;
  weight_filler?: object;
  bias_filler?: object;
  axis: number;
}

/** base_conv_layer.cpp; sizes round down. */
function convolution(context: LayerContext): Built {
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

/**
 * base_conv_layer.cpp (LayerSetUp): `name` once or once an axis, or name_h and name_w, never both kinds.
 * @param missing Where nothing is written; null: something must be.
 */
function convolutionPair(
  context: LayerContext,
  name: 'kernel' | 'stride' | 'pad' | 'dilation',
  missing: number | null,
): Pair {
  const param: Message = context.layer.convolution_param ?? {};
  const field = name === 'kernel' ? 'kernel_size' : name;
  const list = (param[field] ?? []) as number[];
  const [h, w] = [param[`${name}_h`], param[`${name}_w`]] as (number | undefined)[];
  if (h !== undefined || w !== undefined) {
    const side = h === undefined ? `${name}_w` : `${name}_h`;
    if (list.length > 0)
      context.fail(
        name,
        `gives both ${field} and ${side}; give either ${field} or ${name}_h and ${name}_w`,
        positionOf(param, side),
      );
    // Without a default of its own the other one would be 0, which a pad may be.
    if ((h === undefined || w === undefined) && missing !== 0)
      context.fail(
        name,
        `gives ${side} without ${h === undefined ? `${name}_h` : `${name}_w`}; give both, or ${field}`,
        positionOf(param, side),
      );
    return [h ?? 0, w ?? 0];
  }
  if (list.length === 0 && missing !== null) return [missing, missing];
  if (list.length !== 1 && list.length !== 2)
    context.fail(
      name,
      `${field} must be given once, or once for height and once for width; it is given ${list.length} times`,
      list.length === 0 ? undefined : positionOf(param, field),
    );
  return [list[0]!, list[1] ?? list[0]!];
}
