/** Which range of a value 8-bit integers are to cover: largest magnitude, percentile, or least loss of information. */
import type { CalibrationMethod } from '../compile/calibration.ts';

const BINS = 4096;

/**
 * Magnitudes of many values, counted in bins of equal width from 0. The width doubles where a value is larger than
 * all before. Zeros, which are exact in every range, are not counted.
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
 * The largest magnitude to represent; 0 where all values are 0.
 * @param percentile Of the method `percentile`: the share in percent of the values that are not cut.
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
  const wanted = counts.reduce((a, b) => a + b) * share;
  let sum = 0;
  return counts.findIndex((count) => {
    sum += count;
    return sum >= wanted;
  });
}

/** The largest share of values that a range may cut: the paper's are a few far out. */
const MOST_CUT = 0.05;

/**
 * The last bin of the range whose quantised distribution has the least Kullback-Leibler divergence from the values'
 * own, what is cut counted at the edge: Migacz, "8-bit Inference with TensorRT" (GTC 2017). Of few different values, as
 * binary maps have, a range that cuts nearly all of them has no divergence either: both distributions lie in its last bin.
 * So the widest of equal ranges counts, and none that cuts more than a twentieth.
 * @param levels Magnitudes that the integers have.
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
    // Rounding alone makes it negative.
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
    // What a level holds is spread evenly over its bins that hold something.
    for (let i = begin; i < end; i++) {
      const own = counts[i]! + (i === bins - 1 ? cut : 0);
      if (own === 0) continue;
      const quantised = Math.max(sum / used, 1e-9 * total);
      divergence += (own / total) * Math.log(own / quantised);
    }
  }
  // The quantised distribution lacks what is cut: scaled to the same sum.
  return divergence + Math.log(Math.max(1e-9, 1 - cut / total));
}
