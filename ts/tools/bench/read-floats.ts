/** Reads the files of floats that prepare.ts writes. */
import { readFileSync } from 'node:fs';

/** A file's float32 values, in this machine's byte order. */
export function readFloats(path: string): Float32Array {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}
