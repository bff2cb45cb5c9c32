/** `resnode train`, `test` and `bn-stats` on a small net that makes its own data. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCaffemodel, toFloat32, writeCaffemodel } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-training-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const command = ['--import', import.meta.resolve('tsx'), join(repositoryFolder, 'ts/cli/main.ts')];
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...command, ...words], { encoding: 'utf8', cwd: folder });

writeFileSync(
  path('net.prototxt'),
  `name: "dummy"
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 2 dim: 6 dim: 6 } shape { dim: 4 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 bias_term: false weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 0.5 }
`,
);
writeCaffemodel(path('fillers.caffemodel'), { name: 'dummy', layers: [] });

test('bn-stats writes mean, variance and a factor of 1; test prints every batch, then the means', () => {
  const stats = resnode(
    ...['bn-stats', '--model', 'net.prototxt', '--weights', 'fillers.caffemodel', '--iterations', '5'],
    ...['--out', 'stats.caffemodel', '--device', 'cpu', '--json'],
  );
  assert.is(stats.status, 0, stats.stderr);
  assert.equal(JSON.parse(stats.stdout), {
    layers: ['bn'],
    iterations: 5,
    samples: 20,
    out: 'stats.caffemodel',
  });
  const { layers } = readCaffemodel(readFileSync(path('stats.caffemodel')), { file: 'stats' });
  const [mean, variance, factor] = layers.find(({ name }) => name === 'bn')!.blobs.map(toFloat32);
  assert.equal([mean!.length, variance!.length, [...factor!]], [4, 4, [1]]);
  assert.ok(variance!.every((value) => value > 0.1 && value < 10));

  const words = ['test', '--model', 'net.prototxt', '--weights', 'stats.caffemodel', '--device', 'cpu'];
  const { stdout, status } = resnode(...words, '--iterations', '2');
  assert.is(status, 0);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(
    lines.map((line) => line.replace(/-?[\d.]+(e-\d+)?$/, '#')),
    [
      'Batch 0, accuracy = #',
      'Batch 0, loss = #',
      'Batch 1, accuracy = #',
      'Batch 1, loss = #',
      'Loss: #',
      'accuracy = #',
      lines[6]!,
    ],
  );
  const value = (line: string) => Number(/[=:] (-?[\d.]+)/.exec(line)![1]);
  const mean2 = (value(lines[1]!) + value(lines[3]!)) / 2;
  assert.ok(Math.abs(value(lines[6]!) - mean2) < 1e-5 * mean2);
  assert.ok(Math.abs(value(lines[4]!) - mean2 / 2) < 1e-5 * mean2, 'the loss is weighted');
  assert.match(lines[6]!, /^loss = [\d.]+ \(\* 0\.5 = [\d.]+ loss\)$/);
  const json = JSON.parse(resnode(...words, '--iterations', '2', '--json').stdout);
  assert.equal(
    json.outputs.map(({ name, lossWeight }: { name: string; lossWeight: number }) => [name, lossWeight]),
    [
      ['accuracy', 0],
      ['loss', 0.5],
    ],
  );
  assert.ok(Math.abs(json.loss - value(lines[4]!)) < 1e-5 * json.loss);
});

test('misuse is status 2 with one sentence', () => {
  writeFileSync(path('odd.prototxt'), 'net: "net.prototxt" lr_policy: "fixd"');
  writeFileSync(path('ok.prototxt'), 'net: "net.prototxt" lr_policy: "fixed" max_iter: 1');
  for (const [status, ...words] of [
    [2, 'train'],
    [2, 'train', '--solver', 'none.prototxt'],
    [1, 'train', '--solver', 'odd.prototxt', '--device', 'cpu'],
    [2, 'train', '--solver', 'ok.prototxt', '--weights', 'a', '--snapshot', 'b'],
    [2, 'train', '--solver', 'ok.prototxt', '--warmup-rate', '0.1'],
    [2, 'train', '--solver', 'ok.prototxt', '--warmup-iterations', '5', '--warmup-rate', 'x'],
    [2, 'train', '--solver', 'ok.prototxt', '--sigint_effect', 'explode'],
    [2, 'test', '--model', 'net.prototxt'],
    [1, 'test', '--model', 'net.prototxt', '--weights', 'none.caffemodel', '--device', 'cpu'],
    [
      2,
      'bn-stats',
      '--model',
      'net.prototxt',
      '--weights',
      'fillers.caffemodel',
      '--iterations',
      '0',
      '--out',
      'x',
    ],
  ] as const) {
    const run = resnode(...words);
    assert.is(run.status, status, words.join(' '));
    assert.match(run.stderr, /^resnode: [^\n]+\n$/, words.join(' '));
  }
  assert.not.ok(readdirSync(folder).includes('x'));
});

void spawn;
test.run();
