/** int8: compared with integers computed here, with float32 within the rounding error, and on trained nets. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DeviceError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { type NetParameter, readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { calibrationOf, readCalibration } from '../../ts/compile/calibration.ts';
import { openDevice } from '../../ts/device/device.ts';
import type { Inputs } from '../../ts/device/tensor.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { decodeImage } from '../../ts/images/decode.ts';
import { readLabelledImages } from '../../ts/images/evaluate/dataset.ts';
import { evaluateImages, type Sample } from '../../ts/images/evaluate/evaluate-images.ts';
import { summariseOutcomes } from '../../ts/images/evaluate/statistics.ts';
import { readLabels } from '../../ts/images/labels.ts';
import { msraPreprocess, type Preprocess, preprocessImage } from '../../ts/images/preprocess.ts';
import { calibrate } from '../../ts/quantize/calibrate.ts';
import { cifarFile, cifarPreprocess, cifarSamples } from '../support/cifar-samples.ts';
import { COMMAND, nodeArguments } from '../support/command.ts';
import { repositoryFolder, sharedFolder } from '../support/golden.ts';

// If set, the file tests oneDNN, which takes this for the processor's instruction set, so that older kernels and their
// overflows are tested, too. Otherwise it tests our own tiles, or what the processor supports.
const limit = process.env.ONEDNN_MAX_CPU_ISA;
const kernels = limit === undefined ? {} : ({ kernels: 'oneDNN' } as const);
/** Whether weights have all 127 levels. oneDNN, which computes int8 without VNNI, halves them there. */
const hasAllLevels = await (async () => {
  await using device = await openDevice('cpu', { threads: 2, kernels: 'oneDNN' });
  return /VNNI|bfloat16|AMX/.test(String(device.description['instruction set']));
})();

const layer = (text: string) => `layer { ${text} }\n`;
const convolution = (name: string, bottom: string, more: string) =>
  layer(
    `name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}" convolution_param { ${more} }`,
  );
const relu = (blob: string) => layer(`name: "${blob}_relu" type: "ReLU" bottom: "${blob}" top: "${blob}"`);
const head =
  layer('name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 7 dim: 6 } }') +
  convolution('a', 'data', 'num_output: 32 kernel_size: 1');

/** Weights between −1 and 1; those of the layers in `ones` are all 1. */
function weightsOf(net: NetParameter, ones: readonly string[] = []): WeightsFile {
  const random = seededRandom(5);
  const layers = new Map<
    string,
    { name: string; type: string; blobs: ReturnType<typeof blobFromFloats>[] }
  >();
  for (const { layer: name, shape } of graphFromCaffe(net).parameters) {
    const values = Float32Array.from({ length: elementCount(shape) }, () =>
      ones.includes(name) ? 1 : 2 * random() - 1,
    );
    if (!layers.has(name)) layers.set(name, { name, type: '', blobs: [] });
    layers.get(name)!.blobs.push(blobFromFloats(shape, values));
  }
  return { file: 'made up', name: '', layers: [...layers.values()] };
}
const floats = ({ bytes }: { readonly bytes: Uint8Array }) =>
  new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const noise = (count: number, seed: number) => {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => 2 * random() - 1);
};
const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const halfToEven = (value: number) => {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + Math.abs(floor % 2) : Math.round(value);
};

for (const [name, isUnsigned] of [
  ['unsigned, after a ReLU', true],
  ['signed', false],
] as const)
  test(`a convolution of ${name} values is the sum of products of the rounded integers`, async () => {
    const body = `${head}${isUnsigned ? relu('a') : ''}`;
    const net = readNet(`${body}${convolution('b', 'a', 'num_output: 5 kernel_size: 3 pad: 1 stride: 2')}`, {
      file: 'net',
    });
    const weights = weightsOf(net);
    await using device = await openDevice('cpu', { threads: 2, ...kernels });
    await using float = await device.load({ model: net, weights, outputs: ['a', 'b'] });
    const data = noise(252, 1);
    const { a, b } = await float.run({ data });
    const range = 0.75 * largest(a!.data); // clips some values, so that saturation is tested, too
    const calibration = calibrationOf({
      net: '',
      method: 'min-max',
      percentile: null,
      images: 1,
      ranges: { [isUnsigned ? 'a@a_relu' : 'a@a']: range },
    });
    await using int8 = await device.load({ model: net, weights, precision: 'int8', calibration });
    assert.match(int8.plan().operations.at(-1)!.implementation, /^int8 /);
    const found = (await int8.run({ data })).b!;

    const [low, high] = isUnsigned ? [0, 255] : [-128, 127];
    const scale = Math.fround(range) / high;
    const quantised = a!.data.map((value) => Math.min(high, Math.max(low, halfToEven(value / scale))));
    const blobs = weights.layers.find((each) => each.name === 'b')!.blobs.map(floats);
    const [w, bias] = blobs as [Float32Array, Float32Array];
    let rounding = 0;
    found.data.forEach((value, i) => {
      const [n, k, y, x] = [Math.floor(i / 60), Math.floor(i / 12) % 5, Math.floor(i / 3) % 4, i % 3];
      const most = largest(w.subarray(k * 288, (k + 1) * 288));
      let sum = 0;
      let magnitude = 0;
      for (let c = 0; c < 32; c++)
        for (let dy = 0; dy < 3; dy++)
          for (let dx = 0; dx < 3; dx++) {
            const [row, column] = [2 * y + dy - 1, 2 * x + dx - 1];
            if (row < 0 || row >= 7 || column < 0 || column >= 6) continue;
            const integer = quantised[((n * 32 + c) * 7 + row) * 6 + column]!;
            sum += integer * halfToEven((w[(k * 32 + c) * 9 + dy * 3 + dx]! / most) * 127);
            magnitude += Math.abs(integer);
          }
      const expected = (sum * scale * most) / 127 + bias[k]!;
      // With all levels the integers are equal. With half of them, a weight's error is at most one level of 127.
      const allowed = hasAllLevels ? 1e-5 * (1 + Math.abs(expected)) : (magnitude * scale * most) / 63;
      rounding = Math.max(rounding, Math.abs(value - b!.data[i]!));
      assert.ok(Math.abs(value - expected) <= allowed, `value ${i}: ${value}, expected ${expected}`);
    });
    assert.ok(rounding > 1e-4, 'int8 differs from float32');
  });

// Without VNNI, pairs of products are summed in 16 bits, where 2 × 255 × 127 would not fit.
test('the largest values and weights do not overflow', async () => {
  const net = readNet(`${head}${relu('a')}${convolution('b', 'a', 'num_output: 16 kernel_size: 3 pad: 1')}`, {
    file: 'net',
  });
  const weights = weightsOf(net, ['a', 'b']);
  await using device = await openDevice('cpu', { threads: 2, ...kernels });
  const data = new Float32Array(252).fill(1);
  const calibration = calibrationOf({
    net: '',
    method: 'min-max',
    percentile: null,
    images: 1,
    ranges: { 'a@a_relu': 4 },
  });
  await using int8 = await device.load({ model: net, weights, precision: 'int8', calibration });
  const { b } = await int8.run({ data });
  // All of a is 3 × 1 + 1 = 4, the largest value; inside, b is 32 × 9 × 4 + 1.
  const inside = b!.data.filter(
    (_, i) => i % 6 > 0 && i % 6 < 5 && Math.floor(i / 6) % 7 > 0 && Math.floor(i / 6) % 7 < 6,
  );
  for (const value of inside) assert.ok(Math.abs(value - 1153) < 0.1, `${value}`);
});

const residual = readNet(
  `${head}${relu('a')}
   ${convolution('branch1', 'a', 'num_output: 32 kernel_size: 1')}
   ${convolution('b', 'a', 'num_output: 32 kernel_size: 3 pad: 1')}${relu('b')}
   ${convolution('c', 'b', 'num_output: 32 kernel_size: 1')}
   ${layer('name: "sum" type: "Eltwise" bottom: "branch1" bottom: "c" top: "sum"')}${relu('sum')}
   ${convolution('d', 'sum', 'num_output: 32 kernel_size: 3 pad: 1 group: 4')}
   ${layer('name: "sum2" type: "Eltwise" bottom: "sum" bottom: "d" top: "sum2"')}${relu('sum2')}
   ${convolution('e', 'sum2', 'num_output: 32 kernel_size: 1 stride: 2')}
   ${layer('name: "pool" type: "Pooling" bottom: "e" top: "pool" pooling_param { pool: AVE global_pooling: true }')}`,
  { file: 'residual' },
);

test('residual blocks equal float32 within 1 % of the range (2 % with half the levels) for any batch, and the plan states what is held', async () => {
  const weights = weightsOf(residual);
  await using device = await openDevice('cpu', { threads: 2, ...kernels });
  await using float = await device.load({ model: residual, weights });
  const inputs = [1, 2, 3].map((seed) => ({ data: noise(252, seed) }));
  const calibration = await calibrate(device, { model: residual, weights }, inputs, { method: 'min-max' });
  assert.equal(Object.keys(calibration.ranges), [
    'a@a_relu',
    'branch1@branch1',
    'b@b_relu',
    'sum@sum_relu',
    'sum2@sum2_relu',
    'e@e',
  ]);
  const int8Options = { model: residual, precision: 'int8', calibration } as const;
  await using alone = await openDevice('cpu', { threads: 2, ...kernels });
  const planned = await alone.plan(int8Options);
  await using int8 = await alone.load({ ...int8Options, weights });
  // The stride of e moves up to d, so that its residual is subsampled, in int8, too.
  assert.equal(
    int8
      .plan()
      .operations.map(({ layer: name, implementation }) => `${name} ${/int8?/.exec(implementation) ?? ''}`),
    ['a ', 'branch1 int8', 'b int8', 'c int8', 'sum_subsample int8', 'd int8', 'e int8', 'pool '],
  );
  const { activations, workspace } = alone.memory();
  assert.equal([planned.arenaBytes, planned.workspaceBytes], [activations, workspace]);
  for (const input of inputs) {
    const [expected, found] = [(await float.run(input)).pool!, (await int8.run(input)).pool!];
    const allowed = (hasAllLevels ? 0.01 : 0.02) * largest(expected.data);
    found.data.forEach((value, i) => {
      assert.ok(Math.abs(value - expected.data[i]!) < allowed, `${value}, float32 ${expected.data[i]}`);
    });
    const twice = await int8.run({ data: Float32Array.of(...input.data, ...input.data) });
    assert.equal(twice.pool!.data.subarray(64), found.data);
  }
});

test('missing prerequisites of int8 are reported', async () => {
  const weights = weightsOf(residual);
  const file = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'calibration.json');
  writeFileSync(file, '{ "format": "resnode-calibration/1", "ranges": { "a@a": -1 } }');
  const other = calibrationOf({
    net: 'other',
    method: 'min-max',
    percentile: null,
    images: 1,
    ranges: { x: 1 },
  });
  await using device = await openDevice('cpu', { threads: 2, ...kernels });
  await using reference = await openDevice('reference');
  const load = { model: residual, weights, precision: 'int8' } as const;
  for (const [work, type, message] of [
    [() => device.load(load), ArgumentError, /a file that `resnode quantize` wrote, which int8 needs/],
    [
      () => device.load({ ...load, calibration: other }),
      ArgumentError,
      /one of this net.*"resnode quantize".*calibrate.*one of the net other, with 1 of 1 ranges.*x/,
    ],
    [
      () => device.load({ ...load, calibration: file }),
      ArgumentError,
      /calibration\.json.*its range of a@a is -1/,
    ],
    [
      () => device.load({ ...load, calibration: '/nowhere' }),
      ArgumentError,
      /nowhere"; there is no such file/,
    ],
    [
      () => reference.load({ ...load, calibration: other }),
      DeviceError,
      /no int8; use the cpu or a cuda device/,
    ],
    [() => calibrate(device, load, []), ArgumentError, /at least one "data"/],
    [
      () => calibrate(device, { model: residual, weights }, [{ data: new Float32Array(252).fill(3e38) }]),
      ArgumentError,
      /is finite/,
    ],
    [
      () => calibrate(device, { model: residual }, [], { percentile: 9 }),
      ArgumentError,
      /above 50 and at most 100/,
    ],
  ] as const)
    try {
      await work();
      assert.unreachable(`${message}`);
    } catch (error) {
      assert.instance(error, type);
      assert.match((error as Error).message, message);
    }
});

const fashion = join(repositoryFolder, 'examples/fashion');
if (limit === undefined)
  test('with oneDNN, processors without VNNI compute the same with half as many levels', () => {
    for (const isa of ['ALL', 'AVX512_CORE', 'AVX2', 'SSE41']) {
      const run = spawnSync(process.execPath, nodeArguments('test/device/int8.test.ts'), {
        encoding: 'utf8',
        env: { ...process.env, ONEDNN_MAX_CPU_ISA: isa },
      });
      assert.match(run.stdout, /Passed: +5/, `${isa}: ${run.stdout}`);
      assert.is(run.status, 0);
    }
  });
else
  console.log(`skipped: trained nets and the command, which run with all instructions and not with ${limit}`);

if (limit === undefined)
  test('the command: quantize, then classify, evaluate and plan in int8', () => {
    const out = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'fashion.int8.json');
    const resnode = (...words: string[]) => {
      const run = spawnSync(process.execPath, [...COMMAND, ...words, '--device', 'cpu', '--threads', '2'], {
        encoding: 'utf8',
        cwd: repositoryFolder,
      });
      // A file in the folder that is not an image is named.
      assert.match(run.stderr, /^(resnode: .*: skipped 1 file .*truth\.tsv\n)?$/);
      return run.stdout;
    };
    const net = ['--model', join(fashion, 'deploy.prototxt'), '--weights', join(fashion, 'model.caffemodel')];
    const files = [...net, '--preprocess', join(fashion, 'preprocess.json')];
    const images = ['--images', join(fashion, 'images')];
    assert.match(
      resnode('quantize', ...files, ...images, '--out', out),
      /ranges of 21 blobs over 30 images by entropy/,
    );
    assert.is(readCalibration(out).images, 30);
    const int8 = ['--precision', 'int8', '--calibration', out];
    const list = ['--images', join(fashion, 'images.txt')];
    const { top1, recipe } = JSON.parse(resnode('evaluate', ...files, ...int8, ...list, '--json'));
    assert.ok(top1.correct >= 28, `${top1.correct}, of 29 in float32`);
    assert.equal([recipe.precision, recipe.calibration.file], ['int8', out]);
    const plan = (...more: string[]) =>
      JSON.parse(resnode('plan', join(fashion, 'deploy.prototxt'), '--json', ...more)).batches[0].weightBytes;
    assert.ok(plan(...int8) < plan() / 3, 'weights take a quarter and less');
  });

const shared = sharedFolder() ?? '';

/** Correct counts in float32 and int8, and how many images both classify alike; calibrated on every nth image. */
async function compared(
  name: string,
  samples: readonly Sample[],
  preprocess: Preprocess,
  [every, batch]: readonly [number, number],
) {
  const folder = join(shared, 'models', name);
  const load = {
    model: readNetFile(join(folder, 'deploy.prototxt')),
    weights: join(folder, 'model.caffemodel'),
  };
  await using device = await openDevice('cpu', { threads: 2, ...kernels });
  const inputs = async function* (): AsyncGenerator<Inputs> {
    for (const { image } of samples.filter((_, i) => i % every === 0)) {
      const pixels = typeof image === 'string' ? await decodeImage(image) : image;
      yield { data: await preprocessImage(pixels, preprocess, 3) };
    }
  };
  const calibration = await calibrate(device, load, inputs());
  const evaluated = async (options: object) => {
    await using model = await device.load({ ...load, batch, ...options });
    const { outcomes } = await evaluateImages(model, samples, { preprocess, batch });
    return outcomes;
  };
  const float = await evaluated({});
  const int8 = await evaluated({ precision: 'int8', calibration });
  const agreeing = int8.filter(({ predicted }, i) => predicted === float[i]!.predicted).length;
  const counts = [float, int8].map((outcomes) => {
    const { top1, top5 } = summariseOutcomes(outcomes);
    return `${top1.correct}/${top5.correct}`;
  });
  console.log(
    `figures: ${name}: float32 ${counts[0]}, int8 ${counts[1]} right of ${samples.length} (top-1/top-5), ${agreeing} the same`,
  );
  const right = (outcomes: typeof int8) => summariseOutcomes(outcomes).top1.correct;
  return { agreeing, lost: right(float) - right(int8) };
}

if (limit === undefined && existsSync(cifarFile))
  test('CIFAR-10: int8 loses at most 1 % of the images and agrees on 98 %', async () => {
    for (const name of ['cifar10-resnet20', 'cifar10-resnet56']) {
      const { agreeing, lost } = await compared(name, cifarSamples(), cifarPreprocess, [10, 50]);
      assert.ok(agreeing >= 980 && lost <= 10, `${agreeing} agree, ${lost} lost`);
    }
  });
else if (limit === undefined) console.log('skipped: no shared/data/cifar10-test1000.bin beside the checkout');

const photos = join(shared, 'data/imagenet-samples');
if (limit === undefined && existsSync(photos) && existsSync(join(shared, 'models/imagenet-resnet18')))
  test('ImageNet: ResNet-18 in int8 loses at most 3 of 100 photographs and agrees on 93', async () => {
    const labels = readLabels(join(shared, 'data/synset_words.txt'), 1000);
    const { files } = readLabelledImages(photos, { classes: 1000, labels });
    const preprocess = msraPreprocess([103.53, 116.28, 123.675]);
    const { agreeing, lost } = await compared('imagenet-resnet18', files, preprocess, [4, 4]);
    assert.ok(agreeing >= 93 && lost <= 3, `${agreeing} agree, ${lost} lost`);
  });
else if (limit === undefined)
  console.log('skipped: no shared/models/imagenet-resnet18 or data/imagenet-samples beside the checkout');

test.run();
