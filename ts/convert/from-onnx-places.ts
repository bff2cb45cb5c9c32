/** Operators that move values: Transpose, Slice, Tile, Gather and similar ones, and regions of interest. */
import { elementCount } from '../base/shape.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import { alongAxis, finish, picked } from './along-axis.ts';
import { gatherSelected } from './from-onnx-selection.ts';
import type { Activation, NodeContext } from './node-context.ts';
import { blobOfTensor, integersOf } from './onnx-constants.ts';

const integersAt = (node: NodeContext, input: number): number[] | null => {
  const tensor = node.constant(input);
  return tensor === null ? null : integersOf(tensor);
};

/** An axis, which may be counted from the end. */
export function axisOf(node: NodeContext, axis: number, rank: number): number {
  const canonical = axis < 0 ? axis + rank : axis;
  if (!(canonical >= 0 && canonical < rank)) node.fail(`axis ${axis} does not exist in ${rank} axes`);
  return canonical;
}

export function transpose(node: NodeContext) {
  const { shape } = node.activation(0);
  const order = node.integers('perm') ?? shape.map((_, i) => shape.length - 1 - i);
  node.layer({ name: node.layerName(), type: 'Permute', permute_param: { order } });
}

/** A contiguous range becomes part of a Slice. With other steps, positions are selected one by one. */
export function slice(node: NodeContext) {
  const x = node.activation(0);
  const starts = integersAt(node, 1) ?? node.integers('starts');
  const ends = integersAt(node, 2) ?? node.integers('ends');
  if (starts === null || ends === null) return node.fail('its starts and ends are computed as the net runs');
  const axes = integersAt(node, 3) ?? node.integers('axes') ?? starts.map((_, i) => i);
  const steps = integersAt(node, 4) ?? starts.map(() => 1);
  let value = x;
  axes.forEach((each, i) => {
    const axis = axisOf(node, each, x.shape.length);
    const size = value.shape[axis]!;
    const step = steps[i]!;
    const clamp = (at: number, low: number, high: number) =>
      Math.min(high, Math.max(low, at < 0 ? at + size : at));
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const [from, to] = [clamp(starts[i]!, low, high), clamp(ends[i]!, low, high)];
    const count = Math.ceil((to - from) / step);
    if (!(count > 0)) node.fail(`it takes nothing of axis ${axis}`);
    value =
      step === 1
        ? run(node, value, axis, from, to)
        : alongAxis(
            node,
            value,
            axis,
            picked(count, (made) => from + made * step),
          );
  });
  finish(node, value);
}

const run = (node: NodeContext, value: Activation, axis: number, from: number, to: number) =>
  from === 0 && to === value.shape[axis] ? value : node.part(value, axis, from, to);

export function tile(node: NodeContext) {
  const x = node.activation(0);
  const repeats = integersAt(node, 1) ?? node.fail('its repeats are computed as the net runs');
  finish(node, repeated(node, x, repeats));
}

/** Repeats an axis of size 1. */
export function expand(node: NodeContext) {
  const target = integersAt(node, 1) ?? node.fail('its shape is computed as the net runs');
  const x = node.activation(0);
  const rank = Math.max(target.length, x.shape.length);
  const aligned = [...Array.from({ length: rank - x.shape.length }, () => 1), ...x.shape];
  const paddedTarget = [...Array.from({ length: rank - target.length }, () => 1), ...target];
  const full =
    rank === x.shape.length
      ? x
      : node.step([x], { type: 'Reshape', reshape_param: { shape: { dim: aligned } } });
  finish(
    node,
    repeated(
      node,
      full,
      aligned.map((dim, i) => {
        if (dim !== 1 && paddedTarget[i] !== 1 && paddedTarget[i] !== dim)
          node.fail(`${x.shape.join('×')} cannot be expanded to ${target.join('×')}`);
        return dim === 1 ? paddedTarget[i]! : 1;
      }),
    ),
  );
}

const repeated = (node: NodeContext, x: Activation, repeats: readonly number[]) =>
  repeats.reduce(
    (value, tiles, axis) =>
      tiles === 1 ? value : node.step([value], { type: 'Tile', tile_param: { axis, tiles } }),
    x,
  );

/** Constant indices select positions. In a constant matrix they are inputs of Embed; for items, of BatchReindex. */
export function gather(node: NodeContext) {
  if (node.isComputed(1)) return lookUp(node);
  const x = node.activation(0);
  const axis = axisOf(node, node.integer('axis', 0), x.shape.length);
  const size = x.shape[axis]!;
  const indices = integersAt(node, 1) ?? node.fail('its indices are not integers');
  const shape = node.constant(1)!.shape;
  const places = indices.map((index) => (index < 0 ? index + size : index));
  if (places.length === 0 || places.some((place) => !(place >= 0 && place < size)))
    node.fail(`its indices ${indices.slice(0, 8).join(', ')} are not all within ${size}`);
  const [first] = places as [number];
  const found = places.every((place, i) => place === first + i)
    ? run(node, x, axis, first, first + places.length)
    : alongAxis(
        node,
        x,
        axis,
        picked(places.length, (made) => places[made]!),
      );
  if (shape.length === 1) return finish(node, found);
  const dim = [...x.shape.slice(0, axis), ...shape, ...x.shape.slice(axis + 1)];
  node.last([found], { type: 'Reshape', reshape_param: { shape: { dim } } });
}

function lookUp(node: NodeContext) {
  const indices = node.activation(1, { takes: ['truncated', 'selected'] });
  if (indices.holds === 'selected') return gatherSelected(node, indices, 1);
  const tensor = node.constant(0);
  if (node.integer('axis', 0) !== 0) node.fail('with computed indices only axis 0 is converted');
  if (tensor === null) return node.last([node.activation(0), indices], { type: 'BatchReindex' });
  if (tensor.shape.length !== 2) node.fail(`its table is ${tensor.shape.join('×')}, expected a matrix`);
  const blob = blobOfTensor(tensor) ?? node.fail(`"${tensor.name}" is ${tensor.type}, expected float32`);
  const [input_dim, num_output] = tensor.shape;
  const embed_param = { input_dim, num_output, bias_term: false };
  node.last([indices], { type: 'Embed', embed_param }, [blob]);
}

/** https://onnx.ai/onnx/operators/onnx__DepthToSpace.html: reads channels as blocks of the plane. */
export function depthToSpace(node: NodeContext) {
  const { n, c, h, w, block } = blocksOf(node);
  if (c % (block * block) !== 0) node.fail(`${block}² does not divide ${c} channels`);
  const rest = c / (block * block);
  const isColumnFirst = node.text('mode', 'DCR') === 'CRD';
  const shape = isColumnFirst ? [n, rest, block, block, h, w] : [n, block, block, rest, h, w];
  const order = isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  regrouped(node, shape, order, [n, rest, h * block, w * block]);
}

export function spaceToDepth(node: NodeContext) {
  const { n, c, h, w, block } = blocksOf(node);
  if (h % block !== 0 || w % block !== 0) node.fail(`${block} does not divide planes of ${h}×${w}`);
  const [rows, columns] = [h / block, w / block];
  regrouped(
    node,
    [n, c, rows, block, columns, block],
    [0, 3, 5, 1, 2, 4],
    [n, c * block * block, rows, columns],
  );
}

function blocksOf(node: NodeContext) {
  const { shape } = node.activation(0);
  if (shape.length !== 4) node.fail(`its input is ${shape.join('×')}; only N×C×H×W is converted`);
  const [n, c, h, w] = shape as unknown as [number, number, number, number];
  return { n, c, h, w, block: node.integer('blocksize', 1) };
}

/** Reshape, Permute, Reshape. */
function regrouped(
  node: NodeContext,
  shape: readonly number[],
  order: readonly number[],
  result: readonly number[],
): void {
  const reshaped = (dim: readonly number[]) => ({
    type: 'Reshape',
    reshape_param: { shape: { dim: [0, ...dim.slice(1)] } },
  });
  const split = node.step([node.activation(0)], reshaped(shape));
  node.last([node.step([split], { type: 'Permute', permute_param: { order } })], reshaped(result));
}

/** Zeros with values at some positions along the last axis. Upsample with a mask computes this. */
export function scatterElements(node: NodeContext) {
  const tensor = node.constant(0);
  const blob = tensor === null ? null : blobOfTensor(tensor);
  if (blob === null || blob.bytes.some((byte) => byte !== 0) || node.text('reduction', 'none') !== 'none')
    return node.fail('it changes existing values; only values written among zeros are converted');
  const mask = node.activation(1, { takes: 'truncated' });
  const x = node.activation(2);
  const rank = x.shape.length;
  const outer = x.shape.slice(0, -1);
  const isAlike = outer.join() === blob.shape.slice(0, -1).join() && mask.shape.join() === x.shape.join();
  if (axisOf(node, node.integer('axis', 0), rank) !== rank - 1 || !isAlike)
    node.fail('only positions along the last axis are converted');
  const size = blob.shape.at(-1)!;
  const planes = (value: Activation) =>
    node.step([value], {
      type: 'Reshape',
      reshape_param: { shape: { dim: [1, elementCount(outer), 1, x.shape.at(-1)!] } },
    });
  const filled = node.step([planes(x), planes(mask)], {
    type: 'Upsample',
    upsample_param: { upsample_h: 1, upsample_w: size },
  });
  node.last([filled], { type: 'Reshape', reshape_param: { shape: { dim: [...outer, size] } } });
}

/** Regions in Caffe's form: the image's index, then the corners. */
export function roiAlign(node: NodeContext) {
  if (node.text('mode', 'avg') !== 'avg')
    node.fail('mode max does not average its samples; only avg is converted');
  const [x, corners] = [node.activation(0), node.activation(1)];
  const count = corners.shape[0]!;
  const column = [count, 1];
  const constant = node.constant(2);
  const images =
    constant === null
      ? node.step([node.activation(2, { takes: 'truncated' })], {
          type: 'Reshape',
          reshape_param: { shape: { dim: column } },
        })
      : node.step(
          [],
          { type: 'Parameter', param: [{ lr_mult: 0 }], parameter_param: { shape: { dim: column } } },
          [
            blobFromFloats(
              column,
              Float32Array.from(integersOf(constant) ?? node.fail('batch_indices are not integers')),
            ),
          ],
        );
  const regions = node.step([images, corners], { type: 'Concat', concat_param: { axis: 1 } });
  // Half pixels exist since opset 16.
  const form = node.text(
    'coordinate_transformation_mode',
    node.opset < 16 ? 'output_half_pixel' : 'half_pixel',
  );
  node.last([x, regions], {
    type: 'ROIAlign',
    roi_align_param: {
      pooled_h: node.integer('output_height', 1),
      pooled_w: node.integer('output_width', 1),
      spatial_scale: node.float('spatial_scale', 1),
      sampling_ratio: node.integer('sampling_ratio', 0),
      aligned: form === 'half_pixel',
    },
  });
}

export function maxRoiPool(node: NodeContext) {
  const shape = node.integers('pooled_shape') ?? node.fail('pooled_shape is missing');
  const [pooled_h, pooled_w] = shape as [number, number];
  node.last([node.activation(0), node.activation(1)], {
    type: 'ROIPooling',
    roi_pooling_param: { pooled_h, pooled_w, spatial_scale: node.float('spatial_scale', 1) },
  });
}
