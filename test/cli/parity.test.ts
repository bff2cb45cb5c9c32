/** `resnode parity --against`, as a user calls it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNetFile } from '../../ts/caffe/net-parameter.ts';
import { printPrototxt } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-parity-'));
test.after(() => rmSync(folder, { recursive: true }));
const fashion = join(repositoryFolder, 'examples/fashion');
const model = join(fashion, 'deploy.prototxt');
const weights = ['--weights', join(fashion, 'model.caffemodel')];
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, 'parity', ...words], { encoding: 'utf8', cwd: repositoryFolder });

test('photographs on the CPU and the reference device: one row per top, all within tolerance', () => {
  const run = resnode(
    '--model',
    model,
    ...weights,
    ...['--device', 'cpu', '--against', 'reference', '--preprocess', join(fashion, 'preprocess.json')],
    ...['--images', join(fashion, 'images/0000.png'), join(fashion, 'images/0001.png')],
  );
  assert.is(run.status, 0, run.stderr);
  assert.match(run.stdout, /^ {2}blob@layer +type +shape +absolute +relative +tolerance\n/);
  assert.match(run.stdout, /\n {2}conv1@bn_conv1 +BatchNorm +1×16×28×28 /);
  assert.match(run.stdout, /95 tops of 2 runs on cpu against reference, .*all within tolerance\n$/);
});

test('an impossible tolerance gives exit status 1 and the reason', () => {
  const run = resnode(
    ...['--model', model, ...weights, '--device', 'cpu', '--against', 'onnx', '--tolerance', '1e-12'],
  );
  assert.is(run.status, 1, run.stderr);
  assert.match(run.stdout, /\nfirst beyond tolerance: conv1@\S+ \(\w+\)\nlikely cause \(accumulated\): /);
});

test('misuse gives one sentence with exit status 2, a failure one with 1', () => {
  const loss = join(folder, 'loss.prototxt');
  const net = readNetFile(model);
  writeFileSync(
    loss,
    printPrototxt({
      ...net,
      layer: [
        ...net.layer!,
        { name: 'label', type: 'Input', top: ['label'], input_param: { shape: [{ dim: [1] }] } },
        { name: 'loss', type: 'SoftmaxWithLoss', bottom: ['fc10', 'label'], top: ['loss'] },
      ],
    }),
  );
  for (const [status, message, words] of [
    [2, /expected folders of recorded cases, or --model and --against/, []],
    [2, /expected folders of recorded cases, or --model and --against/, ['--model', model]],
    [2, /not both/, ['golden', '--model', model, '--against', 'cpu']],
    [2, /from 0 to 1/, ['--tolerance', '2']],
    [2, /--against: expected .*folder of a dump/, ['--model', model, '--against', 'gpu']],
    [1, /manifest\.json/, ['--model', model, '--against', folder]],
    [1, /ONNX needs weights/, ['--model', model, '--against', 'onnx']],
    [1, /cannot be written to ONNX/, ['--model', loss, ...weights, '--against', 'onnx']],
  ] as const) {
    const run = resnode(...words);
    assert.match(run.stderr, /^resnode: [^\n]+\n$/, words.join(' '));
    assert.match(run.stderr, message);
    assert.is(run.status, status, words.join(' '));
  }
});

test.run();
