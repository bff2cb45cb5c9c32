/** The CPU device opens oneDNN's library only if it is requested by name. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice, ResnodeError, readNet } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

/** Only oneDNN loads OpenMP's threads. */
const isOpen = () => /libdnnl|libgomp/.test(readFileSync('/proc/self/maps', 'utf8'));

const nets = {
  'a residual block': `
    layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 24 kernel_size: 3 pad: 1 } }
    layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }
    layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
    layer { name: "p" type: "Convolution" bottom: "data" top: "p" convolution_param { num_output: 24 kernel_size: 1 } }
    layer { name: "e" type: "Eltwise" bottom: "c" bottom: "p" top: "e" }
    layer { name: "r" type: "ReLU" bottom: "e" top: "e" }
    layer { name: "m" type: "Pooling" bottom: "e" top: "m" pooling_param { kernel_size: 3 stride: 2 } }
    layer { name: "g" type: "Pooling" bottom: "m" top: "g" pooling_param { pool: AVE global_pooling: true } }
    layer { name: "f" type: "InnerProduct" bottom: "g" top: "f" inner_product_param { num_output: 5 } }
    layer { name: "prob" type: "Softmax" bottom: "f" top: "prob" }`,
  'groups, a deconvolution, a concatenation, a crop': `
    layer { name: "d" type: "Convolution" bottom: "data" top: "d" convolution_param { num_output: 6 group: 3 kernel_size: 3 stride: 4 } }
    layer { name: "u" type: "Deconvolution" bottom: "d" top: "u" convolution_param { num_output: 2 kernel_size: 4 stride: 2 } }
    layer { name: "w" type: "Crop" bottom: "data" bottom: "u" top: "w" crop_param { axis: 2 offset: 0 } }
    layer { name: "cat" type: "Concat" bottom: "u" bottom: "w" top: "cat" }
    layer { name: "n" type: "LRN" bottom: "cat" top: "n" }`,
};
const netOf = (layers: string) =>
  readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 17 dim: 19 } } } ${layers}`,
    { file: 'net.prototxt' },
  );
const data = Float32Array.from({ length: 2 * 3 * 17 * 19 }, (_, i) => ((i * 7) % 11) - 5);

await using probe = await openDevice('cpu', { threads: 2 });
const hasTiles = probe.description.kernels !== 'oneDNN';
if (!hasTiles) console.log('skipped: this processor has no instructions for our tiles: all is oneDNN’s');

if (hasTiles) {
  test('a library that cannot be opened is named with its purpose, and stops only what needs it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
    copyFileSync(
      join(repositoryFolder, 'build/Release/libresnode_cpu.so'),
      join(folder, 'libresnode_cpu.so'),
    );
    writeFileSync(join(folder, 'libdnnl.so.2'), 'no library');
    try {
      await using device = await openDevice('cpu', { threads: 2, libraryFolder: folder });
      await using model = await device.load({ model: netOf(nets['a residual block']) });
      assert.is((await model.run({ data })).prob!.data.length, 10);
      const trainer = await device.train({
        model: netOf(nets['a residual block']),
        update: null,
        diffs: ['f'],
      });
      trainer.dispose();
      const refused = async (work: () => Promise<unknown>) => {
        const error = await work().then(
          () => assert.unreachable('it was accepted'),
          (error) => error as ResnodeError,
        );
        assert.instance(error, ResnodeError);
        assert.is((error as ResnodeError).code, 'device/unavailable');
        assert.match(
          (error as ResnodeError).message,
          /kernels: "oneDNN".*libdnnl\.so\.2.*apt-get install libdnnl2/,
        );
      };
      await refused(() => openDevice('cpu', { kernels: 'oneDNN', libraryFolder: folder }));
    } finally {
      rmSync(folder, { recursive: true });
    }
    assert.not(isOpen());
  });

  for (const [name, layers] of Object.entries(nets))
    test(`float32 inference opens nothing: ${name}`, async () => {
      for (const options of [{ threads: 1 }, { threads: 2 }]) {
        await using device = await openDevice('cpu', options);
        assert.is(device.description.oneDNN, 'opened on demand');
        for (const optimize of [true, false]) {
          await using model = await device.load({ model: netOf(layers), optimize });
          await model.run({ data });
        }
      }
      assert.not(isOpen());
    });

  for (const [name, layers] of Object.entries(nets))
    test(`training opens nothing, with learned and frozen layers and a test net: ${name}`, async () => {
      const model = netOf(layers);
      for (const layer of model.layer!.filter(({ name }) => name === 'p')) layer.param = [{ lr_mult: 0 }];
      for (const threads of [1, 2]) {
        await using device = await openDevice('cpu', { threads });
        for (const recompute of [false, true]) {
          await using trainer = await device.train({ model, update: null, diffs: ['data'], recompute });
          const topDiffs = Object.fromEntries(
            Object.entries(trainer.outputs).map(([top, shape]) => [
              top,
              new Float32Array(shape.reduce((a, b) => a * b)).fill(1),
            ]),
          );
          await trainer.gradients({ data }, { topDiffs });
          await trainer.weights();
        }
      }
      assert.not(isOpen());
    });
}

test('if requested by name, it is opened with the device, which reports its version', async () => {
  await using device = await openDevice('cpu', { kernels: 'oneDNN', threads: 2 });
  assert.match(String(device.description.oneDNN), /^2\.\d+\.\d+$/);
  assert.ok(isOpen());
});

test.run();
