/** Any linear map along one axis: an InnerProduct with a constant matrix. Caffe applies it to the last axis. */
import { blobFromFloats } from '../caffe/blob.ts';
import type { Activation, NodeContext } from './node-context.ts';

/** How many values the map makes along an axis. `of` lists the source values of each of them, with their weights. */
export interface AxisMap {
  readonly count: number;
  readonly of: (made: number) => readonly (readonly [from: number, share: number])[];
}

/** A product with a larger matrix would take longer than the operator that it replaces. */
const MOST_VALUES = 2 ** 24;

/** Adds the layers that map an axis other than the first. */
export function alongAxis(node: NodeContext, value: Activation, axis: number, map: AxisMap): Activation {
  const { shape } = value;
  const size = shape[axis]!;
  const last = shape.length - 1;
  if (axis === 0) node.fail('it computes across the items of a batch; no layer of Caffe does that');
  if (!(map.count >= 1)) node.fail(`nothing is left of axis ${axis}`);
  if (!(map.count * size <= MOST_VALUES))
    node.fail(
      `it makes ${map.count} of ${size} values along axis ${axis}; at most ${MOST_VALUES} products are supported`,
    );
  const weights = new Float32Array(map.count * size);
  for (let row = 0; row < map.count; row++)
    for (const [from, share] of map.of(row)) weights[row * size + from]! += share;
  const swap = shape.map((_, i) => (i === axis ? last : i === last ? axis : i));
  const permute = { type: 'Permute', permute_param: { order: swap } };
  const product = {
    type: 'InnerProduct',
    param: [{ lr_mult: 0 }],
    inner_product_param: { num_output: map.count, bias_term: false, axis: last },
  };
  const blobs = [blobFromFloats([map.count, size], weights)];
  if (axis === last) return node.step([value], product, blobs);
  return node.step([node.step([node.step([value], permute)], product, blobs)], permute);
}

/** Selects values along an axis in any order. A value may be selected several times. */
export const picked = (count: number, place: (made: number) => number): AxisMap => ({
  count,
  of: (made) => [[place(made), 1]],
});

/** Makes `value` the node's output. */
export function finish(node: NodeContext, value: Activation): void {
  if (node.isOutput(node.node.outputs[0]!)) node.last([value], { type: 'Split' });
  else node.alias(value);
}
