/** Datatypes and dataspaces of datasets and attributes (IV.A.2.b, IV.A.2.d). */
import { type Cursor, damaged, unsupported } from './source.ts';

export type Hdf5Type =
  | { readonly kind: 'float'; readonly size: 2 | 4 | 8; readonly bigEndian: boolean }
  | {
      readonly kind: 'integer';
      readonly size: 1 | 2 | 4 | 8;
      readonly signed: boolean;
      readonly bigEndian: boolean;
    }
  /** With a fixed number of bytes. */
  | { readonly kind: 'string'; readonly size: number }
  | { readonly kind: 'variable string'; readonly size: number }
  /** A reference to an object of the file. */
  | { readonly kind: 'reference'; readonly size: 8 }
  | { readonly kind: 'other'; readonly size: number; readonly name: string };

const NAMES: Readonly<Record<number, string>> = {
  2: 'times',
  4: 'bit fields',
  5: 'opaque bytes',
  6: 'compounds',
  7: 'references',
  9: 'lists of variable length',
  10: 'arrays',
};

// Position and size of the exponent, position and size of the mantissa, bias: IEEE 754.
const IEEE: Readonly<Record<number, string>> = {
  2: '10,5,0,10,15',
  4: '23,8,0,23,127',
  8: '52,11,0,52,1023',
};

export function readDatatype(cursor: Cursor): Hdf5Type {
  const first = cursor.u8();
  const version = first >> 4;
  if (version < 1 || version > 5) throw unsupported(`version ${version} of its datatypes is unknown`);
  const bits = cursor.uint(3);
  const size = cursor.u32();
  if (size === 0) throw damaged('a datatype has no bytes');
  const other = (name: string): Hdf5Type => ({ kind: 'other', size, name });
  switch (first & 15) {
    case 0: {
      const [offset, precision] = [cursor.u16(), cursor.u16()];
      if (offset !== 0 || precision !== 8 * size || ![1, 2, 4, 8].includes(size))
        return other(`integers of ${precision} bits`);
      return { kind: 'integer', size: size as 1, signed: (bits & 8) !== 0, bigEndian: (bits & 1) !== 0 };
    }
    case 1: {
      cursor.skip(4);
      const layout = [cursor.u8(), cursor.u8(), cursor.u8(), cursor.u8(), cursor.u32()].join(',');
      if (IEEE[size] !== layout || (bits & 0x40) !== 0) return other('floats that are not those of IEEE 754');
      return { kind: 'float', size: size as 2, bigEndian: (bits & 1) !== 0 };
    }
    case 3:
      return { kind: 'string', size };
    case 7:
      return (bits & 15) === 0 && size === 8 ? { kind: 'reference', size } : other(NAMES[7]!);
    case 8:
      return readDatatype(cursor); // an enumeration's values are those of its base type
    case 9:
      return (bits & 15) === 1 ? { kind: 'variable string', size } : other(NAMES[9]!);
    default:
      return other(NAMES[first & 15] ?? `values of class ${first & 15}`);
  }
}

/** E.g. `float32`, for messages. */
export function typeName(type: Hdf5Type): string {
  switch (type.kind) {
    case 'float':
      return `float${8 * type.size}`;
    case 'integer':
      return `${type.signed ? '' : 'u'}int${8 * type.size}`;
    case 'reference':
      return NAMES[7]!;
    case 'other':
      return type.name;
    default:
      return 'strings';
  }
}

/** The shape. A dataset without values (a null dataspace) has the shape 0. */
export function readDataspace(cursor: Cursor): number[] {
  const version = cursor.checkVersion('dataspaces', 1, 2);
  const rank = cursor.u8();
  cursor.skip(1); // maximum sizes follow, or not
  const kind = cursor.u8();
  if (version === 1) cursor.skip(4);
  else if (kind === 2) return [0];
  if (rank > 32) throw damaged(`a dataset has ${rank} dimensions`);
  return Array.from({ length: rank }, () => cursor.length());
}
