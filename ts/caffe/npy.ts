/** NumPy's .npy, versions 1 to 3: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */

import type { CodeOf } from '../base/error-codes.ts';
import { ArgumentError, WeightsError } from '../base/errors.ts';
import { instance, path, string } from '../base/kinds.ts';
import { options, required, signature } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import { writeFileAtomically } from './atomic-file.ts';
import { type Blob, blob } from './blob.ts';
import { wrongKind } from './wrong-kind.ts';

const MAGIC = '\x93NUMPY';
const MAX_HEADER = 1 << 20;
const DTYPES: Readonly<Record<string, Blob['dtype']>> = { '<f4': 'float32', '<f8': 'float64' };

const READ_NPY = signature('readNpy', {
  bytes: required(instance('a Buffer or Uint8Array', Uint8Array), 'The bytes of the file.'),
  options: required(
    options<{ file: string }>({ file: required(string, 'The name of the file in errors.') }),
    'The name of the file.',
  ),
});

/**
 * Reads an array as a blob whose bytes are a view into `bytes`.
 * @param options.file The name for errors.
 * @throws WeightsError for anything but little-endian float32 or float64 in C order, with the call that converts it
 * @example const { shape, bytes } = readNpy(readFileSync(file), { file });
 */
export function readNpy(bytes: Uint8Array, options: { file: string }): Blob {
  READ_NPY.check(bytes, options);
  const fail = (code: CodeOf<'weights'>, message: string): never => {
    throw new WeightsError(`weights/${code}`, options, message);
  };
  const text = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('latin1');
  const wrong = wrongKind(bytes, 'npy');
  if (wrong !== null) fail('wrong-kind', wrong);
  if (text(0, 6) !== MAGIC) fail('npy', 'this is not an .npy file; it does not begin with \\x93NUMPY');
  const version = bytes[6] ?? 0;
  if (version < 1 || version > 3) fail('npy', `.npy version ${version} is unknown; expected 1, 2 or 3`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = version === 1 ? 10 : 12;
  if (bytes.length < start) fail('truncated', 'the header is truncated');
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER || start + length > bytes.length)
    fail('truncated', `the header says it has ${length} bytes, the file has ${bytes.length - start}`);
  const header = text(start, start + length);
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const dims = /'shape'\s*:\s*\(([\d,\sL]*)\)/.exec(header)?.[1];
  if (descr === undefined || order === undefined || dims === undefined)
    return fail('npy', `the header does not describe an array: ${header.trim().slice(0, 120)}`);
  const dtype = Object.hasOwn(DTYPES, descr) ? DTYPES[descr]! : null;
  if (dtype === null)
    return fail(
      'npy-dtype',
      `values are ${descr}, expected <f4 or <f8; save it with numpy.save(file, array.astype("<f4"))`,
    );
  if (order === 'True')
    fail(
      'npy-order',
      'values are in Fortran order; save it with numpy.save(file, numpy.ascontiguousarray(array))',
    );
  const shape = (dims.match(/\d+/g) ?? []).map(Number);
  const data = bytes.subarray(start + length);
  const needed = elementCount(shape) * (dtype === 'float64' ? 8 : 4);
  if (data.length !== needed)
    fail('data-size', `shape (${shape.join(', ')}) needs ${needed} bytes, the file has ${data.length}`);
  return { shape, dtype, bytes: data };
}

const WRITE_NPY = signature('writeNpy', {
  path: required(path, 'The path of the file to write.'),
  blob: required(blob, 'The values.'),
});

/**
 * Writes a blob as .npy version 1. The file is complete or unchanged.
 * @throws ArgumentError; ResnodeError `file/write`
 */
export function writeNpy(path: string, array: Blob): void {
  WRITE_NPY.check(path, array);
  const { shape, dtype, bytes } = array;
  const needed = elementCount(shape) * (dtype === 'float64' ? 8 : 4);
  if (bytes.length !== needed)
    throw new ArgumentError('blob', `${needed} bytes for the shape ${shape.join('×')}`, bytes);
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const descr = dtype === 'float64' ? '<f8' : '<f4';
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // The data begins at a multiple of 64 bytes, so that it can be mapped.
  const header = `${dictionary.padEnd(Math.ceil((dictionary.length + 11) / 64) * 64 - 11)}\n`;
  const head = Buffer.from(`${MAGIC}\x01\x00\x00\x00${header}`, 'latin1');
  head.writeUInt16LE(header.length, 8);
  writeFileAtomically(path, [head, bytes]);
}
