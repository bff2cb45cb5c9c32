/** The guarantees of a Trainer on every device: order, bits, memory. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import {
  type ArgumentError,
  type Device,
  DeviceError,
  type Inputs,
  readNet,
  type Trainer,
  type TrainOptions,
  type UpdateRule,
} from '../../ts/index.ts';
import { noise } from './run-program.ts';

const block = (name: string, bottom: string) => `
  layer { name: "${name}_conv1" type: "Convolution" bottom: "${bottom}" top: "${name}_conv1"
    convolution_param { num_output: 8 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
  layer { name: "${name}_bn1" type: "BatchNorm" bottom: "${name}_conv1" top: "${name}_conv1" }
  layer { name: "${name}_scale1" type: "Scale" bottom: "${name}_conv1" top: "${name}_conv1" scale_param { bias_term: true } }
  layer { name: "${name}_relu1" type: "ReLU" bottom: "${name}_conv1" top: "${name}_conv1" }
  layer { name: "${name}_conv2" type: "Convolution" bottom: "${name}_conv1" top: "${name}_conv2"
    convolution_param { num_output: 8 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
  layer { name: "${name}_bn2" type: "BatchNorm" bottom: "${name}_conv2" top: "${name}_conv2" }
  layer { name: "${name}_scale2" type: "Scale" bottom: "${name}_conv2" top: "${name}_conv2" scale_param { bias_term: true } }
  layer { name: "${name}_sum" type: "Eltwise" bottom: "${bottom}" bottom: "${name}_conv2" top: "${name}" }
  layer { name: "${name}_relu" type: "ReLU" bottom: "${name}" top: "${name}" }`;
export const NET = `name: "small"
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } } }
  layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
    convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
  layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
  ${['a', 'b', 'c', 'd'].map((name, i) => block(name, ['conv', 'a', 'b', 'c'][i]!)).join('')}
  layer { name: "pool" type: "Pooling" bottom: "d" top: "pool" pooling_param { pool: AVE global_pooling: true } }
  layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
    inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`;
export const model = readNet(NET, { file: 'small' });
export const SGD: UpdateRule = { ...SGD_UPDATE, weight_decay: 1e-3 };
export const batch = (seed: number): Inputs => ({
  data: noise(4 * 3 * 8 * 8, seed),
  label: Float32Array.from({ length: 4 }, (_, i) => (seed + i) % 5),
});
export const open = (device: Device, options: Partial<TrainOptions> = {}) =>
  device.train({ model, update: SGD, ...options });
export async function steps(trainer: Trainer, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let iteration = from; iteration < to; iteration++) {
    const { loss } = await trainer.step(batch(iteration), { rate: 0.05, iteration });
    losses.push(loss!.data[0]!);
  }
  return losses;
}
export const valuesOf = async (trainer: Trainer) =>
  (await trainer.weights()).layers.flatMap(({ name, blobs }) =>
    blobs.map((blob, i) => [`${name}/${i}`, toFloat32(blob)] as const),
  );
export const refuses = async (
  run: () => Promise<unknown>,
  type: typeof ArgumentError | typeof DeviceError,
  text: RegExp,
) => {
  try {
    await run();
  } catch (error) {
    assert.instance(error, type);
    assert.match((error as Error).message, text);
    return error as Error & { code: string };
  }
  return assert.unreachable('nothing was thrown') as never;
};

/** Without BatchNorm's statistics, which count a batch before its loss is known. */
const learned = async (trainer: Trainer) => {
  const statistics = new Set(trainer.batchNorms.map(({ layer }) => layer));
  return (await valuesOf(trainer)).filter(([name]) => !statistics.has(name.split('/')[0]!));
};

/** Registers a test for each guarantee on a device. */
export function testTrainer(device: Device): void {
  for (const [name, run] of promises) test(`${name} (${device.kind})`, () => run(device));
}

const promises: [string, (device: Device) => Promise<void>][] = [];
const each = (name: string, run: (device: Device) => Promise<void>) => {
  promises.push([name, run]);
};

each('the loss falls on a batch that is seen again', async (device) => {
  using trainer = await open(device);
  const loss = async () => (await trainer.step(batch(1), { rate: 0.05, iteration: 0 })).loss!.data[0]!;
  const first = await loss();
  for (let i = 0; i < 20; i++) await loss();
  assert.ok((await loss()) < first / 4);
});

each('a timed step tells of each operation, and learns what a step learns', async (device) => {
  using stepped = await open(device);
  using timed = await open(device);
  await stepped.step(batch(1), { rate: 0.05, iteration: 0 });
  const rows = await timed.time(batch(1), { rate: 0.05, iteration: 0 });
  assert.equal(await valuesOf(timed), await valuesOf(stepped));
  assert.equal(
    rows.map(({ layer }) => layer),
    timed.plan().operations.map(({ layer }) => layer),
  );
  assert.ok(rows.every(({ milliseconds }) => Number.isFinite(milliseconds) && milliseconds >= 0));
  assert.ok(rows.some(({ milliseconds }) => milliseconds > 0));
});

each(
  'inputs read in place give the bits that copied ones give, and are copied unless that is asked for',
  async (device) => {
    const inputs = batch(3) as Record<'data' | 'label', Float32Array>;
    const { data, label } = inputs;
    const schedule = { rate: 0.05, iteration: 0 };
    using trainer = await open(device);
    const copied = { data: data.slice(), label: label.slice() };
    const running = trainer.step(copied, schedule);
    structuredClone(0, { transfer: [copied.data.buffer] });
    const expected = await running;
    using other = await open(device);
    assert.equal(await other.step(inputs, schedule, { copyInputs: false }), expected);
    assert.equal(await valuesOf(other), await valuesOf(trainer));
    using loaded = await device.load({ model });
    const outputs = await loaded.run(inputs);
    assert.equal(await loaded.run(inputs, { copyInputs: false }), outputs);
    // Another batch size, which is compiled first.
    const halves = { data: data.slice(0, 384), label: label.slice(0, 2) };
    assert.equal(await loaded.run(halves, { copyInputs: false }), await loaded.run(halves));
  },
);

each('training goes on to the same bits from weights and history', async (device) => {
  for (const type of ['SGD', 'Adam'] as const) {
    using whole = await open(device, { update: { ...SGD, type } });
    const losses = await steps(whole, 0, 6);
    using begun = await open(device, { update: { ...SGD, type } });
    await steps(begun, 0, 3);
    const [weights, history] = [await begun.weights(), await begun.history()];
    assert.is(history.length, begun.learnable.length * (type === 'Adam' ? 2 : 1));
    using resumed = await open(device, { update: { ...SGD, type }, weights, history });
    assert.equal(await steps(resumed, 3, 6), losses.slice(3));
    assert.equal(await valuesOf(resumed), await valuesOf(whole));
    assert.equal(await resumed.history(), await whole.history());
  }
});

each('one step of SGD is w − rate · (gradient + decay · w)', async (device) => {
  using gradients = await open(device, { update: null });
  using trainer = await open(device);
  const before = new Map(await valuesOf(trainer));
  const { parameters, outputs } = await gradients.gradients(batch(7));
  const stepped = await trainer.step(batch(7), { rate: 0.1, iteration: 0 });
  assert.equal(stepped.loss, outputs.loss);
  const after = new Map(await valuesOf(trainer));
  let learned = 0;
  trainer.learnable.forEach(({ layer, index, lrMult }, i) => {
    const diff = parameters[i]?.data;
    if (lrMult === 0) return assert.is(diff, undefined, `${layer} is no weight`);
    learned++;
    const [old, now] = [before.get(`${layer}/${index}`)!, after.get(`${layer}/${index}`)!];
    old.forEach((value, j) => {
      const expected = value - 0.1 * (diff![j]! + 1e-3 * value);
      assert.ok(
        Math.abs(now[j]! - expected) <= 1e-6 * Math.max(1, Math.abs(value)),
        `${layer}/${index}[${j}]`,
      );
    });
  });
  assert.is(learned, 2 + 4 * 6 + 2);
});

each(
  'a loss scale that is a power of two changes no bit, of diffs, clipped updates or Adam',
  async (device) => {
    for (const update of [{ ...SGD, clip_gradients: 0.1 }, { ...SGD, type: 'Adam' } as const]) {
      using plain = await open(device, { update });
      using scaled = await open(device, { update, lossScale: 1024 });
      assert.equal(await steps(scaled, 0, 2), await steps(plain, 0, 2));
      assert.equal(await valuesOf(scaled), await valuesOf(plain));
    }
    const diffs = ['pool'];
    using plain = await open(device, { update: null, diffs });
    using scaled = await open(device, { update: null, diffs, lossScale: 1024 });
    assert.equal(await scaled.gradients(batch(1)), await plain.gradients(batch(1)));
  },
);

each('iter_size adds diffs up over its passes', async (device) => {
  const twice = { ...SGD, iter_size: 2, momentum: 0 };
  using trainer = await open(device, { update: twice, frozenBatchNorm: true });
  using gradients = await open(device, { update: null, frozenBatchNorm: true });
  const diffs = [await gradients.gradients(batch(1)), await gradients.gradients(batch(2))];
  const before = await valuesOf(trainer);
  await trainer.step(batch(1), { rate: 0.1, iteration: 0, first: true, last: false });
  assert.equal(await valuesOf(trainer), before, 'nothing is updated before the last pass');
  await trainer.step(batch(2), { rate: 0.1, iteration: 0, first: false, last: true });
  const after = new Map(await valuesOf(trainer));
  const fc = trainer.learnable.findIndex(({ layer, index }) => layer === 'fc' && index === 0);
  const old = new Map(before).get('fc/0')!;
  const scale = Math.max(...diffs.flatMap(({ parameters }) => [...parameters[fc]!.data.map(Math.abs)]));
  old.forEach((value, j) => {
    const mean = (diffs[0]!.parameters[fc]!.data[j]! + diffs[1]!.parameters[fc]!.data[j]!) / 2;
    const expected = value - 0.1 * (mean + 1e-3 * value);
    assert.ok(Math.abs(after.get('fc/0')![j]! - expected) <= 1e-6 * scale);
  });
});

each('computing again takes less memory and changes nothing but roundings', async (device) => {
  using kept = await open(device);
  using again = await open(device, { recompute: true });
  const [expected, actual] = [await steps(kept, 0, 1), await steps(again, 0, 1)];
  assert.ok(Math.abs(actual[0]! - expected[0]!) < 1e-5);
  assert.ok(again.plan().arenaBytes < kept.plan().arenaBytes);
});

each('frozen BatchNorm keeps its statistics; each layer says why it has which', async (device) => {
  using live = await open(device);
  using frozen = await open(device, { frozenBatchNorm: true });
  assert.equal(live.batchNorms[0], { layer: 'a_bn1', statistics: 'batch', reason: 'phase TRAIN' });
  assert.is(frozen.batchNorms[0]!.statistics, 'global');
  for (const [trainer, moves] of [
    [live, true],
    [frozen, false],
  ] as const) {
    const factor = async () => new Map(await valuesOf(trainer)).get('a_bn1/2')![0];
    const before = await factor();
    await steps(trainer, 0, 1);
    assert.is((await factor()) !== before, moves);
  }
});

each('weights are written with every layer that has them, and load into a TEST net', async (device) => {
  const shared = readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 } } }
     layer { name: "one" type: "InnerProduct" bottom: "data" top: "one" param { name: "w" lr_mult: 2 } param { name: "b" }
       inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
     layer { name: "two" type: "InnerProduct" bottom: "one" top: "two" param { name: "w" } param { name: "b" }
       inner_product_param { num_output: 4 } }
     layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 dim: 4 } } }
     layer { name: "loss" type: "EuclideanLoss" bottom: "two" bottom: "label" top: "loss" include { phase: TRAIN } }`,
    { file: 'shared' },
  );
  using trainer = await device.train({ model: shared, update: SGD });
  assert.equal(
    trainer.learnable.map(({ layer, lrMult, places }) => [layer, lrMult, places.map((place) => place.layer)]),
    [
      ['one', 2, ['one', 'two']],
      ['one', 1, ['one', 'two']],
    ],
  );
  const inputs = { data: noise(8, 1), label: noise(8, 2) };
  await trainer.step(inputs, { rate: 0.1, iteration: 0 });
  const weights = await trainer.weights();
  assert.equal(
    weights.layers.find(({ name }) => name === 'two')!.blobs,
    weights.layers.find(({ name }) => name === 'one')!.blobs,
  );
  using model = await device.load({ model: shared, phase: 'TEST', weights });
  const { two } = await model.run(inputs);
  using gradients = await device.train({ model: shared, update: null, weights, outputs: ['two'] });
  const { outputs } = await gradients.gradients(inputs);
  two!.data.forEach((value, i) => assert.ok(Math.abs(value - outputs.two!.data[i]!) < 1e-5));
});

each('what is asked for may be what Split or a Dropout at inference hands on', async (device) => {
  const net = readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
     layer { name: "one" type: "InnerProduct" bottom: "data" top: "one" inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
     layer { name: "split" type: "Split" bottom: "one" top: "left" top: "right" }
     layer { name: "drop" type: "Dropout" bottom: "right" top: "drop" }
     layer { name: "sum" type: "Eltwise" bottom: "left" bottom: "drop" top: "sum" }`,
    { file: 'split' },
  );
  const handedOn = ['left', 'left@split', 'right@split', 'drop@drop'];
  using trainer = await device.train({
    model: net,
    phase: 'TEST',
    update: null,
    outputs: ['one', ...handedOn],
  });
  const { outputs } = await trainer.gradients({ data: noise(6, 1) });
  for (const name of handedOn) assert.equal(outputs[name], outputs.one, name);
});

each('a loss that is asked for by a second name counts once', async (device) => {
  const diffs = async (outputs: readonly string[]) => {
    using trainer = await device.train({ model, update: null, outputs });
    const { parameters, outputs: results } = await trainer.gradients(batch(1));
    return { parameters, weights: trainer.lossWeights, names: Object.keys(results) };
  };
  const [once, twice] = [await diffs([]), await diffs(['loss@loss'])];
  assert.equal(twice.parameters, once.parameters);
  assert.equal(twice.weights, once.weights);
  assert.equal(twice.names, ['loss', 'loss@loss']);
});

each('what lies on the device is what was planned, and is given back', async (device) => {
  const before = device.memory();
  const trainer = await open(device);
  const held = device.memory();
  const plan = trainer.plan();
  assert.is(held.activations - before.activations, plan.arenaBytes);
  assert.is(held.workspace - before.workspace, plan.workspaceBytes);
  assert.is(held.parameters - before.parameters, plan.parameterBytes);
  assert.equal(await device.planTraining({ model, update: SGD }), plan);
  await steps(trainer, 0, 1);
  assert.equal(device.memory().total, held.total, 'a step takes no more');
  trainer.dispose();
  trainer.dispose();
  // The device's thread frees it in its turn.
  for (let tries = 0; tries < 1000 && device.memory().total !== before.total; tries++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.is(device.memory().total, before.total);
});

each('a pass that is aborted rejects with the reason, and the next one works', async (device) => {
  using trainer = await open(device);
  const batches = [1, 2, 3, 4].map((seed) => batch(seed));
  const isRejected = async () => {
    const controller = new AbortController();
    const options = { rate: 0.1, iteration: 0 };
    // The steps before it are in flight when it is aborted.
    const before = batches.slice(0, 3).map((inputs) => trainer.step(inputs, options));
    const running = trainer.step(batches[3]!, options, { signal: controller.signal });
    controller.abort(new Error('enough'));
    const [result] = await Promise.allSettled([running]);
    await Promise.all(before);
    if (result.status === 'rejected') assert.is(result.reason.message, 'enough');
    return result.status === 'rejected';
  };
  // A device may complete all of them before this thread aborts the last.
  let attempts = 0;
  while (!(await isRejected())) assert.ok(++attempts < 1000, 'a pass is aborted');
  const [loss] = await steps(trainer, 0, 1);
  assert.ok(Number.isFinite(loss));
});

each('weights are those behind the passes called before', async (device) => {
  using trainer = await open(device);
  const first = trainer.step(batch(1), { rate: 0.1, iteration: 0 });
  const between = valuesOf(trainer);
  const second = trainer.step(batch(2), { rate: 0.1, iteration: 1 });
  const last = valuesOf(trainer);
  await Promise.all([first, second]);
  using once = await open(device);
  await once.step(batch(1), { rate: 0.1, iteration: 0 });
  assert.equal(await between, await valuesOf(once));
  await once.step(batch(2), { rate: 0.1, iteration: 1 });
  assert.equal(await last, await valuesOf(once));
});

each(
  'a blob with lr_mult 0 stays, and its history is 0; a history that is not moves it as in Caffe',
  async (device) => {
    const frozen = readNet(NET.replace('name: "conv" type', 'name: "conv" param { lr_mult: 0 } type'), {
      file: 'frozen',
    });
    using trainer = await device.train({ model: frozen, update: SGD });
    const before = new Map(await valuesOf(trainer)).get('conv/0')!;
    await steps(trainer, 0, 2);
    assert.equal(new Map(await valuesOf(trainer)).get('conv/0'), before);
    const history = await trainer.history();
    assert.ok(history[0]!.every((value) => value === 0));
    history[0]!.fill(1);
    using pushed = await device.train({ model: frozen, update: SGD, history });
    await steps(pushed, 0, 1);
    const after = new Map(await valuesOf(pushed)).get('conv/0')!;
    before.forEach((value, i) => assert.ok(Math.abs(after[i]! - (value - 0.9)) < 1e-6));
  },
);

each('nothing is updated where a loss is not finite or a label has no class', async (device) => {
  using trainer = await open(device);
  await steps(trainer, 0, 2);
  const before = await learned(trainer);
  const infinite = { ...batch(3), data: new Float32Array(4 * 3 * 8 * 8).fill(3e38) };
  const { loss } = await trainer.step(infinite, { rate: 0.05, iteration: 2 });
  assert.not.ok(Number.isFinite(loss!.data[0]!));
  assert.equal(await learned(trainer), before);
  const wrong = { ...batch(3), label: Float32Array.of(0, 1, 9, 2) };
  const now = { rate: 0.05, iteration: 2 };
  const error = await refuses(() => trainer.step(wrong, now), DeviceError, /layer "loss": label/);
  assert.is(error.code, 'label/invalid');
  assert.equal(await learned(trainer), before);
});

each('passes that are asked for at once give the bits of passes one by one', async (device) => {
  using one = await open(device);
  using many = await open(device);
  const losses = await steps(one, 0, 6);
  const at = (iteration: number) => many.step(batch(iteration), { rate: 0.05, iteration });
  const outputs = await Promise.all([0, 1, 2, 3, 4, 5].map(at));
  assert.equal(
    outputs.map(({ loss }) => loss!.data[0]),
    losses,
  );
  assert.equal(await valuesOf(many), await valuesOf(one));
});
