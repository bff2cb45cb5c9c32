/**
 * Convolutions that are chosen only if they were measured, and that tests name in the tuning cache: those that include
 * the max pooling that follows, and those whose split reductions a tile's last block adds. On the emulated runtime,
 * against the same net without measurements.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

import {
  type Device,
  graphFromCaffe,
  type Model,
  type ModelPlan,
  type Precision,
  readNet,
} from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { capturedNodes } from '../support/emulated-trace.ts';
import { randomValues, randomWeights } from '../support/random-weights.ts';
import { nameWinners } from '../support/tuning-cache.ts';

const POOLED = 'mma-128x64x32-stages4-pooled';
const JOINED = 'mma-64x64x32-stages4-splits4-joined';
const UNIT = { float16: 2 ** -10, bfloat16: 2 ** -7 };
const NARROW = ['float16', 'bfloat16'] as const;

const filled = 'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.1 }';
/**
 * The first layers of a residual net: windows and tiles are clipped at odd sizes, and the two deep convolutions have
 * different numbers of them.
 */
const net = readNet(
  `name: "begins"
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 43 dim: 57 } } }
  layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
    convolution_param { num_output: 24 kernel_size: 7 stride: 2 pad: 3 ${filled} } }
  layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
  layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
  layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
    convolution_param { num_output: 24 kernel_size: 3 pad: 1 ${filled} } }
  layer { name: "sum" type: "Eltwise" bottom: "conv2" bottom: "pool1" top: "sum" }
  layer { name: "relu2" type: "ReLU" bottom: "sum" top: "sum" }
  layer { name: "conv3" type: "Convolution" bottom: "sum" top: "conv3"
    convolution_param { num_output: 72 kernel_size: 3 stride: 2 pad: 1 ${filled} } }`,
  { file: 'begins' },
);
const pixels = (seed: number) => randomValues(2 * 3 * 43 * 57, 1, 0, seed);

const cacheFolder = mkdtempSync(join(tmpdir(), 'resnode-winners-'));
const plain = await openEmulated();

if (plain !== null) {
  // Measured once, so that there is a cache with one line per convolution.
  const tuned = (await openEmulated({ tune: true, cacheFolder }))!;
  for (const precision of NARROW) await tuned.plan({ model: net, precision });
  tuned.dispose();
  const named = nameWinners(cacheFolder, (key) => (key.includes(' pooled ') ? POOLED : JOINED));
  const openWinners = async () => (await openEmulated({ cacheFolder }))!;
  const device = await openWinners();
  const weights = randomWeights(graphFromCaffe(net));
  const load = (from: Device, precision: Precision) => from.load({ model: net, weights, precision });
  const run = async (model: Model, seed: number) => (await model.run({ data: pixels(seed) })).conv3!.data;
  const implementations = (plan: ModelPlan) =>
    Object.fromEntries(plan.operations.map(({ layer, implementation }) => [layer, implementation]));

  test('of three convolutions, only the one whose sole reader is a pooling has it included', async () => {
    assert.is(named.length, 6);
    const pooled = named.filter((key) => key.includes(' pooled '));
    assert.equal(pooled.map((key) => key.split(' ')[0]).sort(), ['bfloat16', 'float16']);
    for (const key of pooled) assert.match(key, / pooled 3x3 stride 2x2 pad 0x0 > /);
    const plan = await device.plan({ model: net, precision: 'float16', outputs: ['conv1', 'conv3'] });
    assert.is(implementations(plan).pool1, 'max pooling', 'what the caller wants is made');
  });

  test('both are chosen only if they were measured', async () => {
    for (const precision of NARROW) {
      const [found, apart] = [
        await device.plan({ model: net, precision }),
        await plain.plan({ model: net, precision }),
      ];
      const { conv1, pool1, conv2, conv3 } = implementations(found);
      assert.equal([conv1, pool1, conv2, conv3], [POOLED, 'in the convolution', JOINED, JOINED]);
      assert.not.match(Object.values(implementations(apart)).join(), /pooled|joined|in the convolution/);
    }
    assert.not.match(
      Object.values(implementations(await device.plan({ model: net }))).join(),
      /pooled|joined/,
    );
  });

  test('the input of a pooling that is included takes no memory', async () => {
    const outputs = ['pool1'];
    const bytes = async (from: Device) =>
      (await from.plan({ model: net, precision: 'float16', outputs })).arenaBytes;
    // pool1, of 11 × 14, replaces conv1, of 2 images with 22 × 29 pixels and 24 channels.
    assert.ok((await bytes(plain)) - (await bytes(device)) >= 2 * (22 * 29 - 11 * 14) * 24 * 2);
  });

  test('each spares the graph the node of a second kernel', async () => {
    const nodes = async (open: Device) => {
      using model = await load(open, 'float16');
      await run(model, 1);
      return capturedNodes(() => run(model, 1));
    };
    const kernels = (count: number) => Array<string>(count).fill('kernel');
    // Three convolutions, and the conversion of the output.
    assert.equal(await nodes(device), kernels(3 + 1));
    const apart = mkdtempSync(join(tmpdir(), 'resnode-apart-'));
    cpSync(cacheFolder, apart, { recursive: true });
    nameWinners(apart, (key) =>
      (key.includes(' pooled ') ? POOLED : JOINED).replace(/-(pooled|joined)$/, ''),
    );
    using separate = (await openEmulated({ cacheFolder: apart }))!;
    assert.equal(await nodes(separate), kernels(3 + 1 + named.length / NARROW.length), 'one more for each');
    rmSync(apart, { recursive: true });
  });

  for (const precision of NARROW)
    test(`${precision}: the numbers equal those of separate kernels within 16 bits' rounding`, async () => {
      using found = await load(device, precision);
      using apart = await load(plain, precision);
      using whole = await load(plain, 'float32');
      const [values, narrow, wide] = [await run(found, 1), await run(apart, 1), await run(whole, 1)];
      const largest = wide.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const worst = (others: Float32Array) =>
        others.reduce((most, value, i) => Math.max(most, Math.abs(value - wide[i]!)), 0) / largest;
      // One unit per layer, as in precision.test.ts.
      assert.ok(worst(values) <= 3 * UNIT[precision], `${worst(values)}`);
      assert.ok(worst(values) <= 1.5 * worst(narrow), `${worst(values)}, apart ${worst(narrow)}`);
    });

  for (const streams of ['eager', 'lazy', 'uneven'])
    test(`a run finds the counters as the previous one left them, also after an aborted run (${streams})`, async () => {
      process.env.RESNODE_EMULATED_STREAMS = streams;
      try {
        // Correct results: one run on a separate device for each.
        const expected: Float32Array[] = [];
        for (const seed of [0, 1, 2]) {
          using fresh = await openWinners();
          using model = await load(fresh, 'float16');
          expected.push(await run(model, seed));
        }
        using open = await openWinners();
        using one = await load(open, 'float16');
        using other = await load(open, 'float16');
        // The first run is launched step by step, later ones are replayed.
        for (const seed of [0, 1, 2, 0]) assert.equal(await run(one, seed), expected[seed]);
        // Two models with two slots each, called at once.
        const asked = [0, 1, 2, 1].flatMap((seed) => [run(one, seed), run(other, seed)]);
        assert.equal(
          await Promise.all(asked),
          [0, 1, 2, 1].flatMap((seed) => [expected[seed], expected[seed]]),
        );
        const controller = new AbortController();
        const { signal } = controller;
        const aborted = [0, 1].flatMap((seed) =>
          [one, other].map((model) =>
            model.run({ data: pixels(seed) }, { signal }).catch(({ message }) => message),
          ),
        );
        controller.abort(new Error('enough'));
        assert.equal(await Promise.all(aborted), ['enough', 'enough', 'enough', 'enough']);
        for (const seed of [2, 0]) {
          assert.equal(await run(one, seed), expected[seed]);
          assert.equal(await run(other, seed), expected[seed]);
        }
      } finally {
        delete process.env.RESNODE_EMULATED_STREAMS;
      }
    });

  test.after(() => device.dispose());
}

test.after(() => {
  plain?.dispose();
  rmSync(cacheFolder, { recursive: true });
});
test.run();
