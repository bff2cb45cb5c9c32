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

test("resnode's own losses are held to the same", async () => {
  const own = fakeEngine('resnode', [6.9, Number.NaN]);
  const rival = fakeEngine('torch amp', [6.9, 6.8]);
  const [ours, theirs] = await compareAndTime([own.engine, rival.engine]);
  assert.match(ours!.refusal!, /not timed: 1 of its 2 values/);
  assert.not(own.timed());
  assert.is(theirs!.apart, null);
  assert.ok(rival.timed());
});

test('losses that are finite are compared, and a net that is not the same is only timed', async () => {
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

test('torch starts its loss scale where resnode does, and does not let it grow', () => {
  const script = readFileSync(new URL('../../../bench/torch-peer.py', import.meta.url), 'utf8');
  assert.match(script, /init_scale=scale, growth_interval=2\*\*31 - 1/);
  assert.match(script, /scale=1024\.0, fused=True/);
});

test("the limit of a step is its own schedule's traffic, several times that of the forward pass", () => {
  const ceilings = { 'float16 TFLOP/s': 743, 'float32 TFLOP/s': 50, 'bandwidth GB/s': 4154 };
  const limit = stepLimit(makeNet(50), 256, 'float16', ceilings);
  const { byWork } = limit;
  const near = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual - expected) < 0.01, `${actual}, not ${expected}: ${JSON.stringify(byWork)}`);
  // Each BatchNorm reads its map once for statistics, reads and writes it to normalise, with a residual reads one more, reads
  // two and then writes a third to go back: passes over the same maps.
  const pass = byWork['BatchNorm statistics']!;
  near(byWork['BatchNorm apply']! / 2 + byWork['BatchNorm apply + add + ReLU']! / 3, pass);
  near(byWork['BatchNorm backward sums']!, 2 * pass);
  near(byWork['BatchNorm backward dx']!, 3 * pass);
  // What 15 blocks make has two readers, what the last one makes has one: y and the diffs are read, their sum is written.
  const sums = byWork['BatchNorm apply + add + ReLU']! / 3;
  assert.ok(byWork['diff sums and masks']! < 4 * sums && byWork['diff sums and masks']! > 3.9 * sums);
  assert.ok(limit.milliseconds > 25 && limit.milliseconds < 26, String(limit.milliseconds));
  // Maps of four bytes, and the ReLU of a BatchNorm seen from its output: more than twice the bytes.
  assert.ok(stepLimit(makeNet(50), 256, 'float32', ceilings).bytes > 2 * limit.bytes);
});

test.run();
