/** Chooses the range of values that 8-bit integers cover: largest magnitude, percentile, or least loss of information. */
import type { CalibrationMethod } from '../compile/calibration.ts';

const BINS = 4096;

/**
 * Counts magnitudes of many values in bins of equal width, from 0. The width doubles when a value is larger than all before.
 * Zeros, which are exact in every range, are not counted.
 */
export class MagnitudeHistogram {
  readonly counts: Float64Array = new Float64Array(BINS);
  /** The largest magnitude. */
  most = 0;
  hasNegative = false;
  #width = 0;

  /** @throws RangeError for a value that is not finite */
  add(values: Float32Array): void {
    let most = this.most;
    let least = 0;
    let lost = 0; // NaN as soon as one value is not finite
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value > most) most = value;
      else if (value < least) least = value;
      lost += value - value;
    }
    most = Math.max(most, -least);
    if (lost !== 0) throw new RangeError('a value is not finite');
    this.hasNegative ||= least < 0;
    this.most = most;
    if (most === 0) return;
    if (this.#width === 0) this.#width = most / BINS;
    while (this.#width * BINS < most) this.#double();
    const perWidth = 1 / this.#width;
    const { counts } = this;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (value !== 0) counts[Math.min(BINS - 1, Math.floor(Math.abs(value) * perWidth))]!++;
    }
  }

  /** The upper edge of a bin. */
  edge(bin: number): number {
    return (bin + 1) * this.#width;
  }

  #double(): void {
    for (let i = 0; i < BINS; i++)
      this.counts[i] = 2 * i < BINS ? this.counts[2 * i]! + this.counts[2 * i + 1]! : 0;
    this.#width *= 2;
  }
}

/**
 * The largest magnitude to represent; 0 if all values are 0.
 * @param percentile For the method `percentile`: the percentage of values that are not clamped.
 */
export function chooseRange(
  histogram: MagnitudeHistogram,
  method: CalibrationMethod,
  percentile: number,
): number {
  if (method === 'min-max' || histogram.most === 0) return histogram.most;
  const bin =
    method === 'percentile'
      ? percentileBin(histogram.counts, percentile / 100)
      : entropyBin(histogram.counts, histogram.hasNegative ? 128 : 256);
  return Math.min(histogram.most, histogram.edge(bin));
}

function percentileBin(counts: Float64Array, share: number): number {
  const target = counts.reduce((a, b) => a + b) * share;
  let sum = 0;
  return counts.findIndex((count) => {
    sum += count;
    return sum >= target;
  });
}

/** The largest share of values that a range may clamp: the paper clamps only a few outliers. */
const MOST_CUT = 0.05;

/**
 * The last bin of the range whose quantised distribution has the smallest Kullback-Leibler divergence from that of the
 * values, with clamped values counted at the edge: Migacz, "8-bit Inference with TensorRT" (GTC 2017). With few different
 * values, as in binary maps, a range that clamps nearly all of them also has no divergence, because both distributions are
 * then in its last bin. Therefore the widest of equally good ranges is chosen, and none that clamps more than a twentieth.
 * @param levels The number of magnitudes of the integers.
 */
export function entropyBin(counts: Float64Array, levels: number): number {
  const total = counts.reduce((a, b) => a + b);
  let best = counts.length - 1;
  let least = Number.POSITIVE_INFINITY;
  let inside = 0;
  let upTo = 0;
  for (let bins = levels; bins <= counts.length; bins += levels / 16) {
    for (; upTo < bins; upTo++) inside += counts[upTo]!;
    if (total - inside > MOST_CUT * total) continue;
    // Only rounding makes it negative.
    const divergence = Math.max(0, cutDivergence(counts, bins, levels, total - inside, total));
    if (divergence <= least) [best, least] = [bins - 1, divergence];
  }
  return best;
}

function cutDivergence(
  counts: Float64Array,
  bins: number,
  levels: number,
  cut: number,
  total: number,
): number {
  let divergence = 0;
  for (let level = 0; level < levels; level++) {
    const begin = Math.floor((level * bins) / levels);
    const end = Math.floor(((level + 1) * bins) / levels);
    let sum = 0;
    let used = 0;
    for (let i = begin; i < end; i++) {
      sum += counts[i]!;
      if (counts[i]! > 0 || (i === bins - 1 && cut > 0)) used++;
    }
    // The values of a level are spread evenly over those of its bins that are not empty.
    for (let i = begin; i < end; i++) {
      const own = counts[i]! + (i === bins - 1 ? cut : 0);
      if (own === 0) continue;
      const quantised = Math.max(sum / used, 1e-9 * total);
      divergence += (own / total) * Math.log(own / quantised);
    }
  }
  // The quantised distribution lacks the clamped values: scale it to the same sum.
  return divergence + Math.log(Math.max(1e-9, 1 - cut / total));
}
