import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeNet } from '../../../bench/gpu/case.ts';
import { compareAndTime, type Engine } from '../../../bench/gpu/measure.ts';
import { stepLimit } from '../../../bench/gpu/schedule.ts';

function fakeEngine(name: string, values: readonly number[] | null) {
  let runs = 0;
  const engine: Engine = {
    name,
    output: async () => (values === null ? null : Float32Array.from(values)),
    latency: async (count) => {
      runs += count;
      return Array.from({ length: count }, () => 50);
    },
    throughput: async () => [50],
  };
  return { engine, timed: () => runs > 0 };
}

test('an engine whose losses are not finite is not timed, and the other one is', async () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const own = fakeEngine('resnode', [6.9, 6.8, 6.7, 6.6, 6.5]);
    const rival = fakeEngine('torch amp', [6.9, 6.8, bad, bad, bad]);
    const [ours, theirs] = await compareAndTime([own.engine, rival.engine]);
    assert.is(ours!.refusal, null);
    assert.ok(own.timed() && ours!.times!.latency.length > 0);
    assert.is(theirs!.times, null);
    assert.not(rival.timed());
    assert.is(
      theirs!.refusal,
      `not timed: 3 of its 5 values are not finite (the first of them ${String(bad)})`,
    );
    assert.is(theirs!.apart, null);
  }
});

test("the same applies to resnode's own losses", async () => {
  const own = fakeEngine('resnode', [6.9, Number.NaN]);
  const rival = fakeEngine('torch amp', [6.9, 6.8]);
  const [ours, theirs] = await compareAndTime([own.engine, rival.engine]);
  assert.match(ours!.refusal!, /not timed: 1 of its 2 values/);
  assert.not(own.timed());
  assert.is(theirs!.apart, null);
  assert.ok(rival.timed());
});

test('finite losses are compared, and a different net is only timed', async () => {
  const own = fakeEngine('resnode', [8, 4]);
  const [, same, other] = await compareAndTime([
    own.engine,
    fakeEngine('torch half', [8, 4.8]).engine,
    fakeEngine('torch timm', null).engine,
  ]);
  assert.ok(Math.abs(same!.apart! - 0.1) < 1e-6);
  assert.is(other!.apart, null);
  assert.is(other!.refusal, null);
  assert.ok(other!.times!.throughput.length > 0);
});

test("torch's loss scale starts with resnode's value and cannot grow", () => {
  const script = readFileSync(new URL('../../../bench/torch-peer.py', import.meta.url), 'utf8');
  assert.match(script, /init_scale=scale, growth_interval=2\*\*31 - 1/);
  assert.match(script, /scale=1024\.0, fused=True/);
});

test('the limit of a step is the traffic of its own schedule, several times that of the forward pass', () => {
  const ceilings = { 'float16 TFLOP/s': 743, 'float32 TFLOP/s': 50, 'bandwidth GB/s': 4154 };
  const limit = stepLimit(makeNet(50), 256, 'float16', ceilings);
  const { byWork } = limit;
  const near = (work: string, passes: number) => {
    const expected = (passes * 256 * 2) / 4154e6;
    assert.ok(Math.abs(byWork[work]! - expected) < 0.01, `${work}: ${byWork[work]}, not ${expected}`);
  };
  // Values per image: of the maps that conv1 and a block's first two convolutions make, of those that end the blocks,
  // and of the projections. Of the blocks' ends, two strided convolutions read some, and one layer reads the last.
  const inner = 64 * 112 ** 2 + 6 * 64 * 56 ** 2 + 8 * 128 * 28 ** 2 + 12 * 256 * 14 ** 2 + 6 * 512 * 7 ** 2;
  const stages = [256 * 56 ** 2, 512 * 28 ** 2, 1024 * 14 ** 2, 2048 * 7 ** 2] as const;
  const projections = stages.reduce((sum, map) => sum + map);
  const ends = [3, 4, 6, 3].reduce((sum, blocks, i) => sum + blocks * stages[i]!, 0);
  const strided = stages[0] + stages[1] + stages[2];
  const mask = 1 / 16;
  // Each BatchNorm reads its map once for statistics, and reads and writes it to normalise. One that ends a block also
  // reads its residual, which may be a projection's map before its BatchNorm, and writes one bit per value.
  near('BatchNorm statistics', inner + ends + projections);
  near('BatchNorm apply', 2 * inner);
  near('BatchNorm apply + add + ReLU', (3 + mask) * ends);
  // Backwards it reads its map and its diff, and then both again to write a third. At the end of a block, the sums are
  // computed together with the diff.
  near('BatchNorm backward sums', 2 * inner + ends + projections);
  near('BatchNorm backward dx', 3 * (inner + ends + projections));
  // Two diffs and the mask are read, and their sum is written; diffs of strided convolutions are a quarter as large.
  near('diff sums and masks', (3 + mask) * ends - stages[3] - (3 / 2) * strided);
  assert.ok(limit.milliseconds > 23 && limit.milliseconds < 23.2, String(limit.milliseconds));
  // Maps of four bytes, and the ReLU of a BatchNorm seen from its output: more than twice the bytes.
  assert.ok(stepLimit(makeNet(50), 256, 'float32', ceilings).bytes > 2 * limit.bytes);
});

test.run();
