/** The safetensors format: https://github.com/huggingface/safetensors#format: header length, JSON header, values. */

import { WeightsError } from '../base/errors.ts';
import { MAX_DIMENSIONS, MAX_SAFETENSORS_HEADER, MAX_TENSORS } from '../base/files.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import type { Blob } from '../caffe/blob.ts';
import { wrongKind } from '../caffe/wrong-kind.ts';
import { byteCountOf, type FloatType, type SourceTensor, sourceTensor } from './source-tensor.ts';

export interface Safetensors {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, SourceTensor>;
}

const TYPES: Readonly<Record<string, { readonly size: number; readonly kind: FloatType | null }>> = {
  F64: { size: 8, kind: 'float64' },
  F32: { size: 4, kind: 'float32' },
  F16: { size: 2, kind: 'float16' },
  BF16: { size: 2, kind: 'bfloat16' },
  I64: { size: 8, kind: null },
  U64: { size: 8, kind: null },
  I32: { size: 4, kind: null },
  U32: { size: 4, kind: null },
  I16: { size: 2, kind: null },
  U16: { size: 2, kind: null },
  I8: { size: 1, kind: null },
  U8: { size: 1, kind: null },
  BOOL: { size: 1, kind: null },
  F8_E4M3: { size: 1, kind: null },
  F8_E5M2: { size: 1, kind: null },
};

/**
 * Values stay views of `bytes`.
 * @throws WeightsError `safetensors/…` that names the tensor at fault
 */
export function readSafetensors(bytes: Uint8Array, { file }: { file: string }): Safetensors {
  const fail = (message: string): never => {
    throw new WeightsError('safetensors/format', { file }, message);
  };
  const wrong = wrongKind(bytes, 'safetensors');
  if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file }, wrong);
  if (bytes.length < 8) fail(`it has ${bytes.length} bytes; expected the length of a header in the first 8`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > MAX_SAFETENSORS_HEADER && 8 + length <= bytes.length)
    throw new WeightsError(
      'safetensors/limit',
      { file },
      `it has a header of ${length} bytes; at most ${MAX_SAFETENSORS_HEADER} are read`,
    );
  if (8 + length > bytes.length)
    fail(
      `it begins with a header of ${length} bytes, but has ${bytes.length} in all; it is truncated or not a safetensors file`,
    );
  const text = Buffer.from(bytes.subarray(8, 8 + length)).toString('utf8');
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    return fail(`its header is not JSON (${(error as Error).message})`);
  }
  if (!isObject(header)) return fail('its header is not a JSON object');
  const data = bytes.subarray(8 + length);
  const metadata = new Map<string, string>();
  const tensors = new Map<string, SourceTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      for (const [key, value] of Object.entries(isObject(entry) ? entry : {})) {
        if (typeof value !== 'string') return fail(`__metadata__: "${key}" is not a string`);
        metadata.set(key, value);
      }
    } else tensors.set(name, readEntry(name, entry, data, file, fail));
    if (tensors.size > MAX_TENSORS) fail(`it has more than ${MAX_TENSORS} tensors`);
  }
  return { metadata, tensors };
}

function readEntry(
  name: string,
  entry: unknown,
  data: Uint8Array,
  file: string,
  fail: (message: string) => never,
): SourceTensor {
  const { dtype, shape, data_offsets: offsets } = isObject(entry) ? entry : {};
  const type = typeof dtype === 'string' && Object.hasOwn(TYPES, dtype) ? TYPES[dtype]! : null;
  if (type === null)
    return fail(`"${name}": values are ${shown(dtype)}, expected one of ${Object.keys(TYPES).join(', ')}`);
  if (!isNaturals(shape)) return fail(`"${name}": expected a shape, found ${shown(shape)}`);
  if (!isNaturals(offsets) || offsets.length !== 2)
    return fail(`"${name}": expected two data_offsets, found ${shown(offsets)}`);
  const [begin, end] = offsets as [number, number];
  const needed = byteCountOf(shape, type.size);
  if (end - begin !== needed)
    fail(
      `"${name}": ${shape.join('×')} of ${String(dtype)} are ${needed} bytes, its data_offsets span ${end - begin}`,
    );
  if (end > data.length)
    fail(
      `"${name}" ends at byte ${end} of the values, of which there are ${data.length}; the file is truncated`,
    );
  return sourceTensor({ file, name }, String(dtype), type.kind, shape, () => data.subarray(begin, end));
}

/** A short form that does not follow nested lists, which may be deeper than the stack. */
const shown = (value: unknown): string =>
  Array.isArray(value)
    ? `a list of ${value.length}`
    : isObject(value)
      ? 'an object'
      : (JSON.stringify(value)?.slice(0, 80) ?? 'undefined');

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isNaturals = (value: unknown): value is number[] =>
  Array.isArray(value) &&
  value.length <= MAX_DIMENSIONS &&
  value.every((each) => Number.isSafeInteger(each) && each >= 0);

/**
 * Writes float32 and float64 blobs unchanged, in the given order, completely or not at all.
 * @throws WeightsError if the header would be larger than readers accept; ResnodeError `file/write`
 */
export function writeSafetensors(
  path: string,
  { metadata, tensors }: { metadata: ReadonlyMap<string, string>; tensors: ReadonlyMap<string, Blob> },
): void {
  let offset = 0;
  const entries = [...tensors].map(([name, { dtype, shape, bytes }]) => {
    const data_offsets = [offset, offset + bytes.length];
    offset += bytes.length;
    return [name, { dtype: dtype === 'float64' ? 'F64' : 'F32', shape, data_offsets }];
  });
  const header = { __metadata__: Object.fromEntries(metadata), ...Object.fromEntries(entries) };
  const json = Buffer.from(JSON.stringify(header));
  // Spaces at its end align the values.
  const text = Buffer.concat([json, Buffer.alloc(-json.length & 7, ' ')]);
  if (text.length > MAX_SAFETENSORS_HEADER)
    throw new WeightsError(
      'safetensors/header',
      { file: path },
      `a header of ${text.length} bytes is too long`,
    );
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(text.length));
  writeFileAtomically(
    path,
    (function* () {
      yield head;
      yield text;
      for (const { bytes } of tensors.values()) yield bytes;
    })(),
  );
}
