/** Messages as JSON in the form of protobuf's json_format: original names, 64-bit integers as strings. */
import type { Message } from './message.ts';
import { messages } from './schema.ts';

/** The shortest decimal that reads back as the same float32, as protobuf prints it. */
export function shortestFloat(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

/** A message as a JSON value. @param type The message's name in caffe.proto. */
export function toJson(type: string, message: Message): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, [, fieldType]] of Object.entries(messages[type]!)) {
    const value = message[name];
    if (value === undefined) continue;
    if (Array.isArray(value)) {
      if (value.length > 0) result[name] = value.map((item) => valueToJson(fieldType.slice(1), item));
    } else result[name] = valueToJson(fieldType, value);
  }
  return result;
}

function valueToJson(type: string, value: unknown): unknown {
  if (type.startsWith('message:')) return toJson(type.slice(8), value as Message);
  if (type === 'int64' || type === 'uint64') return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value !== 'number') return value;
  if (!Number.isFinite(value)) return String(value);
  return type === 'float' ? shortestFloat(value) : value;
}
