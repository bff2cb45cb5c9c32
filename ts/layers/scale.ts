/** Scale and Bias: an affine function of each channel, with learned or given factors. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';

export const scaleLayers: Layers = {
  Scale: { build: scale, bottoms: [1, 2] },
  Bias: { build: bias, bottoms: [1, 2] },
};

/** scale_layer.cpp */
function scale(context: LayerContext): Built {
  const p = withDefaults<{
    axis: number;
    num_axes: number;
    filler?: object;
    bias_term: boolean;
    bias_filler?: object;
  }>('ScaleParameter', context.layer.scale_param);
  const bottom = context.shapes[0]!;
  const { axis, shape } = operandShape(context, p.axis, p.num_axes);
  const two = context.shapes.length > 1;
  const gamma = two ? null : context.parameter(shape, p.filler ?? { type: 'constant', value: 1 });
  const beta = p.bias_term ? context.parameter(shape, p.bias_filler) : null;
  if (!two && axis === 1 && shape.length === 1 && bottom.length >= 2) {
    return {
      operation: { kind: 'affine', affine: [{ kind: 'scale', gamma, beta }], relu: null },
      tops: [bottom],
    };
  }
  return {
    operation: {
      kind: 'scale',
      operand: two ? 'scale' : 'none',
      scale: gamma,
      bias: beta,
      ...sizesAround(bottom, axis, shape),
    },
    tops: [bottom],
  };
}

/** bias_layer.cpp */
function bias(context: LayerContext): Built {
  const p = withDefaults<{ axis: number; num_axes: number; filler?: object }>(
    'BiasParameter',
    context.layer.bias_param,
  );
  const bottom = context.shapes[0]!;
  const { axis, shape } = operandShape(context, p.axis, p.num_axes);
  const two = context.shapes.length > 1;
  const beta = two ? null : context.parameter(shape, p.filler);
  return {
    operation: {
      kind: 'scale',
      operand: two ? 'bias' : 'none',
      scale: null,
      bias: beta,
      ...sizesAround(bottom, axis, shape),
    },
    tops: [bottom],
  };
}

/** scale_layer.cpp and bias_layer.cpp have the same rules for axis and num_axes. */
function operandShape(context: LayerContext, axis: number, numAxes: number): { axis: number; shape: Shape } {
  const bottom = context.shapes[0]!;
  const operand = context.shapes[1];
  if (operand === undefined) {
    const first = numAxes === 0 ? 0 : canonicalAxis(context, axis, bottom.length);
    const end = numAxes === -1 ? bottom.length : first + numAxes;
    if (numAxes < -1 || end > bottom.length)
      context.fail(
        'num-axes',
        `num_axes ${numAxes} from axis ${first} goes beyond the bottom's ${bottom.length} dimensions`,
      );
    return { axis: first, shape: bottom.slice(first, end) };
  }
  const first = operand.length === 0 ? 0 : canonicalAxis(context, axis, bottom.length);
  if (operand.some((dim, i) => dim !== bottom[first + i])) {
    context.fail(
      'shape',
      `the second bottom is ${showShape(operand)}, which does not match ${showShape(bottom)} from axis ${first}`,
    );
  }
  return { axis: first, shape: operand };
}

function sizesAround(bottom: Shape, axis: number, operand: Shape) {
  return {
    outer: elementCount(bottom.slice(0, axis)),
    channels: elementCount(operand),
    inner: elementCount(bottom.slice(axis + operand.length)),
  };
}
