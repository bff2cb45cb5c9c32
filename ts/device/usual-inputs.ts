/** What most runs are given: a float32 array of the loaded shape for each input blob. */
import { isShared } from '../base/copy-of.ts';
import { elementCount, type Shape, type Shapes } from '../base/shape.ts';
import type { Input, Inputs, Tensor } from './tensor.ts';

interface Blob {
  readonly name: string;
  readonly shape: Shape;
  readonly count: number;
}

/** Recognises such inputs in few steps, because the checks of `resolveInputs` take longer than a small net computes. */
export class UsualInputs {
  readonly #blobs: readonly Blob[];

  constructor(loaded: Shapes) {
    this.#blobs = Object.entries(loaded).map(([name, shape]) => ({
      name,
      shape,
      count: elementCount(shape),
    }));
  }

  /** @returns The arrays in the order of the blobs. Null: `resolveInputs` will convert these inputs or refuse them. */
  arrays(inputs: Inputs): Float32Array[] | null {
    try {
      const found: Float32Array[] = [];
      for (const blob of this.#blobs) {
        const array = Object.hasOwn(inputs, blob.name) ? arrayOf(inputs[blob.name]!, blob) : null;
        if (array === null) return null;
        found.push(array);
      }
      return Object.keys(inputs).length === found.length ? found : null;
    } catch {
      return null; // not an object, or a Proxy that throws
    }
  }
}

function arrayOf(input: Input, { shape, count }: Blob): Float32Array | null {
  let data: unknown = input;
  if (!(input instanceof Float32Array)) {
    const tensor = input as Partial<Tensor>;
    if ('mean' in tensor || 'scale' in tensor || !hasShape(tensor.shape, shape)) return null;
    ({ data } = tensor);
  }
  if (!(data instanceof Float32Array) || data.length !== count) return null;
  return isShared(data) ? null : data;
}

function hasShape(given: unknown, loaded: Shape): boolean {
  if (!Array.isArray(given) || given.length !== loaded.length) return false;
  for (let axis = 0; axis < loaded.length; axis++) if (given[axis] !== loaded[axis]) return false;
  return true;
}
