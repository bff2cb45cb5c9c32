/** Copies an array to its own memory, because `slice` of a Buffer is a view. */
export function copyOf(array: Uint8Array): Uint8Array<ArrayBuffer>;
export function copyOf(array: Float32Array | Uint8Array): Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
export function copyOf(
  array: Float32Array | Uint8Array,
): Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> {
  return array instanceof Float32Array ? new Float32Array(array) : new Uint8Array(array);
}

/** Whether another thread could modify an array while it is read. */
export const isShared = ({ buffer }: ArrayBufferView): boolean => buffer instanceof SharedArrayBuffer;
