/** The storage of names and texts: local heaps (III.D), global heaps (III.E) and fractal heaps (III.G). */
import { type Cursor, damaged, type Source, unsupported } from './source.ts';

/** The names of an old group. */
export function localHeap(source: Source, address: number): (offset: number) => string {
  const head = source.block(address, 'HEAP', 8 + 2 * source.lengthSize + source.offsetSize);
  head.checkVersion('local heaps', 0);
  head.skip(3);
  const size = head.length();
  head.length(); // the free list
  const data = source.read(head.definedAddress('a local heap'), size);
  return (offset) => {
    const end = data.indexOf(0, offset);
    if (!(offset < data.length) || end < 0) throw damaged('a name is outside its heap');
    return data.toString('utf8', offset, end);
  };
}

/** An object of a collection, such as a text of variable length. */
export function globalHeapObject(source: Source, address: number, index: number): Buffer {
  const headBytes = 8 + source.lengthSize;
  const size = source.block(address, 'GCOL', headBytes).bytes.subarray(8);
  const collection = source.block(
    address,
    'GCOL',
    size.reduceRight((sum, byte) => sum * 256 + byte, 0),
  );
  collection.checkVersion('global heaps', 1);
  collection.at = headBytes;
  while (collection.left >= 8 + source.lengthSize) {
    const found = collection.u16();
    collection.skip(6);
    const length = collection.length();
    if (found === index) return collection.take(length);
    if (found === 0) break;
    collection.skip(Math.min(collection.left, Math.ceil(length / 8) * 8));
  }
  throw damaged(`there is no object ${index} in a global heap`);
}

const byteCount = (bits: number): number => Math.ceil(bits / 8);

/** Links and attributes of groups with many of them. */
export class FractalHeap {
  readonly #source: Source;
  readonly #width: number;
  readonly #startBlock: number;
  readonly #maxDirect: number;
  readonly #offsetBytes: number;
  readonly #lengthBytes: number;
  readonly #root: number | null;
  readonly #rootRows: number;

  constructor(source: Source, address: number) {
    this.#source = source;
    const { offsetSize, lengthSize } = source;
    const head = source.checkedBlock(address, 'FRHP', 26 + 3 * offsetSize + 12 * lengthSize);
    head.checkVersion('fractal heaps', 0);
    head.u16(); // bytes of an id
    if (head.u16() !== 0) throw unsupported('it compresses its names');
    head.skip(1);
    const maxManaged = head.u32();
    head.skip(2 * offsetSize + 10 * lengthSize); // free space, and what huge and tiny objects take
    this.#width = head.u16();
    this.#startBlock = head.length();
    this.#maxDirect = head.length();
    const heapBits = head.u16();
    head.u16();
    this.#root = head.address();
    this.#rootRows = head.u16();
    if (this.#width === 0 || this.#startBlock === 0 || heapBits > 64)
      throw damaged('a fractal heap is invalid');
    this.#offsetBytes = byteCount(heapBits);
    this.#lengthBytes = Math.min(
      byteCount(Math.log2(this.#maxDirect)),
      Math.floor(Math.log2(Math.max(1, maxManaged)) / 8) + 1,
    );
  }

  /** The object with an id. */
  object(id: Cursor): Cursor {
    const kind = (id.u8() >> 4) & 3;
    if (kind !== 0) throw unsupported('it has names or attributes of unusual size');
    const offset = id.uint(this.#offsetBytes);
    const length = id.uint(this.#lengthBytes);
    if (this.#root === null) throw damaged('a fractal heap is empty');
    return this.#rootRows === 0
      ? this.#inDirect(this.#root, 0, this.#startBlock, offset, length)
      : this.#inIndirect(this.#root, this.#rootRows, 0, offset, length, 0);
  }

  #inDirect(address: number, begin: number, size: number, offset: number, length: number): Cursor {
    if (offset - begin + length > size) throw damaged('an object leaves its block');
    return this.#source.cursor(address + offset - begin, length);
  }

  // All blocks of a row have one size. The first two rows have the smallest, and each later row has twice the size of the
  // previous one.
  #inIndirect(
    address: number,
    rows: number,
    begin: number,
    offset: number,
    length: number,
    depth: number,
  ): Cursor {
    if (depth > 32 || rows > 128) throw damaged('a fractal heap has no end');
    const { offsetSize } = this.#source;
    let at = begin;
    for (let row = 0, index = 0; row < rows; row++) {
      const size = this.#startBlock * 2 ** Math.max(0, row - 1);
      const inRow = this.#width * size;
      if (offset < at + inRow) {
        const column = Math.floor((offset - at) / size);
        const entry = address + 5 + offsetSize + this.#offsetBytes + (index + column) * offsetSize;
        const child = this.#source.cursor(entry, offsetSize).definedAddress('a block of a heap');
        const start = at + column * size;
        if (size <= this.#maxDirect) return this.#inDirect(child, start, size, offset, length);
        const childRows = Math.round(Math.log2(size / (this.#startBlock * this.#width))) + 1;
        return this.#inIndirect(child, childRows, start, offset, length, depth + 1);
      }
      at += inRow;
      index += this.#width;
    }
    throw damaged('an object is outside its heap');
  }
}
