/** Layers that combine or rearrange blobs: Eltwise, Concat, Slice, Flatten, Reshape, and elementwise functions. */
import { withDefaults } from '../caffe/net-parameter.ts';
import { type Built, canonicalAxis, type LayerContext, type Shape, showShape, sizeOf } from './builder.ts';
import { dimsOf } from './data-shapes.ts';
import type { Operation } from './graph.ts';

export function eltwise(context: LayerContext): Built {
  const p = withDefaults<{
    operation: 'PROD' | 'SUM' | 'MAX';
    coeff?: number[];
    stable_prod_grad: boolean;
  }>('EltwiseParameter', context.layer.eltwise_param);
  const names = context.layer.bottom ?? [];
  const shape = context.shapes[0]!;
  context.shapes.forEach((other, i) => {
    if (showShape(other) !== showShape(shape))
      context.fail(
        'shape',
        `inputs differ: ${names[0]} is ${showShape(shape)}, ${names[i]} is ${showShape(other)}`,
      );
  });
  const coefficients = p.coeff ?? [];
  if (coefficients.length > 0 && coefficients.length !== context.shapes.length) {
    context.fail(
      'coefficients',
      `${context.shapes.length} bottoms need as many coeff, or none; found ${coefficients.length}`,
    );
  }
  if (coefficients.length > 0 && p.operation === 'PROD')
    context.fail('coefficients', 'coeff is only for operation: SUM');
  return {
    operation: {
      kind: 'eltwise',
      operation: p.operation.toLowerCase() as 'sum' | 'prod' | 'max',
      coefficients: context.shapes.map((_, i) => coefficients[i] ?? 1),
      stableProdGrad: p.stable_prod_grad,
      relu: null,
    },
    tops: [shape],
  };
}

export function concat(context: LayerContext): Built {
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

export function slice(context: LayerContext): Built {
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

export function flatten(context: LayerContext): Built {
  const p = withDefaults<{ axis: number; end_axis: number }>('FlattenParameter', context.layer.flatten_param);
  const shape = context.shapes[0]!;
  const start = canonicalAxis(context, p.axis, shape.length);
  const end = canonicalAxis(context, p.end_axis, shape.length, 'end_axis');
  if (end < start) context.fail('axis', `end_axis ${end} lies before axis ${start}`);
  return {
    operation: { kind: 'reshape' },
    tops: [[...shape.slice(0, start), sizeOf(shape.slice(start, end + 1)), ...shape.slice(end + 1)]],
  };
}

/** reshape_layer.cpp: 0 copies a dimension, −1 is inferred. */
export function reshape(context: LayerContext): Built {
  const p = withDefaults<{ shape?: { dim?: number[] }; axis: number; num_axes: number }>(
    'ReshapeParameter',
    context.layer.reshape_param,
  );
  const bottom = context.shapes[0]!;
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
  const outside = sizeOf([...bottom.slice(0, start), ...bottom.slice(end)]);
  const known = outside * sizeOf(copied.filter((dim) => dim !== -1));
  const top = [
    ...bottom.slice(0, start),
    ...copied.map((dim) => (dim === -1 ? sizeOf(bottom) / known : dim)),
    ...bottom.slice(end),
  ];
  if (sizeOf(top) !== sizeOf(bottom) || top.some((dim) => !Number.isInteger(dim))) {
    context.fail(
      'reshape',
      `${showShape(bottom)} has ${sizeOf(bottom)} values and cannot become ${dims.join('×')}`,
    );
  }
  return { operation: { kind: 'reshape' }, tops: [top] };
}

const same =
  (operation: Operation) =>
  (context: LayerContext): Built => ({ operation, tops: [context.shapes[0]!] });

export const sigmoid = same({ kind: 'sigmoid' });
export const tanh = same({ kind: 'tanh' });
export const absval = same({ kind: 'absval' });

export function relu(context: LayerContext): Built {
  const p = withDefaults<{ negative_slope: number }>('ReLUParameter', context.layer.relu_param);
  return same({ kind: 'relu', negativeSlope: p.negative_slope })(context);
}

export function elu(context: LayerContext): Built {
  const p = withDefaults<{ alpha: number }>('ELUParameter', context.layer.elu_param);
  return same({ kind: 'elu', alpha: p.alpha })(context);
}

export function power(context: LayerContext): Built {
  const p = withDefaults<{ power: number; scale: number; shift: number }>(
    'PowerParameter',
    context.layer.power_param,
  );
  return same({ kind: 'power', power: p.power, scale: p.scale, shift: p.shift })(context);
}

export function dropout(context: LayerContext): Built {
  if (context.state.phase === 'TEST') return same({ kind: 'identity' })(context);
  const { dropout_ratio: ratio } = withDefaults<{ dropout_ratio: number }>(
    'DropoutParameter',
    context.layer.dropout_param,
  );
  if (!(ratio >= 0 && ratio < 1))
    context.fail('dropout-ratio', `dropout_ratio must be at least 0 and below 1, found ${ratio}`);
  return same({ kind: 'dropout', ratio })(context);
}

export function split(context: LayerContext): Built {
  const shape: Shape = context.shapes[0]!;
  return { operation: { kind: 'identity' }, tops: Array.from({ length: context.topCount }, () => shape) };
}
