/** A bottleneck ResNet of 50 layers, and deconvolutions, in each precision, compared with Caffe's float32 results. */
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Precision } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { goldenCases, readFloats, readJson } from '../support/golden.ts';

interface Manifest {
  weights: string;
  passes: { inputs: Record<string, { file: string }>; blobs: Record<string, { file: string }> }[];
}

/** Blobs by the number of convolutions on the longest path to them. */
const DEPTHS = { conv1: 1, res2a: 4, res2c: 10, res3d: 22, res4f: 40, res5c: 49, prob: 50 };
/** A unit in the last place of a stored value or a factor. */
const UNIT: Partial<Record<Precision, number>> = {
  tf32: 2 ** -10,
  float16: 2 ** -10,
  bfloat16: 2 ** -7,
};

const device = await openEmulated();
const folder = goldenCases('mini-resnet').find((path) => path.endsWith('r50w8'));
if (device !== null && folder !== undefined) {
  const manifest = readJson<Manifest>(join(folder, 'manifest.json'));
  const [pass] = manifest.passes as [Manifest['passes'][0]];
  for (const [precision, unit] of Object.entries(UNIT) as [Precision, number][]) {
    // Each layer rounds its input, weights and output, by at most half a unit each. Over layers, these errors add up
    // like a random walk at best and linearly at worst. The bound is linear: one unit per layer, relative to the blob's
    // largest value.
    test(`${precision}: every blob within depth × ${unit} of its largest value, and the same best class`, async () => {
      using model = await device.load({
        model: join(folder, 'net.prototxt'),
        weights: join(folder, manifest.weights),
        outputs: Object.keys(DEPTHS),
        precision,
      });
      const results = await model.run({ data: readFloats(join(folder, pass.inputs.data!.file)) });
      const errors = Object.entries(DEPTHS).map(([name, depth]) => {
        const expected = readFloats(join(folder, pass.blobs[name]!.file));
        const actual = results[name]!.data;
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);
        return { name, error: worst / largest, bound: depth * unit };
      });
      for (const { name, error, bound } of errors)
        assert.ok(
          error <= bound,
          `${name}: ${error} of its largest value, at most ${bound}\n${JSON.stringify(errors)}`,
        );
      // Coarser than float32, so the precision was not ignored.
      assert.ok(
        errors.some(({ error }) => error > unit / 64),
        JSON.stringify(errors),
      );
      const best = (values: Float32Array) => values.indexOf(Math.max(...values));
      const expected = readFloats(join(folder, pass.blobs.prob!.file));
      for (let image = 0; image < 2; image++) {
        const row = (values: Float32Array) =>
          values.slice((image * values.length) / 2, ((image + 1) * values.length) / 2);
        assert.is(best(row(results.prob!.data)), best(row(expected)));
      }
    });
  }
}

// One rounding of the input, the weights, the sums, and the bias: two units, relative to the blob's largest value.
if (device !== null)
  for (const folder of goldenCases('layers2').filter((path) => /^deconv_.*[a-z]\d/.test(basename(path)))) {
    const manifest = readJson<Manifest>(join(folder, 'manifest.json'));
    const [{ inputs, blobs }] = manifest.passes as [Manifest['passes'][0]];
    for (const [precision, unit] of Object.entries(UNIT) as [Precision, number][])
      test(`${precision}: ${basename(folder)} within two units`, async () => {
        using model = await device.load({
          model: join(folder, 'net.prototxt'),
          weights: join(folder, manifest.weights),
          outputs: Object.keys(blobs),
          precision,
        });
        const read = ({ file }: { file: string }) => readFloats(join(folder, file));
        const results = await model.run(
          Object.fromEntries(Object.entries(inputs).map(([name, recorded]) => [name, read(recorded)])),
        );
        for (const [name, recorded] of Object.entries(blobs)) {
          const expected = read(recorded);
          const largest = Math.max(...expected.map(Math.abs));
          const worst = Math.max(...expected.map((value, i) => Math.abs(value - results[name]!.data[i]!)));
          assert.ok(worst <= 2 * unit * largest, `${name}: ${worst / largest / unit} units`);
        }
      });
  }

test.after(() => device?.dispose());
test.run();
