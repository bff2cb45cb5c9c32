import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WeightsError } from '../../ts/base/errors.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readBinaryproto, readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { matchWeights } from '../../ts/caffe/match-weights.ts';
import { goldenFolder, readFloats, readJson, sharedFolder } from '../support/golden.ts';

interface Manifest {
  params: Record<string, { file: string; shape: number[] }[]>;
  equivalent: Record<string, string>;
  refused: Record<string, { ok: boolean }>;
}

const golden = goldenFolder();
const isWeightsError = (error: unknown) => error instanceof WeightsError;

if (golden !== null) {
  const folder = join(golden, 'weights');
  const manifest = readJson<Manifest>(join(folder, 'manifest.json'));
  const parameters = Object.entries(manifest.params).flatMap(([layer, blobs]) =>
    blobs.map(({ shape }, index) => ({ layer, index, shape })),
  );
  const load = (name: string, partialWeights = false) =>
    matchWeights(parameters, readCaffemodel(readFileSync(join(folder, name)), { file: name }), {
      partialWeights,
    });

  for (const name of Object.keys(manifest.equivalent).filter((file) => file.endsWith('.caffemodel'))) {
    test(`${name} gives the parameters that Caffe loads`, () => {
      const { blobs } = load(name);
      parameters.forEach(({ layer, index }, i) => {
        assert.equal(toFloat32(blobs[i]!), readFloats(join(folder, manifest.params[layer]![index]!.file)));
      });
    });
  }
  for (const [name, { ok }] of Object.entries(manifest.refused)) {
    if (name.startsWith('no_such')) continue;
    test(`${name} is ${ok ? 'accepted, as Caffe does' : 'refused with a WeightsError'}`, () => {
      // A file that Caffe accepts without layers is accepted here only on request.
      if (ok) load(name, true);
      else assert.throws(() => load(name), isWeightsError);
    });
  }

  test('reading makes views of the file, not copies', () => {
    const bytes = new Uint8Array(readFileSync(join(folder, 'v2.caffemodel')));
    for (const layer of readCaffemodel(bytes, { file: 'v2' }).layers)
      for (const blob of layer.blobs) assert.is(blob.bytes.buffer, bytes.buffer);
  });

  test('every prefix of a caffemodel gives a result or a WeightsError', () => {
    const bytes = readFileSync(join(folder, 'v2.caffemodel'));
    for (let length = 0; length < bytes.length; length++) {
      try {
        readCaffemodel(bytes.subarray(0, length), { file: 'prefix' });
      } catch (error) {
        if (!isWeightsError(error)) throw error;
      }
    }
  });

  test('10,000 mutated caffemodels give a result or a WeightsError', () => {
    const source = readFileSync(join(folder, 'v1.caffemodel'));
    let seed = 11;
    const random = (n: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    for (let i = 0; i < 10_000; i++) {
      const bytes = new Uint8Array(source);
      for (let k = random(8) + 1; k > 0; k--)
        bytes[random(random(2) === 0 ? 200 : bytes.length)] = random(2) === 0 ? 0xff : random(256);
      try {
        matchWeights(parameters, readCaffemodel(bytes, { file: 'mutated' }));
      } catch (error) {
        if (!isWeightsError(error)) throw error;
      }
    }
  });
}

test('a mismatch names the layer, the blob and both shapes', () => {
  const weights = {
    file: 'w',
    name: '',
    layers: [
      {
        name: 'ip',
        type: '',
        blobs: [{ shape: [36, 5], dtype: 'float32' as const, bytes: new Uint8Array(720) }],
      },
    ],
  };
  assert.throws(
    () => matchWeights([{ layer: 'ip', index: 0, shape: [5, 36] }], weights),
    /layer "ip", blob 0: the file has 36×5, the net needs 5×36/,
  );
});

const mean = sharedFolder() === null ? null : join(sharedFolder()!, 'data/ResNet_mean.binaryproto');
if (mean !== null) {
  test("MSRA's mean image reads as 3×224×224 with its published channel means", () => {
    const blob = readBinaryproto(readFileSync(mean), { file: mean });
    assert.equal(blob.shape, [1, 3, 224, 224]);
    const values = toFloat32(blob);
    for (const [channel, expected] of [103.063, 115.903, 123.152].entries()) {
      const plane = values.subarray(channel * 50176, (channel + 1) * 50176);
      assert.ok(Math.abs(plane.reduce((sum, value) => sum + value, 0) / 50176 - expected) < 1e-3);
    }
  });
}

test.run();
