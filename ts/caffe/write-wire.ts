/** protobuf's wire format, written. https://protobuf.dev/programming-guides/encoding/ */

/** An integer field's value. @param value A safe integer; negative ones as int64 (10 bytes). */
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
