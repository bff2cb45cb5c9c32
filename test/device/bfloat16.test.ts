/**
 * bfloat16 on the CPU: compared with float32 within the rounding error, its memory, and its results on trained nets.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { evaluateImages } from '../../ts/images/evaluate/evaluate-images.ts';
import { summariseOutcomes } from '../../ts/images/evaluate/statistics.ts';
import { openDevice } from '../../ts/index.ts';
import { checkCase } from '../../ts/tools/parity/check-case.ts';
import { readGoldenCase } from '../../ts/tools/parity/golden-case.ts';
import { layersOf } from '../cpu/filter-cases.ts';
import { cifarFile, cifarPreprocess, cifarSamples } from '../support/cifar-samples.ts';
import { goldenCases, sharedFolder } from '../support/golden.ts';
import { random } from '../support/int8-cases.ts';

const device = await openDevice('cpu', { threads: 2 });
test.after(() => device.dispose());

/** Half a unit in the last place, relative to the value. */
const ROUNDING = 2 ** -9;

for (const [channels, kernel] of [
  [8, 1],
  [64, 1],
  [64, 3],
  [256, 3],
  [512, 3],
] as const)
  test(`a sum of ${channels * kernel ** 2} products differs by the rounding of its factors and additions`, async () => {
    const input = [1, channels, 6, 5] as const;
    const net = { layer: layersOf({ input, outputs: 24, kernel: [kernel, kernel] }) };
    const values = random(24 * channels * kernel ** 2, 1);
    const blobs = (w: Float32Array, bias: Float32Array) => ({
      file: 'made up',
      name: '',
      layers: [
        {
          name: 'filter',
          type: 'Convolution',
          blobs: [blobFromFloats([24, channels, kernel, kernel], w), blobFromFloats([24], bias)],
        },
      ],
    });
    const data = random(elementCount(input), 2);
    const compute = async (x: Float32Array, w: Float32Array, precision: 'float32' | 'bfloat16') => {
      await using model = await device.load({ model: net, weights: blobs(w, random(24, 3)), precision });
      return Object.values(await model.run({ data: x }))[0]!.data;
    };
    const exact = await compute(data, values, 'float32');
    const found = await compute(data, values, 'bfloat16');
    const magnitudes = await compute(data.map(Math.abs), values.map(Math.abs), 'float32');
    const perProduct = 2 * ROUNDING + ROUNDING ** 2 + (channels * kernel ** 2 + 1) * 2 ** -24;
    found.forEach((value, i) => {
      const bound = perProduct * (magnitudes[i]! + 2) * (1 + ROUNDING) + ROUNDING * Math.abs(exact[i]!);
      assert.ok(
        Math.abs(value - exact[i]!) <= bound,
        `${value}, float32 ${exact[i]}, at most ${bound} apart`,
      );
    });
    assert.ok(
      found.some((value, i) => Math.abs(value - exact[i]!) > (ROUNDING * Math.abs(exact[i]!)) / 4),
      'rounded',
    );
  });

// In Faster R-CNN, rounding changes the choice of regions.
const CHOOSES = /mini_faster_rcnn$/;
const CASES = ['mini-resnet', 'layers', 'layers2', 'forks'];
for (const folder of CASES.flatMap((kind) => goldenCases(kind)).filter((path) => !CHOOSES.test(path)))
  test(`${folder.split('/').slice(-2).join('/')}: each array is within half a unit per layer`, async () => {
    const golden = readGoldenCase(folder);
    if (golden.kind === 'solver') return;
    const { firstDivergence } = await checkCase(device, golden, 'bfloat16');
    assert.is(firstDivergence, null, JSON.stringify(firstDivergence));
  });

const block = `
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 64 dim: 28 dim: 28 } } }
  ${['a', 'b', 'c', 'd']
    .map(
      (name, i) =>
        `layer { name: "${name}" type: "Convolution" bottom: "${i === 0 ? 'data' : 'abcd'[i - 1]}" top: "${name}"
           convolution_param { num_output: 256 kernel_size: 1 weight_filler { type: "xavier" } } }`,
    )
    .join('\n')}`;

test('weights and feature maps take half the memory, both planned and held', async () => {
  const model = readNet(block, { file: 'block' });
  const plan = (precision: 'float32' | 'bfloat16') => device.plan({ model, precision });
  const [wide, narrow] = [await plan('float32'), await plan('bfloat16')];
  assert.ok(narrow.parameterBytes < 0.51 * wide.parameterBytes);
  assert.ok(narrow.arenaBytes < 0.6 * wide.arenaBytes, `${narrow.arenaBytes} of ${wide.arenaBytes}`);
  await using loaded = await device.load({ model, precision: 'bfloat16' });
  assert.is(device.memory().activations, narrow.arenaBytes);
  assert.is(loaded.plan().operations.length, 4);
});

test('values do not depend on the requested blobs, the batch, or the number of threads', async () => {
  const text = `${block}
    layer { name: "act" type: "Sigmoid" bottom: "d" top: "act" }
    layer { name: "dw" type: "Convolution" bottom: "act" top: "dw"
      convolution_param { num_output: 256 group: 256 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
    layer { name: "cat" type: "Concat" bottom: "dw" bottom: "a" top: "cat" }
    layer { name: "last" type: "Convolution" bottom: "cat" top: "last"
      convolution_param { num_output: 20 kernel_size: 1 weight_filler { type: "xavier" } } }`;
  const model = readNet(text, { file: 'net' });
  const data = random(4 * 64 * 28 * 28, 1);
  const load = { model, precision: 'bfloat16' } as const;
  await using alone = await device.load(load);
  const { last } = await alone.run({ data });
  const same = (values: Float32Array, what: string) =>
    assert.ok(
      values.every((value, i) => value === last!.data[i]),
      what,
    );
  await using all = await device.load({
    ...load,
    outputs: ['a', 'b', 'c', 'd', 'act', 'dw', 'cat', 'last'],
  });
  const blobs = await all.run({ data });
  same(blobs.last!.data, 'all asked for');
  await using one = await device.load({ ...load, batch: 1 });
  same((await one.run({ data: data.subarray(0, data.length / 4) })).last!.data, 'batch 1');
  await using three = await openDevice('cpu', { threads: 3 });
  await using model3 = await three.load(load);
  same((await model3.run({ data })).last!.data, '3 threads');
  await using exact = await device.load({ model });
  const wanted = (await exact.run({ data })).last!.data;
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const [i, value] of last!.data.entries())
    assert.ok(Math.abs(value - wanted[i]!) < 0.03 * largest, `${value}, float32 ${wanted[i]}`);
});

const shared = sharedFolder() ?? '';
if (existsSync(cifarFile))
  test('CIFAR-10: ResNet-20 in bfloat16 loses at most 3 of 1000 images and agrees on 990', async () => {
    const samples = cifarSamples();
    const folder = join(shared, 'models/cifar10-resnet20');
    const evaluated = async (precision: 'float32' | 'bfloat16') => {
      await using model = await device.load({
        model: readNetFile(join(folder, 'deploy.prototxt')),
        weights: join(folder, 'model.caffemodel'),
        batch: 50,
        precision,
      });
      return (await evaluateImages(model, samples, { preprocess: cifarPreprocess, batch: 50 })).outcomes;
    };
    const [float, narrow] = [await evaluated('float32'), await evaluated('bfloat16')];
    const agreeing = narrow.filter(({ predicted }, i) => predicted === float[i]!.predicted).length;
    const right = (outcomes: typeof narrow) => summariseOutcomes(outcomes).top1.correct;
    console.log(
      `figures: cifar10-resnet20: float32 ${right(float)}, bfloat16 ${right(narrow)} right of 1000, ${agreeing} the same`,
    );
    assert.ok(agreeing >= 990 && right(float) - right(narrow) <= 3);
  });
else console.log('skipped: no shared/data/cifar10-test1000.bin beside the checkout');

test.run();
