/** Convolution and Deconvolution, over any number of spatial axes. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { warn } from '../base/warn.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { ANY, type Built, type LayerContext, type Layers } from './layer.ts';
import { type Operation, type Pair, type ParameterId, unfused } from './operation.ts';
import { type AroundChannels, columnsOf, type SpatialWindow, spatialWindow } from './spatial-window.ts';

export const convolutionLayers: Layers = {
  Convolution: { build: convolution, bottoms: ANY, tops: ANY, eachBottom: true },
  // yonghenglh6/DepthwiseConvolution: a Convolution with its group written out, computed by separate kernels.
  DepthwiseConvolution: { build: convolution, bottoms: ANY, tops: ANY, eachBottom: true },
  // BVLC/caffe#5665: each channel is a group, regardless of the prototxt.
  ConvolutionDepthwise: { build: convolution, bottoms: ANY, tops: ANY, eachBottom: true },
  // yangguorun/SegStereo: a Convolution whose dilation is called hole (fork-windows.ts).
  HoleConvolution: { build: convolution, bottoms: ANY, tops: ANY, eachBottom: true },
  Deconvolution: { build: deconvolution, bottoms: ANY, tops: ANY, eachBottom: true },
};

interface ConvolutionParameter {
  num_output?: number;
  bias_term: boolean;
  group: number;
  weight_filler?: object;
  bias_filler?: object;
}

/** A layer's window and its parameters. */
interface Layer extends SpatialWindow, AroundChannels {
  readonly outputs: number;
  readonly group: number;
  readonly weights: ParameterId;
  readonly bias: ParameterId | null;
}

/**
 * base_conv_layer.cpp.
 * @param weights The shape of the weights without the kernel.
 */
function read(
  context: LayerContext,
  weights: (outputs: number, channels: number, group: number) => Shape,
): Layer {
  const p = withDefaults<ConvolutionParameter>('ConvolutionParameter', context.layer.convolution_param);
  const window = spatialWindow(context);
  const { channels, kernel } = window;
  const isDepthwise = context.layer.type === 'ConvolutionDepthwise';
  const outputs = isDepthwise ? depthwiseOutputs(context, p, channels) : (p.num_output ?? 0);
  const group = isDepthwise ? channels : p.group;
  if (outputs < 1) context.fail('num-output', 'num_output must be given and at least 1');
  if (group < 1 || channels % group !== 0)
    context.fail('group', `the bottom has ${channels} channels, which group ${group} does not divide`);
  if (outputs % group !== 0)
    context.fail('group', `num_output is ${outputs}, which group ${group} does not divide`);
  return {
    ...window,
    outputs,
    group,
    weights: context.parameter([...weights(outputs, channels, group), ...kernel], p.weight_filler),
    bias: p.bias_term ? context.parameter([outputs], p.bias_filler) : null,
  };
}

/**
 * BVLC/caffe#5665 never reads num_output: its top has the channels of the bottom. Synopsys's layer of the same name has
 * num_output channels, which must then be a multiple.
 */
function depthwiseOutputs(context: LayerContext, p: ConvolutionParameter, channels: number): number {
  const { num_output: written = channels } = p;
  if (written > 0 && written % channels === 0) return written;
  warn(
    'graph/num-output',
    `layer "${context.layer.name ?? ''}" (ConvolutionDepthwise): num_output ${written} is ignored, as in the layer's fork: the top has the ${channels} channels of the bottom; write num_output: ${channels}`,
  );
  return channels;
}

/** Sizes are rounded down. */
function convolution(context: LayerContext): Built {
  const { windows } = columnsOf(context, spatialWindow(context));
  const layer = read(context, (outputs, channels, group) => [outputs, channels / group]);
  const { before, outputs, sizes, channels } = layer;
  const top = [...before, outputs, ...windows];
  const made = new Composition(context.shapes.slice(0, 1));
  if (layer.cut !== undefined) {
    if (before.length !== 1) refuseCut(context);
    const cropped = [...before, outputs, ...layer.cut.windows];
    const all = made.one(planar('convolution', layer, layer.bias), [made.bottoms[0]!], top);
    if (showShape(cropped) === showShape(top)) return made.built([all]);
    return made.built([made.one({ kind: 'crop', offset: [0, 0, ...layer.cut.offset] }, [all], cropped)]);
  }
  if (before.length === 1 && sizes.length === 2)
    return { operation: planar('convolution', layer, layer.bias), tops: context.shapes.map(() => top) };
  if (sizes.length <= 2) {
    const planes = asPlanes(made, made.bottoms[0]!, layer);
    const [h, w] = pairOf(windows, 1);
    const result = made.one(
      planar('convolution', layer, layer.bias),
      [planes],
      [planes.shape[0]!, outputs, h, w],
    );
    return made.built([made.reshape(result, top)]);
  }
  // With more axes, the windows along the outer ones become channels. The weights have the same order.
  const outer = outerAxes(layer);
  const items = elementCount(before);
  const [h, w] = sizes.slice(-2) as [number, number];
  const { operation, windows: depths } = columnsOf(context, outer);
  const places = elementCount(outer.kernel);
  const depth = elementCount(depths) / (h * w);
  const columns = made.one(operation, [made.bottoms[0]!], [items, channels * places, depth, h * w]);
  const slices = made.reshape(made.permute(columns, [0, 2, 1, 3]), [items * depth, channels * places, h, w]);
  const [tall, wide] = windows.slice(-2) as [number, number];
  const result = made.one(
    planar('convolution', layer, layer.bias),
    [slices],
    [items * depth, outputs, tall, wide],
  );
  const apart = made.permute(made.reshape(result, [items, depth, outputs, tall * wide]), [0, 2, 1, 3]);
  return made.built([made.reshape(apart, top)]);
}

/** deconv_layer.cpp: the transpose of a convolution. */
function deconvolution(context: LayerContext): Built {
  const layer = read(context, (outputs, channels, group) => [channels, outputs / group]);
  if (context.layer.convolution_param?.pad_type === 1)
    context.fail(
      'pad',
      "pad_type: 1 computes a Convolution's padding, not a Deconvolution's; write the pixels that are cut from each side of the top: pad_t, pad_b, pad_l, pad_r",
      positionOf(context.layer.convolution_param, 'pad_type'),
    );
  const { before, outputs, sizes, kernel, stride, pad, dilation, bias, channels, cut } = layer;
  const large = sizes.map(
    (size, i) => stride[i]! * (size - 1) + dilation[i]! * (kernel[i]! - 1) + 1 - 2 * pad[i]!,
  );
  const windows = cut?.windows ?? large;
  if (windows.some((size) => size < 1))
    context.fail(
      'pad',
      `pad ${pad.join('×')} cuts all of the top: it would be ${windows.join('×')}`,
      'convolution_param',
    );
  const top = [...before, outputs, ...large];
  if (cut !== undefined) {
    if (before.length !== 1) refuseCut(context);
    const whole = new Composition(context.shapes.slice(0, 1));
    const all = whole.one(planar('deconvolution', layer, bias), [whole.bottoms[0]!], top);
    const offset = [0, 0, ...cut.offset];
    return whole.built([whole.one({ kind: 'crop', offset }, [all], [...before, outputs, ...windows])]);
  }
  if (before.length === 1 && sizes.length === 2)
    return { operation: planar('deconvolution', layer, bias), tops: context.shapes.map(() => top) };
  const made = new Composition(context.shapes.slice(0, 1));
  if (sizes.length <= 2) {
    const planes = asPlanes(made, made.bottoms[0]!, layer);
    const [h, w] = pairOf(large, 1);
    const result = made.one(
      planar('deconvolution', layer, bias),
      [planes],
      [planes.shape[0]!, outputs, h, w],
    );
    return made.built([made.reshape(result, top)]);
  }
  // With more axes, the window positions along the outer ones come out as channels, which are added up in the image.
  const items = elementCount(before);
  const [h, w] = sizes.slice(-2) as [number, number];
  const [tall, wide] = large.slice(-2) as [number, number];
  const outer = outerAxes({ ...layer, channels: outputs, sizes: large });
  const places = elementCount(outer.kernel);
  const depth = elementCount(sizes.slice(0, -2));
  const apart = made.permute(made.reshape(made.bottoms[0]!, [items, channels, depth, h * w]), [0, 2, 1, 3]);
  const slices = made.reshape(apart, [items * depth, channels, h, w]);
  const columns = made.one(
    planar('deconvolution', layer, null),
    [slices],
    [items * depth, outputs * places, tall, wide],
  );
  const joined = made.permute(
    made.reshape(columns, [items, depth, outputs * places, tall * wide]),
    [0, 2, 1, 3],
  );
  const { operation } = columnsOf(context, outer);
  const image = made.one({ ...operation, toImage: true } as Operation, [joined], top);
  if (bias === null) return made.built([image]);
  const added = made.one(
    {
      kind: 'scale',
      operand: 'none',
      scale: null,
      bias,
      outer: items,
      channels: outputs,
      inner: elementCount(large),
    },
    [image],
    top,
  );
  return made.built([added]);
}

/** Channels on another axis than the second, with a padding for each side. */
function refuseCut(context: LayerContext): never {
  return context.fail(
    'pad',
    `padding that differs between sides is supported over N×C×H×W, this bottom is ${showShape(context.shapes[0]!)}; reshape it, or pad both sides equally`,
    'convolution_param',
  );
}

/** The operation over the last two spatial axes. If there are fewer, axes of size 1 are added before them. */
function planar(kind: 'convolution' | 'deconvolution', layer: Layer, bias: ParameterId | null): Operation {
  const fields = {
    weights: layer.weights,
    bias,
    kernel: pairOf(layer.kernel, 1),
    stride: pairOf(layer.stride, 1),
    pad: pairOf(layer.pad, 0),
    dilation: pairOf(layer.dilation, 1),
    group: layer.group,
  };
  return kind === 'convolution' ? { kind, ...fields, affine: [], ...unfused } : { kind, ...fields };
}

/** The last two elements of a list, filled up with `missing`. */
function pairOf(list: readonly number[], missing: number): Pair {
  const [h, w] = [missing, missing, ...list].slice(-2) as [number, number];
  return [h, w];
}

/** A bottom of up to two spatial axes as N×C×H×W. */
function asPlanes(made: Composition, bottom: Part, { before, channels, sizes }: AroundChannels): Part {
  return made.reshape(bottom, [elementCount(before), channels, ...pairOf(sizes, 1)]);
}

/** A window over all spatial axes except the last two, which are joined to one axis that it does not change. */
function outerAxes(layer: Layer): SpatialWindow & AroundChannels {
  const [h, w] = layer.sizes.slice(-2) as [number, number];
  const outer = (list: readonly number[], last: number) => [...list.slice(0, -2), last];
  return {
    before: layer.before,
    channels: layer.channels,
    sizes: outer(layer.sizes, h * w),
    kernel: outer(layer.kernel, 1),
    stride: outer(layer.stride, 1),
    pad: outer(layer.pad, 0),
    dilation: outer(layer.dilation, 1),
  };
}
