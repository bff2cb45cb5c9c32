/**
 * `mpirun -n 3 resnode evaluate`, `classify`, `features`, `bn-stats`: each process does its share, and the result is
 * that of a single process.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';
import { COMMAND } from '../support/command.ts';
import { type Ended, ended, hasMpirun, inProcesses } from '../support/in-processes.ts';

const IMAGES = 21;
const CLASSES = 4;
const SIZE = 8;
const main = 'ts/cli/main.ts';
const signalled = 'test/device/processes/signalled-cli.ts';
const folder = mkdtempSync(join(tmpdir(), 'resnode-shared-'));
const at = (...names: string[]) => join(folder, ...names);
const pad = (i: number) => String(i).padStart(2, '0');

const body = (
  random = '',
) => `layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 8 kernel_size: 3 bias_term: false } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
${random}
layer { name: "conv2" type: "Convolution" bottom: "conv" top: "conv2" convolution_param { num_output: 8 kernel_size: 3 bias_term: false } }
layer { name: "bn2" type: "BatchNorm" bottom: "conv2" top: "conv2" }
layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: ${CLASSES} } }`;
const deploy = (end: string) => `name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: ${SIZE} dim: ${SIZE} } } }
${body()}
layer { name: "prob" type: "${end}" bottom: "fc" top: "prob" }`;
const training = (list: string, shuffle = '') => `name: "small"
layer { name: "data" type: "ImageData" top: "data" top: "label" transform_param { scale: 0.0078125 mean_value: 128 mirror: true }
  image_data_param { source: "${list}" batch_size: 3 ${shuffle} } }
${body('layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }')}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`;

async function writeFiles(): Promise<void> {
  const { default: sharp } = await import('sharp');
  for (const name of ['images', 'broken']) mkdirSync(at(name));
  for (let i = 0; i < IMAGES; i++) {
    const pixels = Uint8Array.from({ length: 3 * SIZE ** 2 }, (_, k) => (k * (37 + i) + i * 101) % 256);
    const png = await sharp(pixels, { raw: { width: SIZE, height: SIZE, channels: 3 } })
      .png()
      .toBuffer();
    for (const name of ['images', 'broken']) writeFileSync(at(name, `${pad(i)}.png`), png);
  }
  writeFileSync(at('broken', '04.png'), 'no image');
  const list = (name: string, label: (i: number) => string) =>
    Array.from({ length: IMAGES }, (_, i) => `${at(name, `${pad(i)}.png`)} ${label(i)}\n`).join('');
  writeFileSync(
    at('list.txt'),
    list('images', (i) => `${i % CLASSES}`),
  );
  writeFileSync(
    at('broken.txt'),
    list('broken', (i) => `${i % CLASSES}`),
  );
  writeFileSync(
    at('labels.txt'),
    list('images', (i) => Array.from({ length: CLASSES }, (_, k) => (i >> k) % 2).join(' ')),
  );
  writeFileSync(at('deploy.prototxt'), deploy('Softmax'));
  writeFileSync(at('sigmoid.prototxt'), deploy('Sigmoid'));
  writeFileSync(at('train.prototxt'), training(at('list.txt'), 'shuffle: true'));
  writeFileSync(at('train-broken.prototxt'), training(at('broken.txt')));
  let state = 1;
  const random = (shape: number[], middle = 0) =>
    blobFromFloats(
      shape,
      Float32Array.from({ length: elementCount(shape) }, () => {
        state = (state * 16807) % 2147483647;
        return middle + state / 2147483647 - 0.5;
      }),
    );
  const one = blobFromFloats([1], Float32Array.of(1));
  writeCaffemodel(at('net.caffemodel'), {
    name: '',
    layers: [
      { name: 'conv', type: 'Convolution', blobs: [random([8, 3, 3, 3])] },
      { name: 'bn', type: 'BatchNorm', blobs: [random([8]), random([8], 1), one] },
      { name: 'conv2', type: 'Convolution', blobs: [random([8, 8, 3, 3])] },
      { name: 'bn2', type: 'BatchNorm', blobs: [random([8]), random([8], 1), one] },
      { name: 'fc', type: 'InnerProduct', blobs: [random([CLASSES, 8]), random([CLASSES])] },
    ],
  });
}

// The test compares bits, so nothing is measured: on a busy machine each process might choose another algorithm.
const DEVICE = ['--device', 'cpu', '--threads', '1', '--no-tune'];
const PIXELS = ['--mean-value', '128', '--scale', '0.0078125', '--no-resize'];
const net = (model = 'deploy.prototxt') => [
  '--model',
  at(model),
  '--weights',
  at('net.caffemodel'),
  ...DEVICE,
  ...PIXELS,
];

const alone = (words: readonly string[]): Promise<Ended> =>
  ended(spawn(process.execPath, [...COMMAND, ...words]));

/** The command's own lines on stderr. */
const said = ({ stderr }: Ended): string[] => stderr.split('\n').filter((line) => line.startsWith('resnode'));

/** Runs a command in one process and in several. */
const both = (count: number, words: readonly string[]): Promise<[Ended, Ended]> =>
  Promise.all([alone(words), inProcesses(count, main, words)]);

/** A result without timings. */
function timeless({ stdout }: Ended): unknown {
  const { imagesPerSecond: _, ...result } = JSON.parse(stdout) as { imagesPerSecond?: number };
  return result;
}

if (hasMpirun()) {
  test.before(writeFiles);
  test.after(() => rmSync(folder, { recursive: true }));

  for (const [what, model, list] of [
    ['one class per image', 'deploy.prototxt', 'list.txt'],
    ['several labels an image', 'sigmoid.prototxt', 'labels.txt'],
  ] as const)
    test(`evaluate of ${what}: three processes find the same as one, image by image`, async () => {
      const words = ['evaluate', ...net(model), '--images', at(list), '--batch', '4', '--json'];
      const [one, three] = await both(3, words);
      assert.is(one.status, 0, one.stderr);
      assert.is(three.status, 0, three.stderr);
      assert.equal(timeless(one), timeless(three));
    });

  test('evaluate of a database: each process reads its own records, and the report is written once', async () => {
    const database = at('images.lmdb');
    const made = await alone(['dataset', 'images', at('list.txt'), '--out', database]);
    assert.is(made.status, 0, made.stderr);
    const words = ['evaluate', ...net(), '--images', database, '--batch', '4', '--json'];
    const [one, two] = await Promise.all([
      alone(words),
      inProcesses(2, main, [...words, '--report', at('report.html'), '--out', at('result.json')]),
    ]);
    assert.is(one.status, 0, one.stderr);
    assert.is(two.status, 0, two.stderr);
    assert.equal(timeless(one), timeless(two));
    assert.equal(JSON.parse(readFileSync(at('result.json'), 'utf8')), JSON.parse(two.stdout));
    assert.match(readFileSync(at('report.html'), 'utf8'), /balanced accuracy/);
  });

  test('classify: three processes print lines in the order of the images, including a broken one', async () => {
    const words = ['classify', at('broken'), ...net(), '--batch', '2', '--json'];
    const [one, three] = await both(3, words);
    assert.is(one.status, 1);
    assert.is(three.status, 1);
    assert.is(three.stdout, one.stdout);
    assert.equal(said(three), said(one));
    assert.match(one.stdout.split('\n')[4]!, /04\.png","error"/);
  });

  test('features: four processes write the same file as one, even if two of them have no image', async () => {
    const words = (out: string) => [
      ...['features', ...net(), '--images', at('list.txt'), '--blob', 'pool'],
      ...['--batch', '12', '--out', at(out)],
    ];
    const [one, four] = await Promise.all([alone(words('one.npy')), inProcesses(4, main, words('four.npy'))]);
    assert.is(one.status, 0, one.stderr);
    assert.is(four.status, 0, four.stderr);
    for (const end of ['', '.txt'])
      assert.equal(readFileSync(at(`four.npy${end}`)), readFileSync(at(`one.npy${end}`)));
    assert.match(
      said(four).join('\n'),
      /2 of 4 processes have nothing to do, since 21 images in batches of 12 make 2 shares/,
    );
  });

  test('bn-stats: three processes write the same bits as one, with shuffled and mirrored images and Dropout', async () => {
    const words = (out: string) => [
      ...['bn-stats', '--model', at('train.prototxt'), '--weights', at('net.caffemodel')],
      ...['--iterations', '8', '--out', at(out), ...DEVICE],
    ];
    const [one, three] = await Promise.all([
      alone(words('one.caffemodel')),
      inProcesses(3, main, words('three.caffemodel')),
    ]);
    assert.is(one.status, 0, one.stderr);
    assert.is(three.status, 0, three.stderr);
    assert.equal(readFileSync(at('three.caffemodel')), readFileSync(at('one.caffemodel')));
    assert.not.equal(readFileSync(at('one.caffemodel')), readFileSync(at('net.caffemodel')));
  });

  test('a failure in one process ends all with its status, and the first process reports it', async () => {
    const words = [
      ...['bn-stats', '--model', at('train-broken.prototxt'), '--weights', at('net.caffemodel')],
      ...['--iterations', '7', '--out', at('never.caffemodel'), ...DEVICE],
    ];
    const [one, two] = await both(2, words);
    assert.is(one.status, 1);
    assert.is(two.status, 1);
    assert.match(said(one).join('\n'), /04\.png/);
    assert.equal(
      said(two),
      said(one).map((line) => line.replace('resnode: ', 'resnode: process 1 of 2: ')),
    );
    assert.not.ok(existsSync(at('never.caffemodel')));
  });

  test('SIGKILL of one process ends the others and leaves no file', async () => {
    const mark = at('killed.json');
    const words = [
      ...['evaluate', ...net(), '--images', at('long.txt'), '--batch', '1'],
      ...['--resume', mark, '--out', at('killed-result.json')],
    ];
    writeFileSync(at('long.txt'), readFileSync(at('list.txt'), 'utf8').repeat(400));
    const { status } = await inProcesses(2, signalled, ['SIGKILL', mark, ...words]);
    assert.ok(status !== 0 && status !== null, `${status}`);
    assert.not.ok(existsSync(at('killed-result.json')));
  });

  for (const [what, model, list] of [
    ['one class per image', 'deploy.prototxt', 'list.txt'],
    ['several labels an image', 'sigmoid.prototxt', 'labels.txt'],
  ] as const)
    test(`SIGTERM to one process stops all if progress is kept, and one process continues to the whole result: ${what}`, async () => {
      const mark = at('progress.json');
      const words = ['evaluate', ...net(model), '--images', at('middle.txt'), '--batch', '2', '--json'];
      writeFileSync(at('middle.txt'), readFileSync(at(list), 'utf8').repeat(20));
      const stopped = await inProcesses(2, signalled, ['SIGTERM', mark, ...words, '--resume', mark]);
      assert.is(stopped.status, 130, stopped.stderr);
      assert.match(stopped.stderr, /stopped at \d+ of 420 images; the same command continues from there/);
      const { done } = JSON.parse(readFileSync(mark, 'utf8')) as { done: number };
      assert.ok(done > 0 && done < 420 && done % 2 === 0, `${done}`);
      const [whole, rest] = await Promise.all([alone(words), alone([...words, '--resume', mark])]);
      assert.is(rest.status, 0, rest.stderr);
      assert.equal(timeless(rest), timeless(whole));
      assert.not.ok(existsSync(mark));
    });

  test('a command for one process refuses several, with one message', async () => {
    const { status, stderr } = await inProcesses(2, main, ['view', at('deploy.prototxt')]);
    assert.is(status, 2, stderr);
    assert.is(stderr.match(/resnode view: expected one process, but received "2 of mpirun"/g)?.length, 1);
  });

  test('with --no-mpi each process does all of the work', async () => {
    const words = ['classify', at('images', '00.png'), ...net(), '--top', '1', '--no-mpi', '--json'];
    const { status, stdout, stderr } = await inProcesses(2, main, words);
    assert.is(status, 0, stderr);
    assert.is(stdout.trim().split('\n').length, 2);
  });
}

test.run();
