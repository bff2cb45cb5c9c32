/** Inputs and outputs: arrays with a shape. */

import { copyOf, isShared } from '../base/copy-of.ts';
import { ArgumentError } from '../base/errors.ts';
import { shape as blobShape, didYouMean, instance, isObject, type Kind } from '../base/kinds.ts';
import { fields, required } from '../base/options.ts';
import { elementCount, type Shapes } from '../base/shape.ts';
import { DeviceBuffer } from './buffer.ts';
import { type GivenArray, type ImageBytes, type InputArray, normalised } from './input-array.ts';

/** Row-major float32 (N×C×H×W). */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type { Shapes };

export type Input =
  | InputArray
  | { readonly shape: readonly number[]; readonly data: InputArray }
  | ImageBytes;
export type Inputs = Readonly<Record<string, Input>>;

const tensorFields = fields<Tensor>('a Tensor, { shape, data: Float32Array }', {
  shape: required(blobShape, 'The shape, e.g. N×C×H×W.'),
  data: required(instance('a Float32Array', Float32Array), 'The values, row-major.'),
});

/** A tensor has as many values as its shape says. */
export const tensor: Kind<Tensor> = {
  ...tensorFields,
  mistake(value) {
    const mistake = tensorFields.mistake(value);
    if (mistake !== null) return mistake;
    const { shape, data } = value as Tensor;
    if (data.length === elementCount(shape)) return null;
    return { path: '.data', expected: `${elementCount(shape)} values (${shape.join('×')})`, actual: data };
  },
};

/**
 * Checks inputs against the shapes that a model was loaded with. An array without a shape has the loaded shape, or another
 * batch size, which its length determines.
 * @returns The shapes of the run, and the arrays in the order of `loaded`.
 * @throws ArgumentError that names the input, what was expected and what was found
 */
export function resolveInputs(loaded: Shapes, inputs: Inputs): { shapes: Shapes; arrays: GivenArray[] } {
  const names = Object.keys(loaded);
  checkNames(names, inputs);
  const resolved = names.map((name) =>
    resolveInput(name, loaded[name]!, Object.hasOwn(inputs, name) ? inputs[name] : undefined),
  );
  const growths = new Set(resolved.map(({ growth }) => growth).filter((growth) => growth !== null));
  if (growths.size > 1)
    throw new ArgumentError(
      'inputs',
      'the same batch size for every input',
      resolved.map(({ shape }, i) => `${names[i]} ${shape.join('×')}`).join(', '),
    );
  return {
    shapes: Object.fromEntries(names.map((name, i) => [name, resolved[i]!.shape])),
    arrays: resolved.map(({ data }) => data),
  };
}

/** Inputs are an object with the net's input names; an array alone does not say which input it is. */
function checkNames(names: readonly string[], inputs: unknown): void {
  const isArrayAlone = isArray(inputs) || Array.isArray(inputs) || ArrayBuffer.isView(inputs);
  if (!isObject(inputs) || isArrayAlone || inputs instanceof ArrayBuffer) {
    const example = `{ ${names.map((name) => `${/^[\w$]+$/.test(name) ? name : JSON.stringify(name)}: Float32Array`).join(', ')} }`;
    throw new ArgumentError('inputs', `the input blobs by name, ${example}`, inputs);
  }
  for (const name of Object.keys(inputs))
    if (!names.includes(name))
      throw new ArgumentError(
        'inputs',
        `names of the net's inputs (${names.join(', ')})`,
        name,
        didYouMean(name, names),
      );
}

function resolveInput(
  name: string,
  loaded: readonly number[],
  input: Input | undefined,
): { shape: number[]; data: GivenArray; growth: number | null } {
  if (input instanceof DeviceBuffer && input.shape.length === loaded.length)
    return { shape: [...input.shape], data: input, growth: null };
  if (isArray(input)) {
    const image = elementCount(loaded.slice(1));
    const batch = lengthOf(input) / image;
    // The number of bytes does not say how many images the bytes of a file or of float32 values contain.
    if (Buffer.isBuffer(input) && input.length !== elementCount(loaded)) throw expected(name, loaded, input);
    if (Number.isInteger(batch) && batch >= 1 && (loaded.length > 0 || batch === 1))
      return {
        shape: [batch, ...loaded.slice(1)].slice(0, loaded.length),
        data: unshared(input),
        growth: batch / (loaded[0] ?? 1),
      };
    throw expected(name, loaded, input);
  }
  const { shape, data } = (input ?? {}) as { shape?: readonly number[]; data?: InputArray };
  if (!isArray(data) || shape === undefined) throw expected(name, loaded, input);
  const wrong = blobShape.mistake(shape);
  if (wrong !== null)
    throw new ArgumentError(
      `the shape of input "${name}"${wrong.path}`,
      wrong.expected,
      wrong.actual,
      wrong.hint,
    );
  if (elementCount(shape) !== lengthOf(data))
    throw new ArgumentError(
      `input "${name}"`,
      `as many values as its shape ${shape.join('×')} has, ${elementCount(shape)}`,
      data,
      data instanceof DeviceBuffer ? `the buffer is ${data.shape.join('×')}` : undefined,
    );
  const given = normalised(name, shape, unshared(data), input as ImageBytes);
  return { shape: [...shape], data: given, growth: null };
}

// A Proxy of an array is an instance of its class, but has no values.
const isArray = (value: unknown): value is InputArray =>
  value instanceof DeviceBuffer ||
  (ArrayBuffer.isView(value) && (value instanceof Float32Array || value instanceof Uint8Array));

/** Copies memory that another thread could modify. */
function unshared(array: InputArray): InputArray {
  if (array instanceof DeviceBuffer || !isShared(array)) return array;
  return copyOf(array);
}

/** How to convert a value to an input. */
function cureOf(actual: unknown, count: number): string | undefined {
  if (Array.isArray(actual)) return 'convert numbers with Float32Array.from(numbers)';
  if (Buffer.isBuffer(actual)) {
    if (actual.length === 4 * count)
      return 'read float32 values with new Float32Array(buffer.buffer, buffer.byteOffset, buffer.length / 4)';
    return 'convert the bytes of an image file with decodeImage and preprocessImage';
  }
  if (actual instanceof ArrayBuffer) return 'give a view of it, new Float32Array(buffer)';
  if (actual instanceof Float32Array && !isArray(actual)) return 'give the array itself, not a Proxy of it';
  if (ArrayBuffer.isView(actual) && !isArray(actual)) return 'Float32Array.from(values) converts them';
  return undefined;
}

const lengthOf = (array: InputArray): number =>
  array instanceof DeviceBuffer ? elementCount(array.shape) : array.length;

function expected(name: string, loaded: readonly number[], actual: unknown): ArgumentError {
  return new ArgumentError(
    `input "${name}"`,
    `a Float32Array, Uint8Array or DeviceBuffer of ${loaded.join('×')} = ${elementCount(loaded)} values (or a multiple, for another batch size), or { shape, data }`,
    actual,
    cureOf(actual, elementCount(loaded)),
  );
}

/** Copies of inputs whose arrays and lists their owner may modify. */
export function copiedInputs(inputs: Inputs): Inputs {
  if (typeof inputs !== 'object' || inputs === null || ArrayBuffer.isView(inputs) || Array.isArray(inputs))
    return inputs; // invalid inputs are refused later, as are other values that stay unchanged here
  const copied = (value: unknown): unknown => {
    if (Array.isArray(value)) return [...value];
    const isCopied = isArray(value) && !(value instanceof DeviceBuffer) && value.length > 0; // not detached
    return isCopied ? copyOf(value) : value;
  };
  const eachField = (value: object, change: (field: unknown) => unknown): object =>
    Object.fromEntries(Object.entries(value).map(([name, field]) => [name, change(field)]));
  return eachField(inputs, (input) =>
    isObject(input) && 'data' in input ? eachField(input, copied) : copied(input),
  ) as Inputs;
}

/** The two sets of shapes have the same blobs. */
export function sameShapes(a: Shapes, b: Shapes): boolean {
  if (a === b) return true;
  return Object.keys(a).every((name) => {
    const [one, other] = [a[name]!, b[name]!];
    return one.length === other.length && one.every((size, i) => size === other[i]);
  });
}
