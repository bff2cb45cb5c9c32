/** One rule for each operation: the ONNX nodes that compute exactly what Caffe's layer computes. */
import { elementCount } from '../base/shape.ts';
import { deviationOf } from '../layers/batch-norm.ts';
import type { Operation } from '../layers/operation.ts';
import type { LayerWriter } from './layer-writer.ts';
import { FLOAT, float, int, ints, type Of, refused, windowAttributes } from './onnx-attributes.ts';
import { poolingToOnnx } from './onnx-pooling.ts';
import type { OnnxAttribute } from './onnx-proto.ts';
import { detectionOperators } from './to-onnx-detection.ts';
import { planeOperators } from './to-onnx-planes.ts';
import { rareOperators } from './to-onnx-rare.ts';

type Shape = readonly number[];

const ones = (count: number) => Array.from({ length: count }, () => 1);
const isSame = (a: Shape, b: Shape) => a.length === b.length && a.every((dim, i) => dim === b[i]);

/** A node of one input and as many outputs as the layer has. */
const simple =
  (type: string, attributes: (operation: never) => Record<string, OnnxAttribute> = () => ({})) =>
  (layer: LayerWriter): void => {
    layer.emit(type, layer.inputs, attributes(layer.node.operation as never), layer.outputs);
  };

/** By the operation's kind. */
export const operators: Readonly<Record<Operation['kind'], (layer: LayerWriter) => unknown>> = {
  convolution,
  innerProduct,
  affine,
  scale,
  relu,
  elu: simple('Elu', ({ alpha }: Of<'elu'>) => ({ alpha: float(alpha) })),
  sigmoid: simple('Sigmoid'),
  tanh: simple('Tanh'),
  absval: simple('Abs'),
  power,
  prelu,
  eltwise,
  pooling,
  softmax,
  concat: simple('Concat', ({ axis }: Of<'concat'>) => ({ axis: int(axis) })),
  slice,
  reshape: (layer) => reshapeTo(layer, layer.inputs[0]!, layer.bottoms[0]!),
  lrn,
  identity: (layer) => {
    for (const output of layer.outputs) layer.emit('Identity', layer.inputs, {}, [output]);
  },
  euclideanLoss,
  bnll: simple('Softplus'),
  clip,
  exp,
  log,
  swish,
  threshold,
  ...rareOperators,
  ...planeOperators,
  ...detectionOperators,
  dropout: refused(
    'Dropout in phase TRAIN, or with sample_weights_test, drops other values in each run; use phase TEST without it',
  ),
  batchNorm: refused(
    "BatchNorm with the batch's own statistics changes its blobs as it runs; use phase TEST",
  ),
  softmaxLoss: refused(
    'ONNX has no loss that clamps probabilities and normalises as SoftmaxWithLoss does; use the deploy prototxt',
  ),
  accuracy: refused('ONNX does not treat ties as Accuracy does; use the deploy prototxt'),
};

function convolution(layer: LayerWriter) {
  const p = layer.node.operation as Of<'convolution'>;
  const bias = p.bias === null ? [] : [layer.parameter(p.bias, 'bias')];
  const shape = [layer.tops[0]![1]!, layer.bottoms[0]![1]! / p.group, ...p.kernel];
  layer.emit(
    'Conv',
    [layer.inputs[0]!, layer.parameter(p.weights, 'weight', shape), ...bias],
    windowAttributes(p),
    layer.outputs,
  );
}

function innerProduct(layer: LayerWriter) {
  const p = layer.node.operation as Of<'innerProduct'>;
  const bottom = layer.bottoms[0]!;
  const isMatrix = bottom.length === 2 && p.axis === 1;
  const matrix = isMatrix ? layer.inputs[0]! : layer.emit('Flatten', layer.inputs, { axis: int(p.axis) });
  const bias = p.bias === null ? [] : [layer.parameter(p.bias, 'bias')];
  const gemm = [
    'Gemm',
    [matrix, layer.parameter(p.weights, 'weight'), ...bias],
    { transB: int(p.transpose ? 0 : 1) },
  ] as const;
  if (p.axis === 1) layer.emit(...gemm, layer.outputs);
  else reshapeTo(layer, layer.emit(...gemm), [elementCount(bottom.slice(0, p.axis)), p.numOutput]);
}

/** BatchNorm with global statistics, alone or with its Scale: BatchNormalization. A Scale alone: Mul and Add. */
function affine(layer: LayerWriter) {
  const { affine: steps } = layer.node.operation as Of<'affine'>;
  const shape = layer.bottoms[0]!;
  const channels = shape[1] ?? 1;
  const [step] = steps;
  if (steps.length !== 1 || step === undefined) return layer.fail('an earlier pass merged its affine steps');
  if (step.kind === 'scale')
    return multiplyAdd(layer, step.gamma, step.beta, [channels, ...ones(shape.length - 2)]);
  const next = layer.scale?.operation as Of<'affine'> | undefined;
  const scale = next?.affine[0]?.kind === 'scale' ? next.affine[0] : { gamma: null, beta: null };
  const constant = (value: number) => () => new Float32Array(channels).fill(value);
  const owner = layer.scale?.name ?? layer.node.name;
  // batch_norm_layer.cpp: a factor of 0 (a net that never trained) makes mean and variance 0.
  const statistic = (parameter: number, kept: (value: number) => number) => () => {
    const factor = step.factor === null ? 1 : layer.float64(step.factor)[0]!;
    return Float32Array.from(layer.float64(parameter), (value) => kept(factor === 0 ? 0 : value / factor));
  };
  // ONNX adds its epsilon to the variance.
  const variance = (value: number) => (step.epsOnDeviation ? deviationOf(step, value) ** 2 : value);
  layer.emit(
    'BatchNormalization',
    [
      layer.inputs[0]!,
      scale.gamma === null
        ? layer.computed('weight', [channels], constant(1), owner)
        : layer.parameter(scale.gamma, 'weight', [channels]),
      scale.beta === null
        ? layer.computed('bias', [channels], constant(0), owner)
        : layer.parameter(scale.beta, 'bias', [channels]),
      layer.computed(
        'running_mean',
        [channels],
        statistic(step.mean, (value) => value),
      ),
      layer.computed('running_var', [channels], statistic(step.variance, variance)),
    ],
    { epsilon: float(step.epsOnDeviation ? 0 : step.eps) },
    layer.outputs,
  );
}

/** x·scale + bias. `shape` is the shape of both, for broadcasting. */
function multiplyAdd(layer: LayerWriter, scale: number | null, bias: number | null, shape: Shape) {
  const parts: [string, string][] = [];
  if (scale !== null) parts.push(['Mul', layer.parameter(scale, 'weight', shape)]);
  if (bias !== null) parts.push(['Add', layer.parameter(bias, 'bias', shape)]);
  chain(layer, layer.inputs[0]!, parts);
}

/** Chained nodes of two inputs. An empty chain is the identity. */
function chain(
  layer: LayerWriter,
  first: string,
  parts: readonly (readonly [type: string, operand: string])[],
): void {
  if (parts.length === 0) layer.emit('Identity', [first], {}, layer.outputs);
  parts.reduce(
    (value, [type, operand], i) =>
      layer.emit(type, [value, operand], {}, i === parts.length - 1 ? layer.outputs : undefined),
    first,
  );
}

/** Scale and Bias for an operand at any axis, over one or several axes. Later axes become ones. */
function scale(layer: LayerWriter) {
  const p = layer.node.operation as Of<'scale'>;
  const bottom = layer.bottoms[0]!;
  const before = bottom.findIndex((_, axis) => elementCount(bottom.slice(0, axis)) === p.outer);
  const axis = Math.max(before, 0);
  const after = bottom.findIndex(
    (_, end) => end >= axis && elementCount(bottom.slice(axis, end)) === p.channels,
  );
  const dims = bottom.slice(axis, after < 0 ? undefined : after);
  const trailing = p.channels === 1 ? 0 : bottom.length - axis - dims.length;
  const shape = [...(p.channels === 1 ? [] : dims), ...ones(trailing)];
  if (p.operand === 'none') return multiplyAdd(layer, p.scale, p.bias, shape);
  const second = isSame(layer.bottoms[1]!, shape)
    ? layer.inputs[1]!
    : layer.emit('Reshape', [
        layer.inputs[1]!,
        // 0 copies the batch.
        layer.integers(
          'shape',
          shape.map((dim, i) => (axis === 0 && i === 0 && layer.bottoms[1]![0] === dim ? 0 : dim)),
        ),
      ]);
  const parts: [string, string][] = [[p.operand === 'scale' ? 'Mul' : 'Add', second]];
  if (p.bias !== null) parts.push(['Add', layer.parameter(p.bias, 'bias', shape)]);
  chain(layer, layer.inputs[0]!, parts);
}

function relu(layer: LayerWriter) {
  const { negativeSlope } = layer.node.operation as Of<'relu'>;
  if (negativeSlope === 0) layer.emit('Relu', layer.inputs, {}, layer.outputs);
  else layer.emit('LeakyRelu', layer.inputs, { alpha: float(negativeSlope) }, layer.outputs);
}

/** (shift + scale·x)^power */
function power(layer: LayerWriter) {
  const p = layer.node.operation as Of<'power'>;
  const parts: [string, string][] = [];
  if (p.scale !== 1) parts.push(['Mul', layer.scalar('scale', p.scale)]);
  if (p.shift !== 0) parts.push(['Add', layer.scalar('shift', p.shift)]);
  if (p.power !== 1) parts.push(['Pow', layer.scalar('power', p.power)]);
  chain(layer, layer.inputs[0]!, parts);
}

/** max(min, min(x, max)). If min is larger than max, ONNX's Clip gives max and Caffe gives min. */
function clip(layer: LayerWriter) {
  const { min, max } = layer.node.operation as Of<'clip'>;
  chain(layer, layer.inputs[0]!, [
    ['Min', layer.scalar('max', max)],
    ['Max', layer.scalar('min', min)],
  ]);
}

function exp(layer: LayerWriter) {
  const { inner, outer } = layer.node.operation as Of<'exp'>;
  const power = layer.emit('Exp', [layer.emit('Mul', [layer.inputs[0]!, layer.scalar('inner', inner)])]);
  layer.emit('Mul', [power, layer.scalar('outer', outer)], {}, layer.outputs);
}

function log(layer: LayerWriter) {
  const { scale, shift, factor } = layer.node.operation as Of<'log'>;
  const scaled = layer.emit('Mul', [layer.inputs[0]!, layer.scalar('scale', scale)]);
  const logarithm = layer.emit('Log', [layer.emit('Add', [scaled, layer.scalar('shift', shift)])]);
  layer.emit('Mul', [logarithm, layer.scalar('factor', factor)], {}, layer.outputs);
}

function swish(layer: LayerWriter) {
  const { beta } = layer.node.operation as Of<'swish'>;
  const [x] = layer.inputs as [string];
  const gate = layer.emit('Sigmoid', [layer.emit('Mul', [x, layer.scalar('beta', beta)])]);
  layer.emit('Mul', [x, gate], {}, layer.outputs);
}

function threshold(layer: LayerWriter) {
  const p = layer.node.operation as Of<'threshold'>;
  const above = layer.emit('Greater', [layer.inputs[0]!, layer.scalar('threshold', p.threshold)]);
  layer.emit('Cast', [above], { to: int(FLOAT) }, layer.outputs);
}

function prelu(layer: LayerWriter) {
  const p = layer.node.operation as Of<'prelu'>;
  const shape = p.channelShared
    ? [1]
    : [...layer.parameterShape(p.slope), ...ones(layer.bottoms[0]!.length - 2)];
  layer.emit('PRelu', [layer.inputs[0]!, layer.parameter(p.slope, 'weight', shape)], {}, layer.outputs);
}

function eltwise(layer: LayerWriter) {
  const { operation, coefficients } = layer.node.operation as Of<'eltwise'>;
  const { inputs, outputs } = layer;
  if (operation === 'max') return layer.emit('Max', inputs, {}, outputs);
  if (operation === 'prod')
    return chain(
      layer,
      inputs[0]!,
      inputs.slice(1).map((input) => ['Mul', input]),
    );
  if (inputs.length === 2 && coefficients[0] === 1 && coefficients[1] === -1)
    return layer.emit('Sub', inputs, {}, outputs);
  const terms = inputs.map((input, i) =>
    coefficients[i] === 1 ? input : layer.emit('Mul', [input, layer.scalar(`coeff${i}`, coefficients[i]!)]),
  );
  layer.emit(terms.length === 2 ? 'Add' : 'Sum', terms, {}, outputs);
}

/** A window over the whole plane. */
const wholePlane = ({ kernel }: Of<'pooling'>) => ({
  zeros: [0, 0, 0, 0],
  window: { kernel, strides: [1, 1], pads: [0, 0, 0, 0], countIncludePad: false },
});

function pooling(layer: LayerWriter) {
  const p = layer.node.operation as Of<'pooling'>;
  const sides = (shape: Shape) => [shape[2]!, shape[3]!] as const;
  const result = poolingToOnnx(p, sides(layer.bottoms[0]!), sides(layer.tops[0]!));
  if (result.kind === 'refused') return layer.fail(result.reason);
  const hasMask = layer.outputs.length > 1;
  if (result.kind === 'global' && !hasMask)
    return layer.emit(
      p.method === 'max' ? 'GlobalMaxPool' : 'GlobalAveragePool',
      layer.inputs,
      {},
      layer.outputs,
    );
  const { zeros, window } = result.kind === 'global' ? wholePlane(p) : result;
  const [top, left, bottom, right] = zeros as readonly [number, number, number, number];
  const source =
    top + left + bottom + right === 0
      ? layer.inputs[0]!
      : layer.emit('Pad', [layer.inputs[0]!, layer.integers('pads', [0, 0, top, left, 0, 0, bottom, right])]);
  const indices = hasMask ? layer.value('indices') : '';
  layer.emit(
    p.method === 'max' ? 'MaxPool' : 'AveragePool',
    [source],
    {
      kernel_shape: ints(window.kernel),
      strides: ints(window.strides),
      pads: ints(window.pads),
      ...(p.method === 'average' ? { count_include_pad: int(window.countIncludePad ? 1 : 0) } : {}),
    },
    hasMask ? [layer.outputs[0]!, indices] : layer.outputs,
  );
  if (!hasMask) return;
  // ONNX counts positions over the whole blob, Caffe within a plane.
  const plane = layer.integers('plane', [elementCount(layer.bottoms[0]!.slice(2))]);
  layer.emit('Cast', [layer.emit('Mod', [indices, plane])], { to: int(FLOAT) }, [layer.outputs[1]!]);
}

function softmax(layer: LayerWriter) {
  const { outer, channels } = layer.node.operation as Of<'softmax'>;
  const shape = layer.bottoms[0]!;
  const axis = shape.findIndex((dim, i) => dim === channels && elementCount(shape.slice(0, i)) === outer);
  layer.emit('Softmax', layer.inputs, { axis: int(axis) }, layer.outputs);
}

function slice(layer: LayerWriter) {
  const { axis } = layer.node.operation as Of<'slice'>;
  const sizes = layer.integers(
    'split',
    layer.tops.map((top) => top[axis]!),
  );
  layer.emit('Split', [layer.inputs[0]!, sizes], { axis: int(axis) }, layer.outputs);
}

/** Flatten if it gives the shape; otherwise Reshape, whose 0 copies the batch. */
function reshapeTo(layer: LayerWriter, input: string, from: Shape) {
  const top = layer.tops[0]!;
  if (from.length >= 2 && top.length === 2 && top[0] === from[0])
    return layer.emit('Flatten', [input], { axis: int(1) }, layer.outputs);
  const dims = top.map((dim, i) => (i === 0 && dim === from[0] ? 0 : dim));
  layer.emit('Reshape', [input, layer.integers('shape', dims)], {}, layer.outputs);
}

/** Within a channel, Caffe averages the squares and counts the padding: (1 + α·mean x²)^β. */
function lrn(layer: LayerWriter) {
  const p = layer.node.operation as Of<'lrn'>;
  const [x] = layer.inputs as [string];
  if (p.region === 'across')
    return layer.emit(
      'LRN',
      [x],
      { alpha: float(p.alpha), beta: float(p.beta), bias: float(p.k), size: int(p.size) },
      layer.outputs,
    );
  const pad = (p.size - 1) / 2;
  const mean = layer.emit('AveragePool', [layer.emit('Mul', [x, x])], {
    kernel_shape: ints([p.size, p.size]),
    strides: ints([1, 1]),
    pads: ints([pad, pad, pad, pad]),
    count_include_pad: int(1),
  });
  const scaled = layer.emit('Mul', [mean, layer.scalar('alpha', p.alpha)]);
  const base = layer.emit('Add', [scaled, layer.scalar('one', 1)]);
  const factor = layer.emit('Pow', [base, layer.scalar('beta', -p.beta)]);
  layer.emit('Mul', [x, factor], {}, layer.outputs);
}

/** Σ(a − b)² / (2·N), N the first dimension. */
function euclideanLoss(layer: LayerWriter) {
  const [a, b] = layer.bottoms as [Shape, Shape];
  if (!isSame(a, b)) layer.fail('its bottoms have different shapes, which ONNX would broadcast');
  const squares = layer.emit('ReduceSumSquare', [layer.emit('Sub', layer.inputs)], { keepdims: int(0) });
  layer.emit('Mul', [squares, layer.scalar('factor', 1 / (2 * a[0]!))], {}, layer.outputs);
}
