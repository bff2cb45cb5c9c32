/**
 * Single operations: the kernels that a net uses, for tests, benchmarks and other programs. Each is a net of one (fused)
 * node, so shapes and checks are those of Caffe's layers.
 */
import {
  boolean,
  either,
  having,
  integer,
  type Kind,
  kind,
  list,
  number,
  oneOf,
  record,
} from '../base/kinds.ts';
import { fields, optional, options, required, type Signature, signature } from '../base/options.ts';
import { type Blob, blobFromFloats } from '../caffe/blob.ts';
import { type WeightsLayer, weightsLayers } from '../caffe/caffemodel.ts';
import { type LayerParameter, layerParameter } from '../caffe/net-parameter.ts';
import type { Device } from './device.ts';
import type { Model } from './model.ts';
import { type Tensor, tensor } from './tensor.ts';

/** Height and width: one number for both, or a pair. */
export type PairOption = number | readonly [height: number, width: number];

/** A net of one node with its values: `compileOperation` makes a model from it, and `ops` run it once. */
export interface SingleOperation {
  readonly layers: readonly LayerParameter[];
  readonly weights: readonly WeightsLayer[];
  readonly inputs: Readonly<Record<string, Tensor>>;
}

export interface ConvolutionOptions {
  /** N×C×H×W. */
  readonly input: Tensor;
  /** num_output × C/group × kernel height × kernel width. */
  readonly weights: Tensor;
  /** num_output. Default none. */
  readonly bias?: Tensor;
  /** A tensor with the output's shape, which is added before the ReLU. Default none. */
  readonly residual?: Tensor;
  /** Default 1. */
  readonly stride?: PairOption;
  /** Default 0. */
  readonly pad?: PairOption;
  /** Default 1. */
  readonly dilation?: number;
  /** Default 1. */
  readonly group?: number;
  /** Default false. */
  readonly relu?: boolean;
}

/** Cross-correlation, then bias, residual and ReLU in one pass. The output's size is rounded down. */
export function convolution(options: ConvolutionOptions): SingleOperation {
  const { input, weights, bias, residual, dilation = 1, group = 1, relu = false } = options;
  const [outputs, , height, width] = weights.shape as [number, number, number, number];
  const layer: LayerParameter = {
    name: 'convolution',
    type: 'Convolution',
    bottom: ['input'],
    top: ['output'],
    convolution_param: {
      num_output: outputs,
      bias_term: bias !== undefined,
      kernel_h: height,
      kernel_w: width,
      ...pair('stride', options.stride ?? 1),
      ...pair('pad', options.pad ?? 0),
      dilation: [dilation],
      group,
    },
  };
  const sum: LayerParameter = {
    name: 'sum',
    type: 'Eltwise',
    bottom: ['residual', 'output'],
    top: ['sum'],
  };
  return {
    layers: [
      layer,
      ...(residual === undefined ? [] : [sum]),
      ...(relu ? [reluOn(residual === undefined ? 'output' : 'sum')] : []),
    ],
    weights: [blobs('convolution', weights, bias)],
    inputs: residual === undefined ? { input } : { input, residual },
  };
}

export interface InnerProductOptions {
  /** M×K, or any shape that is flattened from axis 1 on. */
  readonly input: Tensor;
  /** N×K. */
  readonly weights: Tensor;
  /** N. Default none. */
  readonly bias?: Tensor;
  /** Default false. */
  readonly relu?: boolean;
}

/** Computes M×N: each row of the input times each row of the weights, plus the bias. */
export function innerProduct(options: InnerProductOptions): SingleOperation {
  const { input, weights, bias, relu = false } = options;
  const inner_product_param = { num_output: weights.shape[0]!, bias_term: bias !== undefined };
  const layer = { ...unary('InnerProduct'), inner_product_param };
  return {
    layers: [layer, ...(relu ? [reluOn('output')] : [])],
    weights: [blobs(layer.name, weights, bias)],
    inputs: { input },
  };
}

export interface BatchNormScaleReluOptions {
  /** N×C×…; statistics and coefficients have C values, one per channel. */
  readonly input: Tensor;
  readonly mean: Tensor;
  readonly variance: Tensor;
  /** Caffe's third blob, which divides mean and variance. Default 1. */
  readonly factor?: number;
  /** Default 1e-5. */
  readonly eps?: number;
  /** Default 1. */
  readonly gamma?: Tensor;
  /** Default 0. */
  readonly beta?: Tensor;
  /** Default true. */
  readonly relu?: boolean;
}

/** Computes BatchNorm with given statistics, Scale and ReLU as one affine step per channel. */
export function batchNormScaleRelu(options: BatchNormScaleReluOptions): SingleOperation {
  const { input, mean, variance, factor = 1, eps = 1e-5, gamma, beta, relu = true } = options;
  const ones = () => ({ shape: mean.shape, data: new Float32Array(mean.data.length).fill(1) });
  const scalar = { shape: [1], data: Float32Array.of(factor) };
  const inPlace = { bottom: ['output'], top: ['output'] };
  return {
    layers: [
      { ...unary('BatchNorm'), batch_norm_param: { use_global_stats: true, eps } },
      { name: 'scale', type: 'Scale', ...inPlace, scale_param: { bias_term: beta !== undefined } },
      ...(relu ? [reluOn('output')] : []),
    ],
    weights: [blobs('batchnorm', mean, variance, scalar), blobs('scale', gamma ?? ones(), beta)],
    inputs: { input },
  };
}

export interface AddReluOptions {
  /** Two or more tensors of one shape. */
  readonly inputs: readonly Tensor[];
  /** One per input. Default all 1. */
  readonly coefficients?: readonly number[];
  /** Default true. */
  readonly relu?: boolean;
}

/** Computes the sum of the inputs, each times its coefficient, and then the ReLU. */
export function addRelu({ inputs, coefficients, relu = true }: AddReluOptions): SingleOperation {
  const named = inputs.map((tensor, i) => [`input${i}`, tensor] as const);
  const sum: LayerParameter = {
    name: 'sum',
    type: 'Eltwise',
    bottom: named.map(([name]) => name),
    top: ['output'],
    eltwise_param: { operation: 'SUM', ...(coefficients === undefined ? {} : { coeff: [...coefficients] }) },
  };
  return {
    layers: [sum, ...(relu ? [reluOn('output')] : [])],
    weights: [],
    inputs: Object.fromEntries(named),
  };
}

export interface PoolingOptions {
  /** N×C×H×W. */
  readonly input: Tensor;
  readonly method: 'max' | 'average';
  readonly kernel: PairOption;
  /** Default 1. */
  readonly stride?: PairOption;
  /** Default 0. */
  readonly pad?: PairOption;
  /** Caffe's round_mode. Default CEIL. */
  readonly roundMode?: 'CEIL' | 'FLOOR';
}

/** Caffe's pooling: by default sizes are rounded up, and windows are clipped to the padded input. */
export function pooling(options: PoolingOptions): SingleOperation {
  const { input, method, kernel, stride = 1, pad = 0, roundMode = 'CEIL' } = options;
  const pool = method === 'max' ? 'MAX' : 'AVE';
  const geometry = { ...pair('kernel', kernel), ...pair('stride', stride), ...pair('pad', pad) };
  return {
    layers: [{ ...unary('Pooling'), pooling_param: { pool, round_mode: roundMode, ...geometry } }],
    weights: [],
    inputs: { input },
  };
}

export interface SoftmaxOptions {
  readonly input: Tensor;
  /** Default 1. */
  readonly axis?: number;
}

/** Computes the softmax along one axis, after subtracting the maximum. */
export function softmax({ input, axis = 1 }: SoftmaxOptions): SingleOperation {
  return { layers: [{ ...unary('Softmax'), softmax_param: { axis } }], weights: [], inputs: { input } };
}

const COMPILE_OPERATION = signature('compileOperation', {
  device: required(having<Device>('a Device of openDevice', 'load'), 'The device that computes.'),
  operation: required(
    fields<SingleOperation>('a SingleOperation', {
      layers: required(list(layerParameter, { of: 'layers' }), 'The layers: they must form one fused node.'),
      weights: required(weightsLayers, 'The weights by layer.'),
      inputs: required(record(tensor), 'The inputs by name.'),
    }),
    'The operation and its data.',
  ),
});

/**
 * Compiles an operation for many runs: a model whose inputs have the names in `operation.inputs`. Throws the errors of
 * `Device.load`.
 */
export async function compileOperation(device: Device, operation: SingleOperation): Promise<Model> {
  COMPILE_OPERATION.check(device, operation);
  const inputs = Object.entries(operation.inputs).map(
    ([name, { shape }]): LayerParameter => ({
      name,
      type: 'Input',
      top: [name],
      input_param: { shape: [{ dim: [...shape] }] },
    }),
  );
  return device.load({
    model: { name: 'operation', layer: [...inputs, ...operation.layers] },
    weights: { file: 'operation', name: 'operation', layers: operation.weights },
    strict: true,
  });
}

async function runOnce(device: Device, operation: SingleOperation): Promise<Tensor> {
  await using model = await compileOperation(device, operation);
  return Object.values(await model.run(operation.inputs))[0]!;
}

const pairKind: Kind<PairOption> = either(
  integer(0),
  kind<readonly [number, number]>(
    '[height, width]',
    (value) =>
      Array.isArray(value) &&
      value.length === 2 &&
      value.every((each) => Number.isInteger(each) && each >= 0),
  ),
);
const operationDevice = required(
  having<Device>('a Device of openDevice', 'load'),
  'The device that computes.',
);
const input = required(tensor, 'The input, N×C×H×W.');
const OPERATIONS = {
  convolution: signature('ops.convolution', {
    device: operationDevice,
    options: required(
      options<ConvolutionOptions>({
        input,
        weights: required(tensor, 'The weights: num_output × C/group × kernel height × kernel width.'),
        bias: optional(tensor, 'none', 'The bias: num_output values.'),
        residual: optional(tensor, 'none', 'A tensor that is added before the ReLU.'),
        stride: optional(pairKind, '1', 'The stride of the window.'),
        pad: optional(pairKind, '0', 'The padding around the input.'),
        dilation: optional(integer(1), '1', 'The dilation of the window.'),
        group: optional(integer(1), '1', 'The number of groups of channels.'),
        relu: optional(boolean, 'false', 'Applies a ReLU at the end.'),
      }),
      'The weights and attributes.',
    ),
  }),
  innerProduct: signature('ops.innerProduct', {
    device: operationDevice,
    options: required(
      options<InnerProductOptions>({
        input,
        weights: required(tensor, 'The weights, N×K.'),
        bias: optional(tensor, 'none', 'The bias: N values.'),
        relu: optional(boolean, 'false', 'Applies a ReLU at the end.'),
      }),
      'The weights and attributes.',
    ),
  }),
  batchNormScaleRelu: signature('ops.batchNormScaleRelu', {
    device: operationDevice,
    options: required(
      options<BatchNormScaleReluOptions>({
        input,
        mean: required(tensor, 'The mean: C values.'),
        variance: required(tensor, 'The variance: C values.'),
        factor: optional(number(), '1', 'The number that mean and variance are divided by.'),
        eps: optional(number({ from: 0 }), '1e-5', 'The number that is added to the variance.'),
        gamma: optional(tensor, '1', 'The factors: C values.'),
        beta: optional(tensor, '0', 'The biases: C values.'),
        relu: optional(boolean, 'true', 'Applies a ReLU at the end.'),
      }),
      'The statistics and attributes.',
    ),
  }),
  addRelu: signature('ops.addRelu', {
    device: operationDevice,
    options: required(
      options<AddReluOptions>({
        inputs: required(list(tensor, { of: 'tensors', atLeast: 2 }), 'Tensors of one shape.'),
        coefficients: optional(list(number(), { of: 'numbers' }), 'all 1', 'One coefficient per input.'),
        relu: optional(boolean, 'true', 'Applies a ReLU at the end.'),
      }),
      'The inputs and attributes.',
    ),
  }),
  pooling: signature('ops.pooling', {
    device: operationDevice,
    options: required(
      options<PoolingOptions>({
        input,
        method: required(oneOf('max', 'average'), 'How the values of a window are combined.'),
        kernel: required(pairKind, 'The height and width of the window.'),
        stride: optional(pairKind, '1', 'The stride of the window.'),
        pad: optional(pairKind, '0', 'The padding around the input.'),
        roundMode: optional(oneOf('CEIL', 'FLOOR'), 'CEIL', "Caffe's round_mode."),
      }),
      'The attributes.',
    ),
  }),
  softmax: signature('ops.softmax', {
    device: operationDevice,
    options: required(
      options<SoftmaxOptions>({
        input,
        axis: optional(integer(), '1', 'The axis along which the softmax is computed.'),
      }),
      'The attributes.',
    ),
  }),
};

const once =
  <Options>(checks: Signature, operation: (options: Options) => SingleOperation) =>
  async (device: Device, options: Options): Promise<Tensor> => {
    checks.check(device, options);
    return runOnce(device, operation(options));
  };

/** Runs each operation once on a device. Throws the errors of `Device.load` and `Model.run`. */
export const ops = {
  convolution: once(OPERATIONS.convolution, convolution),
  innerProduct: once(OPERATIONS.innerProduct, innerProduct),
  batchNormScaleRelu: once(OPERATIONS.batchNormScaleRelu, batchNormScaleRelu),
  addRelu: once(OPERATIONS.addRelu, addRelu),
  pooling: once(OPERATIONS.pooling, pooling),
  softmax: once(OPERATIONS.softmax, softmax),
};

const unary = (type: string) => ({ name: type.toLowerCase(), type, bottom: ['input'], top: ['output'] });

const reluOn = (blob: string): LayerParameter => ({
  name: 'relu',
  type: 'ReLU',
  bottom: [blob],
  top: [blob],
});

function pair(name: string, value: PairOption): Record<string, number> {
  const [height, width] = typeof value === 'number' ? [value, value] : value;
  return { [`${name}_h`]: height, [`${name}_w`]: width };
}

function blobs(name: string, ...tensors: (Tensor | undefined)[]): WeightsLayer {
  const given = tensors.filter((tensor) => tensor !== undefined);
  return { name, type: '', blobs: given.map(({ shape, data }): Blob => blobFromFloats(shape, data)) };
}
