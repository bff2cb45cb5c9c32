/**
 * Pickles of Lasagne and neon: NumPy arrays that are read as data and mapped to a net (files that numpy wrote,
 * make_pickles.py).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WeightsError } from '../../ts/base/errors.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { readNpy } from '../../ts/caffe/npy.ts';
import { formatOfFile } from '../../ts/convert/formats.ts';
import { mappedWeights, namedTensors } from '../../ts/convert/mapped-weights.ts';
import { numpyTensors, readNumpyPickle } from '../../ts/convert/numpy/read-pickle.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-pickles-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const made = spawnSync('python3', [join(repositoryFolder, 'test/convert/fixtures/make_pickles.py'), folder], {
  encoding: 'utf8',
});
const isMade = made.status === 0;
if (!isMade)
  console.log(`skipped: pickles of numpy: ${made.error?.message ?? made.stderr.trim().split('\n').at(-1)}`);
const npy = (name: string) => [...toFloat32(readNpy(readFileSync(path(name)), { file: name }))];

const net = readNet(
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 3 dim: 3 } } }
   layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
   layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 5 } }`,
  { file: 'net' },
);
async function weightsOf(file: string, map: object) {
  writeFileSync(path('map.json'), JSON.stringify(map));
  const { layers } = mappedWeights(net, await namedTensors(file), path('map.json'), file);
  return layers.flatMap(({ blobs }) => blobs.map((blob) => [...toFloat32(blob)]));
}
const transposed = (values: readonly number[]) =>
  Array.from({ length: 20 }, (_, i) => values[(i % 4) * 5 + Math.floor(i / 4)]!);

if (isMade) {
  test('the values of a Lasagne pickle fill a net through a map, whatever its protocol', async () => {
    const zeros = Array<number>(5).fill(0);
    for (const protocol of [2, 3, 4, 5]) {
      const file = path(`lasagne-${protocol}.pkl`);
      assert.is((await formatOfFile(file)).name, 'NumPy pickle');
      const map = { conv: ['values/0', 'values/1'], fc: [{ tensor: 'values/2', transpose: [1, 0] }, null] };
      assert.equal(
        await weightsOf(file, map),
        [npy('filters.npy'), npy('bias.npy'), transposed(npy('dense.npy')), zeros],
        `protocol ${protocol}`,
      );
    }
  });

  test("neon's filters, a matrix, are reshaped and transposed", async () => {
    const layer = (i: number) => `model/config/layers/${i}/params/W`;
    const map = {
      conv: [{ tensor: layer(0), reshape: [3, 3, 3, 4], transpose: [3, 0, 1, 2] }, null],
      fc: [layer(1), null],
    };
    const [filters, , dense] = await weightsOf(path('neon.prm'), map);
    assert.equal(filters, npy('filters.npy'));
    assert.equal(dense, transposed(npy('dense.npy')));
    const wrong = { ...map, conv: [{ tensor: layer(0), reshape: [3, 3, 4] }, null] };
    const error = await weightsOf(path('neon.prm'), wrong).catch((thrown: unknown) => thrown);
    assert.match((error as Error).message, /reshape is \[3,3,4\], expected dimensions of 108 values/);
  });

  test('without a map, the arrays of a pickle are printed in a table', async () => {
    const error = await readNumpyPickle(path('lasagne-2.pkl')).catch((thrown: unknown) => thrown);
    assert.instance(error, WeightsError);
    assert.match(
      (error as Error).message,
      /--map names\.json.*values\/0 +4×3×3×3 {2}f4.*mean_image +3×2×2 {2}u1/s,
    );
  });

  test('a pickle that calls code is refused by name, and nothing runs', async () => {
    const error = await namedTensors(path('hostile.pkl')).catch((thrown: unknown) => thrown);
    assert.instance(error, WeightsError);
    assert.is((error as WeightsError).code, 'torch/global');
    assert.match((error as Error).message, /refers to posix\.system, which is code.*numpy\.savez/s);
    assert.not(existsSync(path('executed')));
  });

  test('arrays with another byte order are refused when requested; a pickle that contains itself ends', async () => {
    const map = { conv: ['values/0', 'values/1'], fc: [{ tensor: 'values/2', transpose: [1, 0] }, null] };
    const error = await weightsOf(path('big-endian.pkl'), map).catch((thrown: unknown) => thrown);
    assert.is((error as WeightsError).code, 'convert/tensor-type');
    assert.equal([...(await namedTensors(path('itself.pkl'))).keys()], ['values/0']);
  });

  test('a pickle that is truncated or damaged anywhere gives a typed error or other values', () => {
    const bytes = readFileSync(path('lasagne-2.pkl'));
    for (let at = 0; at < bytes.length; at += 7) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0xff;
      for (const each of [bytes.subarray(0, at), damaged])
        try {
          for (const tensor of numpyTensors(each, 'x.pkl').values()) tensor.blob();
        } catch (error) {
          assert.instance(error, WeightsError, `byte ${at}: ${(error as Error).stack}`);
        }
    }
  });
}

test.run();
