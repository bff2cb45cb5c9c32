/** Damage without knowledge of a format: that of a bad disk, a truncated download or a careless attacker. */
import { AWKWARD, type Random } from './random.ts';

const CHANGES: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  flipBit,
  setByte,
  cut,
  remove,
  repeat,
  swap,
  insertNumber,
  insertText,
];

/** One to eight changes at random positions. */
export function mutateBytes(bytes: Uint8Array, random: Random): Buffer {
  let result: Buffer = Buffer.from(bytes);
  for (let left = 1 + random.below(8); left > 0; left--) result = random.pick(CHANGES)(result, random);
  return result;
}

function flipBit(bytes: Buffer, random: Random): Buffer {
  if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  return bytes;
}

function setByte(bytes: Buffer, random: Random): Buffer {
  if (bytes.length > 0) bytes[random.below(bytes.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, 0x22, 0x7b]);
  return bytes;
}

function cut(bytes: Buffer, random: Random): Buffer {
  return random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
}

function span(bytes: Buffer, random: Random): [from: number, to: number] {
  const from = random.below(bytes.length + 1);
  return [from, Math.min(bytes.length, from + random.below(64))];
}

function remove(bytes: Buffer, random: Random): Buffer {
  const [from, to] = span(bytes, random);
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
}

function repeat(bytes: Buffer, random: Random): Buffer {
  const [from, to] = span(bytes, random);
  const piece = bytes.subarray(from, to);
  return Buffer.concat([
    bytes.subarray(0, to),
    ...Array<Buffer>(random.pick([1, 2, 200])).fill(piece),
    bytes.subarray(to),
  ]);
}

function swap(bytes: Buffer, random: Random): Buffer {
  const [from, to] = span(bytes, random);
  const at = random.below(bytes.length + 1);
  bytes.subarray(from, to).copy(bytes, Math.max(0, at - (to - from)));
  return bytes;
}

/** 16, 32 or 64 bits in either byte order: the sizes, counts and offsets of binary formats. */
function insertNumber(bytes: Buffer, random: Random): Buffer {
  const value = Buffer.alloc(8);
  value.writeBigInt64LE(
    BigInt.asIntN(64, BigInt(random.pick(AWKWARD.filter((text) => /^-?\d+$/.test(text))))),
  );
  const piece = value.subarray(0, random.pick([2, 4, 8]));
  if (random.below(2) === 0) piece.reverse();
  if (bytes.length >= piece.length) piece.copy(bytes, random.below(bytes.length - piece.length + 1));
  return bytes;
}

function insertText(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const text = random.pick([
    ...AWKWARD,
    '__proto__',
    'constructor',
    '{',
    '}',
    '[',
    '"',
    "'",
    '\\',
    '\0',
    '\n',
    '#',
    '\ufeff',
    '../',
    '%s',
    '\u2028',
  ]);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from(text), bytes.subarray(at)]);
}
