/** `resnode train`, `test` and `bn-stats` on a small net that generates its own data. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCaffemodel, toFloat32, writeCaffemodel } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-training-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], { encoding: 'utf8', cwd: folder });

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

test('bn-stats writes mean, variance and a factor of 1; test prints every batch and then the means', () => {
  const stats = resnode(
    ...['bn-stats', '--model', 'net.prototxt', '--weights', 'fillers.caffemodel', '--iterations', '5'],
    ...['--out', 'stats.caffemodel', '--device', 'cpu', '--json', '--partial-weights'],
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

  const words = [
    ...['test', '--model', 'net.prototxt', '--weights', 'stats.caffemodel', '--device', 'cpu'],
    '--partial-weights',
  ];
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

test('labels of other classes are refused before the training', () => {
  writeFileSync(path('short.prototxt'), 'net: "net.prototxt" lr_policy: "fixed" base_lr: 0.1 max_iter: 1');
  writeFileSync(path('two.txt'), 'ant\nbee\n');
  for (const [labels, says] of [
    [
      'two.txt',
      /--labels: expected 3 lines, one for each class of the net, but received "two\.txt"; it has 2/,
    ],
    ['/dev/null', /\/dev\/null: this is a FIFO, a socket or a device/],
  ] as const) {
    const run = resnode('train', '--solver', 'short.prototxt', '--out', 'model', '--labels', labels);
    assert.match(run.stderr, says);
    assert.not.match(run.stdout, /iteration/);
  }
});

test('misuse gives status 2 and one sentence', () => {
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
    // Flags for detectors, with a net that is not one.
    [2, 'test', '--model', 'net.prototxt', '--weights', 'fillers.caffemodel', '--ap-version', '11point'],
    [2, 'test', '--model', 'net.prototxt', '--weights', 'fillers.caffemodel', '--per-class'],
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

const solver = (name: string, text: string) =>
  writeFileSync(
    path(`${name}.prototxt`),
    `net: "net.prototxt" lr_policy: "fixed" momentum: 0.9 random_seed: 4 snapshot_prefix: "${name}" ${text}`,
  );

test('train prints the modes of BatchNorm, iterations, tests and snapshots; a log has every event', () => {
  solver(
    'short',
    'base_lr: 0.01 max_iter: 5 display: 2 test_iter: 2 test_interval: 5 test_initialization: false',
  );
  const { stdout, stderr, status } = resnode(
    ...['train', '--solver', 'short.prototxt', '--device', 'cpu', '--log', 'log.jsonl'],
  );
  assert.is(status, 0, stderr);
  const lines = stdout.trimEnd().split('\n');
  assert.match(
    lines[0]!,
    /^training "dummy" on cpu: SGD, fixed, iterations 0 to 5 of 4 samples, \d+ learnable values, seed 4$/,
  );
  assert.match(lines[1]!, /^BatchNorm with the batch's statistics \(.+\): bn$/);
  assert.match(
    lines[2]!,
    /^iteration 0: loss [\d.]+, lr 0\.01, [\d.]+ images\/s, [\d.]+% waiting for data, .+ left$/,
  );
  assert.equal(
    lines.slice(2).map((line) => line.replace(/[:,].*/, '')),
    [
      'iteration 0',
      'iteration 2',
      'iteration 4',
      'snapshot at 5',
      'test at 5',
      'finished after 5 iterations',
    ],
  );
  const log = readFileSync(path('log.jsonl'), 'utf8').trimEnd().split('\n');
  assert.equal(
    log.map((line) => JSON.parse(line).type),
    ['start', ...Array(5).fill('iteration'), 'snapshot', 'test', 'done'],
  );
  const frozen = resnode(
    ...['train', '--solver', 'short.prototxt', '--device', 'cpu', '--frozen-bn', '--json'],
  );
  assert.is(frozen.status, 0, frozen.stderr);
  assert.is(JSON.parse(frozen.stdout.split('\n')[0]!).batchNorms[0].statistics, 'global');
});

test('SIGHUP saves a snapshot, SIGINT saves one and stops; --snapshot continues from it', async () => {
  solver('long', 'base_lr: 0.001 max_iter: 1000000 display: 1');
  const child = spawn(
    process.execPath,
    [...COMMAND, 'train', '--solver', 'long.prototxt', '--device', 'cpu', '--threads', '1', '--json'],
    { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const events: { type: string; iteration: number; reason?: string; state: string }[] = [];
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line);
    if (event.type === 'iteration' && event.iteration === 3) child.kill('SIGHUP');
    if (event.type === 'snapshot' && event.reason === 'request') child.kill('SIGINT');
    if (event.type !== 'iteration') events.push(event);
  }
  assert.is(await ended, 0);
  assert.equal(
    events.map(({ type, reason }) => (reason === undefined ? type : `${type} ${reason}`)),
    ['start', 'snapshot request', 'snapshot end', 'done stopped'],
  );
  const files = readdirSync(folder).filter((name) => name.startsWith('long_iter') || name.startsWith('.'));
  assert.is(files.length, 6, 'two snapshots of three files each, nothing half done');

  const last = events.at(-1)!.iteration;
  solver('long', `base_lr: 0.001 max_iter: ${last + 2} display: 1`);
  const resumed = resnode(
    ...['train', '--solver', 'long.prototxt', '--device', 'cpu', '--snapshot', events[2]!.state, '--json'],
  );
  assert.is(resumed.status, 0, resumed.stderr);
  assert.equal(
    resumed.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ type, iteration }) => `${type} ${iteration}`),
    [
      `start ${last}`,
      `iteration ${last}`,
      `iteration ${last + 1}`,
      `snapshot ${last + 2}`,
      `done ${last + 2}`,
    ],
  );
});

test('training that diverges gives status 1 and says where', () => {
  solver('wild', 'base_lr: 1e30 max_iter: 50 display: 0 snapshot: 1');
  const { status, stderr } = resnode('train', '--solver', 'wild.prototxt', '--device', 'cpu');
  assert.is(status, 1);
  assert.match(
    stderr,
    /^resnode: iteration \d+: the (loss|weights) .+; first bad layer "\w+".*; .*Lower base_lr/m,
  );
});

for (const [what, words, asker] of [
  ["the solver's solver_mode", [], /^resnode: gpu\.prototxt:\d+:\d+: solver_mode: GPU: /],
  ['--gpu 0', ['--gpu', '0'], /^resnode: --gpu 0: /],
  ['--gpu all', ['--gpu', 'all'], /^resnode: --gpu all: /],
] as const)
  test(`${what} without a GPU names the option that needs one and the cure`, () => {
    solver('gpu', 'base_lr: 0.1 max_iter: 1 solver_mode: GPU');
    const run = spawnSync(process.execPath, [...COMMAND, 'train', '--solver', 'gpu.prototxt', ...words], {
      encoding: 'utf8',
      cwd: folder,
      env: { ...process.env, CUDA_VISIBLE_DEVICES: '' },
    });
    assert.is(run.status, 1, run.stderr);
    assert.match(run.stderr, asker);
    assert.match(run.stderr, /--device cpu computes on the CPU/);
  });

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`${signal} stops with a snapshot and status 0`, async () => {
    solver(`stop-${signal}`, 'base_lr: 0.0001 max_iter: 10000000 display: 1');
    const child = spawn(
      process.execPath,
      [...COMMAND, 'train', '--solver', `stop-${signal}.prototxt`, '--device', 'cpu'],
      {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let stopped = '';
    let asked = false;
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith('iteration 3') && !asked) asked = child.kill(signal);
      stopped = line;
    }
    assert.match(stopped, /^stopped early after \d+ iterations/);
    assert.is(child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve))), 0);
  });

test.run();
