/** Nets of one int8 convolution, and their results by the loops of int8-loops.ts. */
import { seededRandom } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import type { LayerParameter, WeightsFile } from '../../ts/index.ts';
import { convolve, type Int8Convolution, quantise } from './int8-loops.ts';

export interface Int8Case extends Int8Convolution {
  readonly input: readonly [number, number, number, number];
  /** Whether the source has negative values. */
  readonly signed?: boolean;
  /** The source is added to the result, which has the same shape. */
  readonly residual?: boolean;
  /** The type of the result, which an int8 convolution reads. */
  readonly made?: 'unsigned' | 'signed';
  /** Every weight and every value of the source is the largest possible. */
  readonly largest?: boolean;
}

/** The convolutions of ResNets, and all other forms of convolutions. */
export const INT8_CASES: readonly Int8Case[] = [
  { input: [1, 64, 7, 7], outputs: 64, kernel: [1, 1], made: 'unsigned' },
  { input: [1, 64, 7, 7], outputs: 64, kernel: [1, 1], made: 'unsigned', residual: true },
  { input: [2, 32, 5, 9], outputs: 32, kernel: [3, 3], pad: [1, 1], made: 'unsigned', residual: true },
  { input: [2, 32, 5, 9], outputs: 32, kernel: [3, 3], pad: [1, 1], residual: true },
  {
    input: [1, 32, 6, 6],
    outputs: 32,
    kernel: [3, 3],
    pad: [1, 1],
    made: 'signed',
    residual: true,
    signed: true,
  },
  { input: [1, 32, 6, 6], outputs: 32, kernel: [1, 1], residual: true, signed: true },
  { input: [1, 48, 9, 17], outputs: 32, kernel: [1, 1], made: 'signed', signed: true },
  { input: [3, 20, 5, 9], outputs: 33, kernel: [1, 1], made: 'unsigned' },
  { input: [1, 3, 12, 11], outputs: 10, kernel: [7, 7], stride: [2, 2], pad: [3, 3] },
  { input: [1, 5, 12, 11], outputs: 16, kernel: [3, 3], pad: [2, 2], signed: true, made: 'signed' },
  { input: [2, 32, 14, 13], outputs: 48, kernel: [1, 1], stride: [2, 2], made: 'unsigned' },
  { input: [1, 16, 15, 16], outputs: 16, kernel: [3, 3], stride: [2, 2], pad: [1, 1], signed: true },
  { input: [1, 16, 9, 11], outputs: 40, kernel: [3, 5], stride: [1, 3], pad: [1, 2], made: 'unsigned' },
  { input: [1, 16, 12, 12], outputs: 16, kernel: [3, 3], pad: [2, 2], dilation: 2, made: 'unsigned' },
  { input: [1, 64, 6, 7], outputs: 64, kernel: [3, 3], pad: [1, 1], group: 2, made: 'unsigned' },
  { input: [1, 32, 6, 7], outputs: 48, kernel: [3, 3], pad: [1, 1], group: 4, signed: true, made: 'signed' },
  {
    input: [2, 24, 6, 7],
    outputs: 12,
    kernel: [3, 3],
    stride: [2, 2],
    pad: [1, 1],
    group: 6,
    made: 'unsigned',
  },
  { input: [1, 16, 2, 2], outputs: 16, kernel: [3, 3], pad: [1, 1], made: 'unsigned' },
  { input: [1, 512, 4, 4], outputs: 32, kernel: [3, 3], pad: [1, 1], made: 'unsigned' },
  { input: [2, 64, 19, 22], outputs: 64, kernel: [3, 3], pad: [1, 1], made: 'unsigned', residual: true },
  { input: [1, 40, 17, 9], outputs: 36, kernel: [3, 3], pad: [0, 2], signed: true },
  // The largest sums, of 26 bits, for which Winograd's algorithm is allowed, and larger ones.
  { input: [1, 115, 9, 6], outputs: 16, kernel: [3, 3], pad: [1, 1], largest: true },
  { input: [1, 116, 9, 6], outputs: 16, kernel: [3, 3], pad: [1, 1], largest: true },
  { input: [1, 300, 5, 6], outputs: 16, kernel: [3, 3], pad: [1, 1], signed: true, largest: true },
];

/** Values for a case's input. */
export const dataOf = ({ input, largest }: Int8Case) =>
  largest ? new Float32Array(elementCount(input)).fill(RANGES.source) : random(elementCount(input), 5);

const weightsOf = ({ input, outputs, kernel, group = 1, largest }: Int8Case) => {
  const length = outputs * (input[1] / group) * kernel[0] * kernel[1];
  return largest ? new Float32Array(length).fill(1) : random(length, 1);
};

/** The largest magnitudes that the levels represent. */
export const RANGES = { source: 0.8, made: 3 };

export const layer = (
  name: string,
  bottom: string[],
  { outputs, kernel, stride, pad, dilation, group }: Int8Convolution,
) =>
  ({
    name,
    type: 'Convolution',
    bottom,
    top: [name],
    convolution_param: {
      num_output: outputs,
      kernel_h: kernel[0],
      kernel_w: kernel[1],
      ...(stride && { stride_h: stride[0], stride_w: stride[1] }),
      ...(pad && { pad_h: pad[0], pad_w: pad[1] }),
      ...(dilation && { dilation: [dilation] }),
      ...(group && { group }),
    },
  }) as LayerParameter;

export const random = (length: number, seed: number) => {
  const next = seededRandom(seed);
  return Float32Array.from({ length }, () => 2 * next() - 1);
};

/**
 * in → source (the identity, in float32) → conv [+ source] [→ ReLU], followed by a 1×1 convolution if the result
 * becomes levels.
 */
export function netOf(each: Int8Case) {
  const { input, outputs, kernel, signed, residual, made } = each;
  const relu = (blob: string) => ({ name: `${blob}_relu`, type: 'ReLU', bottom: [blob], top: [blob] });
  const [, channels] = input;
  const layers: LayerParameter[] = [
    { name: 'in', type: 'Input', top: ['in'], input_param: { shape: [{ dim: [...input] }] } },
    layer('source', ['in'], { outputs: channels, kernel: [1, 1] }),
    ...(signed ? [] : [relu('source')]),
    layer('conv', ['source'], each),
  ];
  const result = residual ? 'sum' : 'conv';
  if (residual) layers.push({ name: 'sum', type: 'Eltwise', bottom: ['source', 'conv'], top: ['sum'] });
  if (made === 'unsigned') layers.push(relu(result));
  if (made) layers.push(layer('last', [result], { outputs: 8, kernel: [1, 1] }));
  const inputs = channels / (each.group ?? 1);
  const identity = Float32Array.from({ length: channels ** 2 }, (_, i) => Number(i % (channels + 1) === 0));
  const blobs = {
    source: [
      blobFromFloats([channels, channels, 1, 1], identity),
      blobFromFloats([channels], new Float32Array(channels)),
    ],
    conv: [
      blobFromFloats([outputs, inputs, ...kernel], weightsOf(each)),
      blobFromFloats([outputs], random(outputs, 2)),
    ],
    last: [blobFromFloats([8, outputs, 1, 1], random(8 * outputs, 3)), blobFromFloats([8], random(8, 4))],
  };
  const weights: WeightsFile = {
    file: 'made up',
    name: '',
    layers: Object.entries(blobs).map(([name, list]) => ({ name, type: 'Convolution', blobs: list })),
  };
  const ranges = {
    [signed ? 'source@source' : 'source@source_relu']: RANGES.source,
    ...(made && { [`${result}@${made === 'unsigned' ? `${result}_relu` : result}`]: RANGES.made }),
  };
  return { net: { layer: layers }, weights, ranges };
}

/** The last layer's result, in float32. */
export function expected(each: Int8Case, data: Float32Array): Float32Array {
  const { input, outputs, signed = false, residual, made } = each;
  const source = quantise(signed ? data : data.map((x) => Math.max(0, x)), input, RANGES.source, !signed);
  const result = convolve(source, weightsOf(each), random(outputs, 2), each, {
    range: made ? RANGES.made : null,
    isUnsigned: made === 'unsigned',
    ...(residual && { residual: source }),
  });
  if (!made) return result.values;
  return convolve(
    result.levels,
    random(8 * outputs, 3),
    random(8, 4),
    { outputs: 8, kernel: [1, 1] },
    {
      range: null,
      isUnsigned: false,
    },
  ).values;
}
