/**
 * protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), read in place and written. It is
 * implemented by hand because the libraries copy every `bytes` and float list, but opening a caffemodel of 240 MB must
 * not read its payload.
 */

import type { CodeOf } from '../base/error-codes.ts';
import { WeightsError } from '../base/errors.ts';
import { MAX_FIELDS } from '../base/files.ts';

export interface WireField {
  readonly number: number;
  readonly wireType: number;
  /** The value of a varint (wire type 0) read as an int64; NaN beyond ±(2^53 − 1). */
  readonly value: number;
  /** The payload of types 1, 2 and 5. */
  readonly bytes: Uint8Array;
}

/** For errors: the file and the message's meaning. Also the number of fields that may still be read from the file. */
export interface WireContext {
  readonly file: string;
  readonly what: string;
  readonly budget?: FieldBudget;
}

/** Counts the fields of all messages of a file. */
export class FieldBudget {
  #left = MAX_FIELDS;

  take(file: string): void {
    if (--this.#left < 0)
      throw new WeightsError(
        'weights/limit',
        { file },
        `it has more than ${MAX_FIELDS} fields; no net has so many; the file is damaged or designed to exhaust memory`,
      );
  }
}

const NONE = new Uint8Array(0);

/**
 * The fields of one message, in order.
 * @throws WeightsError `weights/truncated` or `weights/wire` with the byte offset in the file; `weights/limit`
 */
export function* readFields(bytes: Uint8Array, context: WireContext): Generator<WireField> {
  const budget = context.budget ?? new FieldBudget();
  const fail = (code: CodeOf<'weights'>, at: number, text: string): never => {
    throw new WeightsError(
      `weights/${code}`,
      { file: context.file },
      `${context.what}, byte ${bytes.byteOffset + at}: ${text}`,
    );
  };
  let offset = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = bytes[offset];
      if (byte === undefined)
        return fail('truncated', offset, 'the data ends in the middle of a number; the file is truncated');
      offset++;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80)
        return Number.isSafeInteger(value) ? value : largeVarint(bytes.subarray(offset - i - 1, offset));
    }
    return fail('wire', offset, 'a number is longer than 10 bytes; this is not protobuf data');
  };
  while (offset < bytes.length) {
    budget.take(context.file);
    const start = offset;
    const tag = varint();
    const number = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (!(number >= 1 && number < 2 ** 29))
      fail('wire', start, 'a field number is out of range; this is not protobuf data');
    if (wireType === 0) {
      yield { number, wireType, value: varint(), bytes: NONE };
      continue;
    }
    const length = wireType === 2 ? varint() : wireType === 1 ? 8 : wireType === 5 ? 4 : null;
    if (length === null)
      return fail(
        'wire',
        start,
        `wire type ${wireType} does not occur in files of this kind; this is not protobuf data`,
      );
    if (!(length >= 0 && length <= bytes.length - offset)) {
      fail(
        'truncated',
        start,
        `field ${number} says it has ${length >= 0 ? length : 'more than 2^53'} bytes, but ${bytes.length - offset} are left; the file is truncated or damaged`,
      );
    }
    yield { number, wireType, value: 0, bytes: bytes.subarray(offset, offset + length) };
    offset += length;
  }
}

// A negative int64 has 10 bytes of two's complement, more than a sum of powers in a double can represent.
function largeVarint(bytes: Uint8Array): number {
  const value = bytes.reduce((sum, byte, i) => sum + (BigInt(byte & 0x7f) << BigInt(7 * i)), 0n);
  const signed = Number(BigInt.asIntN(64, value));
  return Number.isSafeInteger(signed) ? signed : Number.NaN;
}

/**
 * All varints of a packed field, read like `WireField.value`.
 * @throws WeightsError
 */
export function packedVarints(field: WireField, context: WireContext): number[] {
  if (field.wireType === 0) return [field.value];
  const values: number[] = [];
  let value = 0;
  let start = 0;
  field.bytes.forEach((byte, i) => {
    value += (byte & 0x7f) * 2 ** (7 * (i - start));
    if (byte >= 0x80) return;
    if (values.length >= MAX_FIELDS)
      throw new WeightsError(
        'weights/limit',
        { file: context.file },
        `${context.what}: a list of more than ${MAX_FIELDS} numbers`,
      );
    values.push(Number.isSafeInteger(value) ? value : largeVarint(field.bytes.subarray(start, i + 1)));
    [value, start] = [0, i + 1];
  });
  if (start !== field.bytes.length)
    throw new WeightsError(
      'weights/truncated',
      { file: context.file },
      `${context.what}: a list of numbers ends in the middle of one`,
    );
  return values;
}

/**
 * An integer field's value.
 * @param value A safe integer; negative ones as int64 (10 bytes).
 */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  if (value < 0) {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) + 0x80);
    return Buffer.from([...bytes, Number(rest)]);
  }
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return Buffer.from([...bytes, rest]);
}

/** A length-delimited field's tag and length; its `length` bytes follow. */
export function lengthDelimited(field: number, length: number): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(length)]);
}

/** A field of wire type 0. */
export function integerField(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

/** A string or bytes field. */
export function bytesField(field: number, value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([lengthDelimited(field, bytes.length), bytes]);
}
