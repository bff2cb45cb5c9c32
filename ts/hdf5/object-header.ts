/** Object headers: the messages that describe a group or a dataset (IV.A). */
import { Cursor, damaged, type Source, unsupported } from './source.ts';

/** Message types (IV.A.2). */
export const MESSAGE = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  oldFill: 0x04,
  fill: 0x05,
  link: 0x06,
  external: 0x07,
  layout: 0x08,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const;

const IS_SHARED = 2;
const MAX_CONTINUATIONS = 1000;

interface Message {
  readonly type: number;
  readonly isShared: boolean;
  readonly body: Buffer;
}

export class ObjectHeader {
  /** The identity of the object: two links to it have the same address. */
  readonly address: number;
  readonly source: Source;
  readonly #messages: readonly Message[];

  constructor(source: Source, address: number) {
    this.address = address;
    this.source = source;
    const isNew = source.read(address, 4).toString('latin1') === 'OHDR';
    this.#messages = [...(isNew ? newMessages(source, address) : oldMessages(source, address))];
  }

  has(type: number): boolean {
    return this.#messages.some((message) => message.type === type);
  }

  all(type: number): Cursor[] {
    return this.#messages
      .filter((message) => message.type === type)
      .map(({ isShared, body }) => new Cursor(isShared ? this.shared(type, body) : body, this.source));
  }

  first(type: number): Cursor | undefined {
    return this.all(type)[0];
  }

  /** A message in the header of another object: a named datatype (IV.A.2). */
  shared(type: number, body: Buffer): Buffer {
    const cursor = new Cursor(body, this.source);
    const version = cursor.checkVersion('shared messages', 1, 2, 3);
    const place = cursor.u8();
    if (version === 1) cursor.skip(6);
    if (version === 3 && place === 1) throw unsupported('it keeps messages in a heap of the whole file');
    const header = new ObjectHeader(this.source, cursor.definedAddress('a shared message'));
    const found = header.#messages.find((message) => message.type === type && !message.isShared);
    if (found === undefined) throw damaged('a shared message is not at its address');
    return found.body;
  }
}

// Version 1: messages are aligned to 8 bytes, and there are no checksums.
function* oldMessages(source: Source, address: number): Generator<Message> {
  const head = source.cursor(address, 16);
  head.checkVersion('object header', 1);
  head.skip(1);
  const count = head.u16();
  head.skip(4);
  const blocks: [number, number][] = [[address + 16, head.u32()]];
  let found = 0;
  for (let i = 0; i < blocks.length; i++) {
    const block = source.cursor(...blocks[i]!);
    while (block.left >= 8 && found < count) {
      const [type, size, flags] = [block.u16(), block.u16(), block.u8()];
      block.skip(3);
      found++;
      yield* message(source, type, flags, block.take(size), blocks);
    }
  }
}

function* newMessages(source: Source, address: number): Generator<Message> {
  const flags = source.cursor(address, 6).bytes[5]!;
  const before = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
  const sizeBytes = 1 << (flags & 3);
  const first = source.cursor(address, before + sizeBytes);
  first.skip(4);
  first.checkVersion('object header', 2);
  first.at = before;
  const blocks: [number, number][] = [[address, before + sizeBytes + first.uint(sizeBytes) + 4]];
  for (let i = 0; i < blocks.length; i++) {
    const [at, length] = blocks[i]!;
    const block = source.checkedBlock(at, i === 0 ? 'OHDR' : 'OCHK', length);
    if (i === 0) block.at = before + sizeBytes;
    const headBytes = flags & 4 ? 6 : 4;
    while (block.left >= headBytes) {
      const [type, size, messageFlags] = [block.u8(), block.u16(), block.u8()];
      block.skip(headBytes - 4);
      yield* message(source, type, messageFlags, block.take(size), blocks);
    }
  }
}

function* message(
  source: Source,
  type: number,
  flags: number,
  body: Buffer,
  blocks: [number, number][],
): Generator<Message> {
  if (type === MESSAGE.continuation) {
    const cursor = new Cursor(body, source);
    blocks.push([cursor.definedAddress('the rest of an object header'), cursor.length()]);
    if (blocks.length > MAX_CONTINUATIONS) throw damaged('an object header has no end');
  } else yield { type, isShared: (flags & IS_SHARED) !== 0, body };
}
