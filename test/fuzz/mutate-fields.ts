/**
 * Damage that keeps the syntax: one to three fields of a valid file change their value, vanish, are repeated or are
 * swapped. Most random damage fails a reader's first check; this reaches the code after it.
 */
import { bytesField, integerField, varint } from '../../ts/caffe/wire.ts';
import { AWKWARD, type Random } from './random.ts';

type FieldMutation = (bytes: Uint8Array, random: Random) => Uint8Array;

function several(change: FieldMutation): FieldMutation {
  return (bytes, random) => {
    let result = bytes;
    for (let left = 1 + random.below(3); left > 0; left--) result = change(result, random);
    return result;
  };
}

/** protobuf's text format: changes a value, a name, a whole field or a whole message. */
export const mutatePrototxt: FieldMutation = several((bytes, random) => {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  const at = random.below(lines.length);
  const line = lines[at]!;
  const other = lines[random.below(lines.length)]!;
  const changes: (() => string)[] = [
    () => line.replace(/:\s*[^{}]+$/, () => `: ${random.pick(AWKWARD)}`),
    () =>
      line.replace(
        /"[^"]*"/,
        () => `"${random.pick(['', '__proto__', 'data', 'a'.repeat(3000), '\\0', '\\377'])}"`,
      ),
    () => line.replace(/:\s*[A-Z_]+$/, () => `: ${random.pick(['MAX', 'TRAIN', 'ELTWISE', '7', 'LMDB'])}`),
    () => (/[{}]/.test(line) ? line : ''),
    () => `${line}\n${line}`,
    () => (/[{}]/.test(line + other) ? line : other),
    () => line.replace(/(\w+)(\s*[:{])/, (_, name: string, rest: string) => `${name}_${rest}`),
  ];
  lines[at] = random.pick(changes)();
  return Buffer.from(lines.join('\n'));
});

interface Field {
  readonly number: number;
  readonly type: number;
  readonly payload: Buffer;
}

/** protobuf's binary format, at any depth. A payload that parses as a message is treated as one. */
export const mutateWire: FieldMutation = several((bytes, random) => {
  const fields = readMessage(Buffer.from(bytes));
  if (fields === null || fields.length === 0) return bytes;
  const at = random.below(fields.length);
  const field = fields[at]!;
  const inner = field.type === 2 && random.below(4) > 0 ? readMessage(field.payload) : null;
  const encoded = fields.map(encode);
  if (inner !== null && inner.length > 0)
    encoded[at] = bytesField(field.number, mutateWireOnce(field.payload, random));
  else encoded[at] = changeField(field, encoded[at]!, random);
  return Buffer.concat(encoded);
});

function mutateWireOnce(bytes: Buffer, random: Random): Buffer {
  const fields = readMessage(bytes)!;
  const at = random.below(fields.length);
  const field = fields[at]!;
  const encoded = fields.map(encode);
  const inner = field.type === 2 && random.below(4) > 0 ? readMessage(field.payload) : null;
  encoded[at] =
    inner !== null && inner.length > 0
      ? bytesField(field.number, mutateWireOnce(field.payload, random))
      : changeField(field, encoded[at]!, random);
  return Buffer.concat(encoded);
}

function changeField(field: Field, encoded: Buffer, random: Random): Buffer {
  const integers = AWKWARD.filter((text) => /^-?\d{1,16}$/.test(text))
    .map(Number)
    .filter(Number.isSafeInteger);
  const changes: (() => Buffer)[] = [
    () => Buffer.alloc(0),
    () => Buffer.concat([encoded, encoded]),
    () => (field.type === 0 ? integerField(field.number, random.pick(integers)) : encoded),
    () =>
      field.type === 2
        ? bytesField(field.number, field.payload.subarray(0, random.below(field.payload.length + 1)))
        : encoded,
    () =>
      field.type === 2 ? bytesField(field.number, Buffer.concat([field.payload, field.payload])) : encoded,
    () => (field.type === 2 ? bytesField(field.number, '') : encoded),
    () => encode({ ...field, number: 1 + random.below(120) }),
    () => integerField(field.number, random.pick(integers)),
    () => bytesField(field.number, random.pick(['__proto__', '', 'data', '\0'])),
  ];
  return random.pick(changes)();
}

function readMessage(bytes: Buffer): Field[] | null {
  const fields: Field[] = [];
  let at = 0;
  const number = (): bigint | null => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) return null;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return null;
  };
  while (at < bytes.length) {
    const tag = number();
    if (tag === null || tag >> 3n === 0n || tag >> 3n > 536870911n) return null;
    const type = Number(tag & 7n);
    const start = at;
    if (type === 0) {
      if (number() === null) return null;
    } else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else if (type === 2) {
      const length = number();
      if (length === null || length > BigInt(bytes.length - at)) return null;
      const payload = bytes.subarray(at, at + Number(length));
      fields.push({ number: Number(tag >> 3n), type, payload });
      at += Number(length);
      continue;
    } else return null;
    if (at > bytes.length) return null;
    fields.push({ number: Number(tag >> 3n), type, payload: bytes.subarray(start, at) });
  }
  return fields;
}

function encode({ number, type, payload }: Field): Buffer {
  return type === 2 ? bytesField(number, payload) : Buffer.concat([varint(number * 8 + type), payload]);
}

/** JSON: any value at any depth changes, vanishes, or gets an awkward name. */
export const mutateJson: FieldMutation = several((bytes, random) => {
  const other = () =>
    random.pick<unknown>([
      null,
      true,
      -1,
      0,
      1.5,
      1e308,
      2 ** 53,
      '',
      'x',
      '__proto__',
      [],
      [[]],
      {},
      [1, 2, 3],
      { a: 1 },
    ]);
  const visit = (value: unknown, depth: number): unknown => {
    if (depth > 4 || typeof value !== 'object' || value === null || random.below(4) === 0) return other();
    const entries = Object.entries(value);
    if (entries.length === 0) return other();
    const at = random.below(entries.length);
    const [name, child] = entries[at]!;
    if (random.below(5) === 0) entries.splice(at, 1);
    else if (random.below(6) === 0)
      entries.push([random.pick(['__proto__', 'toString', 'shorterSid', '']), other()]);
    else entries[at] = [name, visit(child, depth + 1)];
    return Array.isArray(value)
      ? entries.map(([, each]) => each)
      : JSON.parse(
          `{${entries.map((entry) => entry.map((part) => JSON.stringify(part)).join(':')).join(',')}}`,
        );
  };
  try {
    return Buffer.from(JSON.stringify(visit(JSON.parse(Buffer.from(bytes).toString('utf8')), 0)) ?? 'null');
  } catch {
    return bytes;
  }
});

/** Lines of fields separated by blanks. */
export const mutateList: FieldMutation = several((bytes, random) => {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  const at = random.below(lines.length);
  const words = lines[at]!.split(' ');
  words[random.below(words.length)] = random.pick([...AWKWARD, '', '../x', 'a b', '\t', '"q"', '\u00e9']);
  lines[at] = words.join(random.pick([' ', '\t', '  ', '']));
  return Buffer.from(lines.join(random.pick(['\n', '\r\n', '\n\n'])));
});
