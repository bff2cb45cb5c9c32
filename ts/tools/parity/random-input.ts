/** Reproducible inputs for nets without an image. */

import { seededRandom } from '../../base/random.ts';
import { elementCount } from '../../base/shape.ts';
import type { Shapes } from '../../device/tensor.ts';
import { recipeInput } from './recipe.ts';

const SEED = 1;

/** Values as large as pixels minus their mean, times `scale`; the same at every call. */
export function randomInput(shape: readonly number[], scale = 1): Float32Array {
  if (shape.length === 4)
    return recipeInput(shape as [number, number, number, number], SEED).map((value) => value * scale);
  const random = seededRandom(SEED);
  return Float32Array.from({ length: elementCount(shape) }, () => (random() - 0.5) * 256 * scale);
}

/**
 * The same for all inputs of a net. py-faster-rcnn's inputs im_info and rois contain an image's size and regions of it. With
 * other values a net would make no region, or none that it can read.
 */
export function randomInputs(
  shapes: Shapes,
  scale = 1,
): Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }> {
  const image = Object.values(shapes).find((shape) => shape.length === 4);
  const valuesOf = (name: string, shape: readonly number[]): Float32Array => {
    const row = image === undefined || shape === image ? null : rowOf(name, image);
    if (row === null || shape.at(-1) !== row(0).length) return randomInput(shape, scale);
    const rows = elementCount(shape.slice(0, -1));
    return Float32Array.from(Array.from({ length: rows }, (_, i) => row(i)).flat());
  };
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, { shape, data: valuesOf(name, shape) }]),
  );
}

/** The values of an input's rows for an image N×C×H×W; null: any values. */
function rowOf(name: string, [, , height = 1, width = 1]: readonly number[]) {
  if (name === 'im_info') return () => [height, width, 1];
  if (name !== 'rois') return null;
  const at = (size: number, eighths: number) => Math.floor((size * eighths) / 8);
  return (i: number) => {
    const from = i % 4;
    return [0, at(width, from), at(height, from), at(width, from + 4), at(height, from + 4)];
  };
}
