/** How far two arrays are apart. */

import type { Tensor } from '../../device/tensor.ts';

export interface Difference {
  /** Largest |actual − expected|; Infinity where only one of them is a number, or the lengths differ. */
  readonly absolute: number;
  /** The same divided by the largest |expected|. */
  readonly relative: number;
  /** What `absolute` may be. */
  readonly tolerance: number;
  readonly ok: boolean;
}

/**
 * Compares element by element; equal NaNs and infinities are equal.
 * @param noise What the summation order alone changes between two builds of the source, as recorded. Default 0.
 * The tolerance is 20 × noise + 1e-6 of the largest |expected|.
 */
export function difference(actual: Float32Array, expected: Float32Array, noise = 0): Difference {
  const maximum = expected.reduce(
    (largest, value) => (Number.isFinite(value) ? Math.max(largest, Math.abs(value)) : largest),
    0,
  );
  const tolerance = 20 * noise + 1e-6 * maximum;
  let absolute = actual.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < Math.min(actual.length, expected.length); i++) {
    if (Object.is(actual[i], expected[i])) continue;
    const apart = Math.abs(actual[i]! - expected[i]!);
    absolute = Math.max(absolute, Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart);
  }
  const relative = absolute === 0 ? 0 : absolute / maximum;
  return { absolute, relative, tolerance, ok: absolute <= tolerance };
}

/** As `difference`, but `tolerance` is for `relative`; other shapes and lone NaNs are infinitely far apart. */
export function apartBy(actual: Tensor, expected: Tensor, tolerance: number): Difference {
  const isSame = String(actual.shape) === String(expected.shape);
  const { absolute, relative } = difference(actual.data, expected.data);
  if (!isSame || Number.isNaN(relative))
    return { absolute: Number.POSITIVE_INFINITY, relative: Number.POSITIVE_INFINITY, tolerance, ok: false };
  return { absolute, relative, tolerance, ok: relative <= tolerance };
}
