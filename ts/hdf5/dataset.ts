/** A dataset: its shape, its type and its values, which are read on request. */

import { fromFloat16 } from '../base/half-floats.ts';
import { elementCount } from '../base/shape.ts';
import { yielding } from '../base/yielding.ts';
import { attributesOf, textsOf } from './attributes.ts';
import { type Chunk, type ChunkedDataset, chunksOf, gridCount } from './chunks.ts';
import { readFilters, unfiltered } from './filters.ts';
import { type Layout, readFill, readLayout } from './layout.ts';
import { MESSAGE, type ObjectHeader } from './object-header.ts';
import { Cursor, damaged, unsupported } from './source.ts';
import { type Hdf5Type, readDataspace, readDatatype, typeName } from './types.ts';

/** float16 is converted. */
export type Hdf5Values =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

const ARRAYS = {
  float4: Float32Array,
  float8: Float64Array,
  int1: Int8Array,
  int2: Int16Array,
  int4: Int32Array,
  int8: BigInt64Array,
  uint1: Uint8Array,
  uint2: Uint16Array,
  uint4: Uint32Array,
  uint8: BigUint64Array,
} as const;

const MAX_ELEMENTS = 2 ** 31 - 1; // Caffe counts the elements of a blob in an int.

export class Hdf5Dataset {
  readonly shape: readonly number[];
  readonly type: Hdf5Type;
  readonly #header: ObjectHeader;

  constructor(header: ObjectHeader) {
    const [space, type] = [header.first(MESSAGE.dataspace), header.first(MESSAGE.datatype)];
    if (space === undefined || type === undefined) throw damaged('a dataset has no shape or no type');
    this.#header = header;
    this.shape = readDataspace(space);
    this.type = readDatatype(type);
    if (!(this.count <= MAX_ELEMENTS)) throw damaged(`the shape ${this.shape.join('×')} is invalid`);
  }

  /** E.g. `float32`. */
  get typeName(): string {
    return typeName(this.type);
  }

  get count(): number {
    return elementCount(this.shape);
  }

  /**
   * Numbers in row-major order, in new memory.
   * @throws Hdf5Problem, also if they are not numbers
   */
  async values(): Promise<Hdf5Values> {
    const { type } = this;
    if (type.kind !== 'float' && type.kind !== 'integer')
      throw unsupported(`it has ${this.typeName}, not numbers`);
    const bytes = await this.#bytes();
    if (type.bigEndian) swap(bytes, type.size);
    if (type.kind === 'float' && type.size === 2) return fromFloat16(bytes);
    const prefix = type.kind === 'float' ? 'float' : type.signed ? 'int' : 'uint';
    const ArrayType = ARRAYS[`${prefix}${type.size}` as keyof typeof ARRAYS];
    return new ArrayType(bytes.buffer as ArrayBuffer, 0, this.count);
  }

  /** Whether it holds references to other objects of the file (IV.A.2.d, class 7, objects' addresses). */
  get isReferences(): boolean {
    return this.type.kind === 'reference';
  }

  /**
   * Addresses of objects, for `Hdf5Group.at`; null for a reference to nothing.
   * @throws Hdf5Problem
   */
  async references(): Promise<(number | null)[]> {
    if (this.type.kind !== 'reference') throw unsupported(`it has ${this.typeName}, not references`);
    const cursor = new Cursor(Buffer.from((await this.#bytes()).buffer), this.#header.source);
    return Array.from({ length: this.count }, () => cursor.sub(8).uint(8) || null);
  }

  /** The texts of an attribute; null if it has values of another type, undefined if it does not exist. */
  texts(attribute: string): string[] | null | undefined {
    const found = attributesOf(this.#header).get(attribute);
    return found && textsOf(this.#header.source, found);
  }

  /** The text of a scalar (or the first of several). */
  async text(): Promise<string> {
    if (this.type.kind !== 'string')
      throw unsupported(`it has ${this.typeName}; expected text of a fixed length`);
    const bytes = await this.#bytes();
    return new Cursor(Buffer.from(bytes.buffer), this.#header.source).text(
      Math.min(bytes.length, this.type.size),
    );
  }

  async #bytes(): Promise<Uint8Array> {
    const { source } = this.#header;
    const length = this.count * this.type.size;
    const layout = readLayout(this.#header);
    source.take(length);
    if (layout.kind === 'compact') {
      if (layout.bytes.length < length)
        throw damaged(`a dataset has ${layout.bytes.length} of ${length} bytes`);
      return new Uint8Array(layout.bytes.subarray(0, length));
    }
    if (layout.kind === 'contiguous' && layout.address !== null) return source.values(layout.address, length);
    const values = new Uint8Array(length);
    const fill = readFill(this.#header);
    if (fill !== null && fill.length === this.type.size && fill.some((byte) => byte !== 0))
      for (let at = 0; at < length; at += fill.length) values.set(fill, at);
    if (layout.kind === 'chunked') await this.#readChunks(layout, values);
    return values;
  }

  async #readChunks(layout: Extract<Layout, { kind: 'chunked' }>, values: Uint8Array): Promise<void> {
    const { source } = this.#header;
    const { shape, type } = this;
    const filters = readFilters(this.#header);
    if (layout.chunk.length !== shape.length || !layout.chunk.every((dim) => dim > 0))
      throw damaged(`chunks of ${layout.chunk.join('×')} do not fit ${shape.join('×')}`);
    const chunkBytes = type.size * elementCount(layout.chunk);
    const dataset: ChunkedDataset = { layout, shape, chunkBytes, isFiltered: filters.length > 0 };
    const most = gridCount(dataset);
    const yieldIfDue = yielding();
    let count = 0;
    for (const chunk of chunksOf(source, dataset)) {
      if (++count > most) throw damaged(`there are more than ${most} chunks`);
      await yieldIfDue();
      source.take(chunkBytes);
      if (filters.length === 0 && chunk.bytes !== chunkBytes)
        throw damaged(`a chunk has ${chunk.bytes} bytes`);
      const stored = await source.values(chunk.address, chunk.bytes);
      const unpacked = await unfiltered(stored, filters, chunk.mask, chunkBytes);
      copyChunk(unpacked, layout.chunk, chunk, values, shape, type.size);
    }
  }
}

/** Chunks at the edge extend beyond the dataset. */
function copyChunk(
  from: Uint8Array,
  chunk: readonly number[],
  { offset }: Chunk,
  to: Uint8Array,
  shape: readonly number[],
  size: number,
): void {
  if (offset.some((at, i) => at >= shape[i]! || at % chunk[i]! !== 0))
    throw damaged(`a chunk is at ${offset.join(', ')}, outside ${shape.join('×')}`);
  const rank = shape.length;
  const copy = (axis: number, source: number, target: number): void => {
    if (axis >= rank - 1) {
      const run = rank === 0 ? 1 : Math.min(chunk[axis]!, shape[axis]! - offset[axis]!);
      const begin = target + (rank === 0 ? 0 : offset[axis]!);
      to.set(from.subarray(source * size, (source + run) * size), begin * size);
      return;
    }
    const rows = Math.min(chunk[axis]!, shape[axis]! - offset[axis]!);
    for (let i = 0; i < rows; i++)
      copy(axis + 1, (source + i) * chunk[axis + 1]!, (target + offset[axis]! + i) * shape[axis + 1]!);
  };
  copy(0, 0, 0);
}

function swap(bytes: Uint8Array, size: 1 | 2 | 4 | 8): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else if (size === 8) buffer.swap64();
}
