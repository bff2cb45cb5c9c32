/** The train_val net that `generate` writes works in every command that reads a net. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { type Blob, blobFromFloats, openDevice, writeCaffemodel } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
const resnode = (...words: string[]) => {
  const run = spawnSync(process.execPath, [...COMMAND, ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });
  assert.is(run.status, 0, `${words.join(' ')}: ${run.stderr}`);
  return run.stdout;
};
const cpu = ['--device', 'cpu', '--threads', '1'];
const net = join(folder, 'train_val.prototxt');

test.before(() => {
  resnode('generate', 'resnet', '--depth', '20', '--out', folder);
});

test('summary and plan read it, also for training, and time runs both passes separately', () => {
  assert.match(resnode('summary', net, '--batch', '1', ...cpu), /SoftmaxWithLoss.*0\.27 M parameters/s);
  assert.match(resnode('plan', net, '--train', '--batch', '2', ...cpu), /largest that fits/);
  const timed = JSON.parse(
    resnode('time', '--model', net, '--backward', '--iterations', '1', '--batch', '1', '--json', ...cpu),
  );
  assert.is(timed.phase, 'TRAIN');
  assert.equal(
    [...new Set(timed.operations.map(({ pass }: { pass: string }) => pass))],
    ['forward', 'backward'],
  );
  assert.ok(timed.passes.forward > 0 && timed.passes.backward > 0);
});

test('view draws it, convert writes its deploy net, and print makes the deploy net and converts back', async () => {
  resnode('view', net, '--out', join(folder, 'net.html'));
  using device = await openDevice('cpu', { threads: 1 });
  using trainer = await device.train({ model: net, batch: 1, update: null });
  const weights = join(folder, 'w.caffemodel');
  // Without stored statistics every BatchNorm multiplies by 1/√eps, which ends in NaN.
  const { layers, ...rest } = await trainer.weights();
  const stored = ({ shape }: Blob) => blobFromFloats(shape, new Float32Array(elementCount(shape)).fill(1));
  writeCaffemodel(weights, {
    ...rest,
    layers: layers.map((layer) =>
      layer.type === 'BatchNorm' ? { ...layer, blobs: layer.blobs.map(stored) } : layer,
    ),
  });
  resnode('convert', weights, '--out', join(folder, 'w.onnx'), '--model', net);
  const deploy = join(folder, 'made.prototxt');
  writeFileSync(deploy, resnode('print', '--deploy', net));
  assert.match(readFileSync(deploy, 'utf8'), /type: "Input".*name: "prob"\n {2}type: "Softmax"/s);
  assert.match(
    resnode('print', '--train', deploy),
    /type: "Data".*type: "SoftmaxWithLoss".*type: "Accuracy"/s,
  );
});

test('run takes shapes on the command line, and needs no label if no output does', () => {
  writeFileSync(join(folder, 'x.f32'), new Uint8Array(4 * 3 * 32 * 32));
  const words = ['--input', `data=${join(folder, 'x.f32')}`, '--input-shape', 'data=1x3x32x32'];
  const out = join(folder, 'out');
  const printed = resnode('run', '--model', net, ...words, '--blobs', 'fc10', '--out', out, '--json', ...cpu);
  assert.equal(JSON.parse(printed).blobs.fc10.shape, [1, 10]);
});

test.run();
