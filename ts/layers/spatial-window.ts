/** The window of Convolution, Deconvolution and Im2col over any number of spatial axes (base_conv_layer.cpp, LayerSetUp). */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { canonicalAxis, type LayerContext } from './layer.ts';
import type { Operation } from './operation.ts';
import { evenly, type Pads, padsOfSides } from './uneven-pads.ts';
import { checkSizes } from './window.ts';

/** Lists have one entry for each spatial axis. */
export interface SpatialWindow {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly pad: readonly number[];
  readonly dilation: readonly number[];
  /**
   * For forks with different pads at opposite sides, where more is computed than requested: the valid windows and, for a
   * Deconvolution, the valid positions of its top.
   */
  readonly cut?: { readonly offset: readonly number[]; readonly windows: readonly number[] };
}

/** The dimensions of a bottom before, at and after its channel axis. */
export interface AroundChannels {
  /** The axes before the channels, all of which are batch axes. */
  readonly before: Shape;
  readonly channels: number;
  /** Of the spatial axes. */
  readonly sizes: Shape;
}

const MAX_SPATIAL_AXES = 6;

/** Reads `convolution_param` for bottoms of one shape. */
export function spatialWindow(context: LayerContext): SpatialWindow & AroundChannels {
  const [shape] = context.shapes as [Shape];
  for (const other of context.shapes)
    if (showShape(other) !== showShape(shape))
      context.fail(
        'shape',
        `all bottoms must have one shape, found ${showShape(shape)} and ${showShape(other)}`,
      );
  const { axis } = withDefaults<{ axis: number }>('ConvolutionParameter', context.layer.convolution_param);
  const at = canonicalAxis(context, axis, shape.length);
  const sizes = shape.slice(at + 1);
  if (sizes.length > MAX_SPATIAL_AXES)
    context.fail(
      'dimensions',
      `takes up to ${MAX_SPATIAL_AXES} spatial axes, found ${sizes.length} in ${showShape(shape)}`,
    );
  const window = {
    kernel: sizesOf(context, 'kernel', null, sizes.length),
    stride: sizesOf(context, 'stride', 1, sizes.length),
    pad: sizesOf(context, 'pad', 0, sizes.length),
    dilation: sizesOf(context, 'dilation', 1, sizes.length),
  };
  checkSizes(context, window);
  return {
    ...window,
    ...unevenWindow(context, window, sizes),
    before: shape.slice(0, at),
    channels: shape[at]!,
    sizes,
  };
}

/** A fork's padding for each side, as an equal padding of both sides and the windows to keep. */
function unevenWindow(
  context: LayerContext,
  { kernel, stride, dilation }: SpatialWindow,
  size: readonly number[],
): Pick<SpatialWindow, 'pad' | 'cut'> | object {
  const param: Message = context.layer.convolution_param ?? {};
  const extent = kernel.map((each, i) => dilation[i]! * (each - 1) + 1);
  const pads = padsOfSides(context, param, { size, extent, stride });
  if (pads === null) return {};
  if (pads.before.every((each, i) => each === pads.after[i])) return { pad: pads.before };
  for (const pad of [pads.before, pads.after]) checkSizes(context, { kernel, stride, pad, dilation });
  if (context.layer.type === 'Deconvolution') return transposedWindow(pads, { size, extent, stride });
  const axes = size.map((each, i) => {
    const count = Math.floor((each + pads.before[i]! + pads.after[i]! - extent[i]!) / stride[i]!) + 1;
    const axis = { size: each, extent: extent[i]!, stride: stride[i]!, before: pads.before[i]! };
    return { ...evenly(axis, count), count };
  });
  if (axes.some(({ count }) => count < 1))
    context.fail(
      'too-small',
      `a ${kernel.join('×')} kernel (dilation ${dilation.join('×')}, pad ${pads.before.join('×')} before and ${pads.after.join('×')} after) does not fit the ${size.join('×')} bottom`,
    );
  const pad = axes.map((axis) => axis.pad);
  checkSizes(context, { kernel, stride, pad, dilation });
  return {
    pad,
    cut: { offset: axes.map(({ skipped }) => skipped), windows: axes.map(({ count }) => count) },
  };
}

/**
 * deconv_layer.cpp of synopsys-caffe: pads crop the top. The operation crops the part that both sides share, and a crop the
 * rest.
 */
function transposedWindow(
  { before, after }: Pads,
  { size, extent, stride }: { [K in 'size' | 'extent' | 'stride']: readonly number[] },
): Pick<SpatialWindow, 'pad' | 'cut'> {
  const pad = before.map((each, i) => Math.min(each, after[i]!));
  return {
    pad,
    cut: {
      offset: before.map((each, i) => each - pad[i]!),
      windows: size.map((each, i) => stride[i]! * (each - 1) + extent[i]! - before[i]! - after[i]!),
    },
  };
}

/** How many windows there are along each axis, rounded down; below 1 if the kernel does not fit. */
export const windowsAlong = (
  sizes: readonly number[],
  { kernel, stride, pad, dilation }: Pick<SpatialWindow, 'kernel' | 'stride' | 'pad' | 'dilation'>,
): number[] =>
  sizes.map(
    (size, i) => Math.floor((size + 2 * pad[i]! - dilation[i]! * (kernel[i]! - 1) - 1) / stride[i]!) + 1,
  );

/**
 * The windows of an image as columns, with their number along each axis.
 * @throws if a window does not fit
 */
export function columnsOf(
  context: LayerContext,
  { before, channels, sizes, kernel, stride, pad, dilation }: SpatialWindow & AroundChannels,
): { readonly operation: Operation; readonly windows: readonly number[] } {
  const windows = windowsAlong(sizes, { kernel, stride, pad, dilation });
  if (windows.some((count) => count < 1))
    context.fail(
      'too-small',
      `a ${kernel.join('×')} kernel (dilation ${dilation.join('×')}, pad ${pad.join('×')}) does not fit the ${sizes.join('×')} bottom`,
    );
  const operation: Operation = {
    kind: 'im2col',
    toImage: false,
    outer: elementCount(before),
    channels,
    size: sizes,
    kernel,
    stride,
    pad,
    dilation,
  };
  return { operation, windows };
}

/**
 * `name`, once or once per axis, or name_h and name_w for two axes, but not both forms.
 * @param missing The value if none is written; null: a value is required.
 */
function sizesOf(
  context: LayerContext,
  name: 'kernel' | 'stride' | 'pad' | 'dilation',
  missing: number | null,
  axes: number,
): readonly number[] {
  const param: Message = context.layer.convolution_param ?? {};
  const field = name === 'kernel' ? 'kernel_size' : name;
  const list = (param[field] ?? []) as number[];
  const [h, w] = [param[`${name}_h`], param[`${name}_w`]] as (number | undefined)[];
  if (h !== undefined || w !== undefined) {
    const side = h === undefined ? `${name}_w` : `${name}_h`;
    if (axes !== 2)
      context.fail(
        name,
        `gives ${side}, which is for two spatial axes; this bottom has ${axes}: give ${field} once, or once for each`,
        positionOf(param, side),
      );
    if (list.length > 0)
      context.fail(
        name,
        `gives both ${field} and ${side}; give either ${field} or ${name}_h and ${name}_w`,
        positionOf(param, side),
      );
    // Without its own default the other one would be 0, which a pad may be.
    if ((h === undefined || w === undefined) && missing !== 0)
      context.fail(
        name,
        `gives ${side} without ${h === undefined ? `${name}_h` : `${name}_w`}; give both, or ${field}`,
        positionOf(param, side),
      );
    return [h ?? 0, w ?? 0];
  }
  if (list.length === 0 && missing !== null) return Array.from({ length: axes }, () => missing);
  if (list.length !== 1 && (list.length !== axes || axes === 0))
    context.fail(
      name,
      `${field} must be given once, or once for ${axes === 2 ? 'height and once for width' : `each of ${axes} spatial axes`}; it is given ${list.length} times`,
      list.length === 0 ? undefined : positionOf(param, field),
    );
  return Array.from({ length: axes }, (_, i) => (list.length === 1 ? list[0]! : list[i]!));
}
