/**
 * Like to-onnx-operators.ts, for layers that few ResNets have: the ONNX nodes that compute exactly what Caffe's layer
 * computes.
 */
import { elementCount } from '../base/shape.ts';
import type { LayerWriter } from './layer-writer.ts';
import { arithmeticOf } from './onnx-arithmetic.ts';
import { BOOL, INT64, int, ints, type Of, refused, windowAttributes } from './onnx-attributes.ts';

type Shape = readonly number[];

const noLoss = refused("ONNX has no loss that clamps and normalises as Caffe's; use the deploy prototxt");
const noFork = refused('this layer of a fork of Caffe is not written to ONNX');
const state = refused(
  'its state persists from one run to the next, which an ONNX graph cannot express; use expose_hidden',
);

export const rareOperators = {
  deconvolution,
  crop,
  permute: (layer: LayerWriter) => {
    const { order } = layer.node.operation as Of<'permute'>;
    layer.emit('Transpose', layer.inputs, { perm: ints(order) }, layer.outputs);
  },
  im2col,
  batchReindex: (layer: LayerWriter) => {
    if (layer.selector !== null) {
      const all = layer.emit('Reshape', [layer.selector, layer.integers('flat', [-1])]);
      const passes = layer.emit('Cast', [all], { to: int(BOOL) });
      layer.emit('Compress', [layer.inputs[0]!, passes], { axis: int(0) }, layer.outputs);
      return;
    }
    const [x, indices] = layer.inputs as [string, string];
    layer.emit(
      'Gather',
      [x, layer.emit('Cast', [indices], { to: int(INT64) })],
      { axis: int(0) },
      layer.outputs,
    );
  },
  embed,
  matrixProduct,
  parameter: (layer: LayerWriter) => {
    const { blob } = layer.node.operation as Of<'parameter'>;
    layer.emit('Identity', [layer.parameter(blob, 'weight')], {}, layer.outputs);
  },
  argMax,
  reduction,
  mvn,
  lstmUnit,
  mish: (layer: LayerWriter) => {
    const gate = layer.emit('Tanh', [layer.emit('Softplus', layer.inputs)]);
    layer.emit('Mul', [layer.inputs[0]!, gate], {}, layer.outputs);
  },
  hardSwish: (layer: LayerWriter) => {
    const gate = layer.emit('HardSigmoid', layer.inputs, {
      alpha: { type: 'float', value: 1 / 6 },
      beta: { type: 'float', value: 0.5 },
    });
    layer.emit('Mul', [layer.inputs[0]!, gate], {}, layer.outputs);
  },
  bn: refused(
    "BN with the batch's own statistics changes its blobs as it runs; use phase TEST, or bn_mode: INFERENCE",
  ),
  smoothL1Loss: noLoss,
  multiBoxLoss: noLoss,
  file: noLoss,
  recall: state,
  remember: state,
  stochasticPooling: refused('ONNX has no stochastic pooling'),
  infogainLoss: noLoss,
  sigmoidCrossEntropyLoss: noLoss,
  multinomialLogisticLoss: noLoss,
  hingeLoss: noLoss,
  contrastiveLoss: noLoss,
  placeLosses: noLoss,
  boxAnnotatorOhem: noLoss,
  segmentationAccuracy: noLoss,
  sparsify: noLoss,
  flip,
  bilinearSample: noFork,
  roiMaskPooling: noFork,
  continuation: noFork,
  hostFunction: refused(
    'functions in JavaScript and boxes that are found on the host have no equivalent in ONNX; remove the layer from the net, so that its inputs become the outputs',
  ),
};

function deconvolution(layer: LayerWriter) {
  const p = layer.node.operation as Of<'deconvolution'>;
  const bias = p.bias === null ? [] : [layer.parameter(p.bias, 'bias')];
  const shape = [layer.bottoms[0]![1]!, layer.tops[0]![1]! / p.group, ...p.kernel];
  layer.emit(
    'ConvTranspose',
    [layer.inputs[0]!, layer.parameter(p.weights, 'weight', shape), ...bias],
    windowAttributes(p),
    layer.outputs,
  );
}

/** The axes to crop. The batch stays open. */
function crop(layer: LayerWriter) {
  const { offset } = layer.node.operation as Of<'crop'>;
  const [from, to] = [layer.bottoms[0]!, layer.tops[0]!];
  const axes = [...offset.keys()].filter((axis) => from[axis] !== to[axis]);
  if (axes.length === 0) return layer.emit('Identity', layer.inputs, {}, layer.outputs);
  return layer.emit(
    'Slice',
    [
      layer.inputs[0]!,
      layer.integers(
        'starts',
        axes.map((axis) => offset[axis]!),
      ),
      layer.integers(
        'ends',
        axes.map((axis) => offset[axis]! + to[axis]!),
      ),
      layer.integers('axes', axes),
    ],
    {},
    layer.outputs,
  );
}

/** A convolution (or its transpose) whose filters each have a single 1. */
function im2col(layer: LayerWriter) {
  const p = layer.node.operation as Of<'im2col'>;
  const places = elementCount(p.kernel);
  const windows = p.size.map(
    (size, i) =>
      Math.floor((size + 2 * p.pad[i]! - p.dilation[i]! * (p.kernel[i]! - 1) - 1) / p.stride[i]!) + 1,
  );
  const filters = p.channels * places;
  const weights = layer.computed('columns', [filters, 1, ...p.kernel], () => {
    const values = new Float32Array(filters * places);
    for (let filter = 0; filter < filters; filter++) values[filter * places + (filter % places)] = 1;
    return values;
  });
  const source = p.toImage ? [-1, filters, ...windows] : [-1, p.channels, ...p.size];
  const shaped = layer.emit('Reshape', [layer.inputs[0]!, layer.integers('source', source)]);
  const made = layer.emit(p.toImage ? 'ConvTranspose' : 'Conv', [shaped, weights], {
    kernel_shape: ints(p.kernel),
    strides: ints(p.stride),
    pads: ints([...p.pad, ...p.pad]),
    dilations: ints(p.dilation),
    group: int(p.channels),
    // Positions that no window reaches are 0.
    ...(p.toImage ? { output_padding: ints(outputPadding(p, windows)) } : {}),
  });
  shapedAsTop(layer, made);
}

const outputPadding = (p: Of<'im2col'>, windows: Shape) =>
  p.size.map(
    (size, i) =>
      size - ((windows[i]! - 1) * p.stride[i]! + p.dilation[i]! * (p.kernel[i]! - 1) + 1 - 2 * p.pad[i]!),
  );

/** The last node of a layer, which gives the result the top's shape; 0 copies the batch. */
function shapedAsTop(layer: LayerWriter, made: string) {
  const [top, bottom] = [layer.tops[0]!, layer.bottoms[0]!];
  const dims = top.map((size, i) => (i === 0 && size === bottom[0] ? -1 : size));
  layer.emit('Reshape', [made, layer.integers('shape', dims)], {}, layer.outputs);
}

/** Casting to an integer truncates, and so does Embed. */
function embed(layer: LayerWriter) {
  const p = layer.node.operation as Of<'embed'>;
  const indices = layer.emit('Cast', [layer.inputs[0]!], { to: int(INT64) });
  const inputs = [layer.parameter(p.weights, 'weight'), indices];
  if (p.bias === null) return layer.emit('Gather', inputs, { axis: int(0) }, layer.outputs);
  const rows = layer.emit('Gather', inputs, { axis: int(0) });
  return layer.emit('Add', [rows, layer.parameter(p.bias, 'bias')], {}, layer.outputs);
}

/** Of equal values Caffe chooses the last. */
function argMax(layer: LayerWriter) {
  const p = layer.node.operation as Of<'argMax'>;
  const f = arithmeticOf(layer);
  const rows = f.reshape(layer.inputs[0]!, [-1, p.channels, p.inner]);
  const { indices, values } = p.topK > 1 ? severalBest(layer, rows, p) : best(layer, rows);
  const made =
    p.what === 'indices' ? indices() : p.what === 'values' ? values() : f.concat([indices(), values()], 1);
  shapedAsTop(layer, made);
}

function best(layer: LayerWriter, rows: string) {
  const axis = { axis: int(1), keepdims: int(1), select_last_index: int(1) };
  return {
    indices: () => arithmeticOf(layer).cast(layer.emit('ArgMax', [rows], axis), 'float'),
    values: () => layer.emit('ReduceMax', [rows], { axes: ints([1]), keepdims: int(1) }),
  };
}

/** TopK chooses the first of equal values, so it reads them from the end. */
function severalBest(layer: LayerWriter, rows: string, { channels, topK }: Of<'argMax'>) {
  const f = arithmeticOf(layer);
  const integer = (role: string, value: number) => layer.integers(role, [value]);
  const ends = [integer('last', -1), integer('first', -1 - channels)];
  const turned = layer.emit('Slice', [rows, ...ends, integer('axis', 1), integer('back', -1)]);
  const [values, places] = f.largest(turned, integer('most', topK), 1);
  return { indices: () => f.subtract(channels - 1, f.cast(places, 'float')), values: () => values };
}

/** The sum over the last axis of [rows, inner], which keeps size 1. */
const rowSum = (layer: LayerWriter, rows: string) =>
  layer.emit('ReduceSum', [rows, layer.integers('last', [1])], { keepdims: int(1) });

const inRows = (layer: LayerWriter, inner: number) =>
  layer.emit('Reshape', [layer.inputs[0]!, layer.integers('rows', [-1, inner])]);

function reduction(layer: LayerWriter) {
  const p = layer.node.operation as Of<'reduction'>;
  const rows = inRows(layer, p.inner);
  const terms =
    p.method === 'sum'
      ? rows
      : p.method === 'asum'
        ? layer.emit('Abs', [rows])
        : layer.emit('Mul', [rows, rows]);
  const sum = layer.emit('Mul', [rowSum(layer, terms), layer.scalar('coefficient', p.coefficient)]);
  shapedAsTop(layer, sum);
}

function matrixProduct(layer: LayerWriter) {
  const p = layer.node.operation as Of<'matrixProduct'>;
  const matrix = (i: number, rows: number, columns: number, transposed: boolean) => {
    const shape = transposed ? [p.batches, columns, rows] : [p.batches, rows, columns];
    const made = layer.emit('Reshape', [layer.inputs[i]!, layer.integers(`matrix${i}`, shape)]);
    return transposed ? layer.emit('Transpose', [made], { perm: ints([0, 2, 1]) }) : made;
  };
  const first = matrix(0, p.rows, p.depth, p.transposeFirst);
  const second = matrix(1, p.depth, p.columns, p.transposeSecond);
  layer.emit(
    'Reshape',
    [layer.emit('MatMul', [first, second]), layer.integers('shape', layer.tops[0]!)],
    {},
    layer.outputs,
  );
}

/** A Slice with a negative step. An end before the first value is written as a number below any axis. */
function flip(layer: LayerWriter) {
  const p = layer.node.operation as Of<'flip'>;
  const axes = [...(p.height ? [2] : []), ...(p.width ? [3] : [])];
  if (axes.length === 0) return layer.emit('Identity', layer.inputs, {}, layer.outputs);
  const each = (role: string, value: number) =>
    layer.integers(
      role,
      axes.map(() => value),
    );
  return layer.emit(
    'Slice',
    [
      layer.inputs[0]!,
      each('last', -1),
      each('first', -(2 ** 31)),
      layer.integers('axes', axes),
      each('steps', -1),
    ],
    {},
    layer.outputs,
  );
}

function mvn(layer: LayerWriter) {
  const p = layer.node.operation as Of<'mvn'>;
  const rows = inRows(layer, p.inner);
  const mean = (values: string) =>
    layer.emit('Mul', [rowSum(layer, values), layer.scalar('share', 1 / p.inner)]);
  const centred = layer.emit('Sub', [rows, mean(rows)]);
  if (!p.normalizeVariance) return shapedAsTop(layer, centred);
  const deviation = layer.emit('Sqrt', [mean(layer.emit('Mul', [centred, centred]))]);
  const divisor = layer.emit('Add', [deviation, layer.scalar('eps', p.eps)]);
  return shapedAsTop(layer, layer.emit('Div', [centred, divisor]));
}

function lstmUnit(layer: LayerWriter) {
  const [before, gates, cont] = layer.inputs as [string, string, string];
  const size = layer.bottoms[0]!.at(-1)!;
  const part = (index: number) =>
    layer.emit('Slice', [
      gates,
      layer.integers('start', [index * size]),
      layer.integers('end', [(index + 1) * size]),
      layer.integers('axis', [2]),
    ]);
  const gate = (index: number) => layer.emit('Sigmoid', [part(index)]);
  const forget = layer.emit('Mul', [
    gate(1),
    layer.emit('Reshape', [cont, layer.integers('cont', [1, -1, 1])]),
  ]);
  const kept = layer.emit('Mul', [forget, before]);
  const added = layer.emit('Mul', [gate(0), layer.emit('Tanh', [part(3)])]);
  const [c, h] = layer.outputs as [string, string];
  layer.emit('Add', [kept, added], {}, [c]);
  layer.emit('Mul', [gate(2), layer.emit('Tanh', [c])], {}, [h]);
}
