/** Nets over whole images: against windows that slide by hand, and against the original nets where one window fits. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../../ts/architectures/resnet.ts';
import { ArgumentError, GraphError } from '../../../ts/base/errors.ts';
import { type NetParameter, readNet, readNetFile } from '../../../ts/caffe/net-parameter.ts';
import { openDevice } from '../../../ts/device/device.ts';
import { graphFromCaffe } from '../../../ts/graph/from-caffe.ts';
import { decodeImage } from '../../../ts/images/decode.ts';
import { readLabelledImages } from '../../../ts/images/evaluate/dataset.ts';
import { evaluateImages } from '../../../ts/images/evaluate/evaluate-images.ts';
import { fullyConvolutional } from '../../../ts/images/evaluate/fully-convolutional.ts';
import { outcomeOf } from '../../../ts/images/evaluate/outcome.ts';
import { summariseOutcomes } from '../../../ts/images/evaluate/statistics.ts';
import { mirrored } from '../../../ts/images/evaluate/ten-crop.ts';
import { readLabels } from '../../../ts/images/labels.ts';
import { msraPreprocess, preprocessImage } from '../../../ts/images/preprocess.ts';
import { loadPreprocess } from '../../../ts/images/preprocess-file.ts';
import { repositoryFolder, sharedFolder } from '../../support/golden.ts';

// Without padding, so that a window over the image is a window over every map. One position of the last map is 2
// pixels.
const small = (pooling: string, end = '') =>
  readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 8 dim: 8 } } }
     layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
             convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
     layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
     layer { name: "max" type: "Pooling" bottom: "conv" top: "max" pooling_param { kernel_size: 2 stride: 2 } }
     layer { name: "pool" type: "Pooling" bottom: "max" top: "pool" pooling_param { pool: AVE ${pooling} } }
     layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
             inner_product_param { num_output: 4 weight_filler { type: "xavier" }
                                   bias_filler { type: "uniform" min: -1 max: 1 } } } ${end}`,
    { file: 'small.prototxt' },
  );
const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) => {
  assert.is(a.length, b.length);
  for (let i = 0; i < a.length; i++)
    assert.ok(
      Math.abs(a[i]! - b[i]!) <= tolerance,
      `value ${i}: ${a[i]} is not within ${tolerance} of ${b[i]}`,
    );
};
const noise = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i + 1));

test('for a larger image, the scores are the mean of those of every window, two pixels apart', async () => {
  await using device = await openDevice('cpu', { threads: 2 });
  const [height, width] = [14, 12];
  const image = noise(2 * height * width);
  for (const pooling of [
    'kernel_size: 3 stride: 1',
    'global_pooling: true',
    'kernel_h: 3 kernel_w: 3 stride: 3',
  ]) {
    await using plain = await device.load({ model: small(pooling) });
    await using whole = await device.load({ model: fullyConvolutional(small(pooling)) });
    const mean = new Float64Array(4);
    for (let top = 0; top <= height - 8; top += 2)
      for (let left = 0; left <= width - 8; left += 2) {
        const window = Float32Array.from({ length: 128 }, (_, i) => {
          const [c, y, x] = [Math.floor(i / 64), Math.floor(i / 8) % 8, i % 8];
          return image[(c * height + top + y) * width + left + x]!;
        });
        (await plain.run({ data: window })).fc!.data.forEach((score, k) => {
          mean[k]! += score / 12;
        });
      }
    const { fc } = await whole.run({ data: { shape: [1, 2, height, width], data: image } });
    close(fc!.data, mean, 1e-5);
    const one = noise(128);
    assert.equal((await whole.run({ data: one })).fc!.data, (await plain.run({ data: one })).fc!.data);
  }
});

test('a 1×1 convolution in place of the inner product, with averaged scores, gives the same', async () => {
  await using device = await openDevice('cpu', { threads: 2 });
  const net = fullyConvolutional(small('global_pooling: true'));
  const { layer = [] } = net;
  const at = layer.findIndex(({ name }) => name === 'fc');
  const fc = layer[at]!;
  // VGG's order: scores at every position, then their mean. Fillers are in the same order, so the weights are equal.
  const converted: NetParameter = {
    ...net,
    layer: [
      ...layer.slice(0, at - 1),
      {
        ...fc,
        type: 'Convolution',
        bottom: [layer[at - 1]!.bottom![0]!],
        top: ['scores'],
        inner_product_param: undefined,
        convolution_param: { ...fc.inner_product_param, kernel_size: [1] },
      },
      { ...layer[at - 1]!, bottom: ['scores'], top: ['fc'] },
    ],
  };
  await using ours = await device.load({ model: net });
  await using theirs = await device.load({ model: converted });
  const data = { shape: [1, 2, 20, 13], data: noise(520) };
  const scores = (await theirs.run({ data })).fc!;
  assert.equal(scores.shape, [1, 4, 1, 1]);
  close((await ours.run({ data })).fc!.data, scores.data, 1e-5);
});

test("existing names are kept; MSRA's nets accept any size", () => {
  // The convolution and its blob have the names that the conversion would give.
  const text = JSON.stringify(small('global_pooling: true'));
  const net = JSON.parse(
    text.replaceAll('"conv"', '"pool_positions"').replace('"name":"pool_positions"', '"name":"pool_mean"'),
  ) as NetParameter;
  const { layer = [] } = fullyConvolutional(net);
  assert.equal(
    layer.map(({ name, top }) => `${name} ${top}`),
    [
      'data data',
      'pool_mean pool_positions',
      'relu pool_positions',
      'max max',
      'pool pool_positions_',
      'pool_mean_ pool',
      'fc fc',
    ],
  );
  const graph = graphFromCaffe(fullyConvolutional(resnet({ depth: 50 })), {
    inputShapes: { data: [2, 3, 256, 341] },
  });
  assert.equal(
    ['res5c', 'pool5_positions', 'pool5', 'fc1000'].map(
      (blob) => graph.values[graph.blobs.get(blob)!]!.shape,
    ),
    [
      [2, 2048, 8, 11],
      [2, 2048, 2, 5],
      [2, 2048, 1, 1],
      [2, 1000],
    ],
  );
});

test('a net with another end is refused, and the layer in the way is named', () => {
  for (const [pooling, end, layer] of [
    ['kernel_size: 2 stride: 1', '', 'pool'],
    ['global_pooling: true', 'layer { name: "tanh" type: "TanH" bottom: "fc" top: "fc" }', 'tanh'],
  ] as const)
    try {
      fullyConvolutional(small(pooling, end));
      assert.unreachable();
    } catch (error) {
      assert.instance(error, GraphError);
      assert.match((error as Error).message, new RegExp(`"${layer}".*fully convolutional evaluation needs`));
    }
});

const fashion = join(repositoryFolder, 'examples/fashion');

test('the scores of several scales are the mean over scales of image and mirror image', async () => {
  const net = readNetFile(join(fashion, 'deploy.prototxt'));
  const weights = join(fashion, 'model.caffemodel');
  const preprocess = loadPreprocess(join(fashion, 'preprocess.json'));
  const some = readLabelledImages(join(fashion, 'images.txt'), { classes: 10 }).files.slice(0, 5);
  await using device = await openDevice('cpu', { threads: 2 });
  await using plain = await device.load({ model: net, weights });
  await using whole = await device.load({ model: fullyConvolutional(net), weights, batch: 2 });
  const scoresAt = async (model: typeof whole, file: string, scale: number): Promise<Float32Array> => {
    const crop = { width: scale, height: scale };
    const pixels = await preprocessImage(await decodeImage(file), { ...preprocess, resize: crop, crop }, 1);
    const data = Float32Array.of(...pixels, ...mirrored(pixels, scale));
    const [output] = Object.values(await model.run({ data: { shape: [2, 1, scale, scale], data } }));
    return output!.data;
  };
  for (const [scales, model] of [
    [[28], plain],
    [[28, 35], whole],
  ] as const) {
    const { outcomes } = await evaluateImages(whole, some, { preprocess, scales, batch: 3 });
    for (const [i, { image, label }] of some.entries()) {
      const mean = new Float64Array(10);
      for (const scale of scales)
        (await scoresAt(model, image, scale)).forEach((score, k) => {
          mean[k % 10]! += score / (2 * scales.length);
        });
      const { predicted, rank, confidence } = outcomeOf(mean, label);
      assert.equal([outcomes[i]!.predicted, outcomes[i]!.rank], [predicted, rank]);
      close([outcomes[i]!.confidence], [confidence], 1e-5);
    }
  }
  for (const [scales, message] of [
    [[28, 27], /integers from 28 up/],
    [[], /a non-empty list|at least/],
    [[28.5], /integer/],
  ] as const)
    try {
      await evaluateImages(whole, some, { preprocess, scales });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, ArgumentError);
      assert.match((error as Error).message, message);
      assert.match((error as Error).message, 'scales');
    }
});

const shared = sharedFolder() ?? '';
const imagenet = join(shared, 'models/imagenet-resnet18');
const photos = join(shared, 'data/imagenet-samples');
if (existsSync(imagenet) && existsSync(photos))
  test('ImageNet: ResNet-18 at 224 and 256 on 8 photographs; a 224 image gives the original scores', async () => {
    const msra = msraPreprocess([103.53, 116.28, 123.675]);
    const labels = readLabels(join(shared, 'data/synset_words.txt'), 1000);
    const all = readLabelledImages(photos, { classes: 1000, labels }).files.slice(0, 8);
    const net = readNetFile(join(imagenet, 'deploy.prototxt'));
    const weights = join(imagenet, 'model.caffemodel');
    await using device = await openDevice('cpu', { threads: 2 });
    await using plain = await device.load({ model: net, weights });
    await using whole = await device.load({ model: fullyConvolutional(net), weights, batch: 2 });
    for (const { image } of all.slice(0, 2)) {
      const data = await preprocessImage(await decodeImage(image), msra, 3);
      close((await whole.run({ data })).prob!.data, (await plain.run({ data })).prob!.data, 1e-5);
    }
    const { outcomes } = await evaluateImages(whole, all, { preprocess: msra, scales: [224, 256] });
    const { images, top1, top5 } = summariseOutcomes(outcomes);
    assert.equal([images, top1.correct, top5.correct], [8, 8, 8]);
  });
else console.log('skipped: no shared/models/imagenet-resnet18 or data/imagenet-samples beside the checkout');

test.run();
