/**
 * Writes MAT-files of version 5 without compression (read-mat5.ts describes the format). Values are computed as they are
 * written.
 */
import { elementCount } from '../../base/shape.ts';
import { writeFileAtomically } from '../../caffe/atomic-file.ts';
import { matLimit } from './mat-value.ts';

/** Values that can be written: texts, numbers, lists as cells, and struct arrays of one row. */
export type MatSource =
  | string
  | boolean
  | readonly number[]
  | { readonly dims: readonly number[]; readonly values: () => Float32Array }
  | { readonly cell: readonly MatSource[] }
  | { readonly struct: readonly Readonly<Record<string, MatSource>>[] };

interface Part {
  readonly length: number;
  readonly chunks: readonly (Uint8Array | (() => Uint8Array))[];
}

const [INT8, UINT8, UINT16, INT32, UINT32, SINGLE, DOUBLE, MATRIX] = [1, 2, 4, 5, 6, 7, 9, 14];
const CLASS = { cell: 1, struct: 2, text: 4, double: 6, single: 7, uint8: 9 } as const;
const LOGICAL = 0x200;
/** MATLAB's limit for one variable in this version. */
const MAX_VARIABLE = 2 ** 31 - 1;

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

function join(parts: readonly Part[]): Part {
  return {
    length: parts.reduce((sum, { length }) => sum + length, 0),
    chunks: parts.flatMap(({ chunks }) => chunks),
  };
}

function element(type: number, length: number, data: Part['chunks'][number]): Part {
  const pad = -length & 7;
  return {
    length: 8 + length + pad,
    chunks: [bytesOf(Uint32Array.of(type, length)), data, ...(pad === 0 ? [] : [new Uint8Array(pad)])],
  };
}

const bytes = (type: number, data: Uint8Array): Part => element(type, data.length, data);

function matrix(flags: number, dims: readonly number[], name: string, parts: readonly Part[]): Part {
  const body = join([
    bytes(UINT32, bytesOf(Uint32Array.of(flags, 0))),
    bytes(INT32, bytesOf(Int32Array.from(dims.length < 2 ? [...dims, 1] : dims))),
    bytes(INT8, Buffer.from(name, 'latin1')),
    ...parts,
  ]);
  return { length: 8 + body.length, chunks: [bytesOf(Uint32Array.of(MATRIX, body.length)), ...body.chunks] };
}

function partOf(source: MatSource, name: string): Part {
  if (typeof source === 'string') {
    const units = Uint16Array.from(source, (character) => character.charCodeAt(0));
    return matrix(CLASS.text, [units.length === 0 ? 0 : 1, units.length], name, [
      bytes(UINT16, bytesOf(units)),
    ]);
  }
  if (typeof source === 'boolean')
    return matrix(CLASS.uint8 | LOGICAL, [1, 1], name, [bytes(UINT8, Uint8Array.of(source ? 1 : 0))]);
  if ('cell' in source)
    return matrix(
      CLASS.cell,
      [1, source.cell.length],
      name,
      source.cell.map((each) => partOf(each, '')),
    );
  if ('struct' in source) {
    const fields = Object.keys(source.struct[0] ?? {});
    const length = Math.max(1, ...fields.map((field) => field.length + 1));
    return matrix(CLASS.struct, [1, source.struct.length], name, [
      bytes(INT32, bytesOf(Int32Array.of(length))),
      bytes(
        INT8,
        Buffer.concat(
          fields.map((field) =>
            Buffer.concat([Buffer.from(field, 'latin1'), Buffer.alloc(length - field.length)]),
          ),
        ),
      ),
      ...source.struct.flatMap((item) => fields.map((field) => partOf(item[field]!, ''))),
    ]);
  }
  if ('dims' in source) {
    const { dims, values } = source;
    return matrix(CLASS.single, dims, name, [
      element(SINGLE, 4 * elementCount(dims), () => bytesOf(values())),
    ]);
  }
  return matrix(CLASS.double, [source.length === 0 ? 0 : 1, source.length], name, [
    bytes(DOUBLE, bytesOf(Float64Array.from(source))),
  ]);
}

/**
 * Writes the variables. The file is complete or unchanged.
 * @throws WeightsError `matlab/limit`; ResnodeError `file/write`
 */
export function writeMat5(path: string, variables: Readonly<Record<string, MatSource>>): void {
  const header = Buffer.alloc(128, ' ');
  header.write('MATLAB 5.0 MAT-file, written by resnode');
  header.fill(0, 116);
  // Version 1.0, little-endian.
  header.writeUInt16LE(0x0100, 124);
  header.write('IM', 126);
  const parts = Object.entries(variables).map(([name, source]) => partOf(source, name));
  for (const { length } of parts)
    if (length > MAX_VARIABLE)
      throw matLimit(
        path,
        `a variable of ${length} bytes would be too large; MATLAB's version 5 takes ${MAX_VARIABLE}`,
      );
  writeFileAtomically(
    path,
    (function* () {
      yield header;
      for (const { chunks } of parts)
        for (const chunk of chunks) yield typeof chunk === 'function' ? chunk() : chunk;
    })(),
  );
}
