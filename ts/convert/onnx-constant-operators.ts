/**
 * Operators with which exporters compute shapes and paddings from shapes and constants. They are computed at conversion,
 * on small tensors of integers. https://onnx.ai/onnx/operators/
 */
import { elementCount } from '../base/shape.ts';
import { floatConstant, integerConstant, integersOf } from './onnx-constants.ts';
import type { OnnxAttribute, OnnxTensor } from './onnx-proto.ts';

/** Shapes and paddings are short. A constant that keeps doubling is neither. */
const MAX_INTEGERS = 1024;
/** The values of a constant with one repeated value, such as a row of zeros. */
const MAX_FILLED = 2 ** 20;

interface Integers {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

type Attributes = ReadonlyMap<string, OnnxAttribute>;

/**
 * @param inputs Null for an input that is absent or not constant.
 * @returns null for another operator, or for inputs of another type
 */
export function computeConstant(
  type: string,
  name: string,
  inputs: readonly (OnnxTensor | null)[],
  attributes: Attributes,
): OnnxTensor | null {
  const [first] = inputs;
  if (first == null) return null;
  if (type === 'ConstantOfShape') return filled(name, first, attributes);
  if (type === 'Identity') return { ...first, name };
  if (type === 'Shape') {
    const { shape } = first;
    const part = shape.slice(integer(attributes, 'start') ?? 0, integer(attributes, 'end') ?? shape.length);
    return integerConstant(name, [part.length], part);
  }
  const integers = inputs.map((input) =>
    input === null || !(elementCount(input.shape) <= MAX_INTEGERS) ? null : integersIn(input),
  );
  if (!integers[0]) return null;
  if (type === 'Cast' && [1, 10, 11].includes(integer(attributes, 'to') ?? 0))
    return integer(attributes, 'to') === 1 ? floatConstant(name, first.shape, integers[0].values) : null;
  const rule = Object.hasOwn(RULES, type) ? RULES[type]! : null;
  const result = rule?.(integers, attributes) ?? null;
  if (result === null || result.values.length > MAX_INTEGERS || !result.values.every(Number.isSafeInteger))
    return null;
  return integerConstant(name, result.shape, result.values);
}

function integersIn(tensor: OnnxTensor): Integers | null {
  const values = integersOf(tensor);
  return values === null || values.length !== elementCount(tensor.shape)
    ? null
    : { shape: tensor.shape, values };
}

const integer = (attributes: Attributes, name: string): number | undefined => {
  const found = attributes.get(name);
  return found?.type === 'int' ? found.value : undefined;
};
const integersAt = (attributes: Attributes, name: string): readonly number[] | undefined => {
  const found = attributes.get(name);
  return found?.type === 'ints' ? found.value : undefined;
};

/** Without the attribute `value` of one element: float zeros. */
function filled(name: string, shape: OnnxTensor, attributes: Attributes): OnnxTensor | null {
  const dims = integersOf(shape);
  if (dims === null || shape.shape.length > 1 || !dims.every((dim) => dim >= 0)) return null;
  const count = elementCount(dims);
  if (!(count <= MAX_FILLED)) return null;
  const value = attributes.get('value');
  if (value === undefined) return floatConstant(name, dims, new Array<number>(count).fill(0));
  if (value.type !== 'tensor' || elementCount(value.value.shape) !== 1) return null;
  const { type, bytes } = value.value;
  const one = bytes();
  const whole = new Uint8Array(count * one.length);
  for (let i = 0; i < count; i++) whole.set(one, i * one.length);
  return { name, shape: dims, type, bytes: () => whole };
}

type Rule = (inputs: readonly (Integers | null | undefined)[], attributes: Attributes) => Integers | null;

const list = (values: readonly number[]): Integers => ({ shape: [values.length], values });

/** Axes counted from the end are negative. */
const fromEnd = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

function elementwise(compute: (a: number, b: number) => number): Rule {
  return ([a, b]) => (a && b ? broadcast([a, b], ([x, y]) => compute(x!, y!)) : null);
}

/** NumPy's broadcasting: a dimension of 1, or none, is repeated. */
function broadcast(
  inputs: readonly Integers[],
  compute: (values: readonly number[]) => number,
): Integers | null {
  const rank = Math.max(...inputs.map(({ shape }) => shape.length));
  const padded = inputs.map(({ shape }) => [...new Array<number>(rank - shape.length).fill(1), ...shape]);
  const shape = Array.from({ length: rank }, (_, axis) => {
    const dims = padded.map((dims) => dims[axis]!).filter((dim) => dim !== 1);
    return dims[0] ?? 1;
  });
  if (padded.some((dims) => dims.some((dim, axis) => dim !== 1 && dim !== shape[axis]))) return null;
  if (!(elementCount(shape) <= MAX_INTEGERS)) return null;
  const values = Array.from({ length: elementCount(shape) }, (_, index) => {
    const place = placeOf(index, shape);
    return compute(
      inputs.map(
        ({ values }, i) =>
          values[
            indexOf(
              place.map((at, axis) => (padded[i]![axis] === 1 ? 0 : at)),
              padded[i]!,
            )
          ]!,
      ),
    );
  });
  return { shape, values };
}

function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  for (let axis = shape.length - 1, rest = index; axis >= 0; axis--) {
    place.unshift(rest % shape[axis]!);
    rest = Math.floor(rest / shape[axis]!);
  }
  return place;
}

const indexOf = (place: readonly number[], shape: readonly number[]): number =>
  place.reduce((index, at, axis) => index * shape[axis]! + at, 0);

/** A tensor with another shape whose values are selected from one tensor. */
function picked(
  from: Integers,
  shape: readonly number[],
  source: (place: readonly number[]) => number[],
): Integers | null {
  if (!(elementCount(shape) <= MAX_INTEGERS)) return null;
  const values = Array.from({ length: elementCount(shape) }, (_, index) => {
    return from.values[indexOf(source(placeOf(index, shape)), from.shape)]!;
  });
  return values.every((value) => value !== undefined) ? { shape, values } : null;
}

/** The axes are an attribute, and an input since opset 13. */
const axesOf = (inputs: Parameters<Rule>[0], attributes: Attributes): readonly number[] | undefined =>
  inputs[1]?.values ?? integersAt(attributes, 'axes');

const unsqueeze: Rule = (inputs, attributes) => {
  const [from] = inputs;
  const axes = axesOf(inputs, attributes);
  if (!from || axes === undefined) return null;
  const rank = from.shape.length + axes.length;
  const added = new Set(axes.map((axis) => fromEnd(axis, rank)));
  const rest = [...from.shape];
  return {
    shape: Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()!)),
    values: from.values,
  };
};

const squeeze: Rule = (inputs, attributes) => {
  const [from] = inputs;
  if (!from) return null;
  const axes = axesOf(inputs, attributes)?.map((axis) => fromEnd(axis, from.shape.length));
  const isKept = (dim: number, axis: number) => (axes === undefined ? dim !== 1 : !axes.includes(axis));
  return { shape: from.shape.filter(isKept), values: from.values };
};

const gather: Rule = ([from, indices], attributes) => {
  if (!from || !indices) return null;
  const axis = fromEnd(integer(attributes, 'axis') ?? 0, from.shape.length);
  const length = from.shape[axis];
  if (length === undefined || !indices.values.every((index) => index >= -length && index < length))
    return null;
  const shape = [...from.shape.slice(0, axis), ...indices.shape, ...from.shape.slice(axis + 1)];
  return picked(from, shape, (place) => {
    const index = indices.values[indexOf(place.slice(axis, axis + indices.shape.length), indices.shape)]!;
    return [...place.slice(0, axis), fromEnd(index, length), ...place.slice(axis + indices.shape.length)];
  });
};

const concat: Rule = (inputs, attributes) => {
  const [first] = inputs;
  if (!first || !inputs.every((input) => input != null && input.shape.length === first.shape.length))
    return null;
  const parts = inputs as readonly Integers[];
  const axis = fromEnd(integer(attributes, 'axis') ?? 0, first.shape.length);
  const fits = parts.every(({ shape }) => shape.every((dim, i) => i === axis || dim === first.shape[i]));
  if (first.shape[axis] === undefined || !fits) return null;
  const outer = elementCount(first.shape.slice(0, axis));
  const values: number[] = [];
  for (let row = 0; row < outer; row++)
    for (const part of parts) {
      const run = elementCount(part.shape.slice(axis));
      values.push(...part.values.slice(row * run, (row + 1) * run));
      if (values.length > MAX_INTEGERS) return null;
    }
  const length = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
  return { shape: first.shape.map((dim, i) => (i === axis ? length : dim)), values };
};

// Before opset 10, starts, ends and axes are attributes.
const slice: Rule = (inputs, attributes) => {
  const [from, ...rest] = inputs;
  const given = (input: number, name: string) => rest[input]?.values ?? integersAt(attributes, name);
  const [starts, ends] = [given(0, 'starts'), given(1, 'ends')];
  if (!from || starts === undefined || ends === undefined) return null;
  const axes = given(2, 'axes') ?? starts.map((_, i) => i);
  const steps = given(3, 'steps') ?? starts.map(() => 1);
  const shape = [...from.shape];
  const begins = from.shape.map(() => 0);
  const strides = from.shape.map(() => 1);
  for (const [i, each] of axes.entries()) {
    const axis = fromEnd(each, shape.length);
    const [dim, step, start, end] = [from.shape[axis], steps[i], starts[i], ends[i]];
    if (dim === undefined || !step || start === undefined || end === undefined) return null;
    const [low, high] = step > 0 ? [0, dim] : [-1, dim - 1];
    const clamp = (at: number) => Math.min(high, Math.max(low, at < 0 ? at + dim : at));
    const [from_, to] = [clamp(start), clamp(end)];
    shape[axis] = Math.max(0, Math.ceil((to - from_) / step));
    [begins[axis], strides[axis]] = [from_, step];
  }
  return picked(from, shape, (place) => place.map((at, axis) => begins[axis]! + at * strides[axis]!));
};

const reshape: Rule = ([from, target], attributes) => {
  if (!from || !target) return null;
  const keepsZero = integer(attributes, 'allowzero') === 1;
  const dims = target.values.map((dim, i) => (dim === 0 && !keepsZero ? (from.shape[i] ?? 0) : dim));
  const known = elementCount(dims.filter((dim) => dim !== -1));
  const shape = dims.map((dim) => (dim === -1 ? from.values.length / (known || 1) : dim));
  return elementCount(shape) === from.values.length && shape.every((dim) => Number.isInteger(dim) && dim >= 0)
    ? { shape, values: from.values }
    : null;
};

const transpose: Rule = ([from], attributes) => {
  if (!from) return null;
  const order = integersAt(attributes, 'perm') ?? from.shape.map((_, i) => i).reverse();
  if (order.length !== from.shape.length || new Set(order).size !== order.length) return null;
  if (!order.every((axis) => from.shape[axis] !== undefined)) return null;
  return picked(
    from,
    order.map((axis) => from.shape[axis]!),
    (place) => from.shape.map((_, axis) => place[order.indexOf(axis)]!),
  );
};

const expand: Rule = ([from, target]) =>
  from && target && elementCount(target.values) <= MAX_INTEGERS && target.values.every((dim) => dim >= 0)
    ? broadcast(
        [from, { shape: target.values, values: new Array<number>(elementCount(target.values)).fill(0) }],
        ([value]) => value!,
      )
    : null;

const range: Rule = ([start, limit, delta]) => {
  const [from, to, step] = [start, limit, delta].map((each) =>
    each?.values.length === 1 ? each.values[0] : undefined,
  );
  if (from === undefined || to === undefined || !step) return null;
  const count = Math.max(0, Math.ceil((to - from) / step));
  return count <= MAX_INTEGERS ? list(Array.from({ length: count }, (_, i) => from + i * step)) : null;
};

const product: Rule = ([from], attributes) => {
  const isAll = integersAt(attributes, 'axes') === undefined || from?.shape.length === 1;
  if (!from || !isAll) return null;
  const keeps = (integer(attributes, 'keepdims') ?? 1) === 1;
  return { shape: keeps ? from.shape.map(() => 1) : [], values: [elementCount(from.values)] };
};

const RULES: Readonly<Record<string, Rule>> = {
  Cast: ([from]) => from ?? null,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Gather: gather,
  Concat: concat,
  Slice: slice,
  Reshape: reshape,
  Transpose: transpose,
  Expand: expand,
  Range: range,
  ReduceProd: product,
  Size: ([from]) => (from ? { shape: [], values: [from.values.length] } : null),
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  // Integer division truncates toward zero. Division by zero has no result.
  Div: elementwise((a, b) => Math.trunc(a / b)),
  // The result has the divisor's sign, as in Python. With fmod it has that of the dividend.
  Mod: (inputs, attributes) =>
    elementwise((a, b) => (integer(attributes, 'fmod') === 1 ? a % b : a - b * Math.floor(a / b)))(
      inputs,
      attributes,
    ),
  Min: elementwise(Math.min),
  Max: elementwise(Math.max),
  Equal: elementwise((a, b) => Number(a === b)),
  Less: elementwise((a, b) => Number(a < b)),
  Greater: elementwise((a, b) => Number(a > b)),
  Neg: ([from]) => (from ? { ...from, values: from.values.map((value) => -value) } : null),
  Not: ([from]) => (from ? { ...from, values: from.values.map((value) => Number(value === 0)) } : null),
  Where: ([condition, a, b]) =>
    condition && a && b ? broadcast([condition, a, b], ([chosen, x, y]) => (chosen ? x! : y!)) : null,
};
