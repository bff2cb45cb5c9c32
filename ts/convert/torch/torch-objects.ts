/** The objects that torch.save pickles: the few names that tensors consist of, and the positions of their values. */
import { elementCount } from '../../base/shape.ts';
import { type FloatType, type SourceTensor, sourceTensor } from '../source-tensor.ts';
import type { Global, Made, PickleValue } from './unpickle.ts';

/** Type of a storage: bytes of a value, and which floats they are. */
const STORAGES: Readonly<Record<string, { readonly size: number; readonly kind: FloatType | null }>> = {
  DoubleStorage: { size: 8, kind: 'float64' },
  FloatStorage: { size: 4, kind: 'float32' },
  HalfStorage: { size: 2, kind: 'float16' },
  BFloat16Storage: { size: 2, kind: 'bfloat16' },
  LongStorage: { size: 8, kind: null },
  IntStorage: { size: 4, kind: null },
  ShortStorage: { size: 2, kind: null },
  CharStorage: { size: 1, kind: null },
  ByteStorage: { size: 1, kind: null },
  BoolStorage: { size: 1, kind: null },
};

/** Consecutive values in the file's entry `key`; `offset` and `count` are in values. */
export interface Storage extends Made {
  readonly made: 'storage';
  readonly key: string;
  readonly type: string;
  readonly size: number;
  readonly kind: FloatType | null;
  readonly offset: number;
  readonly count: number;
}

/** A view of a storage, everything in values. */
export interface TorchTensor extends Made {
  readonly made: 'tensor';
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** The content of a file: its pickled value, and the bytes of each storage. */
export interface TorchFile {
  readonly value: PickleValue;
  /**
   * The bytes of the whole storage.
   * @throws WeightsError if bytes are missing
   */
  readonly bytesOf: (storage: Storage) => Uint8Array;
}

export const isTensor = (value: PickleValue | undefined): value is TorchTensor => isMade(value, 'tensor');
const isStorage = (value: PickleValue | undefined): value is Storage => isMade(value, 'storage');

function isMade(value: PickleValue | undefined, made: string): boolean {
  return typeof value === 'object' && value !== null && 'made' in value && value.made === made;
}

// Each follows torch/_utils.py and torch/nn/parameter.py. `_rebuild_tensor` and Parameter itself are in files of torch
// before 0.4, such as torchvision's first ResNets.
const CALLS: Readonly<Record<string, (args: PickleValue[]) => PickleValue>> = {
  'collections.OrderedDict': orderedDict,
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': parameter,
  'torch._utils._rebuild_parameter_with_state': parameter,
  'torch._tensor._rebuild_from_type_v2': rebuildFromType,
  'torch.nn.parameter.Parameter': parameter,
};

// Values that training scripts store with the weights: arguments, numbers of NumPy, dates, paths, configurations. They
// become objects with these names. Their contents are not read, and nothing in them is imported, called or executed.
const OPAQUE = [
  /^argparse\.Namespace$/,
  /^types\.SimpleNamespace$/,
  /^(?:builtins|__builtin__)\.(?:object|complex|bytearray|slice|range|list|dict|tuple|set|frozenset|int|float|str|bool)$/,
  /^copy_?reg\._reconstructor$/,
  /^collections\.(?:defaultdict|Counter|deque)$/,
  /^(?:numpy\.dtype|numpy\.ndarray|_codecs\.encode)$/,
  /^numpy\._?core\.(?:multiarray\.(?:scalar|_reconstruct)|numeric\._frombuffer)$/,
  /^numpy\.(?:random\..*|dtypes\.\w+|(?:float|int|uint|bool)\w*)$/,
  /^datetime\.(?:date|datetime|time|timedelta|timezone)$/,
  /^pathlib\.(?:_local\.)?(?:Pure)?(?:Posix|Windows)?Path$/,
  /^(?:decimal\.Decimal|fractions\.Fraction|uuid\.UUID)$/,
  /^torch\.(?:Size|device|Generator|float\d+|double|half|bfloat16|u?int\d+|long|bool|strided|preserve_format|contiguous_format|channels_last)$/,
  /^torch\.serialization\._get_layout$/,
  /^torch\.optim\.[\w.]+$/,
  /^torch\.(?:cuda\.amp\.grad_scaler|amp\.grad_scaler)\.\w+$/,
  /^(?:easydict\.EasyDict|addict\.addict\.Dict|yacs\.config\.CfgNode|omegaconf\.[\w.]+|ml_collections\.[\w.]+)$/,
];

/** The names that a pickle may use: these and the types of storages. */
export function torchGlobals(path: string): Global | undefined {
  if (Object.hasOwn(CALLS, path)) return { global: path, call: CALLS[path]! };
  const type = path.startsWith('torch.') ? path.slice(6) : '';
  if (Object.hasOwn(STORAGES, type)) return { global: path };
  return OPAQUE.some((pattern) => pattern.test(path)) ? { global: path, isOpaque: true } : undefined;
}

/**
 * A persistent id: ('storage', type, key, device, values in it[, (key of a view, offset, values)]).
 * The view's offset counts from the storage's beginning.
 */
export function storageOf(id: PickleValue): Storage {
  if (!Array.isArray(id)) throw 'expected a tuple';
  const [kind, type, key, , count, view] = id;
  if (kind === 'module') throw 'the file holds a whole model, which is code; save only model.state_dict()';
  const path = typeof type === 'object' && type !== null && 'global' in type ? type.global : '';
  const name = path.replace(/^torch\./, '');
  if (kind !== 'storage' || !Object.hasOwn(STORAGES, name) || typeof key !== 'string')
    throw 'expected a storage of torch';
  const [, offset, length] = Array.isArray(view) ? view : [null, 0, count];
  return {
    made: 'storage',
    key,
    type: path,
    ...STORAGES[name]!,
    offset: natural(offset, 'an offset'),
    count: natural(length, 'a count'),
  };
}

function rebuildTensor([storage, offset, shape, strides]: PickleValue[]): TorchTensor {
  if (!isStorage(storage)) throw 'expected a storage';
  if (!Array.isArray(shape) || !Array.isArray(strides) || shape.length !== strides.length)
    throw 'expected a shape and as many strides';
  const tensor: TorchTensor = {
    made: 'tensor',
    storage,
    offset: natural(offset, 'an offset'),
    shape: shape.map((dim) => natural(dim, 'a dimension')),
    strides: strides.map((stride) => natural(stride, 'a stride')),
  };
  const count = elementCount(tensor.shape);
  const last = tensor.shape.reduce((at, dim, i) => at + (dim - 1) * tensor.strides[i]!, tensor.offset);
  // An expanded tensor has more values than its storage, so a small file could claim any amount of memory with it.
  if (count > storage.count || (count > 0 && last >= storage.count))
    throw `a tensor of ${tensor.shape.join('×')} is not within its storage of ${storage.count} values`;
  return tensor;
}

function parameter([tensor]: PickleValue[]): PickleValue {
  if (!isTensor(tensor)) throw 'expected a tensor';
  return tensor;
}

// A tensor of a derived class, or with attributes: function, class, arguments, state (torch/_tensor.py).
function rebuildFromType([rebuild, , args]: PickleValue[]): PickleValue {
  const call =
    typeof rebuild === 'object' && rebuild !== null && 'global' in rebuild ? rebuild.call : undefined;
  if (call === undefined || call === rebuildFromType || !Array.isArray(args)) throw 'expected a tensor';
  return call(args);
}

function orderedDict([items]: PickleValue[]): Map<PickleValue, PickleValue> {
  if (items === undefined) return new Map();
  if (!Array.isArray(items)) throw 'expected pairs';
  return new Map(
    items.map((pair) => {
      if (!Array.isArray(pair) || pair.length !== 2) throw 'expected pairs';
      return [pair[0]!, pair[1]!];
    }),
  );
}

function natural(value: PickleValue | undefined, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw `${what} is not a natural number`;
}

/**
 * A tensor's values in the order of its shape.
 * @param bytesOf Returns all bytes of a storage.
 */
export function readTensor(
  at: { readonly file: string; readonly name: string },
  { storage, offset, shape, strides }: TorchTensor,
  bytesOf: (storage: Storage) => Uint8Array,
): SourceTensor {
  return sourceTensor(at, storage.type, storage.kind, shape, () => {
    const { size } = storage;
    const start = (storage.offset + offset) * size;
    const bytes = bytesOf(storage).subarray(start);
    return isDense(shape, strides)
      ? bytes.subarray(0, size * elementCount(shape))
      : gather(bytes, size, shape, strides);
  });
}

function isDense(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  return shape.reduceRight((dense, dim, i) => {
    const fits = dim === 1 || strides[i] === expected;
    expected *= dim;
    return dense && fits;
  }, true);
}

// Transposed tensors, slices, and tensors in channels_last.
function gather(
  bytes: Uint8Array,
  size: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array {
  const result = new Uint8Array(size * elementCount(shape));
  let to = 0;
  const visit = (axis: number, from: number): void => {
    if (axis === shape.length) {
      for (let i = 0; i < size; i++) result[to++] = bytes[from + i]!;
      return;
    }
    for (let i = 0; i < shape[axis]!; i++) visit(axis + 1, from + i * strides[axis]! * size);
  };
  visit(0, 0);
  return result;
}
