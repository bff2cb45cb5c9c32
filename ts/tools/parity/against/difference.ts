/** How far two tensors are apart, by a share of the largest value. */
import type { Tensor } from '../../../device/tensor.ts';
import { type Difference, difference } from '../difference.ts';

/** As `difference`, but `tolerance` is for `relative`; other shapes and lone NaNs are infinitely far apart. */
export function apartBy(actual: Tensor, expected: Tensor, tolerance: number): Difference {
  const isSame = String(actual.shape) === String(expected.shape);
  const { absolute, relative } = difference(actual.data, expected.data);
  if (!isSame || Number.isNaN(relative))
    return { absolute: Number.POSITIVE_INFINITY, relative: Number.POSITIVE_INFINITY, tolerance, ok: false };
  return { absolute, relative, tolerance, ok: relative <= tolerance };
}
