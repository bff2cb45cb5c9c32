/** Attributes of groups (IV.A.2.m). Only those with text are read, which is what Keras writes. */
import { elementCount } from '../base/shape.ts';
import { newTree } from './b-trees.ts';
import { FractalHeap, globalHeapObject } from './heaps.ts';
import { MESSAGE, type ObjectHeader } from './object-header.ts';
import { Cursor, Hdf5Problem, type Source } from './source.ts';
import { type Hdf5Type, readDataspace, readDatatype } from './types.ts';

export interface Attribute {
  readonly shape: readonly number[];
  readonly type: Hdf5Type;
  readonly data: Buffer;
}

/** Texts of one attribute. */
const MAX_TEXTS = 100_000;

export function attributesOf(header: ObjectHeader): Map<string, Attribute> {
  return new Map(
    [...header.all(MESSAGE.attribute), ...inHeap(header)].map((cursor) => readAttribute(header, cursor)),
  );
}

function* inHeap(header: ObjectHeader): Generator<Cursor> {
  const info = header.first(MESSAGE.attributeInfo);
  if (info === undefined) return;
  info.checkVersion('attribute info', 0);
  if (info.u8() & 1) info.skip(2);
  const [heapAddress, tree] = [info.address(), info.address()];
  if (heapAddress === null || tree === null) return;
  const heap = new FractalHeap(header.source, heapAddress);
  // A record of type 8 begins with the heap's id (III.A.2).
  for (const record of newTree(header.source, tree, 8)) yield heap.object(record);
}

function readAttribute(header: ObjectHeader, cursor: Cursor): [string, Attribute] {
  const version = cursor.checkVersion('attributes', 1, 2, 3);
  const flags = cursor.u8();
  const sizes = [cursor.u16(), cursor.u16(), cursor.u16()];
  if (version === 3) cursor.skip(1);
  const [name, type, space] = sizes.map((size) => {
    const part = cursor.sub(size);
    // In version 1 each part is padded to 8 bytes.
    if (version === 1) cursor.skip(Math.min(cursor.left, -size & 7));
    return part;
  }) as [Cursor, Cursor, Cursor];
  const datatype = flags & 1 ? new Cursor(header.shared(MESSAGE.datatype, type.bytes), header.source) : type;
  return [
    name.text(name.left),
    { type: readDatatype(datatype), shape: readDataspace(space), data: cursor.take(cursor.left) },
  ];
}

/** The values of a text attribute, in order; null if it has values of another type. */
export function textsOf(source: Source, { shape, type, data: bytes }: Attribute): string[] | null {
  const data = new Cursor(bytes, source);
  const count = elementCount(shape);
  if (count === 0) return [];
  if (!(count <= MAX_TEXTS)) throw new Hdf5Problem('limit', `an attribute has more than ${MAX_TEXTS} values`);
  if (type.kind === 'string') return Array.from({ length: count }, () => data.text(type.size).trimEnd());
  if (type.kind !== 'variable string') return null;
  return Array.from({ length: count }, () => {
    const length = data.u32();
    const address = data.address();
    const index = data.u32();
    if (address === null || length === 0) return '';
    source.take(length);
    const text = globalHeapObject(source, address, index).subarray(0, length);
    return new Cursor(text, source).text(text.length);
  });
}
