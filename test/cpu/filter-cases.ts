/** Convolutions with any group and stride, and deconvolutions, as nets of one or a few layers. */
import type { LayerParameter } from '../../ts/index.ts';

export interface Filter {
  readonly type?: 'Convolution' | 'Deconvolution';
  readonly input: readonly [number, number, number, number];
  readonly outputs: number;
  readonly group?: number;
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly pad?: readonly [number, number];
  readonly dilation?: number;
  /** Whether a second convolution's result is added and a ReLU follows. */
  readonly residual?: boolean;
}

export function layersOf({
  type = 'Convolution',
  input,
  outputs,
  residual,
  ...filter
}: Filter): LayerParameter[] {
  const { group = 1, kernel, stride = [1, 1], pad = [0, 0], dilation = 1 } = filter;
  const named = (name: string): LayerParameter => ({
    name,
    type,
    bottom: ['data'],
    top: [name],
    convolution_param: {
      num_output: outputs,
      group,
      kernel_h: kernel[0],
      kernel_w: kernel[1],
      stride_h: stride[0],
      stride_w: stride[1],
      pad_h: pad[0],
      pad_w: pad[1],
      dilation: [dilation],
      weight_filler: { type: 'gaussian', std: 1 },
      bias_filler: { type: 'gaussian', std: 1 },
    },
  });
  const source = {
    name: 'input',
    type: 'Input',
    top: ['data'],
    input_param: { shape: [{ dim: [...input] }] },
  };
  if (!residual) return [source, named('filter')];
  return [
    source,
    named('other'),
    named('filter'),
    { name: 'sum', type: 'Eltwise', bottom: ['other', 'filter'], top: ['sum'] },
    { name: 'relu', type: 'ReLU', bottom: ['sum'], top: ['sum'], relu_param: { negative_slope: 0.1 } },
  ];
}

/** The name of a case's test. */
export function nameOf({
  type = 'Convolution',
  input,
  outputs,
  group = 1,
  kernel,
  stride = [1, 1],
}: Filter): string {
  return `${type} ${input.join('×')} to ${outputs}, ${kernel.join('×')}, stride ${stride}, group ${group}`;
}

export const FILTERS: readonly Filter[] = [
  // Depthwise, with any stride, dilation and kernel, with more or fewer channels than a block.
  { input: [2, 32, 9, 17], outputs: 32, group: 32, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 24, 10, 23], outputs: 24, group: 24, kernel: [3, 3], pad: [1, 1], stride: [2, 2] },
  { input: [1, 17, 11, 13], outputs: 17, group: 17, kernel: [5, 3], pad: [2, 1], stride: [3, 4] },
  { input: [1, 40, 12, 9], outputs: 40, group: 40, kernel: [3, 3], pad: [4, 4], dilation: 4 },
  { input: [1, 3, 8, 40], outputs: 3, group: 3, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 16, 3, 2], outputs: 16, group: 16, kernel: [7, 7], pad: [3, 3], residual: true },
  // Images, whose few channels stay planar, with one and with more columns of padding.
  { input: [2, 3, 11, 40], outputs: 32, kernel: [3, 3], pad: [1, 1], stride: [2, 2] },
  { input: [1, 1, 9, 33], outputs: 20, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 3, 12, 31], outputs: 24, kernel: [5, 5], pad: [2, 2], stride: [2, 2] },
  // Several outputs per channel.
  { input: [1, 20, 7, 9], outputs: 60, group: 20, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 2, 7, 9], outputs: 8, group: 2, kernel: [3, 3], stride: [2, 2] },
  // Groups of less than a block, of partial blocks, of whole blocks.
  { input: [1, 32, 9, 16], outputs: 32, group: 8, kernel: [3, 3], pad: [1, 1], residual: true },
  { input: [1, 32, 9, 16], outputs: 64, group: 4, kernel: [3, 3], pad: [1, 1], stride: [2, 2] },
  { input: [2, 60, 5, 6], outputs: 30, group: 3, kernel: [1, 1] },
  { input: [1, 240, 4, 4], outputs: 60, group: 3, kernel: [1, 1], stride: [2, 2] },
  { input: [1, 64, 8, 8], outputs: 96, group: 2, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 64, 8, 15], outputs: 128, group: 2, kernel: [5, 5], pad: [2, 2], stride: [2, 2] },
  { input: [1, 96, 7, 7], outputs: 96, group: 6, kernel: [1, 1], residual: true },
  // Groups of 2, 4 and 8 channels, several to a block, the last of which is not full.
  { input: [1, 36, 9, 21], outputs: 36, group: 18, kernel: [3, 3], pad: [1, 1], residual: true },
  { input: [2, 128, 9, 15], outputs: 128, group: 32, kernel: [3, 3], pad: [1, 1], stride: [2, 2] },
  { input: [1, 24, 12, 11], outputs: 24, group: 3, kernel: [3, 5], pad: [2, 4], dilation: 2 },
  { input: [1, 20, 5, 30], outputs: 20, group: 5, kernel: [1, 1] },
  // Large strides.
  { input: [1, 3, 33, 47], outputs: 20, kernel: [11, 11], stride: [4, 4] },
  { input: [1, 20, 19, 29], outputs: 33, kernel: [3, 3], stride: [3, 5], pad: [1, 2] },
  { input: [1, 32, 10, 10], outputs: 16, kernel: [1, 1], stride: [3, 3] },
  { input: [1, 32, 20, 21], outputs: 16, group: 4, kernel: [2, 3], stride: [1, 7], pad: [0, 3] },
  // Transposed: bilinear upsampling, sums over channels, groups, windows smaller than the stride, padding, dilation.
  {
    type: 'Deconvolution',
    input: [1, 21, 6, 7],
    outputs: 21,
    group: 21,
    kernel: [4, 4],
    stride: [2, 2],
    pad: [1, 1],
  },
  { type: 'Deconvolution', input: [1, 5, 3, 4], outputs: 5, group: 5, kernel: [16, 16], stride: [8, 8] },
  { type: 'Deconvolution', input: [1, 21, 4, 5], outputs: 21, kernel: [4, 4], stride: [2, 2] },
  { type: 'Deconvolution', input: [2, 32, 5, 6], outputs: 48, kernel: [3, 3], stride: [2, 2], pad: [1, 1] },
  { type: 'Deconvolution', input: [1, 32, 5, 6], outputs: 32, kernel: [2, 2], stride: [3, 3] },
  { type: 'Deconvolution', input: [1, 18, 5, 6], outputs: 12, group: 6, kernel: [3, 4], stride: [2, 1] },
  {
    type: 'Deconvolution',
    input: [1, 64, 5, 6],
    outputs: 32,
    group: 2,
    kernel: [3, 3],
    stride: [1, 2],
    pad: [1, 0],
  },
  {
    type: 'Deconvolution',
    input: [1, 3, 9, 8],
    outputs: 20,
    kernel: [3, 3],
    stride: [2, 2],
    pad: [1, 1],
    dilation: 2,
  },
  {
    type: 'Deconvolution',
    input: [1, 20, 9, 8],
    outputs: 20,
    group: 20,
    kernel: [3, 3],
    dilation: 3,
    stride: [2, 3],
  },
  {
    type: 'Deconvolution',
    input: [1, 24, 7, 8],
    outputs: 24,
    group: 6,
    kernel: [3, 4],
    stride: [2, 2],
    pad: [1, 1],
  },
  { type: 'Deconvolution', input: [1, 16, 8, 9], outputs: 16, kernel: [1, 1] },
  { type: 'Deconvolution', input: [1, 16, 3, 5], outputs: 32, kernel: [5, 5], pad: [3, 3] },
];
