/** A blob of weights: a shape and a view of its bytes in a file or in memory. */

import { instance, integer, type Kind, list, oneOf } from '../base/kinds.ts';
import { fields, required, signature } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
export interface Blob {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'float64';
  /** Little-endian, with any alignment. Usually a view of a mapped file, so it must not be written. */
  readonly bytes: Uint8Array;
}

const blobFields = fields<Blob>('a Blob, { shape, dtype, bytes }', {
  shape: required(list(integer(0), { of: 'dimensions' }), 'The dimensions, outermost first.'),
  dtype: required(oneOf('float32', 'float64'), 'The type of the values.'),
  bytes: required(instance('a Uint8Array', Uint8Array), 'The values as little-endian bytes.'),
});

/** Whether the number of bytes matches the shape and the type. */
export const blob: Kind<Blob> = {
  ...blobFields,
  mistake(value) {
    const mistake = blobFields.mistake(value);
    if (mistake !== null) return mistake;
    const { shape: dims, dtype, bytes } = value as Blob;
    const expected = elementCount(dims) * (dtype === 'float64' ? 8 : 4);
    if (bytes.length === expected) return null;
    return { path: '.bytes', expected: `${expected} bytes (${dims.join('×')} of ${dtype})`, actual: bytes };
  },
};

const BLOB_FROM_FLOATS = signature('blobFromFloats', {
  shape: required(list(integer(0), { of: 'dimensions' }), 'The dimensions, outermost first.'),
  values: required(instance('a Float32Array', Float32Array), 'As many values as the shape has.'),
});

/**
 * A blob that shares the memory of a Float32Array.
 * @example const bias = blobFromFloats([10], new Float32Array(10));
 */
export function blobFromFloats(shape: readonly number[], values: Float32Array): Blob {
  BLOB_FROM_FLOATS.check(shape, values);
  return {
    shape,
    dtype: 'float32',
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

const valued = {
  blob: required(
    fields<Pick<Blob, 'dtype' | 'bytes'>>('a Blob', {
      dtype: required(oneOf('float32', 'float64'), 'The type of the values.'),
      bytes: required(instance('a Uint8Array', Uint8Array), 'The values as little-endian bytes.'),
    }),
    'The blob.',
  ),
};
const TO_FLOAT64 = signature('toFloat64', valued);
const TO_FLOAT32 = signature('toFloat32', valued);

/** The values as float64, without rounding. */
export function toFloat64(blob: Pick<Blob, 'dtype' | 'bytes'>): Float64Array {
  TO_FLOAT64.check(blob);
  return blob.dtype === 'float64'
    ? new Float64Array(aligned(blob.bytes))
    : Float64Array.from(toFloat32(blob));
}

/**
 * The values as float32. Values of type double are rounded once, as when Caffe reads them.
 * @example const [weights, bias] = layer.blobs.map(toFloat32);
 */
export function toFloat32(blob: Pick<Blob, 'dtype' | 'bytes'>): Float32Array {
  TO_FLOAT32.check(blob);
  return blob.dtype === 'float32'
    ? new Float32Array(aligned(blob.bytes))
    : Float32Array.from(new Float64Array(aligned(blob.bytes)));
}

function aligned(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}
