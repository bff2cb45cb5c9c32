/** Ranges for 8-bit integers, on distributions with known answers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { chooseRange, entropyBin, MagnitudeHistogram } from '../../ts/quantize/value-ranges.ts';

const histogramOf = (...batches: Float32Array[]) => {
  const histogram = new MagnitudeHistogram();
  for (const batch of batches) histogram.add(batch);
  return histogram;
};
const uniform = (count: number, most: number, seed: number) => {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => most * (2 * random() - 1));
};
const close = (a: number, b: number, tolerance: number) =>
  assert.ok(Math.abs(a - b) <= tolerance, `${a} is not within ${tolerance} of ${b}`);

test('larger values later widen the bins and lose no count; zeros are not counted', () => {
  const histogram = histogramOf(uniform(1000, 1, 1), Float32Array.of(0, -9, 0), uniform(1000, 4, 2));
  assert.is(
    histogram.counts.reduce((a, b) => a + b),
    2001,
  );
  assert.equal([histogram.most, histogram.hasNegative], [9, true]);
  assert.is(chooseRange(histogram, 'min-max', 99), 9);
  const below = (limit: number) =>
    histogram.counts.reduce((sum, n, i) => (histogram.edge(i) <= limit ? sum + n : sum), 0);
  close(below(1), 1000 + 250, 60);
  assert.is(chooseRange(histogramOf(new Float32Array(5)), 'entropy', 99), 0);
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => histogram.add(Float32Array.of(1, wrong)), /not finite/);
});

test('a percentile clips its share of the values', () => {
  const histogram = histogramOf(uniform(100_000, 2, 3));
  close(chooseRange(histogram, 'percentile', 90), 1.8, 0.02);
  close(chooseRange(histogram, 'percentile', 100), 2, 0.001);
});

test('entropy keeps all of a uniform distribution, and clips a few outliers', () => {
  const even = histogramOf(uniform(200_000, 3, 4));
  close(chooseRange(even, 'entropy', 99), 3, 0.05);
  const random = seededRandom(5);
  // Normal values (Box and Muller), and four values at twenty standard deviations.
  const normal = Float32Array.from(
    { length: 200_000 },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
  const range = chooseRange(histogramOf(normal, Float32Array.of(20, -20, 20, -20)), 'entropy', 99);
  assert.ok(range > 2.5 && range < 6, `${range}`);
});

test('entropy clips none of a few distinct values: a constant, a binary map, two neighbours far from a third', () => {
  const repeated = (...counts: readonly (readonly [value: number, count: number])[]) =>
    histogramOf(Float32Array.from(counts.flatMap(([value, count]) => Array<number>(count).fill(value))));
  for (const histogram of [
    repeated([1, 300]),
    repeated([0.5, 100], [1, 100]),
    repeated([-1, 50], [1, 50]),
    repeated([0.5, 1], [0.999, 100], [1, 200]),
  ])
    close(chooseRange(histogram, 'entropy', 99), 1, 1e-6);
});

test('entropy gives the smallest divergence over all ranges, tried one by one from the definition', () => {
  const random = seededRandom(6);
  const counts = Float64Array.from({ length: 64 }, (_, i) => Math.floor(1000 * random() * Math.exp(-i / 9)));
  counts[63] = 3;
  const levels = 16;
  const total = counts.reduce((a, b) => a + b);
  let best = [0, Number.POSITIVE_INFINITY];
  for (let bins = levels; bins <= 64; bins++) {
    const p = [...counts.slice(0, bins)];
    const outside = counts.slice(bins).reduce((a, b) => a + b, 0);
    const q = new Array<number>(bins).fill(0);
    const levelOf = (bin: number) =>
      p.findIndex((_, level) => bin < Math.floor(((level + 1) * bins) / levels));
    const reference = p.map((count, i) => count + (i === bins - 1 ? outside : 0));
    for (let i = 0; i < bins; i++) {
      const own = p.map((_, j) => j).filter((j) => levelOf(j) === levelOf(i));
      const used = own.filter((j) => reference[j]! > 0).length;
      if (reference[i]! > 0) q[i] = own.reduce((sum, j) => sum + p[j]!, 0) / used;
    }
    const mass = q.reduce((a, b) => a + b);
    const divergence = reference.reduce(
      (sum, count, i) =>
        count === 0 ? sum : sum + (count / total) * Math.log(count / total / Math.max(q[i]! / mass, 1e-12)),
      0,
    );
    if (divergence < best[1]!) best = [bins - 1, divergence];
  }
  assert.is(entropyBin(counts, levels), best[0]);
});

test.run();
