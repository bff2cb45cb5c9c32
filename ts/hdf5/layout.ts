/** The storage of a dataset's values (IV.A.2.i), and the value of those that were not written (IV.A.2.e, IV.A.2.f). */
import { MESSAGE, type ObjectHeader } from './object-header.ts';
import { type Cursor, damaged, Hdf5Problem, unsupported } from './source.ts';

/** The index of a dataset's chunks. */
export type ChunkIndex =
  | { readonly kind: 'B-tree 1' | 'B-tree 2' | 'implicit' | 'fixed array' }
  | { readonly kind: 'single'; readonly filtered: { readonly size: number; readonly mask: number } | null };

export type Layout =
  | { readonly kind: 'compact'; readonly bytes: Uint8Array }
  | { readonly kind: 'contiguous'; readonly address: number | null }
  | {
      readonly kind: 'chunked';
      readonly address: number | null;
      readonly chunk: readonly number[];
      readonly index: ChunkIndex;
    };

/** @throws Hdf5Problem `external` for values in other files */
export function readLayout(header: ObjectHeader): Layout {
  const external = header.first(MESSAGE.external);
  if (external !== undefined)
    throw new Hdf5Problem(
      'external',
      'its values are in other files (external storage), which resnode does not read',
    );
  const cursor = header.first(MESSAGE.layout);
  if (cursor === undefined) throw damaged('a dataset does not say where its values are');
  const version = cursor.checkVersion('layouts', 1, 2, 3, 4, 5);
  if (version < 3) return oldLayout(cursor);
  const kind = cursor.u8();
  switch (kind) {
    case 0:
      return { kind: 'compact', bytes: cursor.take(cursor.u16()) };
    case 1:
      return { kind: 'contiguous', address: cursor.address() };
    case 2:
      return version === 3 ? chunkedInTree(cursor) : chunked(cursor);
    case 3:
      throw new Hdf5Problem(
        'external',
        'it is a virtual dataset, which consists of others that may be in other files',
      );
    default:
      throw unsupported(`a layout has the unknown class ${kind}`);
  }
}

function oldLayout(cursor: Cursor): Layout {
  const rank = cursor.u8();
  const kind = cursor.u8();
  cursor.skip(5);
  const address = kind === 0 ? null : cursor.address();
  const dims = Array.from({ length: rank }, () => cursor.u32());
  if (kind === 0) return { kind: 'compact', bytes: cursor.take(cursor.u32()) };
  if (kind === 1) return { kind: 'contiguous', address };
  if (kind !== 2) throw unsupported(`a layout has the unknown class ${kind}`);
  return { kind: 'chunked', address, chunk: dims.slice(0, -1), index: { kind: 'B-tree 1' } };
}

// The last dimension is the size of a value in bytes.
function chunkedInTree(cursor: Cursor): Layout {
  const rank = cursor.u8();
  const address = cursor.address();
  const dims = Array.from({ length: rank }, () => cursor.u32());
  return { kind: 'chunked', address, chunk: dims.slice(0, -1), index: { kind: 'B-tree 1' } };
}

function chunked(cursor: Cursor): Layout {
  const flags = cursor.u8();
  const rank = cursor.u8();
  const dimBytes = cursor.u8();
  const dims = Array.from({ length: rank }, () => cursor.uint(dimBytes));
  const index = chunkIndex(cursor, flags);
  return { kind: 'chunked', address: cursor.address(), chunk: dims.slice(0, -1), index };
}

function chunkIndex(cursor: Cursor, flags: number): ChunkIndex {
  const type = cursor.u8();
  switch (type) {
    case 1:
      return {
        kind: 'single',
        filtered: flags & 2 ? { size: cursor.length(), mask: cursor.u32() } : null,
      };
    case 2:
      return { kind: 'implicit' };
    case 3:
      cursor.skip(1);
      return { kind: 'fixed array' };
    case 5:
      cursor.skip(6);
      return { kind: 'B-tree 2' };
    default:
      throw unsupported(
        `its chunks are listed by ${type === 4 ? 'an extensible array' : `an index of type ${type}`}; write it again without libver="latest"`,
      );
  }
}

/** The bytes of a value that was never written; null for zeros. */
export function readFill(header: ObjectHeader): Uint8Array | null {
  const cursor = header.first(MESSAGE.fill);
  if (cursor === undefined) {
    const old = header.first(MESSAGE.oldFill);
    return old === undefined ? null : fillValue(old);
  }
  const version = cursor.checkVersion('fill values', 1, 2, 3);
  if (version === 3) return cursor.u8() & 0x20 ? fillValue(cursor) : null;
  cursor.skip(2);
  const isDefined = cursor.u8() !== 0;
  return isDefined && cursor.left >= 4 ? fillValue(cursor) : null;
}

function fillValue(cursor: Cursor): Uint8Array | null {
  const size = cursor.u32();
  return size === 0 || size >= 2 ** 31 ? null : cursor.take(size);
}
