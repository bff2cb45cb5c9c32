/** Prints a message as prototxt. Parsing the result gives an equal message. */
import { anything, oneOf } from '../base/kinds.ts';
import { optional, required, Signature, signature } from '../base/options.ts';

import { shortestFloat } from './json.ts';
import type { Message } from './message.ts';
import { message as messageKind } from './message-kind.ts';
import { messages } from './schema.ts';

const PRINT_PROTOTXT = signature('printPrototxt', {
  message: required(anything, 'A message of the type.'),
  type: optional(oneOf(...Object.keys(messages)), 'NetParameter', "The type's name in caffe.proto."),
});

/**
 * Prints a message in canonical form: in the schema's order, with two spaces per level and one field per line.
 * @param type e.g. `NetParameter`.
 * @example writeFileSync('net.prototxt', printPrototxt(readNetFile('old-net.prototxt')));
 */
export function printPrototxt(message: object, type = 'NetParameter'): string {
  PRINT_PROTOTXT.check(message, type);
  const rows = { message: required(messageKind(type), 'A message of the type.') };
  new Signature('printPrototxt', rows).check(message);
  const lines: string[] = [];
  print(message as Message, type, '', lines);
  return lines.map((line) => `${line}\n`).join('');
}

function print(message: Message, type: string, indent: string, lines: string[]): void {
  for (const [name, [, fieldType]] of Object.entries(messages[type]!)) {
    const value = message[name];
    if (value === undefined) continue;
    const itemType = fieldType.replace(/^[*+]/, '');
    for (const item of Array.isArray(value) ? value : [value]) {
      if (itemType.startsWith('message:')) {
        lines.push(`${indent}${name} {`);
        print(item as Message, itemType.slice(8), `${indent}  `, lines);
        lines.push(`${indent}}`);
      } else lines.push(`${indent}${name}: ${printScalar(itemType, item)}`);
    }
  }
}

function printScalar(type: string, value: unknown): string {
  if (type === 'string') return quote(Buffer.from(value as string, 'utf8'), true);
  if (type === 'bytes') return quote(value as Uint8Array, false);
  if (typeof value !== 'number' || Number.isInteger(value))
    return Object.is(value, -0) ? '-0' : String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  return String(type === 'float' ? shortestFloat(value) : value);
}

function quote(bytes: Uint8Array, isText: boolean): string {
  if (isText) {
    const text = Buffer.from(bytes).toString('utf8');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be escaped
    return `"${text.replace(/[\\"\u0000-\u001f\u007f]/g, (character) => octal(character.charCodeAt(0)))}"`;
  }
  return `"${Array.from(bytes, (byte) => (byte < 32 || byte > 126 || byte === 34 || byte === 92 ? octal(byte) : String.fromCharCode(byte))).join('')}"`;
}

function octal(byte: number): string {
  const simple: Record<number, string> = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' };
  return simple[byte] ?? `\\${byte.toString(8).padStart(3, '0')}`;
}
