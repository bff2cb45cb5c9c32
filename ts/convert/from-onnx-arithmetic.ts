/** Sums, products and matrices → Eltwise, Scale, Bias, Power and InnerProduct. */
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats, toFloat32 } from '../caffe/blob.ts';
import type { Activation, NodeContext } from './node-context.ts';
import { blobOfTensor } from './onnx-constants.ts';
import type { OnnxTensor } from './onnx-proto.ts';

const isSame = (a: readonly number[], b: readonly number[]) => a.join() === b.join();

/** A constant and a computed value, in either order; null if both are computed. */
function constantOperand(
  node: NodeContext,
): { value: Activation; tensor: OnnxTensor; blob: Blob; isFirst: boolean } | null {
  // If both are constant, the larger one becomes a layer.
  const [a, b] = [node.constant(0), node.constant(1)];
  const isFirst = a !== null && (b === null || elementCount(a.shape) < elementCount(b.shape));
  const tensor = isFirst ? a : b;
  if (tensor === null) return null;
  const blob = blobOfTensor(tensor) ?? node.fail(`"${tensor.name}" is ${tensor.type}, expected float32`);
  return { value: node.activation(isFirst ? 1 : 0), tensor, blob, isFirst };
}

/**
 * The run of axes of `shape` along which an operand varies, in the form that Scale and Bias need.
 * @param keepsBatch Include a first dimension that both have, even if it is 1, because the batch may grow.
 */
function run(shape: readonly number[], operand: readonly number[], keepsBatch = false) {
  const missing = shape.length - operand.length;
  const aligned = [...Array.from({ length: missing }, () => 1), ...operand];
  const first = aligned.findIndex((dim) => dim !== 1);
  const axis = keepsBatch && missing === 0 && aligned[0] === shape[0] ? 0 : Math.max(first, 0);
  const end = aligned.findLastIndex((dim) => dim !== 1) + 1;
  const dims = aligned.slice(axis, end);
  return missing < 0 || !isSame(dims, shape.slice(axis, end)) ? null : { axis, dims };
}

/** Broadcasts values to one shape as NumPy does. Axes of size 1 are repeated by Tile. */
export function broadcast(node: NodeContext, values: readonly Activation[]): Activation[] {
  const rank = Math.max(...values.map(({ shape }) => shape.length));
  const aligned = values.map(({ shape }) => [
    ...Array.from({ length: rank - shape.length }, () => 1),
    ...shape,
  ]);
  const shape = Array.from({ length: rank }, (_, axis) => Math.max(...aligned.map((dims) => dims[axis]!)));
  const other = aligned.findIndex((dims) => dims.some((dim, axis) => dim !== 1 && dim !== shape[axis]));
  if (other >= 0)
    node.fail(
      `inputs differ: ${values[0]!.name} is ${values[0]!.shape.join('×')}, ${values[Math.max(other, 1)]!.name} is ${values[Math.max(other, 1)]!.shape.join('×')}`,
    );
  return values.map((value, i) => {
    const full =
      value.shape.length === rank
        ? value
        : node.step([value], { type: 'Reshape', reshape_param: { shape: { dim: aligned[i]! } } });
    return shape.reduce((made, dim, axis) => {
      if (made.shape[axis] === dim) return made;
      return node.step([made], { type: 'Tile', tile_param: { axis, tiles: dim } });
    }, full);
  });
}

/** Adds or multiplies by Scale or Bias for values per channel or similar, and by Power for a single value. */
function constantLayer(
  node: NodeContext,
  kind: 'scale' | 'bias',
  change: (value: number) => number,
): boolean {
  const operand = constantOperand(node);
  if (operand === null) return false;
  const { value, tensor, blob } = operand;
  const values = toFloat32(blob).map(change);
  const known = run(value.shape, tensor.shape);
  if (known === null) return false;
  const { axis, dims } = known;
  const bottom = [value.name];
  if (values.length === 1) {
    const power_param = kind === 'scale' ? { scale: values[0]! } : { shift: values[0]! };
    node.layer({ name: node.layerName(), type: 'Power', bottom, power_param });
    return true;
  }
  const own = blobFromFloats(dims, values);
  if (kind === 'bias' && completes(node, value, axis, own)) return true;
  const name = node.layerName(tensor);
  const axes = { axis, num_axes: dims.length };
  if (kind === 'scale') node.layer({ name, type: 'Scale', bottom, scale_param: axes }, [own]);
  else node.layer({ name, type: 'Bias', bottom, bias_param: axes }, [own]);
  return true;
}

/** A bias directly after its InnerProduct or Scale becomes part of that layer. */
function completes(node: NodeContext, value: Activation, axis: number, bias: Blob): boolean {
  const { layer, weights } = node.previous(value) ?? {};
  if (layer === undefined || weights?.blobs.length !== 1) return false;
  const blobs = [...weights.blobs, bias];
  if (layer.type === 'InnerProduct' && axis === value.shape.length - 1) {
    const { bias_term: _, ...rest } = layer.inner_product_param ?? {};
    node.replacePrevious({ ...layer, inner_product_param: rest }, blobs);
    return true;
  }
  const scale = layer.scale_param;
  if (layer.type !== 'Scale' || scale?.axis !== axis || scale.num_axes !== bias.shape.length) return false;
  node.replacePrevious({ ...layer, scale_param: { ...scale, bias_term: true } }, blobs);
  return true;
}

/** All inputs are computed. Those of a smaller shape are repeated. */
function eltwiseLayer(node: NodeContext, operation: 'SUM' | 'PROD' | 'MAX', coefficients?: number[]) {
  const values = broadcast(
    node,
    node.node.inputs.map((_, i) => node.activation(i)),
  );
  if (values.length === 1) return node.alias(values[0]!);
  const eltwise_param = {
    ...(operation === 'SUM' ? {} : { operation }),
    ...(coefficients === undefined ? {} : { coeff: coefficients }),
  };
  const bottom = values.map(({ name }) => name);
  node.layer({
    name: node.layerName(),
    type: 'Eltwise',
    bottom,
    ...(Object.keys(eltwise_param).length === 0 ? {} : { eltwise_param }),
  });
}

/** Broadcasts one computed input over the other, such as N×C×1×1 over N×C×H×W, by a Scale or Bias with two bottoms. */
function broadcastLayer(node: NodeContext, type: 'Scale' | 'Bias'): boolean {
  const [a, b] = [node.activation(0), node.activation(1)];
  if (isSame(a.shape, b.shape)) return false;
  const [large, small] = elementCount(a.shape) >= elementCount(b.shape) ? [a, b] : [b, a];
  const known = run(large.shape, small.shape, true);
  if (known === null) return false;
  const { axis, dims } = known;
  let operand = small.name;
  if (!isSame(dims, small.shape)) {
    operand = `${node.node.outputs[0]}/operand`;
    const dim = dims.map((each, i) => (each === small.shape[i] ? 0 : each));
    node.layer({
      name: node.layerName(),
      type: 'Reshape',
      bottom: [small.name],
      top: [operand],
      reshape_param: { shape: { dim } },
    });
  }
  const param = { [type === 'Scale' ? 'scale_param' : 'bias_param']: { axis } };
  node.layer({ name: node.layerName(), type, bottom: [large.name, operand], ...param });
  return true;
}

export function add(node: NodeContext) {
  if (constantLayer(node, 'bias', (value) => value) || broadcastLayer(node, 'Bias')) return;
  eltwiseLayer(node, 'SUM');
}

export function mul(node: NodeContext) {
  if (constantLayer(node, 'scale', (value) => value) || broadcastLayer(node, 'Scale')) return;
  eltwiseLayer(node, 'PROD');
}

export function sub(node: NodeContext) {
  if (node.constant(0) !== null) {
    const negative = node.step([node.activation(1)], { type: 'Power', power_param: { scale: -1 } });
    return withConstant(node, negative, 0, 'bias');
  }
  if (!constantLayer(node, 'bias', (value) => -value)) eltwiseLayer(node, 'SUM', [1, -1]);
}

/** A quotient becomes a product with the reciprocal. */
export function div(node: NodeContext) {
  if (node.constant(0) === null && constantLayer(node, 'scale', (value) => 1 / value)) return;
  const reciprocal = node.step([node.activation(1)], { type: 'Power', power_param: { power: -1 } });
  if (node.constant(0) !== null) return withConstant(node, reciprocal, 0, 'scale');
  const [a, b] = broadcast(node, [node.activation(0), reciprocal]) as [Activation, Activation];
  node.last([a, b], { type: 'Eltwise', eltwise_param: { operation: 'PROD' } });
}

/** Multiplies a computed value by a constant, or adds the two. */
function withConstant(node: NodeContext, value: Activation, input: number, kind: 'scale' | 'bias') {
  const tensor = node.constant(input)!;
  const blob = blobOfTensor(tensor) ?? node.fail(`"${tensor.name}" is ${tensor.type}, expected float32`);
  const values = toFloat32(blob);
  const [first] = values;
  if (values.length === 1)
    return node.last([value], {
      type: 'Power',
      power_param: kind === 'scale' ? { scale: first! } : { shift: first! },
    });
  const pair = broadcast(node, [node.activation(input), value]);
  node.last(pair, {
    type: 'Eltwise',
    eltwise_param: { operation: kind === 'scale' ? 'PROD' : 'SUM' },
  });
}

export function pow(node: NodeContext) {
  const exponent = node.constant(1);
  const blob = exponent === null ? null : blobOfTensor(exponent);
  const values = blob === null ? [] : toFloat32(blob);
  if (values.length !== 1) return node.fail('its exponent is not a single constant of float32');
  node.layer({ name: node.layerName(), type: 'Power', power_param: { power: values[0]! } });
}

export const eltwise = (operation: 'SUM' | 'MAX') => (node: NodeContext) => eltwiseLayer(node, operation);

export function gemm(node: NodeContext) {
  if (node.float('alpha', 1) !== 1 || node.float('beta', 1) !== 1 || node.integer('transA', 0) !== 0)
    node.fail('alpha, beta and transA other than 1, 1 and 0 are not converted');
  const { shape } = node.activation(0);
  const tensor = node.constant(1) ?? node.fail('its weights are not a constant');
  if (shape.length !== 2 || tensor.shape.length !== 2)
    node.fail(`expected matrices, found ${shape.join('×')} and ${tensor.shape.join('×')}`);
  const isTransposed = node.integer('transB', 0) === 0;
  const outputs = tensor.shape[isTransposed ? 1 : 0]!;
  const bias = node.constant(2);
  if (bias === null && node.inputCount > 2 && node.node.inputs[2] !== '')
    node.fail('its bias is not a constant');
  const weights = blobOfTensor(tensor) ?? node.fail(`"${tensor.name}" is ${tensor.type}, expected float32`);
  innerProduct(node, tensor, outputs, 1, isTransposed, [
    weights,
    ...(bias === null ? [] : [biasOf(node, bias, outputs)]),
  ]);
}

function biasOf(node: NodeContext, tensor: OnnxTensor, outputs: number): Blob {
  const blob = blobOfTensor(tensor) ?? node.fail(`"${tensor.name}" is ${tensor.type}, expected float32`);
  const values = toFloat32(blob);
  if (values.length === 1 && outputs !== 1)
    return blobFromFloats([outputs], new Float32Array(outputs).fill(values[0]!));
  if (values.length !== outputs || (tensor.shape.at(-1) ?? 1) !== outputs)
    node.fail(`its bias is ${tensor.shape.join('×')}, expected ${outputs} values`);
  return { ...blob, shape: [outputs] };
}

export function matMul(node: NodeContext) {
  const { shape } = node.activation(0);
  const tensor =
    node.constant(1) ??
    node.fail(
      'its second input is not a constant: it multiplies two values that the net computes, as attention does; no layer of Caffe does that',
    );
  if (tensor.shape.length !== 2) node.fail(`its weights are ${tensor.shape.join('×')}, expected a matrix`);
  const weights = blobOfTensor(tensor) ?? node.fail(`"${tensor.name}" is ${tensor.type}, expected float32`);
  innerProduct(node, tensor, tensor.shape[1]!, shape.length - 1, true, [weights]);
}

function innerProduct(
  node: NodeContext,
  tensor: OnnxTensor,
  outputs: number,
  axis: number,
  isTransposed: boolean,
  blobs: readonly Blob[],
) {
  const inner_product_param = {
    num_output: outputs,
    ...(blobs.length === 1 ? { bias_term: false } : {}),
    ...(axis === 1 ? {} : { axis }),
    ...(isTransposed ? { transpose: true } : {}),
  };
  const layer = { name: node.layerName(tensor), type: 'InnerProduct', inner_product_param };
  // InnerProduct itself flattens from axis 1.
  const { layer: flatten } = (axis === 1 ? node.previous(node.activation(0)) : null) ?? {};
  if (flatten?.type === 'Flatten') node.replacePrevious({ ...layer, bottom: flatten.bottom! }, blobs);
  else node.layer({ ...layer, bottom: [node.activation(0).name] }, blobs);
}
