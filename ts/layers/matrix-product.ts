/** Products of matrices that are both computed: MatMul of Synopsys's fork (matmul_layer.cpp of synopsys-caffe). */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const matrixLayers: Layers = {
  MatMul: { build: matMul, bottoms: [2, 2] },
};

/** The last two axes of both bottoms are matrices, one for each index of the axes before. */
function matMul(context: LayerContext): Built {
  const p = withDefaults<{ transpose_a: boolean; transpose_b: boolean }>(
    'MatMulParameter',
    context.layer.matmul_param,
  );
  const [first, second] = context.shapes as [Shape, Shape];
  const batch = first.slice(0, -2);
  const [rows = 0, depth = 0] = inOrder(first.slice(-2), p.transpose_a);
  const [other, columns = 0] = inOrder(second.slice(-2), p.transpose_b);
  if (
    first.length < 2 ||
    first.length !== second.length ||
    depth !== other ||
    batch.some((size, axis) => size !== second[axis])
  )
    context.fail(
      'shape',
      `takes matrices …×M×K and …×K×N after the same axes${p.transpose_a || p.transpose_b ? ', transposed as matmul_param says' : ''}; found ${showShape(first)} and ${showShape(second)}`,
      'matmul_param',
    );
  return {
    operation: {
      kind: 'matrixProduct',
      batches: elementCount(batch),
      rows,
      columns,
      depth,
      transposeFirst: p.transpose_a,
      transposeSecond: p.transpose_b,
    },
    tops: [[...batch, rows, columns]],
  };
}

const inOrder = (sizes: Shape, transposed: boolean): Shape => (transposed ? [...sizes].reverse() : sizes);
