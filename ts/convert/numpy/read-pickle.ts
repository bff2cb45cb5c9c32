/**
 * NumPy arrays in a pickle, which is how Lasagne and neon save models (pickle.dump of dicts and lists of arrays). An array
 * is named by its position, such as `values/0` or `model/config/layers/3/params/W`. The pickle is read as data; nothing in
 * it is executed. NumPy pickles an array by array_reduce and array_setstate in numpy/_core/src/multiarray/methods.c.
 */
import { WeightsError } from '../../base/errors.ts';
import { MAX_DIMENSIONS, MAX_TENSORS } from '../../base/files.ts';
import { elementCount } from '../../base/shape.ts';
import { mapFile } from '../map-file.ts';
import type { ReadResult } from '../network.ts';
import { type FloatType, type SourceTensor, type SourceTensors, sourceTensor } from '../source-tensor.ts';
import { torchGlobals } from '../torch/torch-objects.ts';
import { type Global, type Made, type PickleValue, unpickle } from '../torch/unpickle.ts';
import { unknownNames } from '../unknown-names.ts';

/** Models are not nested more deeply. */
const MAX_DEPTH = 64;

/** A dtype such as `f4`. The state contains its byte order. */
interface DType extends Made {
  readonly type: string;
  order: string;
}

interface NumpyArray extends Made {
  shape: readonly number[];
  dtype: DType | null;
  /** The first index changes fastest. */
  isFortran: boolean;
  bytes: Uint8Array;
}

const KINDS: Readonly<Record<string, FloatType>> = { f2: 'float16', f4: 'float32', f8: 'float64' };

const isMade = (value: PickleValue | undefined, made: string): value is Made =>
  typeof value === 'object' && value !== null && 'made' in value && value.made === made;
const isArray = (value: PickleValue | undefined): value is NumpyArray => isMade(value, 'array');
const isDType = (value: PickleValue | undefined): value is DType => isMade(value, 'dtype');

/** Strings of Python 2 are bytes, each of which becomes a character. */
function bytesOf(value: PickleValue | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value, 'latin1');
  throw 'expected the bytes of an array';
}

const textOf = (value: PickleValue | undefined): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value);

function shapeOf(value: PickleValue | undefined): number[] {
  const dims = Array.isArray(value) ? value : [value];
  const isShape = dims.every((dim) => typeof dim === 'number' && Number.isSafeInteger(dim) && dim >= 0);
  if (!isShape || dims.length > MAX_DIMENSIONS) throw 'expected the shape of an array';
  return dims as number[];
}

function filled(
  array: NumpyArray,
  shape: PickleValue | undefined,
  dtype: PickleValue | undefined,
  bytes: Uint8Array,
) {
  if (!isDType(dtype)) throw 'expected a dtype';
  const size = Number(dtype.type.slice(1));
  array.shape = shapeOf(shape);
  array.dtype = dtype;
  array.bytes = bytes;
  if (Object.hasOwn(KINDS, dtype.type) && elementCount(array.shape) * size !== bytes.length)
    throw `an array of ${array.shape.join('×')} values of ${dtype.type} with ${bytes.length} bytes`;
}

function emptyArray(): NumpyArray {
  const array: NumpyArray = {
    made: 'array',
    shape: [],
    dtype: null,
    isFortran: false,
    bytes: new Uint8Array(),
    // (version, shape, dtype, is_fortran, bytes)
    build(state) {
      if (!Array.isArray(state) || state.length !== 5) throw 'expected the state of an array';
      array.isFortran = state[3] === true || state[3] === 1;
      filled(array, state[1], state[2], Array.isArray(state[4]) ? new Uint8Array() : bytesOf(state[4]));
    },
  };
  return array;
}

const CALLS: Readonly<Record<string, (args: PickleValue[]) => PickleValue>> = {
  'multiarray._reconstruct': emptyArray,
  // Protocol 5: (bytes, dtype, shape, order)
  'numeric._frombuffer': ([bytes, dtype, shape, order]) => {
    const array = emptyArray();
    array.isFortran = textOf(order) === 'F';
    filled(array, shape, dtype, bytesOf(bytes));
    return array;
  },
  'multiarray.scalar': () => null,
  'numpy.dtype': ([type]) => {
    const dtype: DType = {
      made: 'dtype',
      type: textOf(type),
      order: '<',
      // (version, byte order, …)
      build(state) {
        if (Array.isArray(state)) dtype.order = textOf(state[1]);
      },
    };
    return dtype;
  },
  // Python 3 writes bytes for Python 2 as Latin-1 text.
  '_codecs.encode': ([text]) => bytesOf(text),
};

function globals(path: string): Global | undefined {
  const name = path.replace(/^numpy\._?core\./, '');
  if (name === 'numpy.ndarray') return { global: path };
  if (Object.hasOwn(CALLS, name)) return { global: path, call: CALLS[name]! };
  const other = path === 'collections.OrderedDict' || torchGlobals(path)?.isOpaque === true;
  return other ? torchGlobals(path) : undefined;
}

/** @throws WeightsError `torch/global`, `torch/pickle`, `torch/limit` */
export function numpyTensors(bytes: Uint8Array, file: string): SourceTensors {
  const { value } = unpickle(bytes, {
    file,
    globals,
    persistent: () => {
      throw 'it refers to data outside the pickle';
    },
    isPython2: true,
    cure: 'only arrays of NumPy in dicts and lists are read, nothing is executed; save only the arrays, with numpy.savez, and give a map',
  });
  const tensors = new Map<string, SourceTensor>();
  const seen = new Set<PickleValue>();
  const limit = (text: string): never => {
    throw new WeightsError('torch/limit', { file }, text);
  };
  const visit = (each: PickleValue, path: readonly string[]): void => {
    if (typeof each !== 'object' || each === null || each instanceof Uint8Array) return;
    if (path.length > MAX_DEPTH) limit(`its values are nested deeper than ${MAX_DEPTH} levels`);
    if (isArray(each)) {
      if (tensors.size >= MAX_TENSORS) limit(`it holds more than ${MAX_TENSORS} arrays`);
      const name = path.join('/');
      tensors.set(name, tensorOf(each, { file, name }));
      return;
    }
    // A value that occurs twice is named by its first position. The search stops at a value that contains itself.
    if (seen.has(each)) return;
    seen.add(each);
    if (each instanceof Map) for (const [key, inner] of each) visit(inner, [...path, textOf(key)]);
    else if (Array.isArray(each)) for (const [i, inner] of each.entries()) visit(inner, [...path, String(i)]);
  };
  visit(value, []);
  return tensors;
}

function tensorOf(
  { shape, dtype, isFortran, bytes }: NumpyArray,
  at: { file: string; name: string },
): SourceTensor {
  const type = dtype?.type ?? 'nothing';
  const kind = dtype?.order === '>' ? null : (KINDS[type] ?? null);
  const name = dtype?.order === '>' ? `>${type}` : type;
  const size = Number(type.slice(1));
  return sourceTensor(at, name, kind, shape, () => (isFortran ? inRows(bytes, shape, size) : bytes));
}

/** Reorders values so that the last index changes fastest instead of the first. */
function inRows(bytes: Uint8Array, shape: readonly number[], size: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  const strides = shape.map((_, axis) => size * elementCount(shape.slice(0, axis)));
  let to = 0;
  const visit = (axis: number, from: number): void => {
    if (axis === shape.length) {
      result.set(bytes.subarray(from, from + size), to);
      to += size;
      return;
    }
    for (let i = 0; i < shape[axis]!; i++) visit(axis + 1, from + i * strides[axis]!);
  };
  if (bytes.length > 0) visit(0, 0);
  return result;
}

/** @throws WeightsError with a table of the arrays, because their names do not identify a net */
export async function readNumpyPickle(file: string): Promise<ReadResult> {
  throw unknownNames(
    file,
    numpyTensors(mapFile(file, 'torch'), file),
    "any net: write a map of each layer's arrays (--map names.json) and give the net (--model)",
  );
}
