/** The full-size ResNet-50 of the recipe against what real Caffe computed. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filterNet, graphFromCaffe, openDevice, readNet } from '../../ts/index.ts';
import { recipeInput, recipeWeights } from '../../ts/tools/parity/recipe.ts';
import { goldenFolder, readFloats, readJson } from '../support/golden.ts';

interface Manifest {
  seed: number;
  input: { shape: [number, number, number, number]; sha256: string };
  weights_sha256: Record<string, string[]>;
  blobs: Record<string, { file: string; stride: number; noise: number }>;
  samples: Record<string, { stride: number; offset: number; count: number }>;
  samples_file: { file: string; noise: number };
}

const golden = goldenFolder();
if (golden !== null) {
  const folder = join(golden, 'recipe/resnet50');
  const manifest = readJson<Manifest>(join(folder, 'manifest.json'));
  const net = filterNet(
    readNet(readFileSync(join(folder, 'net.prototxt'), 'utf8'), { file: 'net.prototxt' }),
  );
  const weights = recipeWeights(graphFromCaffe(net), manifest.seed);
  const input = recipeInput(manifest.input.shape, manifest.seed);
  const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const close = (
    actual: Float32Array,
    stride: number,
    expected: Float32Array,
    noise: number,
    what: string,
  ) => {
    const maximum = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    const worst = expected.reduce(
      (largest, value, i) => Math.max(largest, Math.abs(value - actual[i * stride]!)),
      0,
    );
    assert.ok(worst <= 20 * noise + 1e-6 * maximum, `${what}: differs by ${worst}, maximum ${maximum}`);
  };

  test('the recipe makes the recorded weights and input, bit by bit', () => {
    assert.is(sha(new Uint8Array(input.buffer)), manifest.input.sha256);
    for (const { name, blobs } of weights.layers)
      assert.equal(
        blobs.map(({ bytes }) => sha(bytes)),
        manifest.weights_sha256[name],
        name,
      );
  });

  test("ResNet-50 on the CPU, fused, gives Caffe's results for the blobs that were recorded completely", async () => {
    using device = await openDevice('cpu', { threads: 2 });
    using model = await device.load({ model: net, weights });
    const { prob } = await model.run({ data: input });
    close(
      prob!.data,
      manifest.blobs.prob!.stride,
      readFloats(join(folder, manifest.blobs.prob!.file)),
      manifest.blobs.prob!.noise,
      'prob',
    );
  });

  test("ResNet-50 on the CPU gives Caffe's results in every blob", async () => {
    using device = await openDevice('cpu', { threads: 2 });
    const names = Object.keys(manifest.samples);
    using model = await device.load({ model: net, weights, outputs: names });
    const outputs = await model.run({ data: input });
    const samples = readFloats(join(folder, manifest.samples_file.file));
    for (const [name, { stride, offset, count }] of Object.entries(manifest.samples)) {
      close(
        outputs[name]!.data,
        stride,
        samples.subarray(offset, offset + count),
        manifest.samples_file.noise,
        name,
      );
    }
  });
}

test.run();
