/** The difference of two arrays. */

import type { Tensor } from '../../device/tensor.ts';

export interface Difference {
  /** The largest |actual − expected|; Infinity if only one of them is a number, or if the lengths differ. */
  readonly absolute: number;
  /** The same divided by the largest |expected|. */
  readonly relative: number;
  /** The tolerance for `absolute`. */
  readonly tolerance: number;
  readonly ok: boolean;
}

/**
 * Compares element by element; equal NaNs and infinities are equal.
 * @param noise The recorded difference between two builds of the source, which sum in different orders. Default 0.
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
    const deviation = Math.abs(actual[i]! - expected[i]!);
    absolute = Math.max(absolute, Number.isNaN(deviation) ? Number.POSITIVE_INFINITY : deviation);
  }
  const relative = absolute === 0 ? 0 : absolute / maximum;
  return { absolute, relative, tolerance, ok: absolute <= tolerance };
}

/** Like `difference`, with a tolerance for `relative`. Other shapes and lone NaNs differ by infinity. */
export function apartBy(actual: Tensor, expected: Tensor, tolerance: number): Difference {
  const isSame = String(actual.shape) === String(expected.shape);
  const { absolute, relative } = difference(actual.data, expected.data);
  if (!isSame || Number.isNaN(relative))
    return { absolute: Number.POSITIVE_INFINITY, relative: Number.POSITIVE_INFINITY, tolerance, ok: false };
  return { absolute, relative, tolerance, ok: relative <= tolerance };
}
