/** Tensors whose values are known before the net runs: weights, and the shape arithmetic that exporters write. */
import type { Blob } from '../caffe/blob.ts';
import type { OnnxTensor } from './onnx-proto.ts';

/** A constant of integers. */
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

/** A float tensor as a blob of Caffe; null for another type. @param shape Default: its own. */
export function blobOfTensor(tensor: OnnxTensor, shape = tensor.shape): Blob | null {
  const { type } = tensor;
  return type === 'float32' || type === 'float64' ? { shape, dtype: type, bytes: tensor.bytes() } : null;
}

const MAX_LIST = 1024;

type Attribute = (name: string) => number | undefined;

/**
 * Operators that exporters write to compute shapes, on one-dimensional integers and scalars.
 * @param inputs Null where the input is left out.
 * @returns null where it is no such operator, or its inputs are not of this kind
 */
export function foldIntegers(
  type: string,
  name: string,
  inputs: readonly (OnnxTensor | null)[],
  attribute: Attribute,
): OnnxTensor | null {
  const lists = inputs.map((input) => (input === null || input.shape.length > 1 ? null : integersOf(input)));
  const [first, second] = lists;
  const list = (values: readonly number[]) => integerConstant(name, [values.length], values);
  if (first === null || first === undefined) return null;
  const at = (index: number) => (index < 0 ? index + first.length : index);
  switch (type) {
    case 'Cast':
      return attribute('to') === 1
        ? floatConstant(name, inputs[0]!.shape, first)
        : integerConstant(name, inputs[0]!.shape, first);
    case 'Unsqueeze':
      return inputs[0]!.shape.length === 0 ? list(first) : null;
    case 'Squeeze':
      return first.length === 1 ? integerConstant(name, [], first) : null;
    case 'Gather': {
      if (second === null || second === undefined || second.some((index) => first[at(index)] === undefined))
        return null;
      return integerConstant(
        name,
        inputs[1]!.shape,
        second.map((index) => first[at(index)]!),
      );
    }
    case 'Concat':
      // Shapes are short; what doubles itself again and again is not one.
      return lists.every((each) => each !== null) && lists.flat().length <= MAX_LIST
        ? list(lists.flat())
        : null;
    case 'Slice': {
      const [, starts, ends, , steps] = lists;
      if (starts?.length !== 1 || ends?.length !== 1 || (steps != null && steps[0] !== 1)) return null;
      return list(first.slice(starts[0], ends[0]));
    }
    case 'Mul':
      return second == null || second.length !== first.length
        ? null
        : integerConstant(
            name,
            inputs[0]!.shape,
            first.map((value, i) => value * second[i]!),
          );
    default:
      return null;
  }
}
