/** Training in 16 bits on the emulated CUDA device, compared with float32, and the purpose of a loss scale. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ArgumentError,
  type Device,
  DeviceError,
  type NetParameter,
  openDevice,
  readNet,
  type TrainOptions,
} from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { batch, model, NET, open, refuses, SGD, steps, valuesOf } from '../support/trainer-cases.ts';

process.env.RESNODE_EMULATED_STREAMS = 'lazy';
const NARROW = ['float16', 'bfloat16'] as const;
/** A unit in the last place of a feature map's values. */
const UNIT = { float16: 2 ** -10, bfloat16: 2 ** -7 };
/** Maps on the longest path from the data to the loss: eight convolutions and eight BatchNorms, and the sums. */
const DEPTH = 22;

const smooth = readNet(NET.replaceAll('"ReLU"', '"TanH"'), { file: 'smooth' });

/** The diffs of all learned blobs. */
async function diffsOf(device: Device, net: NetParameter, options: Partial<TrainOptions> = {}) {
  using trainer = await open(device, { model: net, update: null, ...options });
  const { parameters } = await trainer.gradients(batch(1));
  return parameters.flatMap((diff) => (diff === null ? [] : [diff.data]));
}

/** How far all learned blobs moved in four steps. */
async function moves(device: Device, options: Partial<TrainOptions>) {
  using trainer = await open(device, options);
  const before = await valuesOf(trainer);
  const losses = await steps(trainer, 0, 4);
  const after = await valuesOf(trainer);
  const moved = after.flatMap(([, values], i) =>
    trainer.learnable[i]!.lrMult === 0 ? [] : [values.map((value, j) => value - before[i]![1][j]!)],
  );
  return { losses, moved, skipped: trainer.skippedUpdates };
}

/** Each difference as a share of the expected value. */
const apart = (all: readonly Float32Array[], expected: readonly Float32Array[]) =>
  all.map((values, i) => norm(values.map((value, j) => value - expected[i]![j]!)) / norm(expected[i]!));
const norm = (values: Float32Array) => Math.hypot(...values);

const device = await openEmulated();
if (device !== null) {
  for (const precision of NARROW) {
    // Every map and every diff on the path is rounded by half a unit. The bound is linear, as in precision.test.ts: one
    // unit per map, forward and backward.
    test(`${precision}: the diffs of a smooth net equal float32's within the rounding of ${DEPTH} maps`, async () => {
      const [expected, diffs] = [await diffsOf(device, smooth), await diffsOf(device, smooth, { precision })];
      const shares = apart(diffs, expected);
      const bound = 2 * DEPTH * UNIT[precision];
      assert.ok(
        shares.every((share) => share <= bound),
        `shares of a diff's norm, at most ${bound}: ${shares}`,
      );
      // The precision was not ignored.
      assert.ok(shares.some((share) => share > UNIT[precision] / 16));
    });

    // A ReLU whose sign changes by rounding changes a diff completely. This affects the share of values within a map's
    // unit of 0, and a norm contains its square root. Four updates, times two.
    test(`${precision}: losses equal float32's within rounding, and blobs move with float32's`, async () => {
      const [wide, narrow] = [await moves(device, {}), await moves(device, { precision })];
      narrow.losses.forEach((loss, i) => {
        const share = Math.abs(loss / wide.losses[i]! - 1);
        assert.ok(share <= 2 * DEPTH * UNIT[precision], `loss ${i}: ${loss}, in float32 ${wide.losses[i]}`);
      });
      const shares = apart(narrow.moved, wide.moved);
      const bound = 2 * Math.sqrt(DEPTH * UNIT[precision]);
      assert.ok(
        shares.every((share) => share <= bound),
        `shares of the way, at most ${bound}: ${shares}`,
      );
      assert.is(narrow.skipped, 0);
    });

    test(`${precision}: training continues to the same bits from weights and history, which are float32`, async () => {
      using whole = await open(device, { precision });
      const losses = await steps(whole, 0, 4);
      using begun = await open(device, { precision });
      await steps(begun, 0, 2);
      const [weights, history] = [await begun.weights(), await begun.history()];
      using resumed = await open(device, { precision, weights, history });
      assert.equal(await steps(resumed, 2, 4), losses.slice(2));
      assert.equal(await valuesOf(resumed), await valuesOf(whole));
    });
  }

  test('float16: a loss scale keeps diffs that would become 0, and does not change their values', async () => {
    const net = NET.replaceAll('"ReLU"', '"TanH"').replace('top: "loss"', 'top: "loss" loss_weight: 6e-8');
    const small = readNet(net, { file: 'small-loss' });
    const expected = await diffsOf(device, small);
    const scaled = await diffsOf(device, small, { precision: 'float16', lossScale: 2 ** 24 });
    const shares = apart(scaled, expected);
    assert.ok(
      shares.every((share) => share <= 2 * DEPTH * UNIT.float16),
      `${shares}`,
    );
    const [lost] = await diffsOf(device, small, { precision: 'float16', lossScale: 1 });
    assert.ok(lost!.every((value) => value === 0));
  });

  test('float16: an update whose diffs are not finite is skipped and counted, also if they were accumulated', async () => {
    for (const iter_size of [1, 2]) {
      const options = { precision: 'float16', lossScale: 2 ** 24, update: { ...SGD, iter_size } } as const;
      using trainer = await open(device, options);
      const learned = async () => {
        const values = await valuesOf(trainer);
        return values.filter((_, i) => trainer.learnable[i]!.lrMult !== 0);
      };
      const before = await learned();
      for (let iteration = 0; iteration < 2; iteration++)
        for (let pass = 0; pass < iter_size; pass++) {
          const [first, last] = [pass === 0, pass === iter_size - 1];
          const { loss } = await trainer.step(batch(pass), { rate: 0.05, iteration, first, last });
          assert.ok(Number.isFinite(loss!.data[0]!));
        }
      assert.equal(await learned(), before);
      assert.is(trainer.skippedUpdates, 2);
      assert.ok((await trainer.history()).every((slot) => slot.every((value) => value === 0)));
    }
  });

  test('float16: a dynamic loss scale halves with each skipped update until none is, and then the net learns', async () => {
    // Losses of 100 times the weight: 65536 times their diffs exceed float16, a thousandth of that does not.
    const net = NET.replace('top: "loss"', 'top: "loss" loss_weight: 100');
    using trainer = await open(device, {
      model: readNet(net, { file: 'large-loss' }),
      precision: 'float16',
      lossScale: 'dynamic',
    });
    assert.is(trainer.lossScale, 65536);
    const losses: number[] = [];
    for (let iteration = 0; iteration < 24; iteration++) {
      const before = trainer.lossScale;
      const skipped = trainer.skippedUpdates;
      const { loss } = await trainer.step(batch(0), { rate: 1e-4, iteration });
      losses.push(loss!.data[0]!);
      assert.is(trainer.lossScale, trainer.skippedUpdates > skipped ? before / 2 : before);
    }
    assert.ok(trainer.skippedUpdates > 0 && trainer.skippedUpdates < 20, `${trainer.skippedUpdates} skipped`);
    assert.is(trainer.lossScale, 65536 / 2 ** trainer.skippedUpdates);
    assert.ok(losses.at(-1)! < losses[0]!, `${losses}`);
  });

  test('float16 learns: the loss falls on a repeated batch', async () => {
    using trainer = await open(device, { precision: 'float16' });
    const loss = async () => (await trainer.step(batch(1), { rate: 0.05, iteration: 0 })).loss!.data[0]!;
    const first = await loss();
    for (let i = 0; i < 12; i++) await loss();
    assert.ok((await loss()) < first / 3);
    assert.is(trainer.skippedUpdates, 0);
  });

  test('outputs and plans have the precision', async () => {
    const plans = await Promise.all(
      (['float32', 'float16'] as const).map((precision) =>
        device.planTraining({ model, update: SGD, precision }),
      ),
    );
    assert.ok(
      plans[1]!.arenaBytes < 0.7 * plans[0]!.arenaBytes,
      JSON.stringify(plans.map((p) => p.arenaBytes)),
    );
    using trainer = await open(device, { precision: 'float16' });
    assert.equal(Object.keys(trainer.outputs), ['loss']);
    assert.equal(Object.keys(await trainer.step(batch(1), { rate: 0, iteration: 0 })), ['loss']);
  });
}

test('unknown precisions and loss scales are refused', async () => {
  const cpu = await openDevice('cpu').catch(({ message }: Error) => console.log(`skipped: ${message}`));
  if (cpu === undefined) return;
  await refuses(() => open(cpu, { precision: 'float16' }), DeviceError, /float16/);
  await refuses(
    () => open(cpu, { precision: 'int8' as 'float16' }),
    ArgumentError,
    /precision: expected .*"bfloat16"/,
  );
  await refuses(() => open(cpu, { lossScale: 0 }), ArgumentError, /lossScale/);
  await refuses(() => open(cpu, { lossScale: 'dynamic' }), ArgumentError, /lossScale/);
  cpu.dispose();
});

test.after(() => device?.dispose());
test.run();
