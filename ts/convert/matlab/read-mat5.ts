/**
 * MAT-files of version 5, uncompressed or compressed by zlib, according to MATLAB's "MAT-File Format"
 * (https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf): a header of 128 bytes, then one element for each
 * array, which consists of a tag (type and number of bytes) and data.
 */
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { MAX_DIMENSIONS } from '../../base/files.ts';
import { elementCount } from '../../base/shape.ts';
import {
  countingValues,
  MAX_MAT_VALUES,
  type MatFields,
  type MatValue,
  matError,
  matLimit,
} from './mat-value.ts';

const HEADER = 128;
/** Types of data (table 1-1): the bytes of a value, and the function that reads it. */
const NUMBERS: Readonly<
  Record<
    number,
    { readonly size: number; readonly at: (view: DataView, at: number, little: boolean) => number }
  >
> = {
  1: { size: 1, at: (view, at) => view.getInt8(at) },
  2: { size: 1, at: (view, at) => view.getUint8(at) },
  3: { size: 2, at: (view, at, little) => view.getInt16(at, little) },
  4: { size: 2, at: (view, at, little) => view.getUint16(at, little) },
  5: { size: 4, at: (view, at, little) => view.getInt32(at, little) },
  6: { size: 4, at: (view, at, little) => view.getUint32(at, little) },
  7: { size: 4, at: (view, at, little) => view.getFloat32(at, little) },
  9: { size: 8, at: (view, at, little) => view.getFloat64(at, little) },
  12: { size: 8, at: (view, at, little) => Number(view.getBigInt64(at, little)) },
  13: { size: 8, at: (view, at, little) => Number(view.getBigUint64(at, little)) },
};
const [INT8, MATRIX, COMPRESSED] = [1, 14, 15];
/** Encodings of text, and one or two bytes that older files use. */
const ENCODINGS: Readonly<Record<number, string>> = {
  1: 'latin1',
  2: 'latin1',
  4: 'utf-16',
  16: 'utf-8',
  17: 'utf-16',
};
/** Classes of arrays (table 1-3). */
const [CELL, STRUCT, OBJECT, CHAR, SPARSE] = [1, 2, 3, 4, 5];
const MAX_NUMERIC = 15;
const COMPLEX = 0x08;

/** The limit of all decompressed variables of a file: ten times the file's size, or this number if it is larger. */
const MAX_UNPACKED = 256 * 2 ** 20;

const unpack = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflate);

/**
 * The variables of a file by name. Numbers stay views of `bytes` until they are read.
 * @throws WeightsError `matlab/format` with the offset of the damage; `matlab/limit`
 */
export async function readMat5(bytes: Uint8Array, file: string): Promise<MatFields> {
  if (bytes.length < HEADER)
    throw matError(file, `it has ${bytes.length} bytes, the header alone has ${HEADER}`);
  const mark = Buffer.from(bytes.subarray(126, 128)).toString('latin1');
  if (mark !== 'IM' && mark !== 'MI')
    throw matError(
      file,
      'its header does not give the byte order (IM or MI); it is damaged, or was written by MATLAB 4: save it again with -v7',
    );
  const reader = new Reader(file, mark === 'IM');
  const variables = new Map<string, MatValue>();
  const limit = Math.max(MAX_UNPACKED, 10 * bytes.length);
  let unpacked = 0;
  for (const element of reader.elements(bytes.subarray(HEADER), HEADER)) {
    if (element.type === MATRIX) {
      const { name, value } = reader.matrix(element.data, element.at, 0);
      variables.set(name, value);
    } else if (element.type === COMPRESSED) {
      let data: Buffer;
      try {
        data = await unpack(element.data, { maxOutputLength: limit - unpacked });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
          throw matLimit(
            file,
            `its compressed variables take more than ${limit} bytes; save it with -v6, which does not compress`,
          );
        throw matError(
          file,
          `the compressed variable at byte ${element.at} is damaged (${(error as Error).message})`,
        );
      }
      unpacked += data.length;
      for (const inner of reader.elements(data, element.at)) {
        if (inner.type !== MATRIX) continue;
        const { name, value } = reader.matrix(inner.data, element.at, 0);
        variables.set(name, value);
      }
    }
  }
  return variables;
}

interface Element {
  readonly type: number;
  readonly data: Uint8Array;
  /** The position for errors, in the file or in decompressed data. */
  readonly at: number;
}

class Reader {
  readonly #file: string;
  readonly #little: boolean;
  readonly #count: (depth: number) => void;

  constructor(file: string, little: boolean) {
    this.#file = file;
    this.#count = countingValues(file);
    this.#little = little;
  }

  *elements(bytes: Uint8Array, base: number): Generator<Element> {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; ) {
      if (at + 8 > bytes.length) throw this.#damaged(base + at, 'a tag of 8 bytes is truncated');
      const first = view.getUint32(at, this.#little);
      // In the small form the upper half of the type has the number of bytes, and up to 4 bytes of data replace the length.
      const small = first >>> 16;
      const type = small > 0 ? first & 0xffff : first;
      const length = small > 0 ? small : view.getUint32(at + 4, this.#little);
      const begin = at + (small > 0 ? 4 : 8);
      if (begin + length > bytes.length || (small > 0 && length > 4))
        throw this.#damaged(
          base + at,
          `an element of ${length} bytes goes beyond its end, ${bytes.length - begin} are left`,
        );
      yield { type, data: bytes.subarray(begin, begin + length), at: base + at };
      const end = small > 0 ? at + 8 : begin + length;
      at = type === COMPRESSED ? end : end + (-end & 7);
    }
  }

  matrix(bytes: Uint8Array, base: number, depth: number): { name: string; value: MatValue } {
    this.#count(depth);
    // MATLAB writes an empty element for a value that was never set.
    if (bytes.length === 0) return { name: '', value: { kind: 'numeric', dims: [0, 0], values: () => [] } };
    const elements = this.elements(bytes, base);
    const next = (what: string): Element => {
      const { value, done } = elements.next();
      if (done) throw this.#damaged(base, `an array ends before its ${what}`);
      return value;
    };
    const flags = this.#integers(next('flags'));
    const type = flags[0] ?? 0;
    if ((type & 0xff) === 17) return { name: '', value: { kind: 'other', what: 'an object of a class' } };
    const dims = this.#integers(next('dimensions'));
    const name = text(next('name'), 'latin1');
    if (dims.length < 2 || dims.length > MAX_DIMENSIONS || dims.some((dim) => dim < 0))
      throw this.#damaged(base, `an array of ${dims.join('×')}`);
    const count = elementCount(dims);
    return {
      name,
      value: this.#valueOf(type & 0xff, ((type >> 8) & COMPLEX) !== 0, dims, count, base, depth, next),
    };
  }

  #valueOf(
    type: number,
    isComplex: boolean,
    dims: readonly number[],
    count: number,
    base: number,
    depth: number,
    next: (what: string) => Element,
  ): MatValue {
    const inner = (): MatValue => {
      const element = next('values');
      if (element.type !== MATRIX)
        throw this.#damaged(element.at, `an element of type ${element.type} stands where an array belongs`);
      return this.matrix(element.data, element.at, depth + 1).value;
    };
    if (type === CELL) {
      const items: MatValue[] = [];
      for (let i = 0; i < count; i++) items.push(inner());
      return { kind: 'cell', items };
    }
    if (type === STRUCT || type === OBJECT) {
      if (type === OBJECT) next('class');
      const length = this.#integers(next('length of names'))[0] ?? 0;
      const names = next('names');
      if (!(length >= 1)) throw this.#damaged(base, 'the names of a struct have no length');
      const fields = Array.from({ length: Math.floor(names.data.length / length) }, (_, i) =>
        text({ ...names, data: names.data.subarray(i * length, (i + 1) * length) }, 'latin1'),
      );
      if (fields.length === 0 && count > MAX_MAT_VALUES)
        throw this.#damaged(base, `a struct of ${count} elements without fields`);
      const items: MatFields[] = [];
      for (let i = 0; i < count && (fields.length > 0 || i < 1); i++)
        items.push(new Map(fields.map((field) => [field, inner()])));
      return { kind: 'struct', items };
    }
    if (type === CHAR) {
      const element = next('text');
      const encoding = ENCODINGS[element.type];
      if (encoding === undefined) throw this.#damaged(element.at, `text of type ${element.type}`);
      return { kind: 'text', text: text(element, encoding, this.#little) };
    }
    if (type === SPARSE || type > MAX_NUMERIC || type < CELL)
      return { kind: 'other', what: type === SPARSE ? 'a sparse matrix' : `an array of class ${type}` };
    const element = next('values');
    const number = NUMBERS[element.type];
    if (number === undefined) throw this.#damaged(element.at, `numbers of type ${element.type}`);
    if (element.data.length !== count * number.size)
      throw this.#damaged(
        element.at,
        `${dims.join('×')} values of ${number.size} bytes are ${count * number.size} bytes, found ${element.data.length}`,
      );
    if (isComplex) return { kind: 'other', what: 'complex numbers' };
    return { kind: 'numeric', dims, values: () => this.#numbers(element, number) };
  }

  #numbers({ data }: Element, { size, at }: (typeof NUMBERS)[number]): Float64Array {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const values = new Float64Array(data.length / size);
    for (let i = 0; i < values.length; i++) values[i] = at(view, i * size, this.#little);
    return values;
  }

  #integers(element: Element): number[] {
    const number = NUMBERS[element.type];
    if (
      number === undefined ||
      element.type === 7 ||
      element.type === 9 ||
      element.data.length > 8 * MAX_DIMENSIONS
    )
      throw this.#damaged(element.at, `an element of type ${element.type} where integers belong`);
    return [
      ...this.#numbers(
        {
          ...element,
          data: element.data.subarray(0, element.data.length - (element.data.length % number.size)),
        },
        number,
      ),
    ];
  }

  #damaged(at: number, message: string) {
    return matError(this.#file, `${message} (byte ${at}); the file is truncated or damaged`);
  }
}

function text({ data, type }: Element, encoding: string, little = true): string {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (encoding === 'utf-16') {
    const even = Buffer.from(bytes.subarray(0, bytes.length & ~1));
    return (little ? even : even.swap16()).toString('utf16le');
  }
  const end = type === INT8 ? bytes.indexOf(0) : -1;
  return bytes.toString(encoding === 'utf-8' ? 'utf8' : 'latin1', 0, end < 0 ? bytes.length : end);
}
