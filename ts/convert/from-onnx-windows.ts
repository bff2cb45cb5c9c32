/** Pooling operators and Pad → Pooling, or zeros that a convolution adds itself. */
import type { Message } from '../caffe/message.ts';
import { alongAxis, finish } from './along-axis.ts';
import type { NodeContext } from './node-context.ts';
import { blobOfTensor, integersOf } from './onnx-constants.ts';
import { poolingFromOnnx } from './onnx-pooling.ts';

type Two = readonly [number, number];
type Four = readonly [top: number, left: number, bottom: number, right: number];

/** @throws WeightsError if a list does not have two values */
function two(node: NodeContext, name: string, missing: Two | null): Two {
  const list = node.integers(name) ?? missing ?? node.fail(`${name} is missing`);
  if (list.length !== 2)
    node.fail(`${name} is ${list.join(', ')}; only windows over height and width are converted`);
  return list as unknown as Two;
}

function imageOf(node: NodeContext) {
  const value = node.activation(0, { takesZeros: true });
  if (value.shape.length !== 4) node.fail(`its input is ${value.shape.join('×')}; only N×C×H×W is converted`);
  return { ...value, size: [value.shape[2]!, value.shape[3]!] as Two };
}

function padsOf(node: NodeContext, size: Two, extent: Two, strides: Two): Four {
  const auto = node.text('auto_pad', 'NOTSET');
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    const total = ([0, 1] as const).map((i) =>
      Math.max(0, (Math.ceil(size[i] / strides[i]) - 1) * strides[i] + extent[i] - size[i]),
    ) as [number, number];
    const low = total.map((each) => Math.floor(each / 2)) as [number, number];
    const high = total.map((each) => Math.ceil(each / 2)) as [number, number];
    return auto === 'SAME_UPPER' ? [...low, ...high] : [...high, ...low];
  }
  const pads = auto === 'VALID' ? [0, 0, 0, 0] : (node.integers('pads') ?? [0, 0, 0, 0]);
  if (pads.length !== 4 || pads.some((each) => !(each >= 0)))
    node.fail(`pads are ${pads.join(', ')}; expected four numbers of at least 0`);
  return pads as unknown as Four;
}

/** The shortest fields for a pooling window that Caffe allows: `kernel_size: 3`, or `kernel_h` and `kernel_w`. */
function sides(name: 'kernel' | 'stride' | 'pad', [h, w]: Two, missing: number | null): Message {
  if (h !== w) return { [`${name}_h`]: h, [`${name}_w`]: w };
  return h === missing ? {} : { [name === 'kernel' ? 'kernel_size' : name]: h };
}

const ofSides = ([pad_t, pad_l, pad_b, pad_r]: Four): Message => ({ pad_t, pad_l, pad_b, pad_r });

function pool(node: NodeContext, method: 'max' | 'average') {
  const { name: bottom, size, zeros } = imageOf(node);
  const kernel = two(node, 'kernel_shape', null);
  const strides = two(node, 'strides', [1, 1]);
  const dilations = two(node, 'dilations', [1, 1]);
  if (dilations[0] !== 1 || dilations[1] !== 1)
    node.fail(`dilations ${dilations.join(', ')} do not exist in Caffe's Pooling`);
  if ([...kernel, ...strides].some((each) => !(each >= 1)))
    node.fail('kernel and strides must be at least 1');
  const padded: Two = [size[0] + 2 * zeros[0], size[1] + 2 * zeros[1]];
  const result = poolingFromOnnx(
    {
      method,
      kernel,
      strides,
      pads: padsOf(node, padded, kernel, strides),
      ceilMode: node.integer('ceil_mode', 0) !== 0,
      countIncludePad: node.integer('count_include_pad', 0) !== 0,
    },
    zeros,
    size,
  );
  if (result.kind === 'refused') return node.fail(result.reason);
  node.layer({
    name: node.layerName(),
    type: 'Pooling',
    bottom: [bottom],
    ...(method === 'max' && hasIndices(node) ? { top: node.node.outputs.slice(0, 2) } : {}),
    pooling_param: {
      pool: result.pool,
      ...(result.sides === undefined ? sides('pad', result.pad, 0) : ofSides(result.sides)),
      ...sides('kernel', kernel, null),
      ...sides('stride', strides, 1),
      ...(result.roundMode === 'FLOOR' ? { round_mode: 'FLOOR' } : {}),
    },
  });
}

export function maxPool(node: NodeContext) {
  // Caffe's padding does not take part in a maximum, so the zeros of a Pad are written out first.
  const { shape } = node.activation(0);
  pool(node, 'max');
  if (hasIndices(node)) node.holds('places', 1, shape[2]! * shape[3]!);
}

const hasIndices = (node: NodeContext) => (node.node.outputs[1] ?? '') !== '';

/** Taken modulo the size of a plane, indices count within it, as a mask does. */
export function mod(node: NodeContext) {
  const value = node.activation(0, { takes: 'places' });
  const given = node.constant(1);
  const divisor = given === null ? null : integersOf(given);
  if (value.holds !== 'places' || divisor?.length !== 1 || divisor[0] !== value.plane)
    node.fail("only MaxPool's indices modulo the size of a plane are converted");
  node.alias(value);
  node.holds(undefined);
}

/** Restores the size before pooling, so that positions in a plane are the same for both. */
export function maxUnpool(node: NodeContext) {
  const x = node.activation(0);
  const mask = node.activation(1, { takes: 'places' });
  const given = node.constant(2);
  const [kernel, strides] = [two(node, 'kernel_shape', null), two(node, 'strides', [1, 1])];
  const pads = node.integers('pads') ?? [0, 0, 0, 0];
  const sizes =
    (given === null ? null : integersOf(given))?.slice(-2) ??
    ([0, 1] as const).map((i) => (x.shape[2 + i]! - 1) * strides[i] + kernel[i] - pads[i]! - pads[i + 2]!);
  const [upsample_h, upsample_w] = sizes as [number, number];
  if (mask.holds !== 'places' || mask.plane !== upsample_h * upsample_w)
    node.fail('its indices do not come from a MaxPool whose planes have the size of its output');
  node.last([x, mask], { type: 'Upsample', upsample_param: { upsample_h, upsample_w } });
}

export function averagePool(node: NodeContext) {
  pool(node, 'average');
}

export const globalPool = (method: 'MAX' | 'AVE') => (node: NodeContext) => {
  node.activation(0);
  imageOf(node);
  node.layer({
    name: node.layerName(),
    type: 'Pooling',
    pooling_param: { pool: method, global_pooling: true },
  });
};

/** A mean over height and width becomes a global pooling. */
export function reduceMean(node: NodeContext) {
  const { shape } = node.activation(0);
  const given = node.constant(1);
  const axes = (given === null ? null : integersOf(given)) ?? node.integers('axes') ?? [];
  const sorted = axes.map((axis) => (axis < 0 ? axis + shape.length : axis)).sort((a, b) => a - b);
  if (shape.length !== 4 || sorted.join() !== '2,3')
    node.fail(
      `it averages over axes ${axes.join(', ') || 'all'}; only height and width (2, 3) are converted`,
    );
  const pooling_param = { pool: 'AVE', global_pooling: true };
  if (node.integer('keepdims', 1) !== 0)
    return node.layer({ name: node.layerName(), type: 'Pooling', pooling_param });
  const between = `${node.node.outputs[0]}/pool`;
  node.layer({ name: node.layerName(), type: 'Pooling', top: [between], pooling_param });
  node.layer({ name: node.layerName(), type: 'Flatten', bottom: [between] });
}

/**
 * Zeros that are equal on opposite sides of planes are remembered with the value until a Conv or AveragePool adds them.
 * Any other padding is a linear map along each axis.
 */
export function pad(node: NodeContext) {
  const value = node.activation(0);
  const given = node.constant(1);
  const listed =
    (given === null ? null : integersOf(given)) ??
    node.integers('pads') ??
    node.fail('its pads are not a constant');
  const rank = value.shape.length;
  const axes = node.constant(3) === null ? null : integersOf(node.constant(3)!);
  const pads = axes === null ? listed : padsOfAxes(listed, axes, rank);
  if (pads.length !== 2 * rank || pads.some((each) => !Number.isInteger(each)))
    node.fail(`pads are ${pads.join(', ')}, expected two for each of ${rank} axes`);
  const fill = node.constant(2);
  const filled = fill === null ? null : blobOfTensor(fill);
  const isZero = filled === null ? node.float('value', 0) === 0 : filled.bytes.every((byte) => byte === 0);
  const mode = node.text('mode', 'constant');
  if (mode === 'constant' && !isZero) node.fail('it pads with another constant than 0');
  if (pads.every((each) => each === 0)) return node.alias(value);
  const isAlike = pads.slice(0, rank).every((each, i) => each === pads[i + rank] && each >= 0);
  const isPlane = rank === 4 && isAlike && pads[0] === 0 && pads[1] === 0;
  if (mode === 'constant' && isPlane) return node.alias({ ...value, zeros: [pads[2]!, pads[3]!] });
  const made = value.shape.reduce((x, size, axis) => {
    const [before, after] = [pads[axis]!, pads[axis + rank]!];
    if (before === 0 && after === 0) return x;
    const map = {
      count: size + before + after,
      of: (made: number) => paddingOf(node, mode, made - before, size),
    };
    return alongAxis(node, x, axis, map);
  }, value);
  finish(node, made);
}

/** Since opset 18 the operator may name the axes that it pads. */
function padsOfAxes(pads: readonly number[], axes: readonly number[], rank: number): number[] {
  const all = new Array<number>(2 * rank).fill(0);
  axes.forEach((each, i) => {
    const axis = each < 0 ? each + rank : each;
    all[axis] = pads[i]!;
    all[axis + rank] = pads[i + axes.length]!;
  });
  return all;
}

function paddingOf(node: NodeContext, mode: string, place: number, size: number): [number, number][] {
  const last = size - 1;
  if (place >= 0 && place <= last) return [[place, 1]];
  switch (mode) {
    case 'constant':
      return [];
    case 'edge':
      return [[place < 0 ? 0 : last, 1]];
    case 'wrap':
      return [[((place % size) + size) % size, 1]];
    case 'reflect': {
      const mirrored = place < 0 ? -place : 2 * last - place;
      if (mirrored < 0 || mirrored > last) node.fail(`it reflects beyond the ${size} values of an axis`);
      return [[mirrored, 1]];
    }
    default:
      return node.fail(`mode ${mode} is none of constant, edge, reflect and wrap`);
  }
}
