/** Items that are selected at run time. Compress, and NonZero with the following Gather, become Caffe's Filter. */
import type { Activation, NodeContext } from './node-context.ts';
import { INTEGER_TYPES, integersOf } from './onnx-constants.ts';

export function compress(node: NodeContext) {
  if (!node.node.attributes.has('axis'))
    node.fail(
      'without an axis it selects values of the flattened tensor; only items, along axis 0, are converted',
    );
  filter(node, node.activation(1, { takes: 'truth' }));
}

/** Selects the items whose selector is not 0. */
function filter(node: NodeContext, selector: Activation) {
  const x = node.activation(0);
  if (node.integer('axis', 0) !== 0) node.fail('it selects along another axis than 0; Filter selects items');
  if (selector.shape.length !== 1 || selector.shape[0] !== x.shape[0])
    node.fail(
      `it selects from ${x.shape.join('×')} by ${selector.shape.join('×') || 'one value'}; expected one value per item`,
    );
  node.last([x, selector], { type: 'Filter' });
}

/** Tests which items along one axis are not 0, as 1 × items. */
export function nonZero(node: NodeContext) {
  const x = node.activation(0, { takes: 'truth' });
  if (x.shape.length !== 1)
    node.fail(
      `it returns all positions, here in ${x.shape.length} axes; with one axis, before a Gather, it is converted to Filter. Cut the model before it (onnx.utils.extract_model), so that its input becomes an output`,
    );
  node.alias({ ...x, shape: [1, x.shape[0]!], holds: 'selected' });
}

/**
 * Selects the items whose indices `nonZero` gives.
 * @param rank The rank of item indices: 1 for Gather, 2 for GatherND.
 */
export function gatherSelected(node: NodeContext, indices: Activation, rank: 1 | 2) {
  if (indices.shape.length !== rank || (rank === 2 && indices.shape[1] !== 1))
    node.fail(
      'its indices have more axes than the items; pass NonZero through Squeeze (Gather) or Transpose (GatherND)',
    );
  const { holds: _, ...selector } = indices;
  filter(node, { ...selector, shape: indices.shape.slice(0, 1) });
}

export function gatherNd(node: NodeContext) {
  if (!node.isComputed(1) || node.activation(1, { takes: ['truncated', 'selected'] }).holds !== 'selected')
    node.fail('it is converted, to Filter, only with the indices of NonZero');
  if (node.integer('batch_dims', 0) !== 0) node.fail('batch_dims other than 0 is not converted');
  gatherSelected(node, node.activation(1, { takes: 'selected' }), 2);
}

/** Operators that change only the form of NonZero's indices. */
export const selectedForms: Readonly<Record<string, (node: NodeContext) => void>> = {
  Transpose: (node) => {
    const x = node.activation(0, { takes: 'selected' });
    node.alias({ ...x, shape: [...x.shape].reverse() });
  },
  Squeeze: (node) => squeezed(node),
  Reshape: (node) => {
    const dims = integersOf(node.constant(1) ?? node.fail('its shape is computed as the net runs'));
    if (dims?.length !== 1) node.fail("NonZero's indices are converted only as a list");
    squeezed(node);
  },
  Cast: (node) => {
    if (!INTEGER_TYPES.includes(node.integer('to', 1)))
      node.fail("NonZero's indices are not converted to floats; only Gather accepts them");
    node.alias(node.activation(0, { takes: 'selected' }));
  },
};

function squeezed(node: NodeContext) {
  const x = node.activation(0, { takes: 'selected' });
  node.alias({ ...x, shape: [Math.max(...x.shape)] });
}
