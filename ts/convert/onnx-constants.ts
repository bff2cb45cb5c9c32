/** Tensors whose values are known at conversion: weights, and the shape arithmetic that exporters write. */
import type { Blob } from '../caffe/blob.ts';
import type { OnnxTensor } from './onnx-proto.ts';

/** A constant of integers. */
/** TensorProto.DataType of int32 and int64. */
export const INTEGER_TYPES: readonly number[] = [6, 7];

export function integerConstant(
  name: string,
  shape: readonly number[],
  values: readonly number[],
): OnnxTensor {
  const bytes = new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer);
  return { name, shape, type: 'int64', bytes: () => bytes };
}

/** A constant of floats. */
export function floatConstant(name: string, shape: readonly number[], values: readonly number[]): OnnxTensor {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name, shape, type: 'float32', bytes: () => bytes };
}

/** The values of an int64, int32 or bool tensor as numbers; null for another type. */
export function integersOf({ type, bytes }: OnnxTensor): number[] | null {
  const size = ({ int64: 8, int32: 4, bool: 1 } as Record<string, number>)[type];
  if (size === undefined) return null;
  const data = bytes();
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const read = {
    8: (at: number) => Number(view.getBigInt64(at, true)),
    4: (at: number) => view.getInt32(at, true),
    1: (at: number) => view.getUint8(at),
  }[size]!;
  return Array.from({ length: data.length / size }, (_, i) => read(i * size));
}

/**
 * A float tensor as a blob of Caffe; null for another type.
 * @param shape Default: its own.
 */
export function blobOfTensor(tensor: OnnxTensor, shape = tensor.shape): Blob | null {
  const { type } = tensor;
  return type === 'float32' || type === 'float64' ? { shape, dtype: type, bytes: tensor.bytes() } : null;
}
