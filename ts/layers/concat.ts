/** Concat, Slice and Split: join blobs along an axis, divide one along an axis, or give one several readers. */
import { type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { ANY, type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';

export const concatLayers: Layers = {
  Concat: { build: concat, bottoms: ANY },
  Slice: { build: slice, tops: ANY },
  Split: { build: split, tops: ANY },
};

function concat(context: LayerContext): Built {
  const p = withDefaults<{ axis: number; concat_dim?: number }>(
    'ConcatParameter',
    context.layer.concat_param,
  );
  const first = context.shapes[0]!;
  const written = context.layer.concat_param as { concat_dim?: number; axis?: number } | undefined;
  if (written?.concat_dim !== undefined && written.axis !== undefined)
    context.fail('axis', 'give axis or concat_dim (its old name), not both');
  const axis = canonicalAxis(context, written?.concat_dim ?? p.axis, first.length);
  let total = 0;
  for (const shape of context.shapes) {
    if (shape.length !== first.length || shape.some((dim, i) => i !== axis && dim !== first[i])) {
      context.fail(
        'shape',
        `bottoms may differ only in axis ${axis}: ${showShape(first)} and ${showShape(shape)}`,
      );
    }
    total += shape[axis]!;
  }
  return { operation: { kind: 'concat', axis }, tops: [first.map((dim, i) => (i === axis ? total : dim))] };
}

function slice(context: LayerContext): Built {
  const p = withDefaults<{ axis: number; slice_point?: number[]; slice_dim?: number }>(
    'SliceParameter',
    context.layer.slice_param,
  );
  const shape = context.shapes[0]!;
  const written = context.layer.slice_param as { slice_dim?: number; axis?: number } | undefined;
  if (written?.slice_dim !== undefined && written.axis !== undefined)
    context.fail('axis', 'give axis or slice_dim (its old name), not both');
  const axis = canonicalAxis(context, written?.slice_dim ?? p.axis, shape.length);
  const size = shape[axis]!;
  const points = p.slice_point ?? [];
  if (points.length === 0 && size % context.topCount !== 0)
    context.fail(
      'slice-point',
      `${context.topCount} tops do not divide the ${size} of axis ${axis}; give slice_point`,
    );
  if (points.length > 0 && points.length !== context.topCount - 1)
    context.fail(
      'slice-point',
      `${context.topCount} tops need ${context.topCount - 1} slice_point, found ${points.length}`,
    );
  const bounds =
    points.length > 0
      ? [0, ...points, size]
      : Array.from({ length: context.topCount + 1 }, (_, i) => (i * size) / context.topCount);
  const sizes = bounds.slice(1).map((bound, i) => bound - bounds[i]!);
  if (sizes.some((length) => length < 1))
    context.fail(
      'slice-point',
      `slice points must rise and lie inside 0 to ${size}, found ${points.join(', ')}`,
    );
  return {
    operation: { kind: 'slice', axis },
    tops: sizes.map((length) => shape.map((dim, i) => (i === axis ? length : dim))),
  };
}

function split(context: LayerContext): Built {
  const shape: Shape = context.shapes[0]!;
  return { operation: { kind: 'identity' }, tops: Array.from({ length: context.topCount }, () => shape) };
}
