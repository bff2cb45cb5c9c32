/** BatchNorm's statistics that were never stored. */
import { type Blob, toFloat32 } from './blob.ts';

/**
 * Whether the blobs of a BatchNorm, mean, variance and factor, say nothing: a factor of 0 makes mean and variance 0
 * (batch_norm_layer.cpp), whatever they are.
 */
export function areEmptyStatistics(blobs: readonly Pick<Blob, 'dtype' | 'bytes'>[]): boolean {
  const [mean, variance, factor] = blobs.map(toFloat32);
  const isZero = (values: Float32Array | undefined) => (values ?? []).every((value) => value === 0);
  return isZero(factor) || (isZero(mean) && isZero(variance));
}
