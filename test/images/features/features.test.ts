/** Features of many images, and class activation maps. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError, ImageError } from '../../../ts/base/errors.ts';
import { readNet, readNetFile } from '../../../ts/caffe/net-parameter.ts';
import { openDevice } from '../../../ts/device/device.ts';
import { graphFromCaffe } from '../../../ts/graph/from-caffe.ts';
import { decodeImage } from '../../../ts/images/decode.ts';
import { camOverlay } from '../../../ts/images/features/cam-overlay.ts';
import { camPicture } from '../../../ts/images/features/cam-picture.ts';
import { classActivationMap, findCamHead } from '../../../ts/images/features/class-activation-map.ts';
import { extractFeatures } from '../../../ts/images/features/extract-features.ts';
import { preprocessImage } from '../../../ts/images/preprocess.ts';
import { loadPreprocess } from '../../../ts/images/preprocess-file.ts';
import { repositoryFolder, sharedFolder } from '../../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const model = join(fashion, 'deploy.prototxt');
const weights = join(fashion, 'model.caffemodel');
const preprocess = loadPreprocess(join(fashion, 'preprocess.json'));
const images = readdirSync(join(fashion, 'images'))
  .filter((name) => name.endsWith('.png'))
  .sort()
  .map((name) => join(fashion, 'images', name));
const pixelsOf = async (file: string) => preprocessImage(await decodeImage(file), preprocess, 1);

test('features equal those of a separate run per image, whatever the batch, in the order of the files', async () => {
  await using device = await openDevice('cpu', { threads: 2 });
  await using loaded = await device.load({ model, weights, outputs: ['pool5'] });
  const progress: number[] = [];
  const files = images.slice(0, 7);
  const { shape, data } = await extractFeatures(loaded, files, {
    preprocess,
    batch: 3,
    onProgress: (done) => progress.push(done),
  });
  assert.equal(progress, [3, 6, 7]);
  assert.is(shape[0], 7);
  const row = data.length / 7;
  for (const [i, file] of files.entries()) {
    const { pool5 } = await loaded.run({ data: await pixelsOf(file) });
    assert.equal(shape.slice(1), pool5!.shape.slice(1));
    const worst = pool5!.data.reduce(
      (most, value, k) => Math.max(most, Math.abs(value - data[i * row + k]!)),
      0,
    );
    assert.ok(worst < 1e-5, `${file} differs by ${worst}`);
  }
});

test('a broken image among many is named; a blob without one row per image is refused', async () => {
  await using device = await openDevice('cpu', { threads: 2 });
  await using loaded = await device.load({ model, weights, outputs: ['pool5'] });
  const broken = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'broken.png');
  writeFileSync(broken, 'no image');
  for (const files of [[broken], [...images.slice(0, 4), broken]])
    try {
      await extractFeatures(loaded, files, { preprocess, batch: 2 });
      assert.unreachable();
    } catch (error) {
      assert.instance(error, ImageError);
      assert.match((error as Error).message, /broken\.png/);
    }
  const flat = readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 1 dim: 4 dim: 4 } } }
     layer { name: "r" type: "Reshape" bottom: "data" top: "r" reshape_param { shape { dim: 32 } } }`,
    { file: 'net.prototxt' },
  );
  await using other = await device.load({ model: flat });
  try {
    await extractFeatures(other, images, { preprocess });
    assert.unreachable();
  } catch (error) {
    assert.is((error as GraphError).code, 'features/no-row-per-image');
  }
});

test("the map's mean plus the bias is the class's score: the definition of Zhou et al.", async () => {
  const head = findCamHead(graphFromCaffe(readNetFile(model), { batch: 1 }));
  await using device = await openDevice('cpu', { threads: 2 });
  await using loaded = await device.load({ model, weights, outputs: [head.features, head.scores] });
  const data = await pixelsOf(images[0]!);
  const bias = (await loaded.parameter(head.layer, 1))!;
  for (let wanted = 0; wanted < head.classes; wanted++) {
    const { score, map } = await classActivationMap(loaded, head, { data }, wanted);
    assert.equal(map.shape, [7, 7]);
    const mean = map.data.reduce((sum, value) => sum + value, 0) / map.data.length;
    assert.ok(Math.abs(mean + bias[wanted]! - score) < 1e-4, `class ${wanted}: ${mean} and ${score}`);
  }
  const best = await classActivationMap(loaded, head, { data });
  assert.is(best.class, 9, 'an ankle boot');
  try {
    await classActivationMap(loaded, head, { data }, 10);
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /0 to 9/);
  }
});

test('a net that does not end in a global average is refused, with the layer in the way', () => {
  const front = `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }`;
  const product = (bottom: string) =>
    `layer { name: "fc" type: "InnerProduct" bottom: "${bottom}" top: "fc" inner_product_param { num_output: 3 } }`;
  const pool = (settings: string) =>
    `layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { ${settings} } }`;
  const head = (text: string) => findCamHead(graphFromCaffe(readNet(text, { file: 'net.prototxt' })));
  const refused = (text: string, pattern: RegExp) =>
    assert.throws(
      () => head(text),
      (error: GraphError) =>
        error instanceof GraphError && error.code === 'cam/no-global-average' && pattern.test(error.message),
    );
  refused(`${front}${product('data')}`, /found the input "data"/);
  refused(
    `${front}${pool('pool: MAX global_pooling: true')}${product('pool')}`,
    /layer "pool".*average over all/,
  );
  refused(`${front}${pool('pool: AVE kernel_size: 3 stride: 3')}${product('pool')}`, /layer "pool".*6×6/);
  refused(`${front}${pool('pool: AVE global_pooling: true')}`, /layer "pool".*expected an InnerProduct/);
  const found = head(`${front}${pool('pool: AVE kernel_size: 6')}
    layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }
    layer { name: "drop" type: "Dropout" bottom: "flat" top: "flat" }
    ${product('flat')} layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }`);
  assert.is(found.layer, 'fc');
  assert.is(found.features, 'data@data');
});

test('the overlay is where the map says: a hot corner is changed, and a cold one equals the image', async () => {
  const grey = {
    width: 80,
    height: 40,
    channels: 1 as const,
    data: new Uint8Array(3200).fill(120),
    file: 'grey',
  };
  const map = { shape: [2, 2], data: Float32Array.of(0, 4, -3, 0) };
  const png = await camOverlay(grey, { resize: null, crop: { width: 40, height: 40 } }, map);
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  assert.equal([info.width, info.height, info.channels], [224, 224, 3]);
  const at = (x: number, y: number) => [...data.subarray((y * 224 + x) * 3, (y * 224 + x) * 3 + 3)];
  assert.equal(at(2, 221), [120, 120, 120], 'where the map is negative');
  const [red = 0, , blue = 0] = at(221, 2);
  assert.ok(red > 180 && blue < 120, `hot at the upper right: ${at(221, 2)}`);
  const flat = await camOverlay(
    grey,
    { resize: null, crop: { width: 40, height: 40 } },
    { ...map, data: new Float32Array(4) },
  );
  assert.ok(
    (await sharp(flat).raw().toBuffer()).every((value) => value === 120),
    'an empty map changes nothing',
  );
});

test('the picture of a map has the original beside it, the colour scale, and a caption that wraps', async () => {
  const image = await decodeImage(images[0]!);
  const shown = { resize: null, crop: { width: 28, height: 28 } };
  const map = { shape: [2, 2], data: Float32Array.of(0, 4, -3, 0) };
  const png = await camPicture(image, shown, map, 'a <boot>');
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  assert.is(info.width, 2 * 224 + 3 * 8);
  const at = (x: number, y: number) => [
    ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
  ];
  const overlay = await sharp(await camOverlay(image, shown, map))
    .raw()
    .toBuffer();
  assert.equal(at(8 + 224 + 8 + 200, 8 + 20), [
    ...overlay.subarray((20 * 224 + 200) * 3, (20 * 224 + 200) * 3 + 3),
  ]);
  const [red, green, blue] = at(8 + 200, 8 + 20);
  assert.ok(red === green && green === blue, 'grey as it was');
  const [from, to] = [at(242, 8 + 224 + 15), at(460, 8 + 224 + 15)];
  assert.ok(Math.min(...from) > 240 && to[0]! > 200 && to[2]! < 150, `clear to bright: ${from}, ${to}`);
  const long = await sharp(await camPicture(image, shown, map, 'many words '.repeat(40))).metadata();
  assert.ok(long.height! > info.height + 5 * 18 && long.width === info.width);
});

const shared = sharedFolder();
if (shared === null) console.log('skipped: no shared/models; no class activation map of a real ImageNet net');
else {
  test('on ImageNet photographs the map of the labelled class has its peak inside the image and adds up', async () => {
    const folder = join(shared, 'models/imagenet-resnet18');
    const net = readNetFile(join(folder, 'deploy.prototxt'));
    const head = findCamHead(graphFromCaffe(net, { batch: 1 }));
    const synsets = readFileSync(join(shared, 'data/synset_words.txt'), 'utf8').trim().split('\n');
    const files = readdirSync(join(shared, 'data/imagenet-samples')).filter((name) => /\.jpe?g$/i.test(name));
    await using device = await openDevice('cpu', { threads: 2 });
    await using loaded = await device.load({
      model: net,
      weights: join(folder, 'model.caffemodel'),
      outputs: [head.features, head.scores],
    });
    const bias = (await loaded.parameter(head.layer, 1))!;
    const settings = {
      resize: { shorterSide: 256 },
      crop: { width: 224, height: 224 },
      mean: [103.53, 116.28, 123.675],
    };
    let right = 0;
    const sample = files.sort().filter((_, i) => i % 20 === 0);
    for (const name of sample) {
      const image = await decodeImage(join(shared, 'data/imagenet-samples', name));
      const data = await preprocessImage(image, settings, 3);
      const { class: found, score, map } = await classActivationMap(loaded, head, { data });
      if (synsets[found]!.startsWith(name.slice(0, 9))) right++;
      const mean = map.data.reduce((sum, value) => sum + value, 0) / map.data.length;
      assert.ok(Math.abs(mean + bias[found]! - score) < 1e-3 * Math.max(1, score), name);
    }
    assert.ok(right >= sample.length - 2, `${right} of ${sample.length} classes as labelled`);
  });
}

test.run();
