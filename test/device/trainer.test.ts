/** The guarantees of a Trainer on devices that compute in main memory, and what it refuses. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, type Device, DeviceError, openDevice, type UpdateRule } from '../../ts/index.ts';
import { draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';
import { noise } from '../support/run-program.ts';
import { batch, open, refuses, SGD, steps, testTrainer, valuesOf } from '../support/trainer-cases.ts';

const devices = await openPlainDevices();
for (const device of devices) testTrainer(device);

test('recomputed blocks give the same bits, in less memory', async () => {
  const [device] = devices as [Device];
  using kept = await open(device);
  using again = await open(device, { recompute: true });
  assert.equal(await steps(again, 0, 3), await steps(kept, 0, 3));
  assert.equal(await valuesOf(again), await valuesOf(kept), 'BatchNorm counted each batch once too');
  assert.ok(again.plan().arenaBytes < 0.75 * kept.plan().arenaBytes, `${again.plan().arenaBytes}`);
});

for (const type of ['SGD', 'Adam', 'RMSProp', 'AdaGrad'] as const)
  test(`${type} leaves a layer of lr_mult 0 as it is, and trains the others`, async () => {
    const model = net(
      `${input('data', [4, 3, 4, 4])}${input('label', [4])}
       layer { name: "frozen" type: "Convolution" bottom: "data" top: "frozen" param { lr_mult: 0 } param { lr_mult: 0 }
         convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "msra" } } }
       layer { name: "ip" type: "InnerProduct" bottom: "frozen" top: "ip"
         inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
       layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }`,
    );
    for (const device of devices) {
      const momentum = type === 'SGD' || type === 'Adam' ? 0.9 : 0;
      using trainer = await device.train({ model, update: { ...SGD, type, momentum } });
      const before = await valuesOf(trainer);
      const inputs = { data: draw(4 * 3 * 4 * 4, 1), label: Float32Array.of(0, 1, 2, 0) };
      for (const iteration of [0, 1]) await trainer.step(inputs, { rate: 0.1, iteration });
      const after = await valuesOf(trainer);
      const [frozenBefore, frozen] = [before, after].map((all) => all.slice(0, 2));
      assert.equal(frozen, frozenBefore, device.kind);
      assert.not.equal(after[2], before[2], device.kind);
    }
  });

test("what an update omits has the default of caffe.proto's SolverParameter", async () => {
  const caffe = { momentum: 0, momentum2: 0.999, delta: 1e-8, rms_decay: 0.99, weight_decay: 0 };
  const whole = { ...caffe, clip_gradients: null, iter_size: 1, regularization_type: 'L2' } as const;
  for (const type of ['SGD', 'Adam', 'RMSProp'] as const) {
    using omitted = await open(devices[0]!, { update: { type, momentum: undefined } as UpdateRule });
    using written = await open(devices[0]!, { update: { type, ...whole } });
    assert.equal(await steps(omitted, 0, 3), await steps(written, 0, 3), type);
    assert.equal(await valuesOf(omitted), await valuesOf(written), type);
  }
});

test('a lack of memory is reported before any is allocated, with the batch that fits', async () => {
  for (const { kind } of devices) {
    using device = await openDevice(kind as 'cpu', { memoryLimit: 2 ** 20 });
    const error = await refuses(
      () => open(device, { batch: 64 }),
      DeviceError,
      /needs .* free; batch \d+ fits/,
    );
    assert.is(error.code, 'device/out-of-memory');
    assert.is(device.memory().total, 0);
    const fits = Number(/batch (\d+) fits/.exec(error.message)![1]);
    using trainer = await open(device, { batch: fits });
    assert.is(trainer.inputs.data![0], fits);
  }
});

test('misuse is reported by name', async () => {
  const [device] = devices as [Device];
  using trainer = await open(device);
  using gradients = await open(device, { update: null });
  const now = { rate: 0.1, iteration: 0 };
  await refuses(() => trainer.step({ data: batch(1).data! }, now), ArgumentError, /input "label"/);
  const more = { data: noise(8 * 3 * 64, 1), label: new Float32Array(8) };
  await refuses(
    () => trainer.step(more, now),
    ArgumentError,
    /the shape 4×3×8×8 that the trainer was opened with/,
  );
  await refuses(() => trainer.step(batch(1), { ...now, last: false }), ArgumentError, /iter_size is 1/);
  await refuses(() => trainer.step(batch(1), { ...now, rate: Number.NaN }), ArgumentError, /rate/);
  await refuses(() => trainer.gradients(batch(1)), ArgumentError, /update: null/);
  await refuses(() => gradients.step(batch(1), now), ArgumentError, /given an update/);
  const topDiffs = { loss: new Float32Array(1) };
  await refuses(() => gradients.gradients(batch(1), { topDiffs }), ArgumentError, /topDiffs/);
  await refuses(
    () => open(device, { history: [new Float32Array(1)] }),
    ArgumentError,
    /52 arrays, 1 for each/,
  );
  const history = (await trainer.history()).map((values, i) => (i === 3 ? new Float32Array(1) : values));
  await refuses(() => open(device, { history }), ArgumentError, /history of layer "a_bn1", blob 0/);
  await refuses(() => open(device, { update: { ...SGD, iter_size: 0 } }), ArgumentError, /iter_size/);
  const wrong = { ...batch(1), label: Float32Array.of(0, 1, 9, 2) };
  const error = await refuses(() => trainer.step(wrong, now), DeviceError, /layer "loss": label or index 9/);
  assert.is(error.code, 'label/invalid');
  trainer.dispose();
  assert.is(
    (await refuses(() => trainer.step(batch(1), now), DeviceError, /disposed/)).code,
    'device/disposed',
  );
  await refuses(() => trainer.weights(), DeviceError, /disposed/);
});

test('training passes do not block the event loop', async () => {
  for (const device of devices) {
    using trainer = await open(device, { batch: 32 });
    const inputs = { data: noise(32 * 3 * 64, 1), label: new Float32Array(32) };
    await trainer.step(inputs, { rate: 0.01, iteration: 0 });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const begin = performance.now();
    for (let k = 0; k < 5 || performance.now() - begin < 200; k++)
      await trainer.step(inputs, { rate: 0.01, iteration: 0 });
    clearInterval(timer);
    assert.ok(ticks >= 5, `${ticks} ticks of a timer on ${device.kind}`);
  }
});

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
