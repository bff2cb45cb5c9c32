/**
 * TensorFlow checkpoints ↔ Caffe: files of TensorFlow's Saver, compared with TensorFlow's results (make_tensorflow.py).
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readCheckpoint } from '../../ts/convert/tensorflow/checkpoint.ts';
import { readTensorflow } from '../../ts/convert/tensorflow/read-tensorflow.ts';
import { openDevice, ResnodeError, readNpy } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/convert/fixtures');
const fixture = (name: string) => join(fixtures, name);
const folder = mkdtempSync(join(tmpdir(), 'resnode-tensorflow-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const npy = (name: string) => toFloat32(readNpy(readFileSync(fixture(name)), { file: name }));
const fashion = join(repositoryFolder, 'examples/fashion');
const inputShapes = { data: [2, 3, 33, 33] };

// TensorFlow pads an odd pixel at the far side; 33 and its halves are odd and even.
for (const [name, expected] of [
  ['port-v1.ckpt', 'tensorflow-port.npy'],
  ['port-v2.ckpt', 'tensorflow-port.npy'],
  ['port-v2.ckpt.data-00000-of-00001', 'tensorflow-port.npy'],
  ['port-small.ckpt', 'tensorflow-port-small.npy'],
  ['slim.ckpt.index', 'tensorflow-slim.npy'],
] as const)
  test(`${name} gives TensorFlow's results`, async () => {
    const { net, weights, notes } = await readTensorflow(fixture(name), { net: null, inputShapes });
    assert.match(notes?.[0] ?? '', /^1 variables are not weights of the net \(global_step\)/);
    using device = await openDevice('cpu');
    using model = await device.load({
      model: { ...net, layer: net!.layer!.filter(({ type }) => type !== 'Softmax') },
      weights,
      strict: true,
    });
    const [output] = Object.values(
      await model.run({ data: { shape: inputShapes.data, data: npy('input.npy') } }),
    );
    const wanted = npy(expected);
    const largest = Math.max(...wanted.map(Math.abs));
    const worst = Math.max(...wanted.map((value, i) => Math.abs(value - output!.data[i]!)));
    assert.ok(worst / largest < 1e-5, `${worst} of ${largest}`);
  });

test("the convolutions keep MSRA's names, and the mean is that of the source", async () => {
  copyFileSync(fixture('port-v1.ckpt'), path('renamed.bin'));
  const result = await convert(path('renamed.bin'), path('net.caffemodel'), { inputShapes });
  assert.ok(result.check!.ok);
  assert.is(result.preprocess!.order, 'BGR');
  const { weights } = await readTensorflow(fixture('slim.ckpt'), { net: null, inputShapes });
  const names = weights.layers.map(({ name }) => name);
  for (const name of ['conv1', 'bn_conv1', 'scale_conv1', 'res2a_branch1', 'bn3b_branch2c', 'fc5'])
    assert.ok(names.includes(name), names.join(' '));
});

for (const name of ['fashion.ckpt', 'fashion.ckpt.index'])
  test(`a Caffe net is converted to ${name} and back with the same outputs`, async () => {
    const there = await convert(fashion, path(name));
    assert.ok(there.check!.ok && there.check!.largest.relative < 1e-5, JSON.stringify(there.check));
    const tensors = await readCheckpoint(path(name));
    assert.equal(tensors.get('scale1/weights')!.shape, [3, 3, 1, 16]);
    assert.ok(tensors.has('scale3/block1/A/moving_variance') && tensors.has('fc/biases'));
    const back = await convert(path(name), path('back.caffemodel'), {
      model: join(fashion, 'deploy.prototxt'),
    });
    assert.ok(back.check!.ok);
    assert.is(back.check!.compared, 'outputs');
  });

test('layers without an equivalent in the port are refused by name', async () => {
  const net = `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "mine" type: "Convolution" bottom: "conv1" top: "mine" convolution_param { num_output: 2 kernel_size: 1 } }`;
  writeFileSync(path('mine.prototxt'), net);
  const error = await convert(fixture('port-v1.ckpt'), path('x.caffemodel'), {
    model: path('mine.prototxt'),
  }).catch((thrown: unknown) => thrown);
  assert.match(
    (error as Error).message,
    /layer "mine" \(Convolution\) is not named as a layer of MSRA's ResNets/,
  );
});

test('damaged, incomplete and foreign checkpoints give typed errors', async () => {
  const [one, index, data] = ['port-v1.ckpt', 'port-v2.ckpt.index', 'port-v2.ckpt.data-00000-of-00001'].map(
    (name) => readFileSync(fixture(name)),
  ) as [Buffer, Buffer, Buffer];
  const broken = Buffer.from(one);
  broken[300]! ^= 1;
  const wrongData = Buffer.from(data);
  wrongData[40]! ^= 1;
  const cases: [string, Record<string, Buffer>, RegExp][] = [
    [
      'broken.ckpt',
      { 'broken.ckpt': broken },
      /the checksum of the block at byte 0 is wrong; the checkpoint is damaged/,
    ],
    ['cut.ckpt', { 'cut.ckpt': one.subarray(0, -30) }, /does not end like a table/],
    [
      'alone.ckpt.index',
      { 'alone.ckpt.index': index },
      /its values are in alone\.ckpt\.data-00000-of-00001, which is missing/,
    ],
    [
      'short.ckpt',
      { 'short.ckpt.index': index, 'short.ckpt.data-00000-of-00001': data.subarray(0, 5000) },
      /has \d+ bytes from \d+, but its data file has 5000/,
    ],
    [
      'wrong.ckpt',
      { 'wrong.ckpt.index': index, 'wrong.ckpt.data-00000-of-00001': wrongData },
      /the checksum of "[^"]+" is wrong/,
    ],
  ];
  for (const [name, files, message] of cases) {
    for (const [file, bytes] of Object.entries(files)) writeFileSync(path(file), bytes);
    const error = await readTensorflow(path(name), { net: null, inputShapes }).catch(
      (thrown: unknown) => thrown,
    );
    assert.instance(error, ResnodeError, `${name}: ${error}`);
    assert.match((error as Error).message, message);
  }
  // A LevelDB table is not a TensorFlow table.
  const table = join(repositoryFolder, 'test/data/fixtures/raw.leveldb/000005.ldb');
  const error = await readTensorflow(table, { net: null, inputShapes }).catch((thrown: unknown) => thrown);
  assert.match((error as Error).message, /it has no header: another program wrote the table/);
});

test.run();
