/** Caffe's weights as safetensors and back, bit for bit; other programs' files; damage. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';
import { readSafetensorsFile, writeSafetensorsFile } from '../../ts/convert/caffe-safetensors.ts';
import { readSafetensors } from '../../ts/convert/safetensors.ts';
import { readNetFile, WeightsError } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-safetensors-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const fashion = join(repositoryFolder, 'examples/fashion');
const [model, weights] = [join(fashion, 'deploy.prototxt'), join(fashion, 'model.caffemodel')];
const bytesOf = (file: string) =>
  readCaffemodel(readFileSync(file), { file }).layers.map(({ name, type, blobs }) => ({
    name,
    type,
    blobs: blobs.map(({ shape, dtype, bytes }) => ({
      shape,
      dtype,
      bytes: Buffer.from(bytes).toString('base64'),
    })),
  }));

test('caffemodel → safetensors → caffemodel keeps every bit, every name, type and shape, and the net', async () => {
  const there = await convert(weights, path('net.safetensors'), { model });
  assert.equal(there.files, [path('net.safetensors')]);
  assert.ok(there.check!.compared === 'outputs' && there.check!.ok);
  const back = await convert(path('net.safetensors'), path('back.caffemodel'));
  assert.equal(back.files, [path('back.caffemodel'), path('back.prototxt')]);
  assert.ok(back.check!.compared === 'outputs' && back.check!.largest.relative < 1e-5);
  assert.equal(bytesOf(path('back.caffemodel')), bytesOf(weights));
  assert.equal(readNetFile(path('back.prototxt')), readNetFile(model));
  // A caffemodel that resnode wrote becomes the same file again.
  writeCaffemodel(path('first.caffemodel'), readCaffemodel(readFileSync(weights), { file: weights }));
  assert.ok(readFileSync(path('first.caffemodel')).equals(readFileSync(path('back.caffemodel'))));
});

test('without the net, values are compared, and the net beside the file is used if needed', async () => {
  const there = await convert(weights, path('values.safetensors'));
  assert.is(there.check!.compared, 'values');
  assert.is(there.check!.largest.absolute, 0);
  const error = await convert(path('values.safetensors'), path('x.onnx')).catch((thrown: Error) => thrown);
  assert.match(
    (error as Error).message,
    /model: expected a net, which ONNX needs and the source \(safetensors\) does not contain/,
  );
  const onnx = await convert(path('values.safetensors'), path('x.onnx'), { model });
  assert.ok(onnx.check!.ok);
});

test('names are those that users of safetensors expect', () => {
  const { metadata, tensors } = readSafetensors(readFileSync(path('net.safetensors')), { file: 'a' });
  assert.is(metadata.get('format'), 'caffe');
  assert.match(metadata.get('prototxt')!, /^name: /);
  assert.equal(tensors.get('conv1.0')!.shape, [16, 1, 3, 3]);
  // Values start at a multiple of 8.
  assert.is(readFileSync(path('net.safetensors')).readUInt32LE(0) % 8, 0);
});

const file = (header: unknown, values = 0): Buffer => {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(json.length);
  return Buffer.concat([head, json, Buffer.alloc(values)]);
};
const tensor = (more: object = {}) => ({ dtype: 'F32', shape: [2], data_offsets: [0, 8], ...more });

test('a file of blobs without our metadata is read by names', () => {
  writeFileSync(
    path('other.safetensors'),
    file({ 'a.b.1': tensor(), 'a.b.0': tensor({ shape: [2, 1] }) }, 8),
  );
  const { net, weights: read } = readSafetensorsFile(path('other.safetensors'), {
    net: null,
    inputShapes: {},
  });
  assert.is(net, null);
  assert.equal(
    read.layers.map(({ name, blobs }) => [name, blobs.map(({ shape }) => shape)]),
    [['a.b', [[2, 1], [2]]]],
  );
});

test('damaged headers and layers are refused with the error', () => {
  const layers = (list: unknown) => ({
    __metadata__: { format: 'caffe', layers: typeof list === 'string' ? list : JSON.stringify(list) },
    'conv.0': tensor(),
  });
  for (const [bytes, message] of [
    [Buffer.alloc(5), /it has 5 bytes/],
    [Buffer.alloc(16, 255), /begins with a header of 18446744073709552000 bytes, but has 16/],
    [file('{"a":'), /its header is not JSON/],
    [file('[1]'), /not a JSON object/],
    [file({ 'a.0': tensor({ dtype: 'Q4' }) }, 8), /"a\.0": values are "Q4"/],
    [file({ 'a.0': tensor({ shape: [-2] }) }, 8), /"a\.0": expected a shape/],
    [file({ 'a.0': tensor({ data_offsets: [0] }) }, 8), /expected two data_offsets/],
    [file({ 'a.0': tensor({ data_offsets: [0, 4] }) }, 8), /2 of F32 are 8 bytes, its data_offsets span 4/],
    [
      file({ 'a.0': tensor() }, 4),
      /"a\.0" ends at byte 8 of the values, of which there are 4; the file is truncated/,
    ],
    [file({ 'a.0': null }, 4), /"a\.0": values are undefined/],
    [file({ __metadata__: { a: 1 } }), /__metadata__: "a" is not a string/],
    [file({ 'a.0': tensor({ dtype: 'I32' }) }, 8), /"a\.0" is I32, expected floats/],
    [file({ 'a.1': tensor() }, 8), /layer "a" has 1 blobs, but none is named "a\.0"/],
    [
      file({ __metadata__: { format: 'caffe' }, conv: tensor() }, 8),
      /"conv" does not have the name of a blob/,
    ],
    [file(layers('no'), 8), /the metadata "layers" is not a list/],
    [file(layers([['conv', 'Convolution']]), 8), /the metadata "layers" is not a list/],
    [
      file(layers([['conv', 'Convolution', 2]]), 8),
      /layer "conv" has 2 blobs according to the metadata, but "conv\.1" is missing/,
    ],
  ] as const) {
    writeFileSync(path('bad.safetensors'), bytes);
    assert.throws(
      () => readSafetensorsFile(path('bad.safetensors'), { net: null, inputShapes: {} }),
      (error: unknown) => {
        assert.instance(error, WeightsError, String(error));
        assert.match((error as Error).message, message);
        return true;
      },
    );
  }
});

test('layers with the same name are refused, and doubles stay doubles', () => {
  const blob = (value: number) => ({
    shape: [1],
    dtype: 'float64' as const,
    bytes: new Uint8Array(Float64Array.of(value).buffer),
  });
  const layers = [1, 2].map((value) => ({ name: 'a', type: 'Bias', blobs: [blob(value)] }));
  const write = (part: typeof layers) =>
    writeSafetensorsFile(path('twice.safetensors'), {
      net: null,
      weights: { file: '', name: 'n', layers: part },
    });
  assert.throws(() => write(layers), /two layers with weights are named "a"/);
  write(layers.slice(1));
  const { weights: read } = readSafetensorsFile(path('twice.safetensors'), { net: null, inputShapes: {} });
  assert.is(read.name, 'n');
  assert.equal(
    read.layers.map(({ blobs }) =>
      blobs.map(({ dtype, bytes }) => [dtype, new Float64Array(bytes.slice().buffer)[0]]),
    ),
    [[['float64', 2]]],
  );
});

test.run();
