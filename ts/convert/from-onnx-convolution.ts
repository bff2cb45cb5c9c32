/** Conv and ConvTranspose over any number of spatial axes → Convolution and Deconvolution. */
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats, toFloat32 } from '../caffe/blob.ts';
import type { Message } from '../caffe/message.ts';
import { finish } from './along-axis.ts';
import type { NodeContext } from './node-context.ts';
import { blobOfTensor } from './onnx-constants.ts';

/** The fields that both operators share. */
interface Window {
  readonly bottom: string;
  /** The shape of the bottom, including the zeros of a preceding Pad. */
  readonly sizes: readonly number[];
  readonly zeros: readonly number[];
  readonly weights: Blob;
  readonly bias: Blob | null;
  readonly layerName: string;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly group: number;
}

function windowOf(node: NodeContext, takesZeros: boolean): Window {
  const value = node.activation(0, { takesZeros });
  const tensor = node.constant(1) ?? node.fail('its weights are not a constant');
  const rank = value.shape.length - 2;
  if (rank < 1 || tensor.shape.length !== rank + 2)
    node.fail(
      `its input is ${value.shape.join('×')} and its weights are ${tensor.shape.join('×')}; expected N×C and at least one spatial axis, the same of both`,
    );
  const ones = Array.from({ length: rank }, () => 1);
  const list = (name: string) => {
    const found = node.integers(name) ?? ones;
    if (found.length !== rank || found.some((each) => !(each >= 1)))
      node.fail(`${name} is ${found.join(', ')}, expected ${rank} numbers of at least 1`);
    return found;
  };
  const bias = node.constant(2);
  if (bias === null && node.inputCount > 2 && node.node.inputs[2] !== '')
    node.fail('its bias is not a constant');
  const [weights, biases] = [tensor, bias].map((each) =>
    each === null
      ? null
      : (blobOfTensor(each) ?? node.fail(`"${each.name}" is ${each.type}, expected float32`)),
  ) as [Blob, Blob | null];
  const zeros = rank === 2 ? value.zeros : ones.map(() => 0);
  return {
    bottom: value.name,
    sizes: value.shape.slice(2).map((size, i) => size + 2 * zeros[i]!),
    zeros,
    weights,
    bias: biases,
    layerName: node.layerName(tensor),
    kernel: tensor.shape.slice(2),
    stride: list('strides'),
    dilation: list('dilations'),
    group: node.integer('group', 1),
  };
}

/** The zeros before and after each axis, or null if ONNX computes them (auto_pad). */
function padsOf(node: NodeContext, rank: number): { before: number[]; after: number[] } | null {
  const auto = node.text('auto_pad', 'NOTSET');
  if (auto.startsWith('SAME')) return null;
  const pads = auto === 'VALID' ? null : node.integers('pads');
  const all = pads ?? new Array<number>(2 * rank).fill(0);
  if (all.length !== 2 * rank || all.some((each) => !(each >= 0)))
    node.fail(`pads are ${all.join(', ')}; expected ${rank === 2 ? 'four' : 2 * rank} numbers of at least 0`);
  return { before: all.slice(0, rank), after: all.slice(rank) };
}

/** SAME_UPPER puts an odd zero at the end, SAME_LOWER at the beginning. */
function halved(node: NodeContext, total: readonly number[]) {
  const low = total.map((each) => Math.floor(each / 2));
  const high = total.map((each) => Math.ceil(each / 2));
  return node.text('auto_pad', '') === 'SAME_LOWER'
    ? { before: high, after: low }
    : { before: low, after: high };
}

/** A convolution with a larger kernel would take longer than the operator that it replaces. */
const MOST_WEIGHTS = 2 ** 26;

/** Surrounds a kernel with zeros. */
function extended(
  node: NodeContext,
  weights: Blob,
  before: readonly number[],
  after: readonly number[],
): Blob {
  if ([...before, ...after].every((each) => each === 0)) return weights;
  const [outputs, inputs, ...kernel] = weights.shape as [number, number, ...number[]];
  const larger = kernel.map((size, i) => size + before[i]! + after[i]!);
  if (!(outputs * inputs * elementCount(larger) <= MOST_WEIGHTS))
    node.fail(
      `with zeros for the padding that Caffe does not support its kernel would be ${larger.join('×')}`,
    );
  const values = toFloat32(weights);
  const [places, most] = [elementCount(kernel), elementCount(larger)];
  const made = new Float32Array(outputs * inputs * most);
  for (let index = 0; index < values.length; index++) {
    let [rest, at, run] = [index % places, 0, 1];
    for (let axis = kernel.length - 1; axis >= 0; axis--) {
      at += ((rest % kernel[axis]!) + before[axis]!) * run;
      run *= larger[axis]!;
      rest = Math.floor(rest / kernel[axis]!);
    }
    made[Math.floor(index / places) * most + at] = values[index]!;
  }
  return blobFromFloats([outputs, inputs, ...larger], made);
}

/** The shortest fields that Caffe allows: one value if all axes are equal. */
function fields(
  name: 'kernel' | 'stride' | 'pad' | 'dilation',
  list: readonly number[],
  missing: number | null,
) {
  const field = name === 'kernel' ? 'kernel_size' : name;
  if (list.every((each) => each === list[0])) return list[0] === missing ? {} : { [field]: [list[0]!] };
  if (list.length === 2 && name !== 'dilation') return { [`${name}_h`]: list[0]!, [`${name}_w`]: list[1]! };
  return { [field]: [...list] };
}

const parameter = (
  outputs: number,
  window: Window,
  kernel: readonly number[],
  pad: readonly number[],
): Message => ({
  num_output: outputs,
  ...(window.bias === null ? { bias_term: false } : {}),
  ...fields('pad', pad, 0),
  ...fields('kernel', kernel, null),
  ...fields('stride', window.stride, 1),
  ...fields('dilation', window.dilation, 1),
  ...(window.group === 1 ? {} : { group: window.group }),
});

/** Caffe pads opposite sides equally. If ONNX does not, zeros in the kernel replace the missing ones. */
export function conv(node: NodeContext) {
  const window = windowOf(node, true);
  const { kernel, stride, dilation, sizes, zeros } = window;
  const extents = kernel.map((size, i) => dilation[i]! * (size - 1) + 1);
  const same = sizes.map((size, i) =>
    Math.max(0, (Math.ceil(size / stride[i]!) - 1) * stride[i]! + extents[i]! - size),
  );
  const { before, after } = padsOf(node, kernel.length) ?? halved(node, same);
  const wider = (one: readonly number[], other: readonly number[]) =>
    one.map((each, i) => Math.max(0, (other[i]! - each) / dilation[i]!));
  const [first, last] = [wider(before, after), wider(after, before)];
  if ([...first, ...last].some((each) => !Number.isInteger(each)))
    node.fail(
      `pads are ${[...before, ...after].join(', ')}, whose opposite sides differ, not by a multiple of the dilation; Caffe pads both sides equally`,
    );
  const weights = extended(node, window.weights, first, last);
  const pad = before.map((each, i) => Math.max(each, after[i]!) + zeros[i]!);
  node.layer(
    {
      name: window.layerName,
      type: 'Convolution',
      bottom: [window.bottom],
      convolution_param: parameter(weights.shape[0]!, window, weights.shape.slice(2), pad),
    },
    [weights, ...(window.bias === null ? [] : [window.bias])],
  );
}

/**
 * Makes the whole transposed convolution, of which ONNX uses a part: pads cut values off, output_padding adds positions at
 * the end. Caffe cuts both sides equally. So Slice cuts the rest, and zeros in the kernel make the positions beyond the end.
 */
export function convTranspose(node: NodeContext) {
  const window = windowOf(node, false);
  const { kernel, stride, dilation, sizes, group } = window;
  const rank = kernel.length;
  const padding = node.integers('output_padding') ?? new Array<number>(rank).fill(0);
  const outputShape = node.integers('output_shape')?.slice(-rank) ?? null;
  const whole = sizes.map((size, i) => (size - 1) * stride[i]! + dilation[i]! * (kernel[i]! - 1) + 1);
  const stated = padsOf(node, rank);
  const target = outputShape ?? (stated === null ? sizes.map((size, i) => size * stride[i]!) : null);
  const { before, after } =
    target === null
      ? stated!
      : cutsTo(
          node,
          target.map((size, i) => whole[i]! + padding[i]! - size),
        );
  // How much of the whole is cut off. Negative numbers add positions.
  const end = after.map((each, i) => each - padding[i]!);
  const added = end.map((each, i) => Math.ceil(Math.max(0, -each) / dilation[i]!));
  const weights = extended(
    node,
    window.weights,
    added.map(() => 0),
    added,
  );
  const rest = end.map((each, i) => each + added[i]! * dilation[i]!);
  const pad = before.map((each, i) => Math.min(each, rest[i]!));
  const outputs = weights.shape[1]! * group;
  const layer = {
    type: 'Deconvolution',
    bottom: [window.bottom],
    convolution_param: parameter(outputs, window, weights.shape.slice(2), pad),
  };
  const blobs = [weights, ...(window.bias === null ? [] : [window.bias])];
  if (before.every((each, i) => each === pad[i] && rest[i] === pad[i]))
    return node.layer({ name: window.layerName, ...layer }, blobs);
  const made = node.step([node.activation(0)], layer, blobs);
  const cut = before.reduce((value, each, i) => {
    const size = value.shape[2 + i]!;
    const [from, to] = [each - pad[i]!, size - (rest[i]! - pad[i]!)];
    return from === 0 && to === size ? value : node.part(value, 2 + i, from, to);
  }, made);
  finish(node, cut);
}

/** How much to cut to get the given shape. */
function cutsTo(node: NodeContext, total: readonly number[]) {
  // https://onnx.ai/onnx/operators/onnx__ConvTranspose.html: the odd one is cut at the beginning, for SAME_UPPER at the end.
  const low = total.map((each) => Math.floor(each / 2));
  const high = total.map((each, i) => each - low[i]!);
  return node.text('auto_pad', 'NOTSET') === 'SAME_UPPER'
    ? { before: low, after: high }
    : { before: high, after: low };
}
