/** A blob of weights: a shape and a view of its bytes, wherever they lie. */
export interface Blob {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'float64';
  /** Little-endian, any alignment; usually a view of a mapped file, never to be written. */
  readonly bytes: Uint8Array;
}

/** Elements of a shape; 1 for a scalar. */
export const elementCountOf = (shape: readonly number[]): number =>
  shape.reduce((product, dim) => product * dim, 1);

/** A blob over (not a copy of) a Float32Array. */
export function blobFromFloats(shape: readonly number[], values: Float32Array): Blob {
  return {
    shape,
    dtype: 'float32',
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

/** The values in float64, exact. */
export function toFloat64(blob: Pick<Blob, 'dtype' | 'bytes'>): Float64Array {
  return blob.dtype === 'float64'
    ? new Float64Array(aligned(blob.bytes))
    : Float64Array.from(toFloat32(blob));
}

/** The values as float32; double data is rounded once, as Caffe does on reading. */
export function toFloat32(blob: Pick<Blob, 'dtype' | 'bytes'>): Float32Array {
  return blob.dtype === 'float32'
    ? new Float32Array(aligned(blob.bytes))
    : Float32Array.from(new Float64Array(aligned(blob.bytes)));
}

function aligned(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}
