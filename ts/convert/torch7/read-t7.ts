/**
 * Reads Torch7's serialised objects, binary and ASCII, as data: https://github.com/torch/torch7/blob/master/File.lua
 * (writeObject) and https://github.com/torch/torch7/blob/master/doc/serialization.md. Functions are skipped; nothing is
 * executed.
 */
import { WeightsError } from '../../base/errors.ts';
import { MAX_DIMENSIONS, MAX_FIELDS } from '../../base/files.ts';
import { elementCount } from '../../base/shape.ts';
import { BinarySource, SIZES, type Source, TextSource } from './source.ts';

export type T7Value = null | number | boolean | string | T7Table | T7Object | T7Tensor | T7Storage;
export type T7Table = Map<T7Value, T7Value>;

/** An object of a class, with the table of its fields. Tables and objects may refer to each other, even in cycles. */
export interface T7Object {
  readonly class: string;
  fields: T7Value;
}

export interface T7Tensor {
  readonly tensor: string;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  storage: T7Value;
}

export interface T7Storage {
  readonly storage: string;
  /** Returns the values, which are read at that moment. */
  readonly values: () => Float64Array;
  readonly count: number;
}

/** Kinds of objects (File.lua). */
const [NIL, NUMBER, STRING, TABLE, TORCH, BOOLEAN, FUNCTION, OLD_RECURSIVE, RECURSIVE] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8,
];
const MAX_DEPTH = 250;

const NAME = /^torch\.(\w+?)(Tensor|Storage)$/;

export const isT7Tensor = (value: T7Value | undefined): value is T7Tensor =>
  typeof value === 'object' && value !== null && 'tensor' in value;
export const isT7Object = (value: T7Value | undefined): value is T7Object =>
  typeof value === 'object' && value !== null && 'class' in value;

/** @throws WeightsError `torch7/format` with the offset of the damage, `torch7/limit` */
export function readT7(bytes: Uint8Array, file: string): T7Value {
  const isText = bytes[0]! >= 0x30 && bytes[0]! <= 0x39 && (bytes[1] === 10 || bytes[1] === 13);
  return new Reader(isText ? new TextSource(bytes, file) : new BinarySource(bytes, file), file).object(0);
}

class Reader {
  readonly #source: Source;
  readonly #file: string;
  readonly #known = new Map<number, T7Value>();
  #objects = 0;

  constructor(source: Source, file: string) {
    this.#source = source;
    this.#file = file;
  }

  object(depth: number): T7Value {
    const source = this.#source;
    if (++this.#objects > MAX_FIELDS) this.#limit(`it has more than ${MAX_FIELDS} objects`);
    if (depth > MAX_DEPTH) this.#limit(`its objects are nested deeper than ${MAX_DEPTH}`);
    const kind = source.int();
    switch (kind) {
      case NIL:
        return null;
      case NUMBER:
        return source.double();
      case BOOLEAN:
        return source.int() === 1;
      case STRING:
        return source.text(source.int());
      case TABLE:
        return this.#once(
          () => new Map(),
          (table) => this.#fill(table as T7Table, depth),
        );
      case TORCH:
        return this.#torch(depth);
      case FUNCTION:
        return this.#function(depth);
      case OLD_RECURSIVE:
      case RECURSIVE:
        return this.#once(
          () => 'function',
          () => void this.#function(depth),
        );
      default:
        return source.fail(`an object of kind ${kind}`);
    }
  }

  /** Only the first occurrence of an object has its content. Later ones refer to it by its number. */
  #once(make: () => T7Value, fill: (value: T7Value) => void): T7Value {
    const index = this.#source.int();
    const known = this.#known.get(index);
    if (known !== undefined) return known;
    const value = make();
    this.#known.set(index, value);
    fill(value);
    return value;
  }

  #fill(table: T7Table, depth: number): void {
    const size = this.#source.int();
    // A pair has at least 4 bytes.
    if (!(size >= 0 && size <= this.#source.left / 4)) this.#source.fail(`a table of ${size} pairs`);
    for (let i = 0; i < size; i++) {
      const key = this.object(depth + 1);
      table.set(key, this.object(depth + 1));
    }
  }

  #function(depth: number): T7Value {
    this.#source.skip(this.#source.int());
    this.object(depth + 1);
    return 'function';
  }

  #torch(depth: number): T7Value {
    const source = this.#source;
    const index = source.int();
    const known = this.#known.get(index);
    if (known !== undefined) return known;
    const version = source.text(source.int());
    const name = version.startsWith('V ') ? source.text(source.int()) : version;
    const [, type = '', form] = NAME.exec(name) ?? [];
    if (form === undefined) {
      const made: T7Object = { class: name, fields: null };
      this.#known.set(index, made);
      made.fields = this.object(depth + 1);
      return made;
    }
    if (form === 'Storage') {
      if (!Object.hasOwn(SIZES, type))
        source.fail(`values of type ${name} are not read; call model:float() before torch.save`);
      const count = source.long();
      if (!(count >= 0 && Number.isSafeInteger(count))) source.fail(`a storage of ${count} values`);
      const storage: T7Storage = { storage: name, values: source.values(type, count), count };
      this.#known.set(index, storage);
      return storage;
    }
    const rank = source.int();
    if (!(rank >= 0 && rank <= MAX_DIMENSIONS)) source.fail(`a tensor of ${rank} dimensions`);
    const longs = () => Array.from({ length: rank }, () => source.long());
    const made: T7Tensor = {
      tensor: name,
      shape: longs(),
      strides: longs(),
      offset: source.long() - 1,
      storage: null,
    };
    this.#known.set(index, made);
    made.storage = this.object(depth + 1);
    return made;
  }

  #limit(message: string): never {
    throw new WeightsError(
      'torch7/limit',
      { file: this.#file },
      `${message}; save only the net, after model:clearState()`,
    );
  }
}

/**
 * A tensor's values in the order of its shape.
 * @throws WeightsError if they exceed its storage
 */
export function tensorValues({ shape, strides, offset, storage }: T7Tensor, file: string): Float32Array {
  if (shape.length === 0) return new Float32Array(0);
  const fail = (): never => {
    throw new WeightsError(
      'torch7/format',
      { file },
      `a tensor of ${shape.join('×')} is not within its storage; the file is damaged`,
    );
  };
  if (typeof storage !== 'object' || storage === null || !('storage' in storage) || 'tensor' in storage)
    return fail();
  const { count, values } = storage as T7Storage;
  const total = elementCount(shape);
  const last = shape.reduce((at, dim, i) => at + (dim - 1) * strides[i]!, offset);
  const isValid = [...shape, ...strides, offset].every((each) => Number.isSafeInteger(each) && each >= 0);
  if (!isValid || total > count || (total > 0 && last >= count)) return fail();
  const from = values();
  const to = new Float32Array(total);
  let at = 0;
  const visit = (axis: number, place: number): void => {
    if (axis === shape.length) {
      to[at++] = from[place]!;
      return;
    }
    for (let i = 0; i < shape[axis]!; i++) visit(axis + 1, place + i * strides[axis]!);
  };
  visit(0, offset);
  return to;
}
