/**
 * DICOM files built by hand: PS3.10, section 7.1 (preamble and file meta information), PS3.5, section 7.1.2 (explicit
 * VR).
 */

type Value = string | number;

/** One element with explicit VR, little endian. */
function element(group: number, number: number, vr: string, value: Value | Uint8Array): Buffer {
  const bytes =
    typeof value === 'number'
      ? shorts([value])
      : typeof value === 'string'
        ? Buffer.from(value.length % 2 === 0 ? value : value + (vr === 'UI' ? '\0' : ' '))
        : value;
  const isLong = ['OB', 'OW', 'OF', 'SQ', 'UN'].includes(vr);
  const head = Buffer.alloc(isLong ? 12 : 8);
  head.writeUInt16LE(group, 0);
  head.writeUInt16LE(number, 2);
  head.write(vr, 4);
  if (isLong) head.writeUInt32LE(bytes.length, 8);
  else head.writeUInt16LE(bytes.length, 6);
  return Buffer.concat([head, bytes]);
}

export function shorts(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, i) => bytes.writeUInt16LE(value & 0xffff, 2 * i));
  return bytes;
}

export interface DicomFields {
  readonly syntax?: string;
  readonly rows?: number;
  readonly columns?: number;
  readonly photometric?: string;
  readonly samples?: number;
  readonly allocated?: number;
  readonly stored?: number;
  readonly highBit?: number;
  readonly signed?: 0 | 1;
  /** Further elements of groups 0028 and up, in order of their numbers. */
  readonly more?: readonly (readonly [number: number, vr: string, value: Value])[];
  /** Null: no Pixel Data. */
  readonly pixels: Uint8Array | null;
}

/** Unless specified otherwise, a grey 16-bit image with 12 bits stored. */
export function dicomFile(fields: DicomFields): Buffer {
  const { syntax = '1.2.840.10008.1.2.1', rows = 2, columns = 2, photometric = 'MONOCHROME2' } = fields;
  const {
    samples = 1,
    allocated = 16,
    stored = 12,
    highBit = stored - 1,
    signed = 0,
    more = [],
    pixels,
  } = fields;
  const meta = element(0x0002, 0x0010, 'UI', syntax);
  const length = Buffer.alloc(12);
  element(0x0002, 0, 'UL', '\0\0\0\0').copy(length);
  length.writeUInt32LE(meta.length, 8);
  const image = [
    [0x0002, 'US', samples],
    [0x0004, 'CS', photometric],
    [0x0010, 'US', rows],
    [0x0011, 'US', columns],
    [0x0100, 'US', allocated],
    [0x0101, 'US', stored],
    [0x0102, 'US', highBit],
    [0x0103, 'US', signed],
    ...more,
  ] as const;
  return Buffer.concat([
    Buffer.alloc(128),
    Buffer.from('DICM'),
    length,
    meta,
    ...[...image].sort(([a], [b]) => a - b).map(([number, vr, value]) => element(0x0028, number, vr, value)),
    ...(pixels === null ? [] : [element(0x7fe0, 0x0010, 'OW', pixels)]),
  ]);
}
