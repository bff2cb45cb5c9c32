/** Inputs: copies are freed with their runs, and inputs that are not copied are read in place. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice, readNet } from '../../ts/index.ts';

const side = 512;
const net = readNet(
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: ${side} dim: ${side} } } }
layer { name: "power" type: "Power" bottom: "data" top: "power" power_param { shift: 1 } }`,
  { file: 'power' },
);
const pooling = readNet(
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 1024 dim: 1024 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE global_pooling: true } }`,
  { file: 'pooling' },
);
/** Each has 4 MiB. */
const RUNS = 40;
const ROUNDS = 5;

test('the copy of an input is freed when its run ends, not when V8 collects garbage', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  using model = await device.load({ model: pooling });
  const data = new Float32Array(1024 * 1024);
  const round = () => Promise.all(Array.from({ length: RUNS }, () => model.run({ data })));
  // After the first round the allocator has what it keeps for the next.
  await round();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < ROUNDS; i++) await round();
  const grown = process.memoryUsage.rss() - before;
  const all = ROUNDS * RUNS * data.byteLength;
  assert.ok(grown < 0.4 * all, `${grown} of ${all}`);
});

test('runs that are called at once compute with the values at each call, even if the array changes in between', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  using model = await device.load({ model: net, outputs: ['power'] });
  const data = new Float32Array(side * side);
  const given = (value: number) => {
    const run = model.run({ data: data.fill(value) });
    data.fill(-1);
    return run;
  };
  for (const values of [[1, 2, 3], [4], [5, 6]]) {
    const results = await Promise.all(values.map(given));
    for (const [i, { power }] of results.entries())
      assert.ok(
        power.data.every((value) => value === values[i]! + 1),
        `${values[i]} + 1, not ${power.data[0]}`,
      );
  }
});

test('with copyInputs: false arrays are read in place, and can be used again when the promise has settled', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  const model = await device.load({ model: net, outputs: ['power'] });
  const data = new Float32Array(side * side).fill(1);
  const first = await model.run({ data }, { copyInputs: false });
  data.fill(5);
  const second = await model.run({ data }, { copyInputs: false });
  assert.equal([first.power.data[7], second.power.data[7]], [2, 6]);
  // Disposal and abort while runs wait: every promise settles, and nothing is read afterwards.
  const controller = new AbortController();
  const runs = Array.from({ length: 8 }, () =>
    model.run({ data }, { copyInputs: false, signal: controller.signal }),
  );
  controller.abort(new Error('enough'));
  model.dispose();
  for (const { status, reason } of (await Promise.allSettled(runs)) as PromiseRejectedResult[])
    assert.ok(status !== 'rejected' || /enough|disposed/.test(String(reason)), String(reason));
});

test.run();
