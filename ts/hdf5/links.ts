/** The links of a group: old ones in a B-tree of tables (III.B, III.C), newer ones in its header or in a heap (IV.A.2.g). */
import { newTree, oldTree } from './b-trees.ts';
import { FractalHeap, localHeap } from './heaps.ts';
import { MESSAGE, type ObjectHeader } from './object-header.ts';
import { type Cursor, damaged, Hdf5Problem, type Source, unsupported } from './source.ts';

export type Link =
  | { readonly kind: 'hard'; readonly address: number }
  | { readonly kind: 'soft'; readonly path: string }
  | { readonly kind: 'external'; readonly file: string };

/** Links of one group. */
const MAX_LINKS = 100_000;

/** By name, in the order of storage. Newer groups order them by a hash. */
export function linksOf(header: ObjectHeader): Map<string, Link> {
  const links = new Map<string, Link>();
  for (const [name, link] of eachLink(header)) {
    links.set(name, link);
    if (links.size > MAX_LINKS) throw new Hdf5Problem('limit', `a group has more than ${MAX_LINKS} members`);
  }
  return new Map([...links].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function* eachLink(header: ObjectHeader): Generator<[string, Link]> {
  const { source } = header;
  const table = header.first(MESSAGE.symbolTable);
  if (table !== undefined) {
    const tree = table.definedAddress("a group's B-tree");
    yield* oldLinks(source, tree, localHeap(source, table.definedAddress("a group's heap")));
  }
  for (const message of header.all(MESSAGE.link)) yield readLink(message);
  const info = header.first(MESSAGE.linkInfo);
  if (info === undefined) return;
  info.checkVersion('link info', 0);
  if (info.u8() & 1) info.skip(8);
  const [heapAddress, tree] = [info.address(), info.address()];
  if (heapAddress === null || tree === null) return;
  const heap = new FractalHeap(source, heapAddress);
  // A record of type 5: a hash of the name, the heap's id (III.A.2).
  for (const record of newTree(source, tree, 5)) {
    record.skip(4);
    yield readLink(heap.object(record));
  }
}

function* oldLinks(
  source: Source,
  tree: number,
  nameAt: (offset: number) => string,
): Generator<[string, Link]> {
  const entryBytes = 24 + 2 * source.offsetSize;
  for (const { child } of oldTree(source, tree, { type: 0, keyBytes: source.lengthSize })) {
    const head = source.block(child, 'SNOD', 8);
    head.checkVersion('symbol tables', 1);
    head.skip(1);
    const count = head.u16();
    const entries = source.cursor(child + 8, count * entryBytes);
    for (let i = 0; i < count; i++) {
      const name = nameAt(entries.uint(source.offsetSize));
      const address = entries.address();
      const isSoft = entries.u32() === 2;
      entries.skip(4);
      const scratch = entries.sub(16);
      if (isSoft) yield [name, { kind: 'soft', path: nameAt(scratch.u32()) }];
      else if (address === null) throw damaged(`"${name}" has no address`);
      else yield [name, { kind: 'hard', address }];
    }
  }
}

function readLink(cursor: Cursor): [string, Link] {
  cursor.checkVersion('links', 1);
  const flags = cursor.u8();
  const type = flags & 8 ? cursor.u8() : 0;
  if (flags & 4) cursor.skip(8);
  if (flags & 16) cursor.skip(1);
  const name = cursor.take(cursor.uint(1 << (flags & 3))).toString('utf8');
  if (type === 0) return [name, { kind: 'hard', address: cursor.definedAddress(`"${name}"`) }];
  const value = cursor.sub(cursor.u16());
  if (type === 1) return [name, { kind: 'soft', path: value.take(value.left).toString('utf8') }];
  if (type !== 64) throw unsupported(`"${name}" is a link of a user-defined kind`);
  value.skip(1);
  return [name, { kind: 'external', file: value.text(value.left) }];
}
