/** Elementwise functions → activations, Power and Threshold. */
import { toFloat32 } from '../caffe/blob.ts';
import type { Message } from '../caffe/message.ts';
import { finish } from './along-axis.ts';
import { broadcast, eltwise } from './from-onnx-arithmetic.ts';
import type { Activation, NodeContext } from './node-context.ts';
import { blobOfTensor } from './onnx-constants.ts';

/** No float32 is larger. */
const LARGEST = 3.4e38;

/** max(minimum, min(x, maximum)); a ReLU if the bounds allow it. */
export function within(node: NodeContext, minimum: number, maximum: number) {
  if (minimum === 0 && maximum > LARGEST) return node.layer({ name: node.layerName(), type: 'ReLU' });
  const clip_param = {
    min: Math.max(minimum, -3.4028234663852886e38),
    max: Math.min(maximum, 3.4028234663852886e38),
  };
  node.layer({ name: node.layerName(), type: 'Clip', clip_param });
}

/** The single number of a constant input; null if it is computed or has several values. */
function numberAt(node: NodeContext, input: number): number | null {
  const tensor = node.constant(input);
  const blob = tensor === null ? null : blobOfTensor(tensor);
  const values = blob === null ? [] : toFloat32(blob);
  return values.length === 1 ? values[0]! : null;
}

/** Clip for a value and a number; Eltwise for several values. */
export function max(node: NodeContext) {
  const floor = node.inputCount === 2 ? numberAt(node, 1) : null;
  if (floor !== null && node.isComputed(0)) within(node, floor, Number.POSITIVE_INFINITY);
  else eltwise('MAX')(node);
}

/** Caffe has only a maximum: −max(−a, −b). */
export function min(node: NodeContext) {
  const ceiling = node.inputCount === 2 ? numberAt(node, 1) : null;
  if (ceiling !== null && node.isComputed(0)) return within(node, Number.NEGATIVE_INFINITY, ceiling);
  const values = broadcast(
    node,
    node.node.inputs.map((_, i) => node.activation(i)),
  );
  const negatives = values.map((value) => negated(node, value));
  const largest = node.step(negatives, { type: 'Eltwise', eltwise_param: { operation: 'MAX' } });
  node.last([largest], { type: 'Power', power_param: { scale: -1 } });
}

const negated = (node: NodeContext, value: Activation) =>
  node.step([value], { type: 'Power', power_param: { scale: -1 } });

export function neg(node: NodeContext) {
  node.layer({ name: node.layerName(), type: 'Power', power_param: { scale: -1 } });
}

export const power = (exponent: number) => (node: NodeContext) =>
  node.layer({ name: node.layerName(), type: 'Power', power_param: { power: exponent } });

/** max(0, min(1, alpha·x + beta)) */
export function hardSigmoid(node: NodeContext) {
  const power_param = { scale: node.float('alpha', 0.2), shift: node.float('beta', 0.5) };
  const line = node.step([node.activation(0)], { type: 'Power', power_param });
  node.last([line], { type: 'Clip', clip_param: { min: 0, max: 1 } });
}

/** x / (1 + |x|) */
export function softsign(node: NodeContext) {
  const x = node.activation(0);
  const magnitude = node.step([x], { type: 'AbsVal' });
  const share = node.step([magnitude], { type: 'Power', power_param: { power: -1, shift: 1 } });
  node.last([x, share], { type: 'Eltwise', eltwise_param: { operation: 'PROD' } });
}

export function logSoftmax(node: NodeContext) {
  const x = node.activation(0);
  const axis = node.integer('axis', node.opset >= 13 ? -1 : 1);
  if (node.opset < 13 && axis !== x.shape.length - 1)
    node.fail(`opset ${node.opset} computes one softmax over all axes from ${axis} on`);
  const share = node.step([x], { type: 'Softmax', softmax_param: { axis } });
  node.last([share], { type: 'Log' });
}

/** 1 where a value is larger than a number, else 0. */
export function greater(node: NodeContext) {
  const threshold = numberAt(node, 1) ?? node.fail('only "above a constant number" (Threshold) is converted');
  node.layer({ name: node.layerName(), type: 'Threshold', threshold_param: { threshold } });
}

/** Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26: accurate to 1.5e-7. */
const ERF = { p: 0.3275911, a: [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429] } as const;

/** ±(1 − (a₁t + a₂t² + … + a₅t⁵) · e^(−x²)), t = 1 / (1 + p·|x|) */
function erfOf(node: NodeContext, x: Activation): Activation {
  const power = (value: Activation, power_param: Message) =>
    node.step([value], { type: 'Power', power_param });
  const product = (...values: Activation[]) =>
    node.step(values, { type: 'Eltwise', eltwise_param: { operation: 'PROD' } });
  const t = power(node.step([x], { type: 'AbsVal' }), { power: -1, scale: ERF.p, shift: 1 });
  const powers = ERF.a.map((_, i) => (i === 0 ? t : power(t, { power: i + 1 })));
  const sum = node.step(powers, { type: 'Eltwise', eltwise_param: { coeff: ERF.a } });
  const bell = node.step([power(x, { power: 2 })], { type: 'Exp', exp_param: { scale: -1 } });
  const sign = power(node.step([x], { type: 'Threshold' }), { scale: 2, shift: -1 });
  return product(sign, power(product(sum, bell), { scale: -1, shift: 1 }));
}

export function erf(node: NodeContext) {
  finish(node, erfOf(node, node.activation(0)));
}

/** x · Φ(x), where Φ is the normal distribution; approximately x / 2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))). */
export function gelu(node: NodeContext) {
  const x = node.activation(0);
  const power = (value: Activation, power_param: Message) =>
    node.step([value], { type: 'Power', power_param });
  const curve = () => {
    const cube = power(x, { power: 3 });
    const sum = node.step([x, cube], { type: 'Eltwise', eltwise_param: { coeff: [1, 0.044715] } });
    return node.step([power(sum, { scale: Math.sqrt(2 / Math.PI) })], { type: 'TanH' });
  };
  const isTanh = node.text('approximate', 'none') === 'tanh';
  const centred = isTanh ? curve() : erfOf(node, power(x, { scale: Math.SQRT1_2 }));
  const share = power(centred, { scale: 0.5, shift: 0.5 });
  node.last([x, share], { type: 'Eltwise', eltwise_param: { operation: 'PROD' } });
}
