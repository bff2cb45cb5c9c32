/**
 * The solver's extensions, compared with PyTorch's numbers (fixtures/make-updates.py) and with their formulas in
 * float64.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, GraphError, PrototxtError } from '../../ts/base/errors.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readCaffemodel, type WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { checkSolver } from '../../ts/caffe/check-solver.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import type { DataSource } from '../../ts/data/source.ts';
import { openDevice } from '../../ts/device/device.ts';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import type { UpdateRule } from '../../ts/device/trainer.ts';
import { Solver } from '../../ts/train/solver.ts';
import { collect, ofType } from './fakes.ts';

interface Expected {
  readonly weights: readonly number[];
  readonly losses: readonly number[];
  readonly average?: readonly number[];
}
const fixture = new URL('fixtures/updates.json', import.meta.url);
const { rates, data, labels, begin, expected } = JSON.parse(readFileSync(fixture, 'utf8')) as {
  readonly rates: readonly number[];
  readonly data: readonly (readonly number[])[];
  readonly labels: readonly (readonly number[])[];
  readonly begin: readonly number[];
  readonly expected: Readonly<Record<string, Expected>>;
};

const netOf = (loss = '') => `
  name: "linear"
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 5 } } }
  layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 bias_term: false } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" ${loss} }`;
const blob = (values: readonly number[]) => ({
  shape: [3, 5],
  dtype: 'float32' as const,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const beginning: WeightsFile = {
  file: '',
  name: 'linear',
  layers: [{ name: 'ip', type: 'InnerProduct', blobs: [blob(begin)] }],
};
const plain: UpdateRule = { ...SGD_UPDATE, momentum: 0, weight_decay: 0 };
const valuesOf = ({ layers }: WeightsFile) => toFloat32(layers.find(({ name }) => name === 'ip')!.blobs[0]!);
const near = (actual: ArrayLike<number>, wanted: readonly number[], what: string) =>
  wanted.forEach((value, i) => {
    assert.ok(
      Math.abs(actual[i]! - value) < 2e-6 * Math.max(1, Math.abs(value)),
      `${what}, ${i}: ${actual[i]} is not ${value}`,
    );
  });

async function train(kind: 'reference' | 'cpu', update: UpdateRule, loss = '') {
  await using device = await openDevice(kind, kind === 'cpu' ? { threads: 1 } : {});
  await using trainer = await device.train({
    model: readNet(netOf(loss), { file: 'net' }),
    weights: beginning,
    update,
  });
  const losses: number[] = [];
  for (const [iteration, rate] of rates.entries()) {
    const batch = { data: Float32Array.from(data[iteration]!), label: Float32Array.from(labels[iteration]!) };
    losses.push((await trainer.step(batch, { rate, iteration })).loss!.data[0]!);
  }
  const average = update.ema_decay ? valuesOf(await trainer.weights({ average: true })) : null;
  return { losses, weights: valuesOf(await trainer.weights()), average };
}

const cases: readonly (readonly [name: string, update: UpdateRule, loss?: string])[] = [
  [
    'AdamW',
    {
      ...plain,
      type: 'AdamW',
      momentum: 0.9,
      momentum2: 0.99,
      delta: 1e-6,
      weight_decay: 0.1,
      ema_decay: 0.8,
    },
  ],
  ['dampened', { ...plain, momentum: 0.9, momentum_convention: 'dampened', weight_decay: 0.05 }],
  ['smoothing', plain, 'loss_param { target_smoothing: 0.1 }'],
  ['weighted', plain, 'loss_param { class_weight: 0.5 class_weight: 2 class_weight: 3 }'],
  ['weighted and smoothed', plain, 'loss_param { class_weight: [0.5, 2, 3] target_smoothing: 0.2 }'],
];
for (const [name, update, loss] of cases)
  for (const kind of ['reference', 'cpu'] as const)
    test(`${name} on ${kind} gives PyTorch's numbers`, async () => {
      const result = await train(kind, update, loss);
      near(result.losses, expected[name]!.losses, 'loss');
      near(result.weights, expected[name]!.weights, 'weight');
      if (expected[name]!.average !== undefined) near(result.average!, expected[name]!.average!, 'average');
    });

/** The sum over a batch of the softmax loss's gradients, in float64. */
function gradientOf(weights: readonly number[], step: number): number[] {
  const gradient = new Array<number>(15).fill(0);
  for (const [n, label] of labels[step]!.entries()) {
    const x = data[step]!.slice(5 * n, 5 * n + 5);
    const scores = [0, 1, 2].map((c) => x.reduce((sum, value, i) => sum + value * weights[5 * c + i]!, 0));
    const all = scores.reduce((sum, score) => sum + Math.exp(score), 0);
    for (const [c, score] of scores.entries())
      for (const [i, value] of x.entries())
        gradient[5 * c + i]! += ((Math.exp(score) / all - (c === label ? 1 : 0)) * value) / 4;
  }
  return gradient;
}

test('LARS is algorithm 1 of You et al.: a layer moves by trust times its own norm', async () => {
  const norm = (values: readonly number[]) => Math.hypot(...values);
  let weights = [...begin];
  let history = weights.map(() => 0);
  for (const [step, rate] of rates.entries()) {
    const gradient = gradientOf(weights, step);
    const local = (rate * 0.02 * norm(weights)) / (norm(gradient) + 0.05 * norm(weights));
    history = history.map((value, i) => 0.9 * value + local * (gradient[i]! + 0.05 * weights[i]!));
    weights = weights.map((value, i) => value - history[i]!);
  }
  const update: UpdateRule = { ...plain, type: 'LARS', momentum: 0.9, weight_decay: 0.05, lars_trust: 0.02 };
  for (const kind of ['reference', 'cpu'] as const)
    near((await train(kind, update)).weights, weights, `${kind}, weight`);
});

test("at a constant rate, dampened momentum is Caffe's with the rate times 1 − momentum, except for its first gradient", async () => {
  // h₀ = g₀ instead of (1 − m)·g₀: the two differ by what the first gradient adds, m^(t+1)·g₀ at step t.
  const dampened = (await train('reference', { ...plain, momentum: 0, momentum_convention: 'dampened' }))
    .weights;
  const caffe = (await train('reference', plain)).weights;
  assert.equal([...dampened], [...caffe]);
});

const folder = mkdtempSync(join(tmpdir(), 'resnode-extensions-'));
test.after(() => rmSync(folder, { recursive: true }));
const source = (): DataSource => {
  let at = 0;
  return {
    shapes: { data: [4, 5], label: [4] },
    epochSize: null,
    waited: 0,
    next: async () => {
      const i = at++ % data.length;
      return { data: Float32Array.from(data[i]!), label: Float32Array.from(labels[i]!) };
    },
    state: () => at,
    restore: (state) => {
      at = state as number;
    },
    dispose: async () => {},
  };
};
const settings = (text: string, name = 'snapshot') =>
  readSolver(
    `net_param { ${netOf()} } base_lr: 0.1 lr_policy: "fixed" random_seed: 1 snapshot_prefix: "${join(folder, name)}" ${text}`,
    { file: join(folder, 'solver.prototxt') },
  );

test('a solver with ema_decay writes the average beside the weights, and resumes from it', async () => {
  await using device = await openDevice('reference');
  const run = (text: string, name: string, snapshot?: string) =>
    collect(
      new Solver({
        solver: settings(`momentum: 0.9 ema_decay: 0.5 label_smoothing: 0.1 ${text}`, name),
        device,
        data: async () => source(),
        ...(snapshot === undefined ? { weights: beginning } : { snapshot }),
      }),
    );
  const whole = ofType(await run('max_iter: 4', 'whole'), 'snapshot')[0]!;
  await run('max_iter: 2', 'half');
  const rest = await run('max_iter: 4', 'rest', join(folder, 'half_iter_2.solverstate'));
  const { average } = ofType(rest, 'snapshot')[0]!;
  assert.is(whole.average, join(folder, 'whole_iter_4.ema.caffemodel'));
  assert.equal(
    [...valuesOf(readCaffemodel(readFileSync(average!), { file: 'weights' }))],
    [...valuesOf(readCaffemodel(readFileSync(whole.average!), { file: 'weights' }))],
  );
  assert.not.equal(
    [...valuesOf(readCaffemodel(readFileSync(average!), { file: 'weights' }))],
    [...valuesOf(readCaffemodel(readFileSync(whole.weights), { file: 'weights' }))],
  );
  rmSync(join(folder, 'half_iter_2.ema.caffemodel'));
  const without = await run('max_iter: 4', 'rest', join(folder, 'half_iter_2.solverstate'));
  assert.ok(ofType(without, 'warning').some(({ code }) => code === 'solver/no-average'));
});

test('without ema_decay no average is written', async () => {
  await using device = await openDevice('reference');
  const solver = new Solver({
    solver: settings('max_iter: 1', 'none'),
    device,
    data: async () => source(),
    weights: beginning,
  });
  assert.not('average' in ofType(await collect(solver), 'snapshot')[0]!);
  assert.not(existsSync(join(folder, 'none_iter_1.ema.caffemodel')));
});

test('for each extension, a message says that Caffe refuses it, with the conversion of the rate', () => {
  const warningsOf = (text: string) =>
    checkSolver(settings(`max_iter: 1 ${text}`)).warnings.filter(({ code }) => code === 'solver/extension');
  assert.equal(warningsOf('momentum: 0.9'), []);
  for (const [text, said] of [
    ['type: "AdamW"', /type "AdamW" is an extension/],
    ['type: "LARS" lars_trust: 0.01', /type "LARS" is an extension/],
    ['ema_decay: 0.999', /ema_decay is an extension; Caffe refuses/],
    ['label_smoothing: 0.1', /label_smoothing is an extension/],
  ] as const)
    assert.match(warningsOf(text)[0]!.message, said);
  const [, conversion] = warningsOf('momentum: 0.9 momentum_convention: "dampened"');
  assert.match(conversion!.message, /base_lr 0\.1 has the effect of 0\.01 in Caffe's convention/);
});

test('extensions with wrong values or types are refused with their line', () => {
  for (const [text, said] of [
    ['momentum_convention: "torch"', /must be "caffe" or "dampened", found "torch"/],
    ['type: "Nesterov" momentum_convention: "dampened"', /belongs to type "SGD"/],
    ['lars_trust: 0.1', /lars_trust belongs to type "LARS"/],
    ['type: "LARS" lars_trust: 0', /above 0/],
    ['ema_decay: 1', /ema_decay must be at least 0 and below 1/],
    ['label_smoothing: -0.1', /label_smoothing must be/],
    ['type: "AdamWW"', /did you mean "AdamW"/],
  ] as const)
    assert.throws(
      () => checkSolver(settings(`max_iter: 1 ${text}`)),
      (error: Error) =>
        error instanceof PrototxtError &&
        said.test(error.message) &&
        /solver\.prototxt:\d+/.test(error.message),
      text,
    );
});

test('a loss refuses weights other than one per class, and smoothing of 1', async () => {
  await using device = await openDevice('reference');
  for (const [loss, said] of [
    ['loss_param { class_weight: 1 class_weight: 2 }', /once for each of 3 classes.*found 2 times/],
    ['loss_param { class_weight: [1, 2, -3] }', /not negative/],
    ['loss_param { target_smoothing: 1 }', /below 1, found 1/],
  ] as const)
    try {
      await device.train({ model: readNet(netOf(loss), { file: 'net' }), update: plain });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, GraphError);
      assert.match((error as Error).message, said);
    }
});

test('an average exists if the update keeps one, and dampening belongs to SGD', async () => {
  await using device = await openDevice('reference');
  await using trainer = await device.train({ model: readNet(netOf(), { file: 'net' }), update: plain });
  const refuses = async (work: Promise<unknown>) =>
    assert.instance(await work.catch((error) => error), ArgumentError);
  await refuses(trainer.weights({ average: true }));
  const update: UpdateRule = { ...plain, type: 'Adam', momentum_convention: 'dampened' };
  await refuses(device.train({ model: readNet(netOf(), { file: 'net' }), update }));
});

test.run();
