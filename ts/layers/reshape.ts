/**
 * Flatten, Reshape and Squeeze (synopsys-caffe), which change only the shape; Gather and Scatter, which exchange data
 * between processes, of which there is one here.
 */
import { elementCount, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import { dimsOf } from './data.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import { planesOf } from './window.ts';

export const reshapeLayers: Layers = {
  Flatten: { build: flatten },
  Reshape: { build: reshape },
  Squeeze: { build: squeeze },
  Gather: { build: ofAllProcesses },
  Scatter: { build: ofAllProcesses },
};

/** gather_layer.cpp, scatter_layer.cpp of yjxiong's fork: with one process they copy. Synopsys's Gather has gather_param. */
function ofAllProcesses(context: LayerContext): Built {
  if (context.layer.gather_param !== undefined)
    context.fail(
      'unsupported',
      "this Gather, with gather_param, is Synopsys's, which is not supported",
      'gather_param',
    );
  return { operation: { kind: 'identity' }, tops: [context.shapes[0]!] };
}

function flatten(context: LayerContext): Built {
  const p = withDefaults<{ axis: number; end_axis: number }>('FlattenParameter', context.layer.flatten_param);
  const shape = context.shapes[0]!;
  const start = canonicalAxis(context, p.axis, shape.length);
  const end = canonicalAxis(context, p.end_axis, shape.length, 'end_axis');
  if (end < start) context.fail('axis', `end_axis ${end} is before axis ${start}`);
  return {
    operation: { kind: 'reshape' },
    tops: [[...shape.slice(0, start), elementCount(shape.slice(start, end + 1)), ...shape.slice(end + 1)]],
  };
}

/** reshape_layer.cpp: 0 copies a dimension, −1 is inferred. */
function reshape(context: LayerContext): Built {
  const p = withDefaults<{
    shape?: { dim?: number[] };
    axis: number;
    num_axes: number;
    pixelshuffler: number;
  }>('ReshapeParameter', context.layer.reshape_param);
  const bottom = context.shapes[0]!;
  if (p.pixelshuffler !== 1) return pixelShuffle(context, p.pixelshuffler);
  const start = p.axis < 0 ? bottom.length + p.axis + 1 : p.axis;
  const end = p.num_axes === -1 ? bottom.length : start + p.num_axes;
  if (start < 0 || start > bottom.length || p.num_axes < -1 || end > bottom.length) {
    context.fail(
      'axis',
      `axis ${p.axis} with num_axes ${p.num_axes} goes beyond the bottom's ${bottom.length} dimensions`,
    );
  }
  const dims = dimsOf(p.shape);
  const copied = dims.map((dim, i) => {
    if (dim !== 0) return dim;
    return (
      bottom[start + i] ??
      context.fail('reshape', `dim 0 (copy) at ${i} has no dimension of the bottom to copy`)
    );
  });
  if (copied.some((dim) => dim < -1) || copied.filter((dim) => dim === -1).length > 1)
    context.fail('reshape', `dims must be positive, 0 or one −1, found ${dims.join(', ')}`);
  const outside = elementCount([...bottom.slice(0, start), ...bottom.slice(end)]);
  const known = outside * elementCount(copied.filter((dim) => dim !== -1));
  const top = [
    ...bottom.slice(0, start),
    ...copied.map((dim) => (dim === -1 ? elementCount(bottom) / known : dim)),
    ...bottom.slice(end),
  ];
  if (elementCount(top) !== elementCount(bottom) || top.some((dim) => !Number.isInteger(dim))) {
    context.fail(
      'reshape',
      `${showShape(bottom)} has ${elementCount(bottom)} values and cannot become ${dims.join('×')}`,
    );
  }
  return { operation: { kind: 'reshape' }, tops: [top] };
}

/** squeeze_layer.cpp of Synopsys's fork: removes the listed axes, or all of size 1. */
function squeeze(context: LayerContext): Built {
  const { axis: named = [] }: { axis?: number[] } = context.layer.squeeze_param ?? {};
  const shape = context.shapes[0]!;
  const axes = named.map((axis) => canonicalAxis(context, axis, shape.length));
  const wide = axes.find((axis) => shape[axis] !== 1);
  if (wide !== undefined)
    context.fail(
      'axis',
      `removes axes of size 1; axis ${wide} of ${showShape(shape)} has size ${shape[wide]}`,
      positionOf(context.layer.squeeze_param, 'axis'),
    );
  const isGone = (size: number, i: number) => size === 1 && (axes.length === 0 || axes.includes(i));
  return { operation: { kind: 'reshape' }, tops: [shape.filter((size, i) => !isGone(size, i))] };
}

/** reshape_layer.cpp of Intel's fork (arXiv:1609.05158): channels become positions of factor × factor. */
function pixelShuffle(context: LayerContext, factor: number): Built {
  const [n, channels, height, width] = planesOf(context);
  if (factor < 1 || channels % (factor * factor) !== 0)
    context.fail(
      'reshape',
      `pixelshuffler must be at least 1, and its square must divide the ${channels} channels; found ${factor}`,
      positionOf(context.layer.reshape_param, 'pixelshuffler'),
    );
  const fewer = channels / (factor * factor);
  const layer = new Composition(context.shapes);
  const split = layer.reshape(layer.bottoms[0]!, [n, fewer, factor, factor, height, width]);
  const placed = layer.permute(split, [0, 1, 4, 2, 5, 3]);
  return layer.built([layer.reshape(placed, [n, fewer, height * factor, width * factor])]);
}
