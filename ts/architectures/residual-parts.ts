/** The parts of residual blocks as BVLC's layers; BatchNorm uses its stored statistics (deploy). */
import type { LayerParameter } from '../caffe/net-parameter.ts';

/** The size of a convolution. */
export interface ConvolutionShape {
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly groups?: number | undefined;
  readonly bias?: boolean | undefined;
}

/** A convolution with padding that keeps its size at stride 1. */
export function bareConvolution(
  name: string,
  bottom: string,
  { outputs, kernel, stride, groups = 1, bias = false }: ConvolutionShape,
): LayerParameter {
  return {
    name,
    type: 'Convolution',
    bottom: [bottom],
    top: [name],
    convolution_param: {
      num_output: outputs,
      pad: [(kernel - 1) / 2],
      kernel_size: [kernel],
      stride: [stride],
      ...(groups === 1 ? {} : { group: groups }),
      ...(bias ? {} : { bias_term: false }),
    },
  };
}

/**
 * BatchNorm and Scale.
 * @param suffix The suffix of the names bn and scale.
 * @param top Another blob if other layers read `bottom`.
 * @param eps Default Caffe's 1e-5.
 */
export function normalised(
  suffix: string,
  bottom: string,
  { top = bottom, eps }: { readonly top?: string; readonly eps?: number | undefined } = {},
): LayerParameter[] {
  return [
    {
      name: `bn${suffix}`,
      type: 'BatchNorm',
      bottom: [bottom],
      top: [top],
      batch_norm_param: { use_global_stats: true, ...(eps === undefined ? {} : { eps: Math.fround(eps) }) },
    },
    { name: `scale${suffix}`, type: 'Scale', bottom: [top], top: [top], scale_param: { bias_term: true } },
  ];
}

/**
 * Convolution, BatchNorm and Scale, the latter two in place.
 * @param suffix The suffix of the names bn and scale.
 */
export function convolution(
  name: string,
  suffix: string,
  bottom: string,
  shape: ConvolutionShape & { readonly eps?: number | undefined },
): LayerParameter[] {
  return [bareConvolution(name, bottom, shape), ...normalised(suffix, name, { eps: shape.eps })];
}

/** ReLU in place. */
export function relu(blob: string, name: string): LayerParameter {
  return { name, type: 'ReLU', bottom: [blob], top: [blob] };
}

/** Dropout in place. */
export function dropout(name: string, blob: string, ratio: number): LayerParameter {
  return { name, type: 'Dropout', bottom: [blob], top: [blob], dropout_param: { dropout_ratio: ratio } };
}

/**
 * Option A of the paper: every second pixel, and zeros for the new channels, without parameters.
 * @param times The factor from the number of inputs to the number of outputs.
 * @param centred Whether half of the zeros come before the channels.
 */
export function paddedIdentity(
  name: string,
  bottom: string,
  { stride, times, centred }: { readonly stride: number; readonly times: number; readonly centred: boolean },
): LayerParameter[] {
  const [pool, zeros] = [`${name}_pool`, `${name}_zeros`];
  const halves = [`${zeros}_before`, `${zeros}_after`] as const;
  const sampled: LayerParameter = {
    name: times === 1 ? name : pool,
    type: 'Pooling',
    bottom: [bottom],
    top: [times === 1 ? name : pool],
    // Caffe rounds up by default, so a last window would start beyond the edge if the size is even.
    pooling_param: { pool: 'MAX', kernel_size: 1, stride, round_mode: 'FLOOR' },
  };
  if (times === 1) return [sampled];
  const padding = Array<string>(times - 1).fill(zeros);
  return [
    sampled,
    { name: zeros, type: 'Power', bottom: [pool], top: [zeros], power_param: { scale: 0 } },
    ...(centred ? [{ name: `${zeros}_slice`, type: 'Slice', bottom: [zeros], top: [...halves] }] : []),
    {
      name,
      type: 'Concat',
      bottom: centred ? [halves[0], pool, halves[1]] : [pool, ...padding],
      top: [name],
    },
  ];
}

/**
 * Squeeze-and-Excitation (Hu et al., arXiv 1709.01507, section 3): multiplies each channel by a function of all channels'
 * means.
 * @param name Also the name of its result.
 * @param squeeze The channels between the two inner products.
 */
export function squeezeExcitation(
  name: string,
  bottom: string,
  { channels, squeeze }: { readonly channels: number; readonly squeeze: number },
): LayerParameter[] {
  const [pool, down, up] = [`${name}_pool`, `${name}_down`, `${name}_up`];
  return [
    {
      name: pool,
      type: 'Pooling',
      bottom: [bottom],
      top: [pool],
      pooling_param: { pool: 'AVE', global_pooling: true },
    },
    innerProduct(down, pool, squeeze),
    relu(down, `${down}_relu`),
    innerProduct(up, down, channels),
    { name: `${name}_sigmoid`, type: 'Sigmoid', bottom: [up], top: [up] },
    // The second bottom is N×C, so axes 0 and 1 of the first are multiplied.
    { name, type: 'Scale', bottom: [bottom, up], top: [name], scale_param: { axis: 0 } },
  ];
}

export function innerProduct(name: string, bottom: string, outputs: number): LayerParameter {
  return {
    name,
    type: 'InnerProduct',
    bottom: [bottom],
    top: [name],
    inner_product_param: { num_output: outputs },
  };
}
