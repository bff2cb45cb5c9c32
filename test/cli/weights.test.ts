/** Weights that do not fit, and files of another kind, in every command that reads weights. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import {
  blobFromFloats,
  openDevice,
  type Warning,
  type WeightsError,
  writeCaffemodel,
} from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-fit-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const resnode = (...args: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
const blob = (...shape: number[]) =>
  blobFromFloats(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i)),
  );

const net = (head: string, classes = 4) => `name: "n"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "${head}" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: ${classes} weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
`;
writeFileSync(path('renamed.prototxt'), net('fc2'));
writeFileSync(path('net.prototxt'), net('fc'));
writeFileSync(
  path('data.prototxt'),
  `layer { name: "d" type: "DummyData" top: "data" top: "label" dummy_data_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } shape { dim: 2 } data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
${net('fc2')
  .replace(/.*type: "Input".*\n/, '')
  .replace(/.*"Softmax".*\n/, '')}
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "aside" include { phase: TRAIN } }
layer { name: "quiet" type: "Silence" bottom: "aside" include { phase: TRAIN } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
`,
);
writeCaffemodel(path('net.caffemodel'), {
  name: 'n',
  layers: [
    { name: 'conv', type: 'Convolution', blobs: [blob(8, 3, 3, 3), blob(8)] },
    { name: 'fc', type: 'InnerProduct', blobs: [blob(4, 8), blob(4)] },
  ],
});
writeFileSync(path('empty.caffemodel'), '');
writeFileSync(path('cut.caffemodel'), readFileSync(path('net.caffemodel')));
truncateSync(path('cut.caffemodel'), 700);
writeFileSync(path('data.f32'), new Uint8Array(4 * 3 * 64));
const image = path('image.ppm');
writeFileSync(image, Buffer.concat([Buffer.from('P6\n8 8\n255\n'), Buffer.alloc(192, 100)]));

const CPU = ['--device', 'cpu', '--threads', '1'];
const MEAN = ['--mean-value', '104,117,123'];
const commands: Record<string, readonly string[]> = {
  run: ['run', '--model', 'renamed.prototxt', '--input', 'data=data.f32', '--out', 'out', ...CPU],
  time: ['time', '--model', 'renamed.prototxt', '--iterations', '1', ...CPU],
  view: ['view', 'renamed.prototxt', '--out', 'page.html'],
  test: ['test', '--model', 'data.prototxt', '--iterations', '1', ...CPU],
  'bn-stats': ['bn-stats', '--model', 'data.prototxt', '--iterations', '1', '--out', 'bn.caffemodel', ...CPU],
  classify: ['classify', image, '--model', 'renamed.prototxt', ...MEAN, ...CPU],
  features: [
    'features',
    '--model',
    'renamed.prototxt',
    '--blob',
    'pool',
    '--images',
    image,
    '--out',
    'f.npy',
    ...MEAN,
    ...CPU,
  ],
  cam: ['cam', image, '--model', 'renamed.prototxt', '--out', 'cam.png', ...MEAN, ...CPU],
  quantize: [
    'quantize',
    '--model',
    'renamed.prototxt',
    '--images',
    image,
    '--out',
    'int8.json',
    ...MEAN,
    ...CPU,
  ],
  parity: ['parity', '--model', 'renamed.prototxt', '--against', 'reference', ...CPU],
};

for (const [name, words] of Object.entries(commands))
  test(`${name} refuses a renamed layer, with its name in the file`, () => {
    const refused = resnode(...words, '--weights', 'net.caffemodel');
    assert.is(refused.status, 1, refused.stdout + refused.stderr);
    assert.match(
      refused.stderr,
      /^resnode: net\.caffemodel: .*"fc2" 4×8, 4 \(the file has "fc" 4×8, 4: renamed\?\)/,
    );
    assert.match(refused.stderr, /--partial-weights/);
  });

for (const name of ['run', 'classify', 'bn-stats'])
  test(`${name} computes with --partial-weights, and names the layers that keep their fillers`, () => {
    const partial = resnode(...commands[name]!, '--weights', 'net.caffemodel', '--partial-weights');
    assert.is(partial.status, 0, partial.stderr);
    assert.match(
      partial.stderr,
      /resnode: warning: net\.caffemodel: \d of \d layers have weights from the file; with the values of their fillers: (fc2|bn)/,
    );
  });

test('convert refuses before it writes', () => {
  const { status, stderr } = resnode(
    'convert',
    'net.caffemodel',
    '--out',
    'net.onnx',
    '--model',
    'renamed.prototxt',
  );
  assert.is(status, 1);
  assert.match(stderr, /"fc" 4×8, 4: renamed\?/);
  assert.not.ok(existsSync(path('net.onnx')));
});

test('an empty file and a truncated one give typed errors, with and without --partial-weights', () => {
  for (const [more, file, message] of [
    [[], 'empty.caffemodel', /this is an empty file; here weights .* are needed/],
    [['--partial-weights'], 'cut.caffemodel', /truncated/],
    [['--partial-weights'], 'empty.caffemodel', /this is an empty file/],
  ] as const) {
    const { status, stderr } = resnode(...commands.time!, '--weights', file, ...more);
    assert.is(status, 1);
    assert.match(stderr, message);
  }
});

const solver = (name: string, model: string) =>
  writeFileSync(
    path(name),
    `net: "${model}"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 1\nsnapshot_prefix: "${name}"\nsolver_mode: CPU\n`,
  );

test('train names the layers that have weights from the file, and refuses a file without any', () => {
  solver('solver.prototxt', 'data.prototxt');
  const part = resnode('train', '--solver', 'solver.prototxt', '--weights', 'net.caffemodel');
  assert.is(part.status, 0, part.stderr);
  assert.match(
    part.stdout,
    /1 of 3 layers have weights from the file; with the values of their fillers: fc2, bn; unused in the file: fc\n/,
  );
  writeCaffemodel(path('other.caffemodel'), {
    name: 'o',
    layers: [{ name: 'x', type: 'Bias', blobs: [blob(3)] }],
  });
  const none = resnode('train', '--solver', 'solver.prototxt', '--weights', 'other.caffemodel');
  assert.is(none.status, 1);
  assert.match(
    none.stderr,
    /other\.caffemodel: none of the net's 3 layers with parameters has weights in this file/,
  );
  assert.is(
    resnode('train', '--solver', 'solver.prototxt', '--weights', 'other.caffemodel', '--partial-weights')
      .status,
    0,
  );
});

test('a net that uses a name twice: lint refuses it, every command warns, weights are neither read nor written', async () => {
  const twice = net('conv');
  writeFileSync(path('twice.prototxt'), twice);
  const lint = resnode('lint', 'twice.prototxt');
  assert.is(lint.status, 1);
  assert.match(
    lint.stdout,
    /twice\.prototxt:5:9: error name-twice: layer "conv" \(InnerProduct\) has the name of another layer with parameters/,
  );
  for (const words of [
    ['summary', 'twice.prototxt', ...CPU],
    ['plan', 'twice.prototxt', ...CPU],
    ['time', '--model', 'twice.prototxt', '--iterations', '1', ...CPU],
    ['view', 'twice.prototxt', '--out', 'twice.html'],
  ]) {
    const { status, stderr } = resnode(...words);
    assert.is(status, 0, stderr);
    assert.match(stderr, /resnode: warning: several layers with parameters are named "conv"/, words[0]);
  }
  const read = resnode('time', '--model', 'twice.prototxt', '--weights', 'net.caffemodel', ...CPU);
  assert.is(read.status, 1);
  assert.match(read.stderr, /net\.caffemodel: the net has several layers with parameters of the name "conv"/);
  const seen: Warning[] = [];
  using device = await openDevice('cpu', { threads: 1, onWarning: (warning) => seen.push(warning) });
  using model = await device.load({ model: path('twice.prototxt') });
  assert.equal(
    model.warnings.map(({ code }) => code),
    ['net/names-twice'],
  );
  assert.equal(seen, [...model.warnings]);
  using trainer = await device.train({ model: path('twice.prototxt'), update: null });
  assert.is(
    ((await trainer.weights().catch((error: WeightsError) => error)) as WeightsError).code,
    'weights/names-twice',
  );
  const layers = [1, 2].map(() => ({ name: 'a', type: '', blobs: [blob(2)] }));
  assert.throws(
    () => writeCaffemodel(path('a.caffemodel'), { name: '', layers }),
    /two layers with weights are named "a"/,
  );
  assert.not.ok(existsSync(path('a.caffemodel')));
});

test('a solver whose net uses a name twice is refused before training; a name in both TRAIN and TEST is not', () => {
  const data = readFileSync(path('data.prototxt'), 'utf8');
  writeFileSync(path('bad.prototxt'), data.replace('name: "fc2"', 'name: "conv"'));
  solver('bad-solver.prototxt', 'bad.prototxt');
  const bad = resnode('train', '--solver', 'bad-solver.prototxt');
  assert.is(bad.status, 1);
  assert.match(bad.stderr, /several layers with parameters of the name "conv"/);
  // Data layers and heads usually have different names in each phase.
  const head = data.split('\n').find((line) => line.includes('name: "fc2"'))!;
  const phases = (phase: string) => head.replace(/\}\s*$/, `include { phase: ${phase} } }`);
  writeFileSync(path('good.prototxt'), data.replace(head, `${phases('TRAIN')}\n${phases('TEST')}`));
  assert.not.match(resnode('lint', 'good.prototxt').stdout, /name of another layer/);
  solver('good-solver.prototxt', 'good.prototxt');
  const good = resnode('train', '--solver', 'good-solver.prototxt');
  assert.is(good.status, 0, good.stderr);
});

test('view --partial-weights names the layers that kept their fillers, and NaN in weights, also without an image', () => {
  const filled = resnode('view', 'renamed.prototxt', '--weights', 'net.caffemodel', '--partial-weights');
  assert.is(filled.status, 0, filled.stderr);
  assert.match(
    filled.stderr,
    /1 of 2 layers have weights from the file; with the values of their fillers: fc2; unused in the file: fc/,
  );
  const [weights, bias] = [blob(8, 3, 3, 3), blobFromFloats([8], new Float32Array(8).fill(Number.NaN))];
  writeCaffemodel(path('nan.caffemodel'), {
    name: 'n',
    layers: [
      { name: 'conv', type: 'Convolution', blobs: [weights, bias] },
      { name: 'fc', type: 'InnerProduct', blobs: [blob(4, 8), blob(4)] },
    ],
  });
  const damaged = resnode('view', 'net.prototxt', '--weights', 'nan.caffemodel');
  assert.match(damaged.stderr, /layer "conv", blob 1: 8 values are not finite, the first \(NaN\) at 0/);
});

test.run();
