/**
 * `mpirun -n 2 resnode train --mpi`: one log, one snapshot, and the same weights as a single process with the whole
 * batch.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import { readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';
import { difference } from '../../ts/tools/parity/difference.ts';
import { COMMAND } from '../support/command.ts';
import { hasMpirun, inProcesses } from '../support/in-processes.ts';

const main = 'ts/cli/main.ts';

function writeFiles(folder: string, batch: number): string {
  const list = Array.from({ length: 16 }, (_, i) => `${join(folder, `${i % 8}.png`)} ${i % 3}`).join('\n');
  writeFileSync(join(folder, 'list.txt'), `${list}\n`);
  const net = `name: "small"
layer { name: "data" type: "ImageData" top: "data" top: "label" transform_param { scale: 0.0078125 mean_value: 128 }
  image_data_param { source: "${join(folder, 'list.txt')}" batch_size: ${batch} } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 8 kernel_size: 3 bias_term: false weight_filler { type: "msra" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`;
  writeFileSync(join(folder, `net${batch}.prototxt`), net);
  const solver = join(folder, `solver${batch}.prototxt`);
  writeFileSync(
    solver,
    `net: "${join(folder, `net${batch}.prototxt`)}" base_lr: 0.05 momentum: 0.9 lr_policy: "fixed" max_iter: 6
display: 1 snapshot_prefix: "${join(folder, `s${batch}`)}" random_seed: 3 solver_mode: CPU`,
  );
  return solver;
}

if (hasMpirun())
  test('two processes with half the batch each end with the same weights as one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'resnode-mpi-'));
    try {
      const { default: sharp } = await import('sharp');
      for (let i = 0; i < 8; i++) {
        const pixels = Uint8Array.from({ length: 3 * 36 }, (_, k) => (k * 37 + i * 101) % 256);
        await sharp(pixels, { raw: { width: 6, height: 6, channels: 3 } })
          .png()
          .toFile(join(folder, `${i}.png`));
      }
      const [whole, half] = [writeFiles(folder, 8), writeFiles(folder, 4)];
      const one = spawnSync(process.execPath, [...COMMAND, 'train', '--solver', whole, '--threads', '1'], {
        encoding: 'utf8',
      });
      assert.is(one.status, 0, one.stderr);
      const two = await inProcesses(2, main, [
        'train',
        '--solver',
        half,
        '--threads',
        '1',
        '--mpi',
        '--sync-bn',
      ]);
      assert.is(two.status, 0, two.stderr);
      assert.is(two.stdout.match(/^iteration 3/gm)?.length, 1);
      const weights = (batch: number) => {
        const file = join(folder, `s${batch}_iter_6.caffemodel`);
        return readCaffemodel(new Uint8Array(readFileSync(file)), { file }).layers.flatMap(
          ({ name, blobs }) => blobs.map((blob, i) => [`${name}/${i}`, toFloat32(blob)] as const),
        );
      };
      const halved = new Map(weights(4));
      assert.ok(existsSync(join(folder, 's4_iter_6.solverstate')));
      for (const [name, expected] of weights(8)) {
        const { relative } = difference(halved.get(name)!, expected);
        assert.ok(relative < 1e-4, `${name}: ${relative}`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

/** A net on DummyData with the label `label`, and a solver for it. `unused` is a layer that no loss reads. */
function writeDummy(folder: string, more: string, label = 1, unused = ''): string {
  writeFileSync(
    join(folder, 'dummy.prototxt'),
    `layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 5 } shape { dim: 4 } data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: ${label} } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
${unused}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`,
  );
  const solver = join(folder, 'dummy_solver.prototxt');
  writeFileSync(
    solver,
    `net: "${join(folder, 'dummy.prototxt')}" base_lr: 0.01 lr_policy: "fixed" snapshot_prefix: "${join(folder, 'd')}" ${more}`,
  );
  return solver;
}

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-mpi-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const WORDS = ['--mpi', '--device', 'cpu', '--threads', '1'];
const signalled = 'test/device/processes/signalled-cli.ts';

if (hasMpirun()) {
  test('a weight that is infinite at a snapshot ends every process, and the layer is named', () =>
    inFolder(async (folder) => {
      const unused = `layer { name: "side" type: "InnerProduct" bottom: "data" top: "side" inner_product_param { num_output: 2 } }
layer { name: "silence" type: "Silence" bottom: "side" }`;
      const solver = writeDummy(folder, 'max_iter: 6 snapshot: 2 random_seed: 1', 1, unused);
      const weights = join(folder, 'infinite.caffemodel');
      const blob = (shape: number[], value: number) =>
        blobFromFloats(shape, new Float32Array(elementCount(shape)).fill(value));
      writeCaffemodel(weights, {
        name: '',
        layers: [
          { name: 'fc', type: 'InnerProduct', blobs: [blob([3, 5], 0.1), blob([3], 0)] },
          {
            name: 'side',
            type: 'InnerProduct',
            blobs: [blob([2, 5], Number.POSITIVE_INFINITY), blob([2], 0)],
          },
        ],
      });
      const words = ['train', '--solver', solver, '--weights', weights, ...WORDS];
      const { status, stderr } = await inProcesses(2, main, words);
      assert.is(status, 1, stderr);
      assert.match(stderr, /iteration 2: the weights are not finite; first bad layer "side"/);
      assert.match(stderr, /iteration 2: training diverged in process 0/);
      assert.not.ok(existsSync(join(folder, 'd_iter_2.caffemodel')));
    }));

  test('a process whose data layer throws ends the others, with its message', () =>
    inFolder(async (folder) => {
      const { default: sharp } = await import('sharp');
      const good = join(folder, 'good.png');
      await sharp({ create: { width: 6, height: 6, channels: 3, background: 'red' } })
        .png()
        .toFile(good);
      const broken = join(folder, 'broken.png');
      writeFileSync(broken, 'no image');
      // The second of two processes gets every second image.
      const lines = Array.from({ length: 12 }, (_, i) => `${i === 9 ? broken : good} ${i % 3}`);
      writeFiles(folder, 2);
      writeFileSync(join(folder, 'list.txt'), `${lines.join('\n')}\n`);
      const words = ['train', '--solver', join(folder, 'solver2.prototxt'), ...WORDS];
      const { status, stderr } = await inProcesses(2, main, words);
      assert.ok(status !== 0 && status !== null, `${status}`);
      assert.match(stderr, /broken\.png/);
    }));

  test('an invalid label within a step ends every process', () =>
    inFolder(async (folder) => {
      const solver = writeDummy(folder, 'max_iter: 6', 7);
      const { status, stderr } = await inProcesses(2, main, ['train', '--solver', solver, ...WORDS]);
      assert.ok(status !== 0 && status !== null, `${status}`);
      assert.match(stderr, /label 7/);
    }));

  for (const [signal, what] of [
    ['SIGINT', 'stops all, with one snapshot'],
    ['SIGTERM', 'stops all, with one snapshot'],
  ] as const)
    test(`${signal} to one process ${what}`, () =>
      inFolder(async (folder) => {
        const solver = writeDummy(folder, 'max_iter: 1000000 snapshot: 100 snapshot_after_train: true');
        const mark = join(folder, 'd_iter_100.solverstate');
        const words = [signal, mark, 'train', '--solver', solver, ...WORDS];
        const { status, stdout, stderr } = await inProcesses(2, signalled, words);
        assert.is(status, 0, stderr);
        assert.is(stdout.match(/^stopped early after \d+ iterations/gm)?.length, 1, stdout);
        const [, iteration] = /stopped early after (\d+)/.exec(stdout)!;
        assert.ok(existsSync(join(folder, `d_iter_${iteration}.solverstate`)));
      }));

  test('SIGKILL of one process ends the others', () =>
    inFolder(async (folder) => {
      const solver = writeDummy(folder, 'max_iter: 1000000 snapshot: 100');
      const mark = join(folder, 'd_iter_100.solverstate');
      const words = ['SIGKILL', mark, 'train', '--solver', solver, ...WORDS];
      const { status } = await inProcesses(2, signalled, words);
      assert.ok(status !== 0 && status !== null, `${status}`);
    }));
}

for (const [what, flags, message] of [
  ['--sync-bn alone', ['--sync-bn'], /--sync-bn needs --mpi/],
  [
    'several GPUs in one process',
    ['--gpu', '0,1'],
    /--gpu 0,1 needs one process per GPU: mpirun -n 2 resnode train/,
  ],
  ['one GPU twice', ['--gpu', '1,1', '--mpi'], /GPUs, separated by commas, each once/],
] as const)
  test(`${what} is a misuse`, () => {
    const words = [...COMMAND, 'train', '--solver', 'x', ...flags];
    const run = spawnSync(process.execPath, words, { encoding: 'utf8' });
    assert.is(run.status, 2, run.stderr);
    assert.match(run.stderr, message);
  });

test.run();
