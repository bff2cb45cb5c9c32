/**
 * MatConvNet's .mat ↔ Caffe: files that scipy and h5py wrote in MatConvNet's structure, compared with PyTorch's
 * operators (make_matconvnet.py).
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readMatConvNet } from '../../ts/convert/matconvnet/read-matconvnet.ts';
import { readMat5 } from '../../ts/convert/matlab/read-mat5.ts';
import { writeMat5 } from '../../ts/convert/matlab/write-mat5.ts';
import { openDevice, ResnodeError, readNetFile, readNpy } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/convert/fixtures');
const folder = mkdtempSync(join(tmpdir(), 'resnode-mat-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const npy = (name: string) => toFloat32(readNpy(readFileSync(join(fixtures, name)), { file: name }));
const fashion = join(repositoryFolder, 'examples/fashion');

for (const name of ['dagnn.mat', 'dagnn-packed.mat', 'simplenn.mat'])
  writeFileSync(path(name), readFileSync(join(fixtures, name)));
for (const name of ['dagnn-7.3.mat', 'cyclic-7.3.mat'])
  writeFileSync(path(name), gunzipSync(readFileSync(join(fixtures, `${name}.gz`))));

async function outputOf(file: string): Promise<Float32Array> {
  const { net, weights } = await readMatConvNet(file, { inputShapes: { data: [2, 3, 33, 33] } });
  using device = await openDevice('cpu');
  using model = await device.load({ model: net, weights, strict: true });
  const [output] = Object.values(
    await model.run({ data: { shape: [2, 3, 33, 33], data: npy('input.npy') } }),
  );
  return output!.data;
}

function assertClose(actual: Float32Array, expected: Float32Array, name: string): void {
  assert.is(actual.length, expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!)));
  assert.ok(worst / largest < 1e-5, `${name}: ${worst} of ${largest}`);
}

for (const [name, expected] of [
  ['dagnn.mat', 'dagnn.npy'],
  ['dagnn-packed.mat', 'dagnn.npy'],
  ['dagnn-7.3.mat', 'dagnn.npy'],
  ['simplenn.mat', 'simplenn.npy'],
] as const)
  test(`${name} gives the results of MatConvNet's blocks`, async () => {
    assertClose(await outputOf(path(name)), npy(expected), name);
  });

test('the format is recognised by content, the input comes from meta, and parameters belong to their layers', async () => {
  writeFileSync(path('renamed.bin'), readFileSync(path('dagnn-packed.mat')));
  const result = await convert(path('renamed.bin'), path('net.caffemodel'));
  assert.ok(result.check!.ok);
  assert.equal(result.files, ['net.caffemodel', 'net.prototxt', 'net.preprocess.json'].map(path));
  assert.equal(result.notes, ['1 losses and errors of the training are skipped']);
  assert.is(result.preprocess!.order, 'RGB');
  assert.equal((result.preprocess!.mean as unknown as { shape: number[] }).shape, [3, 33, 33]);
  const types = readNetFile(path('net.prototxt')).layer!.map(({ name, type }) => `${name}:${type}`);
  for (const expected of [
    'conv1:Convolution',
    'bn_conv1:BatchNorm',
    'scale_conv1:Scale',
    'res2a:Eltwise',
    'fc5:InnerProduct',
  ])
    assert.ok(types.includes(expected), types.join(' '));
  const { preprocess } = await readMatConvNet(path('simplenn.mat'));
  assert.equal(preprocess!.mean, [1, 2, 3]);
});

test('a Caffe net is converted to .mat and back with the same outputs and its mean', async () => {
  const there = await convert(fashion, path('fashion.mat'));
  assert.ok(there.check!.ok && there.check!.largest.relative < 1e-5, JSON.stringify(there.check!.largest));
  assert.equal(there.files, [path('fashion.mat')]);
  const variables = await readMat5(readFileSync(path('fashion.mat')), 'fashion.mat');
  const params = variables.get('params');
  assert.is(params?.kind, 'struct');
  const names =
    params!.kind === 'struct' ? params!.items.map((item) => (item.get('name') as { text: string }).text) : [];
  assert.ok(
    names.includes('conv1_filter') && names.includes('bn_conv1_moments'),
    names.slice(0, 5).join(' '),
  );
  const back = await convert(path('fashion.mat'), path('back.caffemodel'));
  assert.ok(back.check!.ok);
  assert.is(back.preprocess?.crop.width, 28);
});

test('a layer for which MatConvNet has no block is refused by name', async () => {
  const net = `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "odd" type: "ELU" bottom: "data" top: "odd" }`;
  writeFileSync(path('odd.prototxt'), net);
  writeFileSync(path('empty.caffemodel'), Buffer.from([0x0a, 0x01, 0x61]));
  const { writeMatConvNet } = await import('../../ts/convert/matconvnet/write-matconvnet.ts');
  assert.throws(
    () =>
      writeMatConvNet(path('odd.mat'), {
        net: readNetFile(path('odd.prototxt')),
        weights: { file: '', name: '', layers: [] },
      }),
    /layer "odd" \(ELU\).*MatConvNet has no block for it/,
  );
});

function withLayers(name: string, ...layers: readonly Record<string, unknown>[]): string {
  const struct = layers.map((layer) => ({
    name: 'a',
    type: 'dagnn.ReLU',
    inputs: { cell: ['data'] },
    outputs: { cell: ['y'] },
    params: { cell: [] },
    block: { struct: [{ leak: [0] }] },
    ...layer,
  }));
  writeMat5(path(name), {
    layers: { struct } as never,
    meta: { struct: [{ normalization: { struct: [{ imageSize: [8, 8, 3] }] } }] },
  });
  return path(name);
}

test('damaged, hostile and foreign files give typed errors that name the position', async () => {
  const whole = readFileSync(path('dagnn.mat'));
  const packed = readFileSync(path('dagnn-packed.mat'));
  const bomb = Buffer.concat([
    whole.subarray(0, 128),
    Buffer.alloc(8),
    deflateSync(Buffer.alloc(257 * 2 ** 20), { level: 1 }),
  ]);
  bomb.writeUInt32LE(15, 128);
  bomb.writeUInt32LE(bomb.length - 136, 132);
  const flipped = Buffer.from(packed);
  flipped.fill(0xff, 400, 420);
  const cases: [string, Buffer | null, RegExp][] = [
    ['short.mat', whole.subarray(0, 20_000), /goes beyond its end.*\(byte \d+\); the file is truncated/],
    ['tiny.mat', whole.subarray(0, 60), /the header alone has 128/],
    ['flipped.mat', flipped, /the compressed variable at byte 128 is damaged/],
    ['bomb.mat', bomb, /its compressed variables take more than 268435456 bytes/],
    [path('cyclic-7.3.mat'), null, /nested deeper than 32/],
    [
      withLayers('type.mat', { type: 'dagnn.constructor' }),
      null,
      /layer "a": layers of class dagnn\.constructor are not converted/,
    ],
    [
      withLayers(
        'circle.mat',
        { inputs: { cell: ['data', 'z'] } },
        { name: 'b', inputs: { cell: ['y'] }, outputs: { cell: ['z'] } },
      ),
      null,
      /layer "a": no layer before it produces its input "z"/,
    ],
    [
      withLayers('param.mat', { type: 'dagnn.Conv', params: { cell: ['w'] } }),
      null,
      /its parameter "w" is missing/,
    ],
    ['text.mat', Buffer.from('no MAT-file at all'), /this is text; here a MAT-file/],
  ];
  writeMat5(path('other.mat'), { x: [1, 2, 3] });
  cases.push([
    path('other.mat'),
    null,
    /no layers of MatConvNet, but x; expected the result of save\('-struct', 'net'\)/,
  ]);
  for (const [name, bytes, message] of cases) {
    if (bytes !== null) writeFileSync(path(name), bytes);
    const error = await readMatConvNet(bytes === null ? name : path(name)).catch((thrown: unknown) => thrown);
    assert.instance(error, ResnodeError, `${name}: ${error}`);
    assert.match((error as Error).message, message);
  }
});

test.run();
