/** JSON files, and messages in the form of protobuf's json_format (original names, 64-bit integers as strings). */

import { readFileSync } from 'node:fs';
import { checkFileSize, MAX_JSON_BYTES, readCause } from '../base/files.ts';
import { fileKind } from './file-kind.ts';
import type { Message } from './message.ts';
import { messages } from './schema.ts';
import { type NeededKind, wrongKind, wrongKindAt } from './wrong-kind.ts';

/** The shortest decimal that gives the same float32, as protobuf prints it. */
export function shortestFloat(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}

/** A number of a layer in short form: as a float32 it has few digits, although its float64 value has more. */
export const showNumber = (value: number): string =>
  String(Number.isSafeInteger(value) || Math.fround(value) !== value ? value : shortestFloat(value));

/**
 * A message as a JSON value.
 * @param type The message's name in caffe.proto.
 */
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

/**
 * Reads a JSON file; a byte-order mark at its beginning is skipped.
 * @param refuse Creates the reader's own error from what was found, e.g. `there is no such file or folder`, its cause, and
 * whether the file is of another kind.
 * @throws the error of `refuse`; ResnodeError `file/too-large`, `file/special`
 */
export function readJsonFile(
  file: string,
  needed: NeededKind,
  refuse: (found: string, cause?: unknown, isWrongKind?: boolean) => Error,
): unknown {
  checkFileSize(file, MAX_JSON_BYTES, 'JSON files');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const wrong = wrongKindAt(file, needed);
    throw refuse(wrong ?? readCause(error as Error), error, wrong !== null);
  }
  const wrong = wrongKind(fileKind(bytes), needed);
  if (wrong !== null) throw refuse(wrong, undefined, true);
  try {
    return JSON.parse(bytes.toString('utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    throw refuse(`this is not valid JSON (${(error as Error).message})`, error);
  }
}
