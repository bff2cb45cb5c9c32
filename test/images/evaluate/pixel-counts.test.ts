/** Pixel accuracy, mean accuracy, mean IU and frequency weighted IU, by hand. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PixelCounts } from '../../../ts/api/images.ts';
import { ArgumentError } from '../../../ts/index.ts';

const map = (...values: readonly number[]) => ({
  width: values.length,
  height: 1,
  map: Uint8Array.from(values),
});
const near = (value: number | null, expected: number) =>
  assert.ok(Math.abs(value! - expected) < 1e-12, `${value}`);

test('the four figures follow from the counts by true and found class, over all images', () => {
  const counts = new PixelCounts(['ground', 'tree', 'car']);
  counts.add(map(0, 0, 0, 0, 1, 1), map(0, 0, 0, 1, 1, 0));
  counts.add(map(1, 1), map(1, 2));
  const scores = counts.scores();
  assert.equal([scores.images, scores.pixels], [2, 8]);
  near(scores.pixelAccuracy, 5 / 8);
  // Ground: 3 of 4, tree: 2 of 4; there is no car.
  near(scores.meanAccuracy, (3 / 4 + 2 / 4) / 2);
  // Ground: 3 of 5, tree: 2 of 5, car: 0 of 1.
  near(scores.meanIu, (3 / 5 + 2 / 5 + 0) / 3);
  near(scores.frequencyWeightedIu, (4 / 8) * (3 / 5) + (4 / 8) * (2 / 5));
  assert.equal(
    scores.classes.map(({ label, pixels, found, accuracy, iu }) => [label, pixels, found, accuracy, iu]),
    [
      ['ground', 4, 4, 0.75, 0.6],
      ['tree', 4, 3, 0.5, 0.4],
      ['car', 0, 1, null, 0],
    ],
  );
});

test('pixels of class 255, or of another ignored class, are left out', () => {
  for (const [ignored, value] of [
    [undefined, 255],
    [7, 7],
    [7, 255],
  ] as const) {
    const counts = new PixelCounts(['a', 'b'], ignored);
    counts.add(map(0, 1, value), map(0, 1, 0));
    assert.equal([counts.scores().pixels, counts.scores().pixelAccuracy], [2, 1]);
  }
});

test('a class that is neither true nor found counts in no mean; without pixels there are no figures', () => {
  const counts = new PixelCounts(['a', 'b', 'c']);
  assert.equal(
    [counts.scores().pixelAccuracy, counts.scores().meanIu, counts.scores().frequencyWeightedIu],
    [null, null, null],
  );
  counts.add(map(0, 1), map(0, 1));
  assert.is(counts.scores().meanIu, 1);
  assert.is(counts.scores().classes[2]!.iu, null);
});

test('maps of different sizes and invalid classes are refused', () => {
  const counts = new PixelCounts(['a', 'b']);
  const refusal = (truth: ReturnType<typeof map>, found: ReturnType<typeof map>): Error => {
    try {
      counts.add(truth, found);
    } catch (error) {
      return error as Error;
    }
    return assert.unreachable() as never;
  };
  assert.instance(refusal(map(0, 1), map(0)), ArgumentError);
  assert.match(
    refusal(map(0, 1), map(0)).message,
    /found\.map: expected 2×1 values, the size of the true map/,
  );
  assert.match(refusal(map(0), map(2)).message, /found\.map: expected .*classes from 0 to 1, but received 2/);
  assert.match(
    refusal(map(0, 9, 9), map(0, 0, 0)).message,
    /truth\.map: expected .*classes from 0 to 1, 255 (where|for) .*, but received "9 at row 0, column 1 \(2 such pixels\)"/,
  );
  assert.is(counts.scores().pixels, 0);
});

test.run();
