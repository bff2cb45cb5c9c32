import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { type Blob, blobFromFloats } from '../../ts/caffe/blob.ts';
import { readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';
import { SGD_UPDATE, withLoss } from '../../ts/device/plan-training.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { openDevice } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const model = join(repositoryFolder, 'examples/fashion/deploy.prototxt');
const weights = join(repositoryFolder, 'examples/fashion/model.caffemodel');
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });

for (const kind of ['cpu', 'reference'] as const)
  test(`for batches 1 and 3, plan prints what the ${kind} device holds after load`, async () => {
    // Without measuring, because on a busy machine two processes may choose differently.
    const words = [
      'plan',
      model,
      '--device',
      kind,
      '--threads',
      '2',
      '--batch',
      '1,3',
      '--no-tune',
      '--json',
    ];
    const { batches, freeBytes, largestBatch } = JSON.parse(resnode(...words).stdout);
    assert.equal(
      batches.map(({ batch }: { batch: number }) => batch),
      [1, 3],
    );
    for (const row of batches) {
      await using device = await openDevice(kind, { threads: 2, tune: false });
      await using _ = await device.load({ model, weights, batch: row.batch });
      const { parameters, activations, workspace, total } = device.memory();
      assert.equal([row.activationBytes, row.workspaceBytes], [activations, workspace]);
      assert.equal([row.weightBytes, row.totalBytes], [parameters, total]);
      assert.is(row.fits, row.totalBytes <= freeBytes);
    }
    assert.ok(largestBatch >= 3);
  });

test('a net that takes one image, such as one with proposals, is planned with batch 1 as the largest', () => {
  const net = join(mkdtempSync(join(tmpdir(), 'resnode-plan-')), 'net.prototxt');
  const inputs = ['s', 'd', 'i'].map(
    (name, i) =>
      `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${['dim: 1 dim: 18 dim: 4 dim: 4', 'dim: 1 dim: 36 dim: 4 dim: 4', 'dim: 1 dim: 3'][i]} } } }`,
  );
  writeFileSync(
    net,
    `${inputs.join('\n')}\nlayer { name: "p" type: "Proposal" bottom: "s" bottom: "d" bottom: "i" top: "p" }`,
  );
  const { status, stdout, stderr } = resnode('plan', net, '--json');
  assert.is(status, 0, stderr);
  assert.is(JSON.parse(stdout).largestBatch, 1);
});

for (const recompute of [false, true])
  test(`plan --train${recompute ? ' --recompute' : ''} prints what the device holds in training`, async () => {
    const words = ['plan', model, '--train', '--device', 'cpu', '--threads', '2', '--batch', '4', '--json'];
    const [row] = JSON.parse(resnode(...words, ...(recompute ? ['--recompute'] : [])).stdout).batches;
    await using device = await openDevice('cpu', { threads: 2 });
    const net = withLoss(readNetFile(model));
    using _ = await device.train({ model: net, batch: 4, weights, update: SGD_UPDATE, recompute });
    assert.is(row.totalBytes, device.memory().total);
    assert.ok(row.activationBytes > 0);
  });

// Weights that two layers share, folded and unfolded biases, and layers that reference loops compute next to oneDNN.
const mixed = `
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
  layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 3 kernel_size: 3 pad: 1 }
          param { name: "w" } param { name: "b" } }
  layer { name: "bn" type: "BatchNorm" bottom: "a" top: "bn" }
  layer { name: "c" type: "Convolution" bottom: "bn" top: "c" convolution_param { num_output: 3 kernel_size: 3 pad: 1 }
          param { name: "w" } param { name: "b" } }
  layer { name: "prelu" type: "PReLU" bottom: "c" top: "prelu" }
  layer { name: "scale" type: "Scale" bottom: "prelu" top: "scale" scale_param { bias_term: true } }
  layer { name: "fc" type: "InnerProduct" bottom: "scale" top: "fc" inner_product_param { num_output: 5 } }
  layer { name: "rows" type: "InnerProduct" bottom: "scale" top: "rows" inner_product_param { num_output: 4 axis: 2 } }`;

test('a plan is exact for shared weights, computed parameters and layers without oneDNN, optimised or not', async () => {
  const net = readNet(mixed, { file: 'mixed.prototxt' });
  const random = seededRandom(7);
  const layers = new Map<string, { name: string; type: string; blobs: Blob[] }>();
  for (const { layer, shape } of graphFromCaffe(net).parameters) {
    const values = Float32Array.from({ length: elementCount(shape) }, () => 0.5 + random());
    if (!layers.has(layer)) layers.set(layer, { name: layer, type: '', blobs: [] });
    layers.get(layer)!.blobs.push(blobFromFloats(shape, values));
  }
  const file = join(mkdtempSync(join(tmpdir(), 'resnode-')), 'mixed.caffemodel');
  writeCaffemodel(file, { name: 'mixed', layers: [...layers.values()] });
  for (const kind of ['cpu', 'reference'] as const)
    for (const optimize of [true, false]) {
      await using device = await openDevice(kind, { threads: 2 });
      const { parameterBytes, arenaBytes, workspaceBytes } = await device.plan({ model: net, optimize });
      await using _ = await device.load({ model: net, weights: file, optimize, strict: true });
      const { parameters, activations, workspace } = device.memory();
      assert.equal([parameterBytes, arenaBytes, workspaceBytes], [parameters, activations, workspace], kind);
    }
});

test('plan prints a table, which says what it does not measure', () => {
  const { stdout } = resnode('plan', model, '--device', 'cpu', '--batch', '1');
  assert.match(stdout, /batch +weights +activations +workspace +total +fits\n +1 .* yes\nlargest that fits /);
  const recompute = resnode('plan', model, '--recompute');
  assert.is(recompute.status, 2);
  assert.is(recompute.stderr, 'resnode: --recompute needs --train\n');
  assert.is(resnode('plan', model, '--batch', '1,0').status, 2);
  const noGpu = resnode('plan', model, '--device', 'cpu', '--gpu-memory', '8GiB');
  assert.is(noGpu.status, 2);
  assert.match(noGpu.stderr, /--gpu-memory needs --device cuda/);
  for (const size of ['0', '8', 'much', '8TB', '-1GiB']) {
    const refused = resnode('plan', model, '--device', 'cuda', `--gpu-memory=${size}`);
    assert.is(refused.status, 2, size);
    assert.match(refused.stderr, /a size such as 8GiB/);
  }
  assert.is(resnode('plan', 'none.prototxt').status, 2);
});

test.run();
