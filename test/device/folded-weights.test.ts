/** Weights with one factor per channel, read from a file's bytes: of either type, at any address. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Blob, blobFromFloats } from '../../ts/caffe/blob.ts';
import { openDevice, readNet } from '../../ts/index.ts';

const net = readNet(
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 1 dim: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
layer { name: "scale" type: "Scale" bottom: "conv" top: "scaled" }`,
  { file: 'net.prototxt' },
);
const WEIGHTS = Float32Array.of(1, 2, -3, 4, 0.5, -6);
const FACTORS = Float32Array.of(1 / 3, -2, 0.1);
const INPUT = [5, 7];

const doubles: Blob = {
  shape: [3, 2, 1, 1],
  dtype: 'float64',
  bytes: new Uint8Array(Float64Array.from(WEIGHTS).buffer),
};
const moved: Blob = {
  shape: [3, 2, 1, 1],
  dtype: 'float32',
  bytes: new Uint8Array(4 * WEIGHTS.length + 1).subarray(1),
};
moved.bytes.set(new Uint8Array(Float32Array.from(WEIGHTS).buffer));

for (const kind of ['reference', 'cpu'] as const)
  for (const [name, blob] of Object.entries({
    floats: blobFromFloats([3, 2, 1, 1], WEIGHTS),
    moved,
    doubles,
  }))
    test(`${kind}: ${name}`, async () => {
      using device = await openDevice(kind, { threads: 1 });
      await using model = await device.load({
        model: net,
        weights: {
          file: 'weights',
          name: '',
          layers: [
            { name: 'conv', type: 'Convolution', blobs: [blob] },
            { name: 'scale', type: 'Scale', blobs: [blobFromFloats([3], FACTORS)] },
          ],
        },
      });
      const { scaled } = await model.run({ data: Float32Array.from(INPUT) });
      for (const [channel, factor] of FACTORS.entries()) {
        const expected = factor * (WEIGHTS[2 * channel]! * INPUT[0]! + WEIGHTS[2 * channel + 1]! * INPUT[1]!);
        assert.ok(Math.abs(scaled!.data[channel]! - expected) <= 1e-6 * Math.abs(expected));
      }
    });

test.run();
