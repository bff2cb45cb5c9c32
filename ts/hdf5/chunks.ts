/** The chunks of a dataset, by each kind of index (III.A.1, III.A.2, VII). */
import { elementCount } from '../base/shape.ts';
import { newTree, oldTree } from './b-trees.ts';
import type { Layout } from './layout.ts';
import { type Cursor, damaged, type Source } from './source.ts';

export interface Chunk {
  /** The position of the first value, in values. */
  readonly offset: readonly number[];
  readonly address: number;
  /** The position in the file. */
  readonly bytes: number;
  /** One bit for each filter that was not applied to the chunk. */
  readonly mask: number;
}

export interface ChunkedDataset {
  readonly layout: Extract<Layout, { kind: 'chunked' }>;
  readonly shape: readonly number[];
  readonly chunkBytes: number;
  readonly isFiltered: boolean;
}

/** Only the chunks that were written. */
export function* chunksOf(source: Source, dataset: ChunkedDataset): Generator<Chunk> {
  const { layout } = dataset;
  if (layout.address === null) return;
  switch (layout.index.kind) {
    case 'B-tree 1':
      return yield* inOldTree(source, layout.address, dataset);
    case 'B-tree 2':
      return yield* inNewTree(source, layout.address, dataset);
    case 'fixed array':
      return yield* inFixedArray(source, layout.address, dataset);
    case 'implicit':
      for (let i = 0; i < gridCount(dataset); i++)
        yield {
          offset: place(i, dataset),
          address: layout.address + i * dataset.chunkBytes,
          bytes: dataset.chunkBytes,
          mask: 0,
        };
      return;
    case 'single': {
      const { size: bytes, mask } = layout.index.filtered ?? { size: dataset.chunkBytes, mask: 0 };
      yield { offset: dataset.shape.map(() => 0), address: layout.address, bytes, mask };
    }
  }
}

const gridOf = ({ shape, layout }: ChunkedDataset): number[] =>
  shape.map((dim, i) => Math.ceil(dim / layout.chunk[i]!));

/** The number of the dataset's chunks, including those not written. */
export const gridCount = (dataset: ChunkedDataset): number => elementCount(gridOf(dataset));

function place(index: number, dataset: ChunkedDataset): number[] {
  const grid = gridOf(dataset);
  const offset: number[] = [];
  for (let axis = grid.length - 1, rest = index; axis >= 0; axis--) {
    offset.unshift((rest % grid[axis]!) * dataset.layout.chunk[axis]!);
    rest = Math.floor(rest / grid[axis]!);
  }
  return offset;
}

function* inOldTree(source: Source, address: number, { shape }: ChunkedDataset): Generator<Chunk> {
  const keyBytes = 8 + 8 * (shape.length + 1);
  for (const { key, child } of oldTree(source, address, { type: 1, keyBytes })) {
    const [bytes, mask] = [key.u32(), key.u32()];
    yield { offset: shape.map(() => key.uint(8)), address: child, bytes, mask };
  }
}

// Types 10 and 11: without filters, and with the size and mask of each chunk.
function* inNewTree(source: Source, address: number, dataset: ChunkedDataset): Generator<Chunk> {
  const { shape, layout, isFiltered, chunkBytes } = dataset;
  for (const record of newTree(source, address, isFiltered ? 11 : 10)) {
    const at = record.definedAddress('a chunk');
    const sizeBytes = record.left - 4 - 8 * shape.length;
    const [bytes, mask] = isFiltered ? [record.uint(sizeBytes), record.u32()] : [chunkBytes, 0];
    yield { offset: layout.chunk.map((dim) => record.uint(8) * dim), address: at, bytes, mask };
  }
}

function* inFixedArray(source: Source, address: number, dataset: ChunkedDataset): Generator<Chunk> {
  const head = source.checkedBlock(address, 'FAHD', 12 + source.lengthSize + source.offsetSize);
  head.checkVersion('fixed arrays', 0);
  const isFiltered = head.u8() === 1;
  const entryBytes = head.u8();
  const pageBits = head.u8();
  const count = head.length();
  const block = head.address();
  if (block === null) return;
  if (
    count !== gridCount(dataset) ||
    isFiltered !== dataset.isFiltered ||
    pageBits > 32 ||
    entryBytes < source.offsetSize
  )
    throw damaged('a fixed array does not fit its dataset');
  const blockHead = 6 + source.offsetSize;
  const perPage = 2 ** pageBits;
  const entry = (cursor: Cursor, index: number): Chunk | null => {
    const fields = cursor.sub(entryBytes);
    const at = fields.address();
    if (at === null) return null;
    const [bytes, mask] = isFiltered ? [fields.uint(fields.left - 4), fields.u32()] : [dataset.chunkBytes, 0];
    return { offset: place(index, dataset), address: at, bytes, mask };
  };
  if (count <= perPage) {
    const entries = source.checkedBlock(block, 'FADB', blockHead + count * entryBytes + 4);
    entries.at = blockHead;
    for (let i = 0; i < count; i++) {
      const chunk = entry(entries, i);
      if (chunk !== null) yield chunk;
    }
    return;
  }
  // One bit for each page tells whether it was written. Each page ends with its checksum.
  const pages = Math.ceil(count / perPage);
  const bitmapBytes = Math.ceil(pages / 8);
  const bitmap = source.checkedBlock(block, 'FADB', blockHead + bitmapBytes + 4).bytes.subarray(blockHead);
  const pageBytes = perPage * entryBytes + 4;
  for (let page = 0; page < pages; page++) {
    if ((bitmap[page >> 3]! & (0x80 >> (page & 7))) === 0) continue;
    const inPage = Math.min(perPage, count - page * perPage);
    const entries = source.cursor(
      block + blockHead + bitmapBytes + 4 + page * pageBytes,
      inPage * entryBytes,
    );
    for (let i = 0; i < inPage; i++) {
      const chunk = entry(entries, page * perPage + i);
      if (chunk !== null) yield chunk;
    }
  }
}
