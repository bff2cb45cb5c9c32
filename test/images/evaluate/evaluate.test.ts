/** Trained nets on images with known classes: exact counts. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ImageError } from '../../../ts/base/errors.ts';
import { readNetFile } from '../../../ts/caffe/net-parameter.ts';
import { openDevice } from '../../../ts/device/device.ts';
import { decodeImage } from '../../../ts/images/decode.ts';
import { readLabelledImages } from '../../../ts/images/evaluate/dataset.ts';
import { evaluateImages, type Sample } from '../../../ts/images/evaluate/evaluate-images.ts';
import { outcomeOf } from '../../../ts/images/evaluate/outcome.ts';
import { summariseOutcomes } from '../../../ts/images/evaluate/statistics.ts';
import { tenCrops } from '../../../ts/images/evaluate/ten-crop.ts';
import { readLabels } from '../../../ts/images/labels.ts';
import { msraPreprocess, preprocessImage } from '../../../ts/images/preprocess.ts';
import { loadPreprocess } from '../../../ts/images/preprocess-file.ts';
import { cifarFile, cifarPreprocess, cifarSamples } from '../../support/cifar-samples.ts';
import { COMMAND } from '../../support/command.ts';
import { repositoryFolder, sharedFolder } from '../../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const model = join(fashion, 'deploy.prototxt');
const weights = join(fashion, 'model.caffemodel');
const list = join(fashion, 'images.txt');
const preprocess = loadPreprocess(join(fashion, 'preprocess.json'));
const samples = readLabelledImages(list, { classes: 10 }).files;
const evaluateCommand = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, 'evaluate', '--device', 'cpu', ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });
const files = ['--model', model, '--weights', weights, '--preprocess', join(fashion, 'preprocess.json')];

const foreign = join(sharedFolder() ?? '', 'models/fashion-resnet20');
const foreignTest = existsSync(foreign)
  ? test
  : (name: string) => console.log(`skipped: no ${foreign} for "${name}"`);
foreignTest('a net of another training framework: what that predicted, whatever the batch', async () => {
  const rows = readFileSync(join(foreign, 'test-images/truth.tsv'), 'utf8')
    .trim()
    .split('\n')
    .slice(1, 1 + samples.length);
  const reference = rows.map((row) => row.split('\t').map(Number) as [number, number, number, number]);
  await using device = await openDevice('cpu', { threads: 2 });
  await using net = await device.load({
    model: join(foreign, 'deploy.prototxt'),
    weights: join(foreign, 'model.caffemodel'),
    batch: 4,
  });
  const progress: number[] = [];
  const { outcomes, skipped } = await evaluateImages(net, samples, {
    preprocess,
    batch: 7,
    onProgress: (done) => progress.push(done),
  });
  assert.equal(skipped, []);
  assert.equal(progress, [7, 14, 21, 28, 30]);
  assert.is(outcomes.length, reference.length);
  reference.forEach(([, label, predicted, confidence], i) => {
    assert.is(outcomes[i]!.label, label);
    assert.is(outcomes[i]!.predicted, predicted);
    assert.ok(Math.abs(outcomes[i]!.confidence - confidence) < 1e-5);
  });
});

test('a net that ends before its Softmax gives the same confidences', async () => {
  await using device = await openDevice('cpu', { threads: 2 });
  const { layer, ...rest } = readNetFile(model);
  await using whole = await device.load({ model, weights });
  await using scores = await device.load({ model: { ...rest, layer: layer!.slice(0, -1) }, weights });
  const some = samples.slice(0, 5);
  const [a, b] = [
    await evaluateImages(whole, some, { preprocess }),
    await evaluateImages(scores, some, { preprocess }),
  ];
  a.outcomes.forEach(({ confidence, predicted }, i) => {
    assert.is(b.outcomes[i]!.predicted, predicted);
    assert.ok(Math.abs(b.outcomes[i]!.confidence - confidence) < 1e-6);
  });
});

test('a broken image is an error with its name, or left out and listed; an abort ends the work', async () => {
  const broken = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'broken.png');
  writeFileSync(broken, 'no image');
  const some: Sample[] = [...samples.slice(0, 3), { image: broken, label: 0 }, ...samples.slice(3, 5)];
  await using device = await openDevice('cpu', { threads: 2 });
  await using net = await device.load({ model, weights });
  try {
    await evaluateImages(net, some, { preprocess, batch: 2 });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ImageError);
    assert.match((error as Error).message, /broken\.png/);
  }
  const { outcomes, skipped } = await evaluateImages(net, some, { preprocess, batch: 2, skipBroken: true });
  assert.is(outcomes.length, 5);
  assert.equal(
    skipped.map(({ file }) => file),
    [broken],
  );
  const abort = new AbortController();
  const stopped = new Error('enough');
  try {
    await evaluateImages(net, some.slice(0, 3), {
      preprocess,
      batch: 1,
      signal: abort.signal,
      onProgress: () => abort.abort(stopped),
    });
    assert.unreachable();
  } catch (error) {
    assert.is(error, stopped);
  }
});

test('the command writes what it prints, with the recipe', () => {
  const output = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'result.json');
  const labels = join(fashion, 'labels.txt');
  const run = evaluateCommand(...files, '--images', list, '--labels', labels, '--out', output, '--json');
  assert.is(run.stderr, '');
  const result = JSON.parse(run.stdout);
  assert.equal(JSON.parse(readFileSync(output, 'utf8')), result);
  assert.is(result.top1.correct, 28);
  assert.is(result.images, 30);
  assert.is(result.published, null);
  const { recipe } = result;
  assert.is(recipe.weights.sha256, createHash('sha256').update(readFileSync(weights)).digest('hex'));
  assert.equal([recipe.mean, recipe.order, recipe.crops, recipe.device], [[73], 'BGR', 1, 'cpu']);
  assert.match(recipe.versions.libvips, /^\d+\.\d+/);
  assert.match(evaluateCommand(...files, '--images', list, '--labels', labels).stdout, /Ankle boot → Sandal/);
});

test('the command refuses misuse in one sentence', () => {
  for (const [words, status, message] of [
    [[...files, '--images', list, '--crops', '5'], 2, /--crops: expected 1 or 10/],
    [[...files, '--images', '/nowhere'], 2, /there is no such file/],
    [
      [...files.slice(0, 4), '--images', list, '--crops', '10', '--shorter-side', '28', '--mean', 'none'],
      2,
      /corners and centre/,
    ],
  ] as const) {
    const run = evaluateCommand(...words);
    assert.match(run.stderr, message);
    assert.match(run.stderr, /^resnode: [^\n]+\n$/);
    assert.is(run.status, status);
  }
  const none = evaluateCommand(...files, '--images', list, '--crops', '10');
  assert.is(none.status, 1);
  const lines = none.stderr.trimEnd().split('\n');
  assert.is(
    lines.filter((line) => line.includes('28×28, which does not allow ten different crops')).length,
    30,
  );
  assert.is(lines.at(-1), 'resnode: no image could be read; see above');
});

const shared = sharedFolder() ?? '';
if (existsSync(cifarFile)) {
  for (const [depth, right, claimed] of [
    [20, 915, '91.5%'],
    [56, 926, '92.6%'],
  ] as const)
    test(`CIFAR-10: ResNet-${depth} is right on ${right} of 1,000 images, as its authors state (${claimed})`, async () => {
      await using device = await openDevice('cpu', { threads: 2 });
      const folder = join(shared, `models/cifar10-resnet${depth}`);
      await using net = await device.load({
        model: join(folder, 'deploy.prototxt'),
        weights: join(folder, 'model.caffemodel'),
        batch: 50,
      });
      const { outcomes } = await evaluateImages(net, cifarSamples(), {
        preprocess: cifarPreprocess,
        batch: 50,
      });
      assert.is(outcomes.length, 1000);
      assert.is(summariseOutcomes(outcomes).top1.correct, right);
    });
} else console.log('skipped: no shared/data/cifar10-test1000.bin beside the checkout');

const imagenet = join(shared, 'models/imagenet-resnet18');
const photos = join(shared, 'data/imagenet-samples');
if (existsSync(imagenet) && existsSync(photos)) {
  const msra = msraPreprocess([103.53, 116.28, 123.675]);
  const labels = readLabels(join(shared, 'data/synset_words.txt'), 1000);
  const all = readLabelledImages(photos, { classes: 1000, labels }).files;
  const load = { model: join(imagenet, 'deploy.prototxt'), weights: join(imagenet, 'model.caffemodel') };

  test('ImageNet: ResNet-18 is right on 78 of 100 photographs, 93 within five', async () => {
    await using device = await openDevice('cpu', { threads: 2 });
    await using net = await device.load({ ...load, batch: 4 });
    const { outcomes } = await evaluateImages(net, all, { preprocess: msra, batch: 4 });
    const { top1, top5, images } = summariseOutcomes(outcomes);
    assert.equal([images, top1.correct, top5.correct], [100, 78, 93]);
  });

  test('the scores of ten crops are the mean of ten runs', async () => {
    await using device = await openDevice('cpu', { threads: 2 });
    await using net = await device.load({ ...load, batch: 1 });
    const some = all.slice(0, 3);
    const { outcomes } = await evaluateImages(net, some, { preprocess: msra, crops: 10, batch: 2 });
    for (const [i, { image, label }] of some.entries()) {
      const mean = new Float64Array(1000);
      const decoded = await decodeImage(image);
      for (const crop of await tenCrops(decoded, msra, (corner) => preprocessImage(decoded, msra, 3, corner)))
        (await net.run({ data: crop })).prob!.data.forEach((score, k) => {
          mean[k]! += score / 10;
        });
      const { predicted, rank, confidence } = outcomeOf(mean, label);
      assert.equal([outcomes[i]!.predicted, outcomes[i]!.rank], [predicted, rank]);
      assert.ok(Math.abs(outcomes[i]!.confidence - confidence) < 1e-5);
    }
  });
} else
  console.log('skipped: no shared/models/imagenet-resnet18 or data/imagenet-samples beside the checkout');

test('evaluate starts with balance, and its report shows curves and pictures of the misses', () => {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
  const report = join(folder, 'report.html');
  const words = [...files, '--images', list, '--labels', join(fashion, 'labels.txt')];
  const run = evaluateCommand(...words, '--report', report, '--specificity', '0.9,0.99');
  assert.is(run.status, 0, run.stderr);
  const [, first, rarest] = run.stdout.split('\n');
  assert.is(first, 'balanced accuracy: 94.7% over 10 classes (guessing: 10.0%)');
  assert.match(rarest!, /^recall of "Bag", the rarest class: 1 of 1: 100\.0% /);
  assert.match(run.stdout, /right: 28 of 30: .*; always "Trouser" is right for 16\.7%/);
  const page = readFileSync(report, 'utf8');
  for (const part of ['Results', 'The most confident mistakes', 'Coat classified as Pullover', '"guessing"'])
    assert.ok(page.includes(part), part);
  assert.is(page.match(/src="data:image\/jpeg;base64,/g)?.length, 2);

  const refused = evaluateCommand(...words, '--report', join(folder, 'nowhere/report.html'));
  assert.is(refused.status, 2);
  assert.match(refused.stderr, /a file in a folder that exists/);
  assert.match(
    evaluateCommand(...words, '--specificity', '95').stderr,
    /--specificity: expected shares from 0 to 1 /,
  );
});

test.run();
