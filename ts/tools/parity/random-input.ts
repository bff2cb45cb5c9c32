/** Reproducible inputs for nets of which no image is at hand. */

import { seededRandom } from '../../base/random.ts';
import { elementCount } from '../../base/shape.ts';
import { recipeInput } from './recipe.ts';

const SEED = 1;

/** Values of the size of pixels minus their mean, times `scale`; the same at every call. */
export function randomInput(shape: readonly number[], scale = 1): Float32Array {
  if (shape.length === 4)
    return recipeInput(shape as [number, number, number, number], SEED).map((value) => value * scale);
  const random = seededRandom(SEED);
  return Float32Array.from({ length: elementCount(shape) }, () => (random() - 0.5) * 256 * scale);
}
