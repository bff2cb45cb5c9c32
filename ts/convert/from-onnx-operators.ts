/** One rule for each ONNX operator: the layers of Caffe that compute it. Windows and arithmetic are in other files. */
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats, toFloat32 } from '../caffe/blob.ts';
import * as arithmetic from './from-onnx-arithmetic.ts';
import * as convolutions from './from-onnx-convolution.ts';
import * as functions from './from-onnx-functions.ts';
import * as places from './from-onnx-places.ts';
import * as reductions from './from-onnx-reductions.ts';
import * as resizing from './from-onnx-resize.ts';
import * as selection from './from-onnx-selection.ts';
import * as windows from './from-onnx-windows.ts';
import type { NodeContext } from './node-context.ts';
import { blobOfTensor, floatConstant, INTEGER_TYPES, integerConstant, integersOf } from './onnx-constants.ts';

type Rule = (node: NodeContext) => unknown;

const simple =
  (type: string): Rule =>
  (node) =>
    node.layer({ name: node.layerName(), type });

/** By ONNX's name. */
export const operators: Readonly<Record<string, Rule>> = {
  Abs: simple('AbsVal'),
  Add: arithmetic.add,
  ArgMax: reductions.arg(false),
  ArgMin: reductions.arg(true),
  AveragePool: windows.averagePool,
  BatchNormalization: batchNormalization,
  Cast: cast,
  Clip: clip,
  Compress: selection.compress,
  Concat: concat,
  Constant: constant,
  Conv: convolutions.conv,
  ConvTranspose: convolutions.convTranspose,
  DepthToSpace: places.depthToSpace,
  Div: arithmetic.div,
  Dropout: dropout,
  Elu: (node) =>
    node.layer({ name: node.layerName(), type: 'ELU', elu_param: { alpha: node.float('alpha', 1) } }),
  Erf: functions.erf,
  Exp: simple('Exp'),
  Expand: places.expand,
  Flatten: flatten,
  Gather: places.gather,
  GatherND: selection.gatherNd,
  Gemm: arithmetic.gemm,
  Gelu: functions.gelu,
  GlobalAveragePool: windows.globalPool('AVE'),
  GlobalMaxPool: windows.globalPool('MAX'),
  Greater: functions.greater,
  GroupNormalization: reductions.groupNormalization,
  HardSigmoid: functions.hardSigmoid,
  HardSwish: simple('HardSwish'),
  Identity: identity,
  InstanceNormalization: reductions.instanceNormalization,
  LRN: lrn,
  LayerNormalization: reductions.layerNormalization,
  LeakyRelu: (node) =>
    node.layer({
      name: node.layerName(),
      type: 'ReLU',
      relu_param: { negative_slope: node.float('alpha', 0.01) },
    }),
  Log: simple('Log'),
  LogSoftmax: functions.logSoftmax,
  LpNormalization: reductions.lpNormalization,
  MatMul: arithmetic.matMul,
  Max: functions.max,
  MaxPool: windows.maxPool,
  MaxRoiPool: places.maxRoiPool,
  MaxUnpool: windows.maxUnpool,
  MeanVarianceNormalization: reductions.meanVarianceNormalization,
  Min: functions.min,
  Mish: simple('Mish'),
  Mod: windows.mod,
  Mul: arithmetic.mul,
  Neg: functions.neg,
  NonZero: selection.nonZero,
  PRelu: prelu,
  Pad: windows.pad,
  Pow: arithmetic.pow,
  Reciprocal: functions.power(-1),
  ReduceL1: reductions.reduce('l1'),
  ReduceL2: reductions.reduce('l2'),
  ReduceMax: reductions.reduce('max'),
  ReduceMean: reductions.reduce('mean'),
  ReduceMin: reductions.reduce('min'),
  ReduceSum: reductions.reduce('sum'),
  ReduceSumSquare: reductions.reduce('sumSquare'),
  Relu: simple('ReLU'),
  Reshape: reshape,
  Resize: resizing.resize,
  RoiAlign: places.roiAlign,
  ScatterElements: places.scatterElements,
  Sigmoid: simple('Sigmoid'),
  Slice: places.slice,
  Softmax: softmax,
  Softplus: simple('BNLL'),
  Softsign: functions.softsign,
  SpaceToDepth: places.spaceToDepth,
  Split: split,
  Sqrt: functions.power(0.5),
  Squeeze: squeeze,
  Sub: arithmetic.sub,
  Sum: arithmetic.eltwise('SUM'),
  Tanh: simple('TanH'),
  Tile: places.tile,
  TopK: reductions.topK,
  Transpose: places.transpose,
  Unsqueeze: unsqueeze,
  Upsample: resizing.upsample,
};

const CUT =
  'end the net at the values that it reads (--outputs boxes,scores with their names) and append a DetectionOutput layer, as docs/converting.md shows';
const UNROLLED =
  "Caffe's RNN and LSTM have other gates and a cont input; export the net unrolled over its steps, so that it consists of MatMul, Sigmoid and Tanh";

const ATTENTION =
  'it multiplies two values that the net computes, as attention does; no layer of Caffe does that. Only nets of convolutions and of products with weights are converted';

/** Operators that no layer computes, with the alternative. */
export const withoutLayer: Readonly<Record<string, string>> = {
  NonMaxSuppression: `it returns the indices of the boxes that it keeps, whose number varies; ${CUT}`,
  Einsum: ATTENTION,
  LSTM: UNROLLED,
  GRU: UNROLLED,
  RNN: UNROLLED,
};

/** A BatchNorm, followed by a Scale unless its factor is 1 and its bias 0. */
function batchNormalization(node: NodeContext) {
  if (node.integer('training_mode', 0) !== 0)
    node.fail("it uses the batch's own statistics (training_mode 1); export the net in its evaluation mode");
  const tensors = [1, 2, 3, 4].map((i) => node.constant(i) ?? node.fail(`input ${i} is not a constant`));
  const [gamma, beta, mean, variance] = tensors.map(
    (tensor, i) => blobOfTensor(tensor) ?? node.fail(`input ${i + 1} is ${tensor.type}, expected float32`),
  ) as [Blob, Blob, Blob, Blob];
  const factor = blobFromFloats([1], Float32Array.of(1));
  const name = node.layerName(tensors[2]);
  const eps = node.float('epsilon', 1e-5);
  const output = node.node.outputs[0]!;
  const isPlain =
    toFloat32(gamma).every((value) => value === 1) && toFloat32(beta).every((value) => value === 0);
  const between = isPlain ? output : `${output}@${name}`;
  node.layer(
    {
      name,
      type: 'BatchNorm',
      top: [between],
      batch_norm_param: {
        use_global_stats: true,
        ...(Math.fround(eps) === Math.fround(1e-5) ? {} : { eps }),
      },
    },
    [mean, variance, factor],
  );
  if (isPlain) return;
  const own = node.layerName(tensors[1]);
  const scale = own.startsWith(name) ? scaleName(name) : own;
  node.layer({ name: scale, type: 'Scale', bottom: [between], scale_param: { bias_term: true } }, [
    gamma,
    beta,
  ]);
}

// MSRA's nets have bn_conv1 and scale_conv1.
function scaleName(name: string): string {
  const scale = name.replace(/(^|[._/])bn(?=[^a-z]|$)/, '$1scale');
  return scale === name ? `${name}_scale` : scale;
}

/** TensorProto.DataType: floats of any width, since a net computes in float32, and integers. */
const FLOATS = [1, 10, 11];
const BOOL = 9;

function cast(node: NodeContext) {
  const to = node.integer('to', 1);
  if (FLOATS.includes(to)) return identity(node);
  if (to === BOOL) {
    node.alias(node.activation(0, { takes: 'truth' }));
    return node.holds('truth');
  }
  if (!INTEGER_TYPES.includes(to))
    node.fail(`values of a net are float32, type ${to} of ONNX's list is not converted`);
  node.alias(node.activation(0));
  node.holds('truncated');
}

function clip(node: NodeContext) {
  const bound = (name: string, input: number, missing: number) => {
    const tensor = node.constant(input);
    const blob = tensor === null ? null : blobOfTensor(tensor);
    return blob === null ? node.float(name, missing) : toFloat32(blob)[0]!;
  };
  functions.within(
    node,
    bound('min', 1, Number.NEGATIVE_INFINITY),
    bound('max', 2, Number.POSITIVE_INFINITY),
  );
}

function concat(node: NodeContext) {
  const bottoms = node.node.inputs.map((_, i) => node.activation(i).name);
  const axis = node.integer('axis', 1);
  node.layer({ name: node.layerName(), type: 'Concat', bottom: bottoms, concat_param: { axis } });
}

function constant(node: NodeContext) {
  const name = node.node.outputs[0] ?? '';
  const tensor = node.tensor('value');
  if (tensor !== null) return node.define({ ...tensor, name });
  const list = node.integers('value_ints');
  if (list !== null) return node.define(integerConstant(name, [list.length], list));
  if (node.node.attributes.has('value_int'))
    return node.define(integerConstant(name, [], [node.integer('value_int', 0)]));
  if (node.node.attributes.has('value_float'))
    return node.define(floatConstant(name, [], [node.float('value_float', 0)]));
  node.fail('its value is not a tensor, number or list of integers');
}

function dropout(node: NodeContext) {
  const training = node.constant(2);
  if (training !== null && integersOf(training)?.[0] !== 0)
    node.fail('it drops values (training_mode); export the net in its evaluation mode');
  if (node.node.outputs.length > 1 && node.node.outputs[1] !== '')
    node.fail('its mask is used, which Caffe does not have');
  const ratio = node.constant(1);
  const blob = ratio === null ? null : blobOfTensor(ratio);
  const value = blob === null ? node.float('ratio', 0.5) : toFloat32(blob)[0]!;
  node.layer({ name: node.layerName(), type: 'Dropout', dropout_param: { dropout_ratio: value } });
}

function identity(node: NodeContext) {
  const known = node.constant(0);
  if (known !== null) return node.define(known);
  const value = node.activation(0, { takesZeros: true });
  const output = node.node.outputs[0]!;
  if (node.isOutput(output) && value.zeros[0] + value.zeros[1] === 0) copyOf(node);
  else node.alias(value);
}

// An output keeps its name. in-place.ts removes the layer if it can.
function copyOf(node: NodeContext) {
  const bottom = node.activation(0);
  node.layer({ name: node.layerName(), type: 'Split', bottom: [bottom.name] });
}

function lrn(node: NodeContext) {
  const lrn_param = {
    local_size: node.integer('size', 0),
    alpha: node.float('alpha', 0.0001),
    beta: node.float('beta', 0.75),
    k: node.float('bias', 1),
  };
  node.layer({ name: node.layerName(), type: 'LRN', lrn_param });
}

function prelu(node: NodeContext) {
  const { shape } = node.activation(0);
  const slope = node.constant(1) ?? node.fail('its slope is not a constant');
  const count = elementCount(slope.shape);
  const isPerChannel = count === shape[1] && slope.shape.at(-(shape.length - 1)) === count;
  if (count !== 1 && !isPerChannel)
    node.fail(`its slope is ${slope.shape.join('×')}; Caffe has one for each channel, or one for all`);
  const blob = blobOfTensor(slope, count === 1 ? [] : [count]) ?? node.fail('its slope is not float32');
  const prelu_param = count === 1 ? { channel_shared: true } : {};
  node.layer({ name: node.layerName(slope), type: 'PReLU', prelu_param }, [blob]);
}

function softmax(node: NodeContext) {
  const { shape } = node.activation(0);
  const axis = node.integer('axis', node.opset >= 13 ? -1 : 1);
  const first = axis < 0 ? axis + shape.length : axis;
  // Before opset 13 all dimensions from the axis on were treated as one.
  if (node.opset < 13 && shape.slice(first + 1).some((dim) => dim !== 1))
    node.fail(`opset ${node.opset} computes one softmax over ${shape.slice(first).join('×')}`);
  node.layer({ name: node.layerName(), type: 'Softmax', softmax_param: { axis: first } });
}

function split(node: NodeContext) {
  const { shape } = node.activation(0);
  const axis = node.integer('axis', 0);
  const tops = node.node.outputs;
  const size = shape[axis < 0 ? axis + shape.length : axis] ?? node.fail(`axis ${axis} does not exist`);
  const given = node.constant(1);
  const even = Math.ceil(size / tops.length);
  const sizes =
    (given === null ? null : integersOf(given)) ??
    node.integers('split') ??
    tops.map((_, i) => Math.min(even, size - i * even));
  if (sizes.length !== tops.length)
    node.fail(`${tops.length} outputs need as many sizes, found ${sizes.length}`);
  const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((sum, each) => sum + each, 0));
  if (ends.at(-1) !== size) node.fail(`its parts ${sizes.join(', ')} are not the ${size} of axis ${axis}`);
  const slice_param = { axis, slice_point: ends.slice(0, -1) };
  node.layer({ name: node.layerName(), type: 'Slice', top: [...tops], slice_param });
}

function flatten(node: NodeContext) {
  const { shape } = node.activation(0);
  const axis = node.integer('axis', 1);
  const first = axis < 0 ? axis + shape.length : axis;
  const rows = elementCount(shape.slice(0, first));
  if (first === 1) node.layer({ name: node.layerName(), type: 'Flatten' });
  else reshapeLayer(node, [rows, -1]);
}

function reshape(node: NodeContext) {
  const target = node.constant(1);
  const dims =
    (target === null ? null : integersOf(target)) ?? node.fail('its shape is computed as the net runs');
  if (node.integer('allowzero', 0) !== 0 && dims.includes(0))
    node.fail('Caffe does not support a dimension of 0');
  const { shape } = node.activation(0);
  const isFlat = dims.length === 2 && shape.length > 2 && (dims[0] === 0 || dims[0] === shape[0]);
  const rest = elementCount(shape.slice(1));
  if (isFlat && (dims[1] === -1 || dims[1] === rest)) node.layer({ name: node.layerName(), type: 'Flatten' });
  else reshapeLayer(node, dims);
}

function axesOf(node: NodeContext, rank: number): number[] | null {
  const given = node.constant(1);
  const axes = (given === null ? null : integersOf(given)) ?? node.integers('axes');
  return axes?.map((axis) => (axis < 0 ? axis + rank : axis)) ?? null;
}

function squeeze(node: NodeContext) {
  const { shape } = node.activation(0);
  const axes = axesOf(node, shape.length);
  reshapeLayer(
    node,
    shape.filter((dim, i) => (axes === null ? dim !== 1 || i === 0 : !axes.includes(i))),
  );
}

function unsqueeze(node: NodeContext) {
  const { shape } = node.activation(0);
  const count = node.constant(1)?.shape[0] ?? node.integers('axes')?.length ?? 0;
  const axes = axesOf(node, shape.length + count) ?? node.fail('it names no axes');
  const rest = [...shape];
  reshapeLayer(
    node,
    Array.from({ length: rest.length + axes.length }, (_, i) => (axes.includes(i) ? 1 : rest.shift()!)),
  );
}

/** In Caffe a dimension of 0 copies the batch. */
function reshapeLayer(node: NodeContext, dims: readonly number[]) {
  const { shape } = node.activation(0);
  const dim = dims.map((each, i) => (i === 0 && each === shape[0] ? 0 : each));
  node.layer({ name: node.layerName(), type: 'Reshape', reshape_param: { shape: { dim } } });
}
