/** NVIDIA's BatchNorm with scale and bias becomes BatchNorm and Scale, in nets and in weights. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { bytesField, integerField } from '../../ts/caffe/wire.ts';
import { openDevice, printPrototxt, WeightsError } from '../../ts/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-nvidia-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

const prototxt = (param: string, more = '') => `
layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 1 dim: 2 } } }
layer { name: "data/bn" type: "BatchNorm" bottom: "data" top: "y" batch_norm_param { ${param} } ${more} }`;
const layersOf = (text: string) => readNet(text, { file: 'net.prototxt' }).layer!;

test('a layer with scale_bias, or with a filler for it, becomes two layers', () => {
  const net = layersOf(prototxt('moving_average_fraction: 0.9 eps: 1e-6 scale_bias: true'));
  assert.is(
    printPrototxt({ layer: net.slice(1) }),
    `layer {
  name: "data/bn"
  type: "BatchNorm"
  bottom: "data"
  top: "y"
  batch_norm_param {
    moving_average_fraction: 0.9
    eps: 0.00001
  }
}
layer {
  name: "data/bn_scale"
  type: "Scale"
  bottom: "y"
  top: "y"
  scale_param {
    bias_term: true
  }
}
`,
  );
  const filled = layersOf(
    prototxt(
      'scale_filler { value: 2 } bias_filler { value: 3 }',
      'param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 5 } include { phase: TEST }',
    ),
  );
  assert.equal(filled[2]!.scale_param, { bias_term: true, filler: { value: 2 }, bias_filler: { value: 3 } });
  assert.equal(
    [filled[1]!.param!.length, filled[2]!.param, filled[2]!.include],
    [3, [{ lr_mult: 5 }], [{ phase: 'TEST' }]],
  );
  assert.is(layersOf(prototxt('scale_bias: false')).length, 2);
});

// BlobProto as NVIDIA's Caffe writes it: shape 7, raw_data_type 10 (DOUBLE 0, FLOAT 1, FLOAT16 2), raw_data 12.
const blob = (type: number, count: number, raw: ArrayBufferView) =>
  bytesField(
    7,
    Buffer.concat([
      bytesField(7, bytesField(1, Uint8Array.of(count))),
      integerField(10, type),
      bytesField(12, new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)),
    ]),
  );
const floats = (...values: number[]) => blob(1, values.length, Float32Array.from(values));
const [mean, variance, scale, bias] = [
  [1, -2],
  [4, 0.25],
  [3, -1],
  [0.5, 10],
] as const;
const file = (blobs: Buffer[]) =>
  bytesField(100, Buffer.concat([bytesField(1, 'data/bn'), bytesField(2, 'BatchNorm'), ...blobs]));

// NVIDIA's forward pass does not read the third blob; a 7 would show if it were read.
const five = file([
  floats(...mean),
  blob(0, 2, Float64Array.from(variance)),
  floats(7),
  // 3 and -1 as binary16.
  blob(2, 2, Uint16Array.of(0x4200, 0xbc00)),
  floats(...bias),
]);

test('raw values of 64, 32 and 16 bits are read; others are refused', () => {
  const [layer] = readCaffemodel(five, { file: 'a' }).layers;
  assert.equal(
    layer!.blobs.map((each) => [each.dtype, ...toFloat32(each)]),
    [
      ['float32', 1, -2],
      ['float64', 4, 0.25],
      ['float32', 7],
      ['float32', 3, -1],
      ['float32', 0.5, 10],
    ],
  );
  assert.throws(
    () => readCaffemodel(file([blob(3, 1, Int32Array.of(1))]), { file: 'a' }),
    (error: unknown) =>
      error instanceof WeightsError && /raw values have the unknown type 3/.test(error.message),
  );
});

const input = [5, -1, 0, 8];
const eps = 1e-4;
const expected = input.map((x, i) => {
  const c = i >> 1;
  return ((x - mean[c]!) / Math.sqrt(variance[c]! + eps)) * scale[c]! + bias[c]!;
});

test('the pair loads unchanged, is rewritten for BVLC, and gives the numbers of the definition', async () => {
  writeFileSync(path('nvidia.prototxt'), prototxt(`eps: ${eps} scale_bias: true`));
  writeFileSync(path('nvidia.caffemodel'), five);
  const check = async (model: string, weights: string) => {
    using device = await openDevice('cpu');
    using loaded = await device.load({ model: path(model), weights: path(weights), strict: true });
    const { y } = await loaded.run({ data: Float32Array.from(input) });
    expected.forEach((value, i) => assert.ok(Math.abs(value - y!.data[i]!) < 1e-5, `${value} ${y!.data[i]}`));
  };
  await check('nvidia.prototxt', 'nvidia.caffemodel');
  const result = await convert(path('nvidia.caffemodel'), path('bvlc.caffemodel'), {
    model: path('nvidia.prototxt'),
    outputModel: path('bvlc.prototxt'),
  });
  assert.ok(result.check!.ok);
  assert.equal(result.files, [path('bvlc.caffemodel'), path('bvlc.prototxt')]);
  const layers = readCaffemodel(readFileSync(path('bvlc.caffemodel')), {
    file: 'b',
  }).layers;
  assert.equal(
    layers.map(({ name, type, blobs }) => [name, type, blobs.length]),
    [
      ['data/bn', 'BatchNorm', 3],
      ['data/bn_scale', 'Scale', 2],
    ],
  );
  assert.equal([...toFloat32(layers[0]!.blobs[2]!)], [1]);
  assert.not.match(printPrototxt(readNetFile(path('bvlc.prototxt'))), /scale_bias/);
  await check('bvlc.prototxt', 'bvlc.caffemodel');
});

test('five blobs for a BatchNorm without scale_bias are refused, with what to write', async () => {
  writeFileSync(path('plain.prototxt'), prototxt(''));
  using device = await openDevice('cpu');
  const error = await device
    .load({ model: path('plain.prototxt'), weights: path('nvidia.caffemodel') })
    .catch((thrown: Error) => thrown);
  assert.match(
    (error as Error).message,
    /has 5 blobs in the file .*, the net needs 3 .* write scale_bias: true/,
  );
});

test.run();
