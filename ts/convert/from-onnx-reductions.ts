/** Reductions of whole rows (sums, means, maxima) and normalisations by them → Reduction, ArgMax and Scale. */
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats, toFloat32 } from '../caffe/blob.ts';
import { alongAxis, finish, picked } from './along-axis.ts';
import { axisOf } from './from-onnx-places.ts';
import { reduceMean as globalMean } from './from-onnx-windows.ts';
import type { Activation, NodeContext } from './node-context.ts';
import { blobOfTensor, integersOf } from './onnx-constants.ts';

const reshaped = (dim: readonly number[]) => ({ type: 'Reshape', reshape_param: { shape: { dim } } });

/** The axes, sorted. They are an attribute, and an input in later opsets. */
function axesOf(node: NodeContext, rank: number): number[] {
  const given = node.constant(1);
  const axes = (given === null ? null : integersOf(given)) ?? node.integers('axes') ?? [];
  const all = axes.length === 0 ? Array.from({ length: rank }, (_, i) => i) : axes;
  return [...new Set(all.map((axis) => axisOf(node, axis, rank)))].sort((a, b) => a - b);
}

/** Moves axes to the end, in their order. */
function movedToEnd(node: NodeContext, x: Activation, axes: readonly number[]): Activation {
  const kept = x.shape.map((_, i) => i).filter((axis) => !axes.includes(axis));
  const order = [...kept, ...axes];
  return order.every((axis, i) => axis === i)
    ? x
    : node.step([x], { type: 'Permute', permute_param: { order } });
}

type Method = 'sum' | 'mean' | 'l1' | 'l2' | 'sumSquare' | 'max' | 'min';
const OPERATIONS = { sum: 'SUM', mean: 'MEAN', l1: 'ASUM', l2: 'SUMSQ', sumSquare: 'SUMSQ' } as const;

export const reduce = (method: Method) => (node: NodeContext) => {
  const x = node.activation(0);
  const axes = axesOf(node, x.shape.length);
  const keeps = node.integer('keepdims', 1) !== 0;
  if (method === 'mean' && x.shape.length === 4 && axes.join() === '2,3') return globalMean(node);
  const rows = movedToEnd(node, x, axes);
  const kept = rows.shape.slice(0, rows.shape.length - axes.length);
  const made = reduced(node, rows, kept, method);
  const shape = keeps ? x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) : kept;
  if (shape.join() === made.shape.join()) return finish(node, made);
  node.last([made], reshaped(shape));
};

/** Joins the axes after `kept` into one. */
function reduced(node: NodeContext, rows: Activation, kept: readonly number[], method: Method): Activation {
  if (method === 'max') return largest(node, rows, kept);
  if (method === 'min') {
    const negative = node.step([rows], { type: 'Power', power_param: { scale: -1 } });
    return node.step([largest(node, negative, kept)], { type: 'Power', power_param: { scale: -1 } });
  }
  const operation = OPERATIONS[method];
  const sum = node.step([rows], {
    type: 'Reduction',
    reduction_param: { operation, axis: kept.length },
  });
  return method === 'l2' ? node.step([sum], { type: 'Power', power_param: { power: 0.5 } }) : sum;
}

function largest(node: NodeContext, rows: Activation, kept: readonly number[]): Activation {
  const flat = node.step([rows], reshaped([...kept, elementCount(rows.shape.slice(kept.length))]));
  return node.step([flat], {
    type: 'ArgMax',
    argmax_param: { axis: kept.length, out_max_val: true },
  });
}

/**
 * The positions or the values of the k largest values along an axis. Caffe chooses the last of equal values, so the axis is
 * reversed.
 */
function best(
  node: NodeContext,
  x: Activation,
  axis: number,
  { k, isSmallest, isFirst }: { k: number; isSmallest: boolean; isFirst: boolean },
) {
  const size = x.shape[axis]!;
  const negative = { type: 'Power', power_param: { scale: -1 } };
  const signed = isSmallest ? node.step([x], negative) : x;
  const backwards = picked(size, (made) => size - 1 - made);
  const turned = isFirst && size > 1 ? alongAxis(node, signed, axis, backwards) : signed;
  const found = (out_max_val: boolean) =>
    node.step([turned], {
      type: 'ArgMax',
      argmax_param: { axis, ...(k > 1 ? { top_k: k } : {}), ...(out_max_val ? { out_max_val } : {}) },
    });
  return {
    places: () =>
      turned === signed
        ? found(false)
        : node.step([found(false)], { type: 'Power', power_param: { scale: -1, shift: size - 1 } }),
    values: () => (isSmallest ? node.step([found(true)], negative) : found(true)),
  };
}

export const arg = (isMinimum: boolean) => (node: NodeContext) => {
  const x = node.activation(0);
  const axis = axisOf(node, node.integer('axis', 0), x.shape.length);
  const isFirst = node.integer('select_last_index', 0) === 0;
  const index = best(node, x, axis, { k: 1, isSmallest: isMinimum, isFirst }).places();
  if (node.integer('keepdims', 1) !== 0) return finish(node, index);
  node.last([index], reshaped(x.shape.filter((_, i) => i !== axis)));
};

/** The number that a constant gives. */
export function topK(node: NodeContext) {
  const x = node.activation(0);
  const axis = axisOf(node, node.integer('axis', -1), x.shape.length);
  const given = node.constant(1);
  const k = (given === null ? null : integersOf(given))?.[0] ?? node.integer('k', 0);
  const size = x.shape[axis]!;
  if (node.isComputed(1)) node.fail('its count is a value that the net computes');
  if (!(k >= 1 && k <= size)) node.fail(`it takes ${k} of ${size} values`);
  const isSmallest = node.integer('largest', 1) === 0;
  const { places, values } = best(node, x, axis, { k, isSmallest, isFirst: true });
  if (node.isRead(0)) node.output(0, values());
  if (node.isRead(1)) node.output(1, places());
}

/** x / √Σx² along an axis. SSD's Normalize computes it over channels. */
export function lpNormalization(node: NodeContext) {
  const x = node.activation(0);
  const axis = axisOf(node, node.integer('axis', -1), x.shape.length);
  if (node.integer('p', 2) !== 2) node.fail('p other than 2 is not converted');
  if (axis !== 1) node.fail(`it normalises along axis ${axis}; Caffe's Normalize works along the channels`);
  // A sum of zeros stays 0.
  const norm_param = { across_spatial: false, channel_shared: true, eps: 1e-30 };
  node.last([x], { type: 'Normalize', norm_param, param: [{ lr_mult: 0 }] }, [
    blobFromFloats([], Float32Array.of(1)),
  ]);
}

/** ONNX's default includes the batch. Caffe's MVN never does. */
export function meanVarianceNormalization(node: NodeContext) {
  const x = node.activation(0);
  const axes = node.integers('axes') ?? [0, 2, 3];
  const own = axes.filter((axis) => axis !== 0 || x.shape[0] !== 1).join();
  if (x.shape.length !== 4 || (own !== '2,3' && own !== '1,2,3'))
    node.fail(`it normalises over axes ${axes.join(', ')}; Caffe's MVN over 2, 3 or 1, 2, 3 of each item`);
  node.last([x], { type: 'MVN', mvn_param: { across_channels: own === '1,2,3', eps: 1e-9 } });
}

/** (x − mean) / √(variance + eps) over the axes from `axis` on. MVN adds its eps to the deviation instead. */
function normalised(node: NodeContext, x: Activation, axis: number, eps: number): Activation {
  const mean = (value: Activation, coeff: number) =>
    node.step([value], { type: 'Reduction', reduction_param: { operation: 'MEAN', axis, coeff } });
  const centred = node.step([x, mean(x, -1)], { type: 'Bias', bias_param: { axis: 0 } });
  const squares = node.step([centred], { type: 'Power', power_param: { power: 2 } });
  const factor = node.step([mean(squares, 1)], { type: 'Power', power_param: { power: -0.5, shift: eps } });
  return node.step([centred, factor], { type: 'Scale', scale_param: { axis: 0 } });
}

function floatsAt(node: NodeContext, input: number, shape: readonly number[]): Blob {
  const tensor = node.constant(input) ?? node.fail(`input ${input} is not a constant`);
  const blob = blobOfTensor(tensor) ?? node.fail(`"${tensor.name}" is ${tensor.type}, expected float32`);
  if (elementCount(blob.shape) !== elementCount(shape))
    node.fail(`"${tensor.name}" is ${tensor.shape.join('×')}, expected ${shape.join('×')}`);
  return blobFromFloats(shape, toFloat32(blob));
}

export function instanceNormalization(node: NodeContext) {
  const x = node.activation(0);
  const channels = [x.shape[1]!];
  const unit = normalised(node, x, 2, node.float('epsilon', 1e-5));
  const blobs = [floatsAt(node, 1, channels), floatsAt(node, 2, channels)];
  node.last([unit], { type: 'Scale', scale_param: { bias_term: true } }, blobs);
}

export function layerNormalization(node: NodeContext) {
  const x = node.activation(0);
  const axis = axisOf(node, node.integer('axis', -1), x.shape.length);
  const own = x.shape.slice(axis);
  const unit = normalised(node, x, axis, node.float('epsilon', 1e-5));
  const hasBias = node.constant(2) !== null;
  const blobs = [floatsAt(node, 1, own), ...(hasBias ? [floatsAt(node, 2, own)] : [])];
  const scale_param = { axis, num_axes: own.length, bias_term: hasBias };
  node.last([unit], { type: 'Scale', scale_param }, blobs);
}

/** Opset 21 has a factor for each channel, and opset 18 one for each group. */
export function groupNormalization(node: NodeContext) {
  const x = node.activation(0);
  const groups = node.integer('num_groups', 1);
  const channels = x.shape[1]!;
  const rows = node.step([x], reshaped([0, groups, -1]));
  const unit = normalised(node, rows, 2, node.float('epsilon', 1e-5));
  const back = node.step([unit], reshaped([0, ...x.shape.slice(1)]));
  const ofChannels = (input: number) => {
    const given = node.constant(input)?.shape[0] === channels ? [channels] : [groups];
    const values = toFloat32(floatsAt(node, input, given));
    const each = channels / values.length;
    return blobFromFloats(
      [channels],
      Float32Array.from({ length: channels }, (_, i) => values[Math.floor(i / each)]!),
    );
  };
  const blobs = [ofChannels(1), ofChannels(2)];
  node.last([back], { type: 'Scale', scale_param: { bias_term: true } }, blobs);
}
