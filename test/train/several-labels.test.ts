/**
 * Images with several labels or none: from a list through finetune, evaluate and classify, to a folder that records
 * this.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openNetData, readImageList, readLabelList } from '../../ts/api/data.ts';
import { evaluateLabels, loadPreprocess, openClassifier, summariseLabels } from '../../ts/api/images.ts';
import { finetune } from '../../ts/api/train.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { ArgumentError, openDevice, ResnodeError } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-labels-'));
test.after(() => rmSync(folder, { recursive: true }));
const fashion = join(repositoryFolder, 'examples/fashion');
const net = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };

const NAMES = ['bright corner, upper left', 'stripes', 'dark centre'];
/** Each label has its own mark, whatever else is in the picture. */
const pictures = join(folder, 'pictures');
mkdirSync(pictures);
const random = seededRandom(3);
const images: { path: string; labels: number[] }[] = [];
for (let i = 0; i < 48; i++) {
  const labels = [0, 1, 2].filter((label) => (i >> label) & 1);
  const pixels = Uint8Array.from({ length: 28 * 28 }, (_, at) => {
    const [x, y] = [at % 28, Math.floor(at / 28)];
    const base = 90 + 30 * random() + (labels.includes(1) ? 40 * Math.sign(Math.sin(y * 1.6)) : 0);
    if (labels.includes(2) && Math.hypot(x - 14, y - 14) < 7) return 0;
    return labels.includes(0) && x < 9 && y < 9 ? 250 : Math.max(0, base);
  });
  const path = `picture ${i} 1.png`;
  await sharp(pixels, { raw: { width: 28, height: 28, channels: 1 } })
    .png()
    .toFile(join(pictures, path));
  images.push({ path, labels });
}
const write = (name: string, lines: readonly string[]) => {
  const file = join(pictures, name);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
};
const numbers = write(
  'numbers.txt',
  images.map(({ path, labels }) => `${path} ${labels.join(',') || '-'}`),
);
const vectors = write(
  'vectors.txt',
  images.map(
    ({ path, labels }) => `${path} ${[0, 1, 2].map((each) => Number(labels.includes(each))).join(' ')}`,
  ),
);
const names = write('names.lst', NAMES);

const refusal = (work: () => unknown): ResnodeError => {
  try {
    work();
  } catch (error) {
    assert.instance(error, ResnodeError);
    return error as ResnodeError;
  }
  return assert.unreachable() as never;
};

test('numbers with commas and one value per class mean the same; - is none', () => {
  assert.equal(readLabelList(numbers), readLabelList(vectors));
  const { classes, images: read } = readLabelList(numbers);
  assert.is(classes, 3);
  assert.equal(
    read.map(({ labels }) => labels),
    images.map(({ labels }) => labels),
  );
  assert.is(read[7]!.image, join(pictures, 'picture 7 1.png'));
});

for (const [what, lines, words] of [
  [
    'both forms',
    ['a.png 0,1', 'b.png 1 0'],
    /numbers of classes separated by commas, as in the lines before/,
  ],
  ['lines of different lengths', ['a.png 0 1', 'b.png 1 0 1'], /2 values of 0 or 1/],
  ['a value that is neither 0 nor 1', ['a.png 0 2'], /numbers of classes separated by commas/],
  ['names instead of numbers', ['a.png cat,dog'], /numbers of classes separated by commas/],
  ['a label twice', ['a.png 1,1'], /each label once/],
  ['no label', ['a.png'], /"path 0,3,7", "path 1 0 1" or "path -"/],
  [
    'one label an image',
    ['a.png 1', 'b.png 0'],
    /some image has several labels.*a folder of images for each class/,
  ],
] as const)
  test(`a list with ${what} is refused with its line and what is expected`, () => {
    const { message } = refusal(() => readLabelList(write('bad.txt', lines)));
    assert.match(message, words);
    // A list without several labels is wrong as a whole.
    if (what !== 'one label an image')
      assert.match(message, lines.length === 2 ? /bad\.txt:2: / : /bad\.txt:1: /);
  });

test('labels beyond the classes of the net are refused with their line', () => {
  assert.match(
    refusal(() => readLabelList(write('bad.txt', ['a.png 0,3']), { classes: 3 })).message,
    /labels from 0 to 2/,
  );
  assert.match(refusal(() => readLabelList(vectors, { classes: 4 })).message, /4 values/);
});

test('ImageData returns one value per class as N×K; lines of another length are refused', async () => {
  const data = readNet(
    `layer { name: "d" type: "ImageData" top: "data" top: "label"
    image_data_param { source: "${vectors}" root_folder: "${pictures}/" batch_size: 4 is_color: false } }`,
    { file: 'labels.prototxt' },
  );
  const source = await openNetData(data, { phase: 'TRAIN' });
  try {
    assert.equal(source.shapes.label, [4, 3]);
    const { label } = await source.next();
    assert.equal(
      Array.from(label!),
      images.slice(0, 4).flatMap(({ labels }) => [0, 1, 2].map((each) => Number(labels.includes(each)))),
    );
  } finally {
    await source.dispose();
  }
  const bad = write('bad.txt', ['a.png 0 1', 'b.png 1']);
  const error = await readImageList(bad, { several: true }).catch((reason: unknown) => reason);
  assert.match((error as Error).message, /bad.txt:2.*expected 2 values after the path, as in line 1/);
});

test('figures for several labels agree with those computed by hand', () => {
  const outcomes = [
    { labels: [0], scores: [0.9, 0.2, 0.1] },
    { labels: [0, 1], scores: [0.4, 0.8, 0.2] },
    { labels: [], scores: [0.6, 0.1, 0.3] },
  ];
  const summary = summariseLabels(outcomes);
  const [first, second, third] = summary.classes;
  // Class 0: predicted for images 0 and 2, one of two is found; its positives score 0.9 and 0.4, the negative 0.6.
  assert.equal(
    [first!.images, first!.predicted, first!.recall, first!.precision, first!.f1],
    [2, 2, 0.5, 0.5, 0.5],
  );
  assert.is(first!.scores!.auc, 0.5);
  assert.equal([second!.recall, second!.f1, second!.scores!.auc], [1, 1, 1]);
  // No image has class 2, so nothing can be said.
  assert.equal(
    [third!.images, third!.recall, third!.precision, third!.f1, third!.scores],
    [0, null, null, null, null],
  );
  assert.is(summary.meanAuc, 0.75);
  // Ranks of class 0: hit, miss, hit: (1 + 2/3) / 2.
  assert.ok(Math.abs(summary.meanAveragePrecision! - (1 + (1 + 2 / 3) / 2) / 2) < 1e-12);
  assert.is(summary.subsetAccuracy, 1 / 3);
  assert.is(summary.hammingLoss, 2 / 9);
  assert.is(summary.microF1, (2 * 2) / (3 + 3));
  assert.is(summary.macroF1, 0.75);
  assert.is(summariseLabels(outcomes, { threshold: 0.35 }).classes[0]!.recall, 1);
});

const out = join(folder, 'findings');
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], { encoding: 'utf8' });

test('finetune, evaluate, classify and openClassifier rate each class separately', async () => {
  const tuned = resnode(
    'finetune',
    numbers,
    '--labels',
    names,
    '--model',
    net.model,
    '--weights',
    net.weights,
    '--mean-value',
    '73',
    '--no-resize',
    '--epochs',
    '12',
    '--batch',
    '8',
    '--rate',
    '0.01',
    '--live-bn',
    '--out',
    out,
  );
  assert.is(tuned.status, 0, tuned.stderr);
  assert.match(tuned.stdout, /3 classes: 38 images for training, 10 for validation/);
  assert.match(
    tuned.stdout,
    /mean average precision: [01]\.\d{3}\nall classes right \(subset accuracy\): .* of 10 images/,
  );
  assert.match(tuned.stdout, /\n {2}bright corner, upper left +\d/);
  assert.is(readNetFile(join(out, 'model.prototxt')).layer!.at(-1)!.type, 'Sigmoid');
  assert.match(readFileSync(join(out, 'training/train_val.prototxt'), 'utf8'), /SigmoidCrossEntropyLoss/);
  assert.match(readFileSync(join(out, 'training/val.txt'), 'utf8'), /^picture \d+ 1\.png [01] [01] [01]$/m);
  assert.match(readFileSync(join(out, 'report.html'), 'utf8'), /dark centre/);

  const page = join(folder, 'evaluation.html');
  const evaluated = resnode('evaluate', '--model', out, '--images', vectors, '--json', '--report', page);
  assert.is(evaluated.status, 0, evaluated.stderr);
  const result = JSON.parse(evaluated.stdout);
  assert.equal([result.format, result.images, result.classes.length], ['resnode-labels-evaluation/1', 48, 3]);
  assert.ok(result.meanAuc > 0.85, `${result.meanAuc}`);
  const report = readFileSync(page, 'utf8');
  for (const text of ['subset accuracy', 'AUC (95% interval)', 'dark centre', 'ROC', 'Precision and recall'])
    assert.ok(report.includes(text), text);
  const wrong = result.hammingLoss * 48 * 3;
  assert.is(report.match(/<img src="data:image\/jpeg/g)?.length ?? 0, Math.min(12, Math.round(wrong)));
  await using device = await openDevice('cpu', { threads: 1 });
  await using model = await device.load({ ...{ model: out }, batch: 8 });
  const preprocess = loadPreprocess(join(out, 'preprocess.json'));
  const { outcomes } = await evaluateLabels(model, readLabelList(numbers).images, { preprocess });
  assert.is(summariseLabels(outcomes).meanAuc!.toFixed(6), result.meanAuc.toFixed(6));

  const both = images.findIndex(({ labels }) => labels.length === 3);
  const file = join(pictures, images[both]!.path);
  const told = JSON.parse(resnode('classify', file, '--model', out, '--json').stdout);
  assert.is(told.independent, true);
  await using classifier = await openClassifier(out, { device });
  assert.is(classifier.independent, true);
  const probabilities = await classifier.classify(file);
  assert.equal(probabilities.map(({ label }) => label).sort(), [...NAMES].sort());
  probabilities.forEach(({ index, probability }, i) => {
    assert.ok(Math.abs(probability - outcomes[both]!.scores[index]!) < 1e-4);
    assert.is(told.top[i].label, NAMES[index]);
  });
  assert.ok(probabilities.reduce((sum, { probability }) => sum + probability, 0) > 1.2);
});

test('options that do not fit several labels are refused with the reason, and nothing is written', async () => {
  await using device = await openDevice('cpu', { threads: 1 });
  const common = { ...net, folder: numbers, device, preprocess: { mean: [73] }, out: join(folder, 'none') };
  for (const [more, expected] of [
    [{ classWeights: 'balanced' }, /SigmoidCrossEntropyLoss has no weights/],
    [{ sampling: 'balanced' }, /an image belongs to several classes/],
    [{ labels: ['a', 'b'] }, /numbers\.txt:\d+: expected labels from 0 to 1/],
    [{ folder: pictures, labels: ['a', 'b'] }, /none if each class has a folder of images/],
  ] as const) {
    const error = await finetune({ ...common, ...more })
      .next()
      .catch((reason: unknown) => reason);
    assert.instance(error, ArgumentError);
    assert.match((error as Error).message, expected);
  }
  for (const [words, expected] of [
    [
      ['--model', out, '--multi-scale', '300'],
      /--multi-scale: expected none where images have several labels/,
    ],
    [
      ['--model', net.model, '--weights', net.weights, '--mean', 'none'],
      /3 labels, but one is expected; several labels are for nets that end in Sigmoid/,
    ],
  ] as const) {
    const { status, stderr } = resnode('evaluate', '--images', vectors, ...words);
    assert.is(status, 2, stderr);
    assert.match(stderr, expected);
  }
  assert.not.ok(existsSync(join(folder, 'none', 'model.prototxt')));
});

test('classes without images for training or validation give a warning', async () => {
  await using device = await openDevice('cpu', { threads: 1 });
  const list = write(
    'rare.txt',
    images.map(
      ({ path, labels }, i) =>
        `${path} ${[...labels.filter((label) => label < 2), ...(i === 0 ? [2] : [])].join(',') || '-'}`,
    ),
  );
  const warnings: string[] = [];
  const listen = ({ message }: Error) => warnings.push(message);
  process.on('warning', listen);
  const run = finetune({
    ...{ ...net, folder: list, device, preprocess: { mean: [73] }, out: join(folder, 'rare') },
    labels: [...NAMES, 'never'],
  });
  assert.is((await run.next()).value!.type, 'split');
  await run.return();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  assert.match(warnings.join('\n'), /no image of "never" to train with: the net cannot learn it/);
  assert.match(
    warnings.join('\n'),
    /no image of .*"never" to validate with: no figure can say how well the net finds it/,
  );
});

test.run();
