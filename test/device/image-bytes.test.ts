/** Images as bytes on devices that compute in main memory; test/cuda runs the same cases on the emulated GPU. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Preprocess } from '../../ts/api/images.ts';
import { bytesOf } from '../../ts/images/preprocess.ts';
import { ArgumentError, type Inputs, type NetParameter, openDevice } from '../../ts/index.ts';
import { testImageBytes } from '../support/image-bytes-cases.ts';

for (const kind of ['reference', 'cpu'] as const) testImageBytes(kind, () => openDevice(kind), ['float32']);

const data = (dim: readonly number[]): NetParameter => ({
  name: 'twice',
  layer: [
    { name: 'data', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [...dim] }] } },
    { name: 'twice', type: 'Power', bottom: ['data'], top: ['twice'], power_param: { scale: 2 } },
  ],
});

test('mean and scale apply to each channel or to all, and each has a default', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load({ model: data([2, 2, 1, 1]) });
  const bytes = { shape: [2, 2, 1, 1], data: Uint8Array.of(10, 20, 30, 40) };
  const twice = async (more: object) => [
    ...(await model.run({ data: { ...bytes, ...more } as Inputs[string] })).twice!.data,
  ];
  assert.equal(await twice({}), [20, 40, 60, 80]);
  assert.equal(await twice({ mean: [1, 2] }), [18, 36, 58, 76]);
  assert.equal(await twice({ scale: [0.5] }), [10, 20, 30, 40]);
  assert.equal(await twice({ mean: [10], scale: [1, 0.5] }), [0, 10, 40, 30]);
});

test('a mean for an input that is not an image of bytes, or with another number of channels, is refused by name', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load({ model: data([1, 2, 1, 1]) });
  await using wide = await device.load({ model: data([1, 5, 1, 1]) });
  await using flat = await device.load({ model: data([1, 2]) });
  const shape = [1, 2, 1, 1];
  const of = (count: number) => new Uint8Array(count);
  for (const [net, input, message] of [
    [
      model,
      { shape, data: of(2), mean: [1, 2, 3] },
      /the mean of input "data": expected .*a list of 1 or 2 numbers that are finite in float32, but received \[1, 2, 3\]/,
    ],
    [model, { shape, data: of(2), mean: 5 }, /the mean of input "data"/],
    [model, { shape, data: of(2), mean: null }, /the mean of input "data": expected .+, but received null/],
    [model, { shape, data: of(2), mean: Float32Array.of(5) }, /Array\.from\(values\)/],
    // biome-ignore lint/suspicious/noSparseArray: what is tested
    [model, { shape, data: of(2), mean: [1, ,] }, /the mean of input "data"/],
    [model, { shape, data: of(2), mean: [1e39] }, /the mean of input "data": expected .+finite in float32/],
    [
      model,
      { shape, data: of(2), mean: [1], std: [2] },
      /the fields of input "data" .*: expected .*shape, data, mean, scale, but received "std"; the scale is 1 \/ std/,
    ],
    [model, { shape, data: of(2), mean: [1], scales: [2] }, /did you mean "scale"\?/],
    [model, { shape, data: of(2), scale: [Number.NaN] }, /the scale of input "data"/],
    [
      model,
      { shape, data: new Float32Array(2), mean: [1] },
      /input "data" with a mean or a scale: expected .*a Uint8Array or a uint8 DeviceBuffer of N×C×H×W, .*, but received Float32Array/,
    ],
    [
      model,
      { shape, data: await device.buffer({ shape: [...shape] }), mean: [1] },
      /uint8 DeviceBuffer .* but received an object \(DeviceBuffer\); the buffer has float32: device\.buffer/,
    ],
    [
      model,
      { shape, data: await device.buffer({ shape: [3, 2, 1, 1], dtype: 'uint8' }), mean: [1] },
      /input "data".*: expected as many values as its shape 1×2×1×1 has, 2, but .*; the buffer is 3×2×1×1/,
    ],
    [wide, { shape: [1, 5, 1, 1], data: of(5), mean: [1] }, /at most 4 channels, .*1×5×1×1/],
    [flat, { shape: [1, 2], data: of(2), mean: [1] }, /N×C×H×W.*1×2/],
  ] as const) {
    const error = await net.run({ data: input as Inputs[string] }).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert.instance(error, ArgumentError);
    assert.match((error as Error).message, message);
  }
});

test('every way to run copies bytes and their mean at the call, including those of a Buffer', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load({ model: data([1, 1, 1, 2]) });
  for (const make of [(count: number) => new Uint8Array(count), Buffer.alloc])
    for (const [batch, range] of [
      [1, {}],
      [3, {}], // compiled first
      [1, { end: 'twice' }],
    ] as const) {
      const bytes = make(2 * batch).fill(7);
      const mean = [4];
      const running = model.run({ data: { shape: [batch, 1, 1, 2], data: bytes, mean } }, range);
      bytes.fill(0);
      mean[0] = 0;
      assert.equal([...(await running).twice!.data], Array(2 * batch).fill(6));
    }
});

test('an array that was transferred away is refused, whatever part of a net runs', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load({ model: data([1, 1, 1, 2]) });
  const gone = new Uint8Array(2);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  for (const range of [{}, { end: 'twice' }])
    for (const input of [gone, { shape: [1, 1, 1, 2], data: gone, mean: [1] }])
      assert.instance(
        await model.run({ data: input }, range).catch((error: unknown) => error),
        ArgumentError,
      );
});

test('a mean image, which is mirrored with its crop, and a resize in floats cannot be used with bytes', () => {
  const preprocess: Preprocess = { resize: null, crop: { width: 2, height: 2 }, mean: [1, 2, 3], scale: 0.5 };
  assert.equal(bytesOf(preprocess, 3), { mean: [1, 2, 3], scale: [0.5, 0.5, 0.5] });
  assert.is(bytesOf({ ...preprocess, interpolation: 'float' }, 3), null);
  assert.is(bytesOf({ ...preprocess, mean: { shape: [3, 2, 2], data: new Float32Array(12) } }, 3), null);
});

test.run();
