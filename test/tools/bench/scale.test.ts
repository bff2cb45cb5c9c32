/** The model of docs/scale.md against processes that send each message, and the page against the model. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { halving, iterate, type Link, ring, tree, twoLevels } from '../../../bench/scale/model.ts';
import { gradientsOf, scalePage } from '../../../bench/scale/page.ts';
import { resnet } from '../../../ts/index.ts';

const LINK: Link = { latency: 5e-6, bytesPerSecond: 2e9, addedPerSecond: 7e9 };
const BYTES = 48_000_000;
const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-9 * expected, `${actual} for ${expected}`);

/**
 * Rounds in which every process receives from another one, and may add what it received.
 * @returns when the last one is done
 */
function simulate(
  processes: number,
  rounds: readonly { from: (rank: number) => number; bytes: number; adds: boolean }[],
): number {
  let clocks = new Float64Array(processes);
  for (const { from, bytes, adds } of rounds) {
    const own = clocks;
    clocks = own.map((clock, rank) => {
      const arrived = Math.max(clock, own[from(rank)]!) + LINK.latency + bytes / LINK.bytesPerSecond;
      return arrived + (adds ? bytes / LINK.addedPerSecond : 0);
    });
  }
  return Math.max(...clocks);
}

for (const processes of [2, 8, 64]) {
  test(`a ring of ${processes} that sends each chunk takes the time of the formula`, () => {
    const left = (rank: number) => (rank + processes - 1) % processes;
    const round = { from: left, bytes: BYTES / processes };
    const half = (adds: boolean) => Array.from({ length: processes - 1 }, () => ({ ...round, adds }));
    near(ring(BYTES, processes, LINK), simulate(processes, [...half(true), ...half(false)]));
  });

  test(`so does halving and doubling of ${processes}`, () => {
    const steps = Array.from({ length: Math.log2(processes) }, (_, i) => 2 ** i);
    const exchange = (distance: number, adds: boolean) => ({
      from: (rank: number) => rank ^ distance,
      bytes: BYTES / (2 * distance),
      adds,
    });
    near(
      halving(BYTES, processes, LINK),
      simulate(processes, [
        ...steps.map((distance) => exchange(distance, true)),
        ...steps.toReversed().map((distance) => exchange(distance, false)),
      ]),
    );
  });

  test(`so does a tree of ${processes}, to the first and back`, () => {
    const steps = Array.from({ length: Math.log2(processes) }, (_, i) => 2 ** i);
    const whole = (distance: number, adds: boolean) => ({
      from: (rank: number) => rank ^ distance,
      bytes: BYTES,
      adds,
    });
    near(
      tree(BYTES, processes, LINK),
      simulate(processes, [
        ...steps.map((distance) => whole(distance, true)),
        ...steps.map((distance) => whole(distance, false)),
      ]),
    );
  });
}

test('two levels on one machine are its ring, and with one process per machine the ring between them', () => {
  near(twoLevels(8, LINK)(BYTES, 8, LINK), ring(BYTES, 8, LINK));
  near(twoLevels(1, LINK)(BYTES, 8, LINK), ring(BYTES, 8, LINK));
});

test('sums that overlap the backward pass wait at least for the last bucket, and never longer than sums after it', () => {
  const layers = gradientsOf(resnet({ depth: 50 }));
  const bytes = layers.reduce((sum, layer) => sum + layer.bytes, 0);
  const step = { seconds: 0.04, backward: 2 / 3 };
  for (const rate of [1e8, 1e9, 1e10, 1e11]) {
    const send = (size: number) => size / rate;
    const sequential = iterate(layers, step, Number.POSITIVE_INFINITY, send);
    near(sequential.waiting, send(bytes));
    const overlapped = iterate(layers, step, 25 * 2 ** 20, send);
    assert.ok(overlapped.waiting < sequential.waiting);
    assert.ok(overlapped.waiting >= send(bytes) - step.seconds * step.backward - 1e-12);
  }
});

test('gradients belong to learned values: 25,557,032 for ResNet-50, without its statistics', () => {
  const bytes = gradientsOf(resnet({ depth: 50 })).reduce((sum, layer) => sum + layer.bytes, 0);
  assert.is(bytes, 4 * (25_557_032 + 64)); // MSRA's first convolution has a bias, too
});

test('docs/scale.md is what `npm run scale-page` writes', () => {
  const { found, expected } = scalePage();
  assert.is(found(), expected, 'run `npm run scale-page`');
});

test.run();
