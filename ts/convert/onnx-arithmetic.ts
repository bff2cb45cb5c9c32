/** Arithmetic on a layer's values that writes ONNX nodes. */
import type { LayerWriter } from './layer-writer.ts';
import { DOUBLE, FLOAT, INT64, int, ints } from './onnx-attributes.ts';

/** A value by its name, or a constant. */
type Operand = string | number;

const ELEMENT_TYPES = { float: FLOAT, int64: INT64, double: DOUBLE };

/** Functions that add nodes and return the name of the result. Shapes broadcast as in NumPy. */
export function arithmeticOf(layer: LayerWriter) {
  const binary = (type: string) => (a: Operand, b: Operand) =>
    layer.emit(
      type,
      [a, b].map((operand) => (typeof operand === 'string' ? operand : layer.scalar('constant', operand))),
    );
  const unary = (type: string) => (x: string) => layer.emit(type, [x]);
  const cast = (x: string, to: keyof typeof ELEMENT_TYPES) =>
    layer.emit('Cast', [x], { to: int(ELEMENT_TYPES[to]!) });
  return {
    add: binary('Add'),
    subtract: binary('Sub'),
    multiply: binary('Mul'),
    divide: binary('Div'),
    least: binary('Min'),
    most: binary('Max'),
    isAbove: binary('Greater'),
    isAtLeast: binary('GreaterOrEqual'),
    exp: unary('Exp'),
    root: unary('Sqrt'),
    floor: unary('Floor'),
    ceil: unary('Ceil'),
    magnitude: unary('Abs'),
    sign: unary('Sign'),
    shape: unary('Shape'),
    cast,
    /** Selects positions `from` to before `to` along an axis. */
    part: (x: string, axis: number, from: number, to: number) =>
      layer.emit('Slice', [
        x,
        layer.integers('from', [from]),
        layer.integers('to', [to]),
        layer.integers('axis', [axis]),
      ]),
    reshape: (x: string, shape: readonly number[]) =>
      layer.emit('Reshape', [x, layer.integers('shape', shape)]),
    transpose: (x: string, order: readonly number[]) => layer.emit('Transpose', [x], { perm: ints(order) }),
    concat: (parts: readonly string[], axis: number) => layer.emit('Concat', parts, { axis: int(axis) }),
    gather: (x: string, indices: string, axis = 0) => layer.emit('Gather', [x, indices], { axis: int(axis) }),
    /** Sums over axes, which keep size 1. */
    sum: (x: string, axes: readonly number[]) =>
      layer.emit('ReduceSum', [x, layer.integers('axes', axes)], { keepdims: int(1) }),
    /** The values and positions of the k largest along an axis. Of equal values, the first comes first. */
    largest: (x: string, k: string, axis: number): [values: string, places: string] => {
      const made = [layer.value('values'), layer.value('places')] as [string, string];
      layer.emit('TopK', [x, k], { axis: int(axis) }, made);
      return made;
    },
  };
}

/** The shape of a value with the first dimensions of another value, so that any batch is possible. */
export function shapeLike(layer: LayerWriter, x: string, kept: number, rest: readonly number[]): string {
  const { concat, part, shape } = arithmeticOf(layer);
  return concat([part(shape(x), 0, 0, kept), layer.integers('sizes', rest)], 0);
}
