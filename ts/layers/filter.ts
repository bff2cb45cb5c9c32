/** Filter (filter_layer.cpp): the items of each bottom whose selector is not 0. */
import { type Shape, showShape } from '../base/shape.ts';
import { Composition } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

const SOME = [1, Number.POSITIVE_INFINITY] as const;

export const filterLayers: Layers = {
  Filter: { build: filter, bottoms: [2, Number.POSITIVE_INFINITY], tops: SOME },
};

/**
 * The number of selected items is known only when a net runs. Like Caffe's, the net is built with all items. It is built
 * again for each number that occurs (device/selection.ts), with the items' indices as an input.
 */
function filter(context: LayerContext): Built {
  const count = context.shapes.length - 1;
  const selector = context.shapes[count]!;
  if (context.topCount !== count)
    context.fail(
      'top-count',
      `needs a top for each bottom except the selector, ${count}, found ${context.topCount}`,
    );
  if (selector.length === 0 || selector.slice(1).some((size) => size !== 1))
    context.fail(
      'shape',
      `the last bottom, the selector, must be 1 along all axes except the first, found ${showShape(selector)}`,
    );
  for (const shape of context.shapes.slice(0, -1))
    if (shape[0] !== selector[0])
      context.fail(
        'shape',
        `the selector has ${selector[0]} values, so bottoms need as many items; found ${showShape(shape)}`,
      );
  if (context.state.forceBackward)
    context.fail(
      'force-backward',
      'force_backward requires the gradient of the selector, which has none: Caffe ends there; remove force_backward',
    );
  const layer = new Composition(context.shapes);
  const selected = context.state.selected?.[context.layer.name ?? ''] ?? selector[0]!;
  // Caffe's blobs may be empty. Here one item replaces an empty blob, and is removed from the result.
  const rows = Math.max(selected, 1);
  const indices = layer.selected(layer.bottoms[count]!, rows);
  const tops = layer.bottoms.slice(0, -1).map((bottom) => {
    const shape: Shape = [rows, ...bottom.shape.slice(1)];
    return layer.one({ kind: 'batchReindex' }, [bottom, indices], shape, [true, false]);
  });
  return layer.built(tops);
}
