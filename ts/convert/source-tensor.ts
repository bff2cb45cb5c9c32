/** Named tensors of files that are not Caffe's, as blobs. */

import { WeightsError } from '../base/errors.ts';
import { fromBfloat16, fromFloat16 } from '../base/half-floats.ts';
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats } from '../caffe/blob.ts';

export interface SourceTensor {
  readonly shape: readonly number[];
  /** As its file names it, e.g. `F16` or `torch.HalfStorage`. */
  readonly type: string;
  /** float32 and float64 as they lie there, 16-bit floats widened. @throws WeightsError for other types */
  readonly blob: () => Blob;
}

/** By the name that each has in its file. */
export type SourceTensors = ReadonlyMap<string, SourceTensor>;

/** What a value's bytes are. */
export type FloatType = 'float64' | 'float32' | 'float16' | 'bfloat16';

/** A tensor whose values lie densely in `bytes`. @param kind null: a type that is no float */
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

/** Bytes of a shape's values. */
export const byteCountOf = (shape: readonly number[], size: number): number => elementCount(shape) * size;
