/** Named tensors of files in other formats than Caffe's, as blobs. */

import { WeightsError } from '../base/errors.ts';
import { fromBfloat16, fromFloat16 } from '../base/half-floats.ts';
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats } from '../caffe/blob.ts';

export interface SourceTensor {
  readonly shape: readonly number[];
  /** The file's name of the type, e.g. `F16` or `torch.HalfStorage`. */
  readonly type: string;
  /**
   * Keeps float32 and float64, and converts 16-bit floats to float32.
   * @throws WeightsError for other types
   */
  readonly blob: () => Blob;
}

/** Tensors by their names in the file. */
export type SourceTensors = ReadonlyMap<string, SourceTensor>;

/** The type of a value. */
export type FloatType = 'float64' | 'float32' | 'float16' | 'bfloat16';

/**
 * A tensor whose values are contiguous in `bytes`.
 * @param kind Null for types that are not floating point.
 */
export function sourceTensor(
  at: { readonly file: string; readonly name: string },
  type: string,
  kind: FloatType | null,
  shape: readonly number[],
  bytes: () => Uint8Array,
): SourceTensor {
  return {
    shape,
    type,
    blob: () => {
      if (kind === null)
        throw new WeightsError(
          'convert/tensor-type',
          { file: at.file },
          `"${at.name}" is ${type}, expected floats of 16, 32 or 64 bits; save it with tensor.float()`,
        );
      if (kind === 'float16') return blobFromFloats(shape, fromFloat16(bytes()));
      if (kind === 'bfloat16') return blobFromFloats(shape, fromBfloat16(bytes()));
      return { shape, dtype: kind, bytes: bytes() };
    },
  };
}

/** The number of bytes that a shape's values take. */
export const byteCountOf = (shape: readonly number[], size: number): number => elementCount(shape) * size;
