/**
 * Mul and Add of Synopsys's fork (mul_layer.cpp, add_layer.cpp of synopsys-caffe): two blobs, of which one may have a single
 * row where the other has several, as in NumPy. Axes are aligned at the last one.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { Composition, type Part } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const broadcastLayers: Layers = {
  Mul: { build: broadcast('scale'), bottoms: [2, 2] },
  Add: { build: broadcast('bias'), bottoms: [2, 2] },
};

function broadcast(operand: 'scale' | 'bias') {
  return (context: LayerContext): Built => {
    const layer = new Composition(context.shapes);
    const axes = Math.max(...context.shapes.map(({ length }) => length));
    const [a, b] = layer.bottoms.map((part) =>
      layer.reshape(part, [...Array<number>(axes - part.shape.length).fill(1), ...part.shape]),
    ) as [Part, Part];
    const top = a.shape.map((size, axis) => {
      const other = b.shape[axis]!;
      if (size !== other && size !== 1 && other !== 1)
        context.fail(
          'shape',
          `the bottoms are ${context.shapes.map(showShape).join(' and ')}: from the last axis on, sizes must be equal, or one of them 1`,
        );
      return Math.max(size, other);
    });
    const isWhole = (part: Part) => showShape(part.shape) === showShape(top);
    const [x, by] = isWhole(a) ? [a, b] : [b, a];
    if (isWhole(a) && isWhole(b))
      return layer.built([operand === 'scale' ? layer.product([a, b]) : layer.sum([a, b])]);
    const whole = repeated(layer, x, top);
    return layer.built([withRun(layer, operand, whole, by)]);
  };
}

/** Repeats a value along its axes of size 1 up to the sizes of `top`. */
function repeated(layer: Composition, part: Part, top: Shape): Part {
  return top.reduce(
    (from, size, axis) => (from.shape[axis] === size ? from : layer.repeat(from, axis, size)),
    part,
  );
}

/** Repeats a value along a range of adjacent axes. */
function withRun(layer: Composition, operand: 'scale' | 'bias', x: Part, by: Part): Part {
  const varies = by.shape.map((size) => size !== 1);
  const [first, last] = [Math.max(0, varies.indexOf(true)), varies.lastIndexOf(true)];
  const run = x.shape.slice(first, last + 1);
  const filled = repeated(
    layer,
    by,
    by.shape.map((size, axis) => (axis < first || axis > last ? size : x.shape[axis]!)),
  );
  const channels = elementCount(run);
  return layer.one(
    {
      kind: 'scale',
      operand,
      scale: null,
      bias: null,
      outer: elementCount(x.shape.slice(0, first)),
      channels,
      inner: elementCount(x.shape.slice(last + 1)),
    },
    [x, layer.reshape(filled, [channels])],
    x.shape,
  );
}
