/** NaN and infinities cannot be represented in int8: a run is refused if one would become an integer. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrationOf } from '../../ts/api/convert.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { DeviceError, openDevice, readNet, type WeightsFile } from '../../ts/index.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { noise } from '../support/not-a-number-cases.ts';

const layer = (text: string) => `layer { ${text} }\n`;
const convolution = (name: string, bottom: string) =>
  layer(`name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}"
    convolution_param { num_output: 16 kernel_size: 1 }`);
const SHAPE = [2, 16, 6, 5];
const net = readNet(
  layer('name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 16 dim: 6 dim: 5 } }') +
    convolution('a', 'data') +
    convolution('b', 'a') +
    layer('name: "sum" type: "Eltwise" bottom: "b" bottom: "data" top: "sum"') +
    convolution('c', 'sum') +
    layer('name: "relu" type: "ReLU" bottom: "c" top: "c"') +
    convolution('d', 'c'),
  { file: 'net' },
);
const ranges = { 'data@in': 1, 'a@a': 4, 'b@b': 8, 'sum@sum': 8, 'c@relu': 16 };
const calibrationWithout = (...names: (keyof typeof ranges)[]) =>
  calibrationOf({
    net: '',
    method: 'min-max',
    percentile: null,
    images: 1,
    ranges: Object.fromEntries(
      Object.entries(ranges).filter(([name]) => !(names as string[]).includes(name)),
    ),
  });
const SPECIAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** @param at The layer and blob in which one value is `value`. */
const weights = (value = 0, at = '', blob = 0): WeightsFile => ({
  file: 'made up',
  name: '',
  layers: ['a', 'b', 'c', 'd'].map((name) => ({
    name,
    type: 'Convolution',
    blobs: [[16, 16, 1, 1], [16]].map((shape, i) => {
      const values = noise(shape);
      if (name === at && i === blob) values[3] = value;
      return blobFromFloats(shape, values);
    }),
  })),
});

const device = await openDevice('cpu', { threads: 2, ...cpuLibrary });
test.after(() => device.dispose());

async function run(data: Float32Array, file = weights(), calibration = calibrationWithout()) {
  await using model = await device.load({ model: net, weights: file, precision: 'int8', calibration });
  return (await model.run({ data })).d!.data;
}

async function refuses(job: Promise<unknown>, where: RegExp) {
  const error = await job.then(
    () => new Error('nothing was refused'),
    (error: Error) => error,
  );
  assert.instance(error, DeviceError);
  assert.is((error as DeviceError).code, 'int8/not-finite');
  assert.match(error.message, where);
}

for (const value of SPECIAL) {
  const data = noise(SHAPE);
  data[777] = value;
  test(`${value} in an input of int8 is refused with its blob and layer, and the next run is correct`, async () => {
    await using model = await device.load({
      model: net,
      weights: weights(),
      precision: 'int8',
      calibration: calibrationWithout(),
    });
    assert.match(model.plan().operations[0]!.implementation, /^int8/);
    const whole = (await model.run({ data: noise(SHAPE) })).d!.data;
    await refuses(model.run({ data }), /layer "a": a value of "data.*precision "float32"/);
    assert.equal((await model.run({ data: noise(SHAPE) })).d!.data, whole);
  });

  test(`${value} in the input of an integer first layer is refused`, async () => {
    const stride2 = readNet(
      layer('name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 9 dim: 8 } }') +
        layer(`name: "a" type: "Convolution" bottom: "data" top: "a"
          convolution_param { num_output: 16 kernel_size: 3 stride: 2 pad: 1 }`) +
        convolution('b', 'a'),
      { file: 'net' },
    );
    const calibration = calibrationOf({
      net: '',
      method: 'min-max',
      percentile: null,
      images: 1,
      ranges: { 'a@a': 9 },
    });
    // With this name, the tiles do not use VNNI.
    await using named = await openDevice('cpu', { threads: 2, kernels: 'AVX2', ...cpuLibrary });
    await using model = await named.load({ model: stride2, precision: 'int8', calibration });
    assert.match(model.plan().operations[0]!.implementation, /^int16/);
    const pixels = noise([1, 3, 9, 8]);
    pixels[100] = value;
    await refuses(model.run({ data: pixels }), /layer "a": a value of "data/);
  });

  test(`${value} in a residual that becomes int8 is refused`, () =>
    refuses(run(data, weights(), calibrationWithout('data@in')), /a value of /));

  for (const blob of [0, 1])
    test(`${value} in ${blob === 0 ? 'weights' : 'a bias'} keeps that layer in float32, and its result is refused as int8`, async () => {
      for (const name of ['a', 'b', 'c'])
        await refuses(run(noise(SHAPE), weights(value, name, blob)), /a value of /);
    });

  test(`${value} in the last layer is output as in float32`, async () => {
    for (const blob of [0, 1]) {
      const file = weights(value, 'd', blob);
      await using model = await device.load({ model: net, weights: file });
      const expected = (await model.run({ data: noise(SHAPE) })).d!.data;
      const found = await run(noise(SHAPE), file);
      // 0 × ∞ gives NaN where int8 rounds to 0.
      found.forEach((each, i) => {
        assert.is(Number.isFinite(each), Number.isFinite(expected[i]), `value ${i}: ${each}, ${expected[i]}`);
      });
    }
  });
}

test.run();
