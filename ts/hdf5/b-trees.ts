/** Both versions of B-trees (III.A), traversed in order. A repeated node ends the traversal. */
import { type Cursor, damaged, type Source } from './source.ts';

/** The contents of the leaves of a version 1 tree: the key before each child, and the child's address. */
export function* oldTree(
  source: Source,
  address: number,
  { type, keyBytes }: { type: 0 | 1; keyBytes: number },
): Generator<{ key: Cursor; child: number }> {
  const headBytes = 8 + 2 * source.offsetSize;
  const seen = new Set<number>();
  const walk = function* (node: number, level: number | null): Generator<{ key: Cursor; child: number }> {
    if (seen.has(node)) throw damaged('a B-tree has a node twice');
    seen.add(node);
    const head = source.block(node, 'TREE', headBytes);
    if (head.u8() !== type) throw damaged('a B-tree is of the wrong kind');
    const found = head.u8();
    if (level !== null && found !== level) throw damaged('a B-tree has a node on the wrong level');
    const count = head.u16();
    const entries = source.cursor(node + headBytes, count * (keyBytes + source.offsetSize));
    for (let i = 0; i < count; i++) {
      const key = entries.sub(keyBytes);
      const child = entries.definedAddress('a node of a B-tree');
      if (found === 0) yield { key, child };
      else yield* walk(child, found - 1);
    }
  };
  yield* walk(address, null);
}

const encodedSize = (limit: number): number => Math.floor(Math.log2(Math.max(1, limit)) / 8) + 1;
const NODE_OVERHEAD = 10; // signature, version, type, checksum

/** The records of a version 2 tree; nodes hold records too. */
export function* newTree(source: Source, address: number, type: number): Generator<Cursor> {
  const head = source.checkedBlock(address, 'BTHD', 22 + source.offsetSize + source.lengthSize);
  head.checkVersion('B-trees', 0);
  if (head.u8() !== type) throw damaged('a B-tree is of the wrong kind');
  const nodeBytes = head.u32();
  const recordBytes = head.u16();
  const depth = head.u16();
  head.skip(2);
  const root = head.address();
  const rootRecords = head.u16();
  if (root === null) return;
  if (recordBytes === 0 || depth > 16 || nodeBytes < NODE_OVERHEAD + recordBytes)
    throw damaged('a B-tree is invalid');
  // The number of bytes of the counts beside a child's address, from the largest number that the levels below can hold.
  const inLeaf = Math.floor((nodeBytes - NODE_OVERHEAD) / recordBytes);
  const countBytes = encodedSize(inLeaf);
  const totals = [inLeaf];
  const pointerBytes = (level: number): number =>
    source.offsetSize + countBytes + (level > 1 ? encodedSize(totals[level - 1]!) : 0);
  for (let level = 1; level <= depth; level++) {
    const records = Math.floor(
      (nodeBytes - NODE_OVERHEAD - pointerBytes(level)) / (recordBytes + pointerBytes(level)),
    );
    totals.push((records + 1) * totals[level - 1]! + records);
  }
  const seen = new Set<number>();
  const walk = function* (node: number, count: number, level: number): Generator<Cursor> {
    if (seen.has(node)) throw damaged('a B-tree has a node twice');
    seen.add(node);
    const pointers = level === 0 ? 0 : (count + 1) * pointerBytes(level);
    const bytes = NODE_OVERHEAD + count * recordBytes + pointers;
    if (bytes > nodeBytes) throw damaged('a node of a B-tree is fuller than it can be');
    const cursor = source.checkedBlock(node, level === 0 ? 'BTLF' : 'BTIN', bytes);
    cursor.skip(2);
    const records = Array.from({ length: count }, () => cursor.sub(recordBytes));
    if (level === 0) return yield* records;
    for (let i = 0; i <= count; i++) {
      const child = cursor.definedAddress('a node of a B-tree');
      const childCount = cursor.uint(countBytes);
      if (level > 1) cursor.skip(encodedSize(totals[level - 1]!));
      yield* walk(child, childCount, level - 1);
      if (i < count) yield records[i]!;
    }
  };
  yield* walk(root, rootRecords, depth);
}
