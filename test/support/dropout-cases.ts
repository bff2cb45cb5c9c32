/**
 * Dropout in phase TRAIN on every device: which values it drops, when it drops the same values again, and that a net
 * with it learns.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import { type Device, GraphError, readNet, type Trainer, type TrainOptions } from '../../ts/index.ts';
import { noise, openNative, ProgramWriter, runProgram } from './run-program.ts';

/** Philox4x32-10 by its definition (Salmon et al. 2011, section 3.3), in big integers. */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const low = (value: bigint) => BigInt.asUintN(32, value);
  for (let round = 0; round < 10; round++) {
    const [a, b] = [c0 * 0xd2511f53n, c2 * 0xcd9e8d57n];
    [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, low(b), (a >> 32n) ^ c3 ^ k1, low(a)];
    [k0, k1] = [low(k0 + 0x9e3779b9n), low(k1 + 0xbb67ae85n)];
  }
  return [c0, c1, c2, c3].map(Number);
}

const layer = (type: string, name: string, bottom: string, top: string, more = '') =>
  `layer { name: "${name}" type: "${type}" bottom: "${bottom}" top: "${top}" ${more} }\n`;
const input = (name: string, ...dims: number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${dims.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;

const DROPPED = readNet(
  input('data', 100, 100) +
    layer('Dropout', 'first', 'data', 'a', 'dropout_param { dropout_ratio: 0.3 }') +
    layer('Dropout', 'second', 'data', 'b'),
  { file: 'net' },
);
const ones = { data: new Float32Array(1e4).fill(1) };
const kept = (values: Float32Array) => values.map((value) => (value === 0 ? 0 : 1));

// AlexNet's layers in order, but smaller; two classes that differ in where the picture is bright.
const filled = 'weight_filler { type: "gaussian" std: 0.1 }';
const ALEXNET = readNet(
  input('data', 16, 1, 12, 12) +
    input('label', 16) +
    layer(
      'Convolution',
      'conv1',
      'data',
      'conv1',
      `convolution_param { num_output: 8 kernel_size: 3 ${filled} }`,
    ) +
    layer('ReLU', 'relu1', 'conv1', 'conv1') +
    layer('LRN', 'norm1', 'conv1', 'norm1', 'lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }') +
    layer('Pooling', 'pool1', 'norm1', 'pool1', 'pooling_param { pool: MAX kernel_size: 3 stride: 2 }') +
    layer(
      'Convolution',
      'conv2',
      'pool1',
      'conv2',
      `convolution_param { num_output: 8 kernel_size: 3 pad: 1 group: 2 ${filled} }`,
    ) +
    layer('ReLU', 'relu2', 'conv2', 'conv2') +
    layer('InnerProduct', 'fc6', 'conv2', 'fc6', `inner_product_param { num_output: 32 ${filled} }`) +
    layer('ReLU', 'relu6', 'fc6', 'fc6') +
    layer('Dropout', 'drop6', 'fc6', 'fc6', 'dropout_param { dropout_ratio: 0.5 }') +
    layer('InnerProduct', 'fc7', 'fc6', 'fc7', `inner_product_param { num_output: 32 ${filled} }`) +
    layer('ReLU', 'relu7', 'fc7', 'fc7') +
    layer('Dropout', 'drop7', 'fc7', 'fc7', 'dropout_param { dropout_ratio: 0.5 }') +
    layer('InnerProduct', 'fc8', 'fc7', 'fc8', `inner_product_param { num_output: 2 ${filled} }`) +
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" include { phase: TRAIN } }\n' +
    'layer { name: "accuracy" type: "Accuracy" bottom: "fc8" bottom: "label" top: "accuracy" include { phase: TEST } }',
  { file: 'alexnet' },
);
const pictures = (seed: number) => {
  const label = Float32Array.from({ length: 16 }, (_, i) => (i + seed) % 2);
  const data = noise(16 * 144, seed).map(
    (value, i) => value + (Math.floor(i / 72) % 2 === label[Math.floor(i / 144)] ? 0.5 : 0),
  );
  return { data, label };
};
export const openDropping = (device: Device, options: Partial<TrainOptions> = {}) =>
  device.train({ model: ALEXNET, update: { ...SGD_UPDATE, weight_decay: 5e-4 }, seed: 3, ...options });
export async function stepsOf(trainer: Trainer, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let iteration = from; iteration < to; iteration++) {
    const { loss } = await trainer.step(pictures(iteration), { rate: 0.01, iteration });
    losses.push(loss!.data[0]!);
  }
  return losses;
}
export const valuesOf = async (trainer: Trainer) =>
  (await trainer.weights()).layers.flatMap(({ blobs }) => blobs.map((blob) => toFloat32(blob)));

// A dropout inside a block, which recomputation runs again.
const BLOCK = readNet(
  input('data', 16, 1, 12, 12) +
    input('label', 16) +
    layer('InnerProduct', 'begin', 'data', 'begin', `inner_product_param { num_output: 32 ${filled} }`) +
    layer('InnerProduct', 'middle', 'begin', 'middle', `inner_product_param { num_output: 32 ${filled} }`) +
    layer('Dropout', 'drop', 'middle', 'drop') +
    layer('TanH', 'tanh', 'drop', 'tanh') +
    'layer { name: "sum" type: "Eltwise" bottom: "begin" bottom: "tanh" top: "sum" }\n' +
    layer('InnerProduct', 'end', 'sum', 'end', `inner_product_param { num_output: 2 ${filled} }`) +
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "end" bottom: "label" top: "loss" }',
  { file: 'block' },
);

/** @param where - The native device of the same kind. */
export function testDropout(device: Device, where: Parameters<typeof openNative>[1] = {}): void {
  const kind = device.kind as Parameters<typeof openNative>[0];
  const each = (name: string, run: (device: Device) => Promise<void>) =>
    test(`${name} (${kind})`, () => run(device));

  test(`dropped values follow from seed, stream, rank, iteration, pass and index by Philox (${kind})`, async () => {
    const device = openNative(kind, where);
    for (const [seed, stream, rank, iteration, pass, ratio] of [
      [0, 0, 0, 0, 0, 0.5],
      [0xfedcba98, 3, 2, 16_777_215, 5, 0.25],
    ] as const) {
      const writer = new ProgramWriter();
      const [x, y, dy, dx] = [
        writer.input([2, 3, 7]),
        writer.tensor(2, 3, 7),
        writer.input([2, 3, 7]),
        writer.tensor(2, 3, 7),
      ];
      const at = writer.input([2], Float32Array.of(iteration, pass));
      const forward = writer.operation([x, at], [y], { kind: 'dropout', ratio, seed, stream, rank });
      writer.operation([-1, at, -1, dy], [dx, -1], { kind: 'gradient', of: forward });
      const { outputs } = await runProgram(device, writer, [y, dx]);
      const expected = (values: Float32Array) =>
        values.map((value, i) => {
          const word = philox([Math.floor(i / 4), iteration, pass, rank], [seed, stream])[i % 4]!;
          return word / 2 ** 32 < ratio ? 0 : value * Math.fround(1 / (1 - ratio));
        });
      assert.equal(outputs[0], [expected(writer.inputValues[0]!), expected(writer.inputValues[1]!)]);
    }
    device.dispose();
  });

  each(
    'its share becomes 0, the rest grows so that the mean stays; the diff goes the same way',
    async (device) => {
      using trainer = await device.train({ model: DROPPED, update: null, seed: 7, diffs: ['data'] });
      const topDiffs = { a: noise(1e4, 1) };
      const { outputs, blobs } = await trainer.gradients(ones, { topDiffs });
      const { data: a } = outputs.a!;
      const scale = Math.fround(1 / (1 - Math.fround(0.3)));
      assert.equal([...new Set(a)].sort(), [0, scale]);
      // Four standard deviations of a binomial distribution.
      const share = a.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0) / 1e4;
      assert.ok(Math.abs(share - 0.3) < 4 * Math.sqrt((0.3 * 0.7) / 1e4), `${share}`);
      assert.equal(
        blobs.data!.data,
        topDiffs.a.map((value, i) => value * a[i]!),
      );
    },
  );

  each('each layer, iteration and seed drops something else; the same ones the same', async (device) => {
    const masks = async (seed: number, iteration: number) => {
      using trainer = await device.train({ model: DROPPED, update: null, seed });
      const { a, b } = (await trainer.gradients(ones, { iteration })).outputs;
      return [kept(a!.data), kept(b!.data)] as const;
    };
    const [first, second] = await masks(7, 0);
    assert.equal(await masks(7, 0), [first, second]);
    // Two independent masks agree where both keep or both drop.
    const agreement = (x: Float32Array, y: Float32Array) =>
      x.reduce((sum, value, i) => sum + (value === y[i] ? 1 : 0), 0) / 1e4;
    assert.ok(Math.abs(agreement(first, second) - 0.5) < 0.03);
    for (const other of [await masks(8, 0), await masks(7, 1)]) {
      assert.ok(Math.abs(agreement(first, other[0]) - 0.58) < 0.03);
      assert.ok(Math.abs(agreement(second, other[1]) - 0.5) < 0.03);
    }
  });

  each('a model in phase TRAIN drops something else each run, in phase TEST nothing', async (device) => {
    using training = await device.load({ model: DROPPED, phase: 'TRAIN' });
    assert.equal(Object.keys(training.inputs), ['data']);
    const run = async () => (await training.run(ones)).b!.data;
    const [first, second] = [await run(), await run()];
    assert.is.not(String(first), String(second));
    using again = await device.load({ model: DROPPED, phase: 'TRAIN' });
    assert.equal((await again.run(ones)).b!.data, first);
    using testing = await device.load({ model: DROPPED, phase: 'TEST' });
    assert.equal((await testing.run(ones)).a!.data, ones.data);
  });

  each('a ratio of 0 keeps all; one of 1 would divide by 0 and is refused with its place', async (device) => {
    const net = (ratio: number) =>
      readNet(
        input('data', 100, 100) +
          layer('Dropout', 'drop', 'data', 'out', `dropout_param { dropout_ratio: ${ratio} }`),
        { file: 'net' },
      );
    using model = await device.load({ model: net(0), phase: 'TRAIN' });
    assert.equal((await model.run(ones)).out!.data, ones.data);
    try {
      await device.load({ model: net(1), phase: 'TRAIN' });
      assert.unreachable('a ratio of 1 was taken');
    } catch (error) {
      assert.instance(error, GraphError);
      assert.match((error as Error).message, /"drop" \(Dropout\) at net:2.*dropout_ratio.*below 1, found 1/);
    }
  });

  each('a small AlexNet learns', async (device) => {
    using trainer = await openDropping(device);
    const losses = await stepsOf(trainer, 0, 120);
    assert.ok(
      losses.slice(-10).every((loss) => loss < losses[0]! / 2),
      `${losses[0]} … ${losses.slice(-10)}`,
    );
    using model = await device.load({ model: ALEXNET, phase: 'TEST', weights: await trainer.weights() });
    assert.is((await model.run(pictures(999))).accuracy!.data[0], 1);
  });

  each('it goes on to the same bits from weights and history, as another seed does not', async (device) => {
    using whole = await openDropping(device);
    const losses = await stepsOf(whole, 0, 6);
    using begun = await openDropping(device);
    await stepsOf(begun, 0, 3);
    const [weights, history] = [await begun.weights(), await begun.history()];
    using resumed = await openDropping(device, { weights, history });
    assert.equal(await stepsOf(resumed, 3, 6), losses.slice(3));
    assert.equal(await valuesOf(resumed), await valuesOf(whole));
    using other = await openDropping(device, { weights, history, seed: 4 });
    assert.is.not(String(await stepsOf(other, 3, 6)), String(losses.slice(3)));
  });

  each('iterations drop different things', async (device) => {
    using trainer = await openDropping(device);
    const loss = async (iteration: number) =>
      (await trainer.step(pictures(0), { rate: 0, iteration })).loss!.data[0]!;
    const [first, second] = [await loss(0), await loss(1)];
    assert.is.not(first, second);
    assert.is(await loss(0), first);
  });

  each('passes of one iteration drop different things, and recomputing changes no bit', async (device) => {
    const run = async (recompute: boolean) => {
      const update = { ...SGD_UPDATE, iter_size: 2 };
      using trainer = await device.train({ model: BLOCK, update, recompute });
      const pass = (first: boolean) =>
        trainer.step(pictures(0), { rate: 0.1, iteration: 0, first, last: !first });
      const losses = [(await pass(true)).loss!.data[0]!, (await pass(false)).loss!.data[0]!];
      const dropouts = trainer.plan().operations.filter(({ layer }) => layer === 'drop').length;
      return { losses, values: await valuesOf(trainer), dropouts };
    };
    const { dropouts, ...kept } = await run(false);
    assert.is.not(kept.losses[0], kept.losses[1]);
    assert.equal(await run(true), { ...kept, dropouts: dropouts + 1 });
  });
}
