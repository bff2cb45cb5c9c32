/** Other formats of weights: written caffemodels, HDF5, .npy. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readHdf5Weights, writeHdf5Weights } from '../../ts/api/convert.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { toFloat64 } from '../../ts/caffe/blob.ts';
import { readWeights } from '../../ts/caffe/read-weights.ts';
import {
  ArgumentError,
  blobFromFloats,
  readBinaryproto,
  readCaffemodel,
  readNpy,
  WeightsError,
  type WeightsFile,
  writeBinaryproto,
  writeCaffemodel,
  writeNpy,
} from '../../ts/index.ts';
import { goldenFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-weights-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const values = (...shape: number[]) =>
  blobFromFloats(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.fround(Math.sin(i) * 100)),
  );
const net = {
  name: 'net',
  layers: [
    { name: 'data', type: 'Input', blobs: [] },
    { name: 'conv/1×1', type: 'Convolution', blobs: [values(8, 3, 3, 3), values(8)] },
    { name: 'factor', type: 'BatchNorm', blobs: [values(300), values(300), values(1)] },
    { name: 'scalar', type: 'Scale', blobs: [values()] },
  ],
};
const content = ({ layers }: Pick<WeightsFile, 'layers'>) =>
  layers.map(({ name, blobs }) => ({
    name,
    blobs: blobs.map((blob) => ({ shape: [...blob.shape], values: [...toFloat64(blob)] })),
  }));
const refused = async (work: () => unknown) => {
  try {
    await work();
  } catch (error) {
    assert.instance(error, WeightsError, String(error));
    return error as WeightsError;
  }
  return assert.unreachable('was not refused') as never;
};

test('a written caffemodel is read with the same content, including types', () => {
  writeCaffemodel(path('net.caffemodel'), net);
  const read = readCaffemodel(readFileSync(path('net.caffemodel')), { file: 'net' });
  assert.is(read.name, 'net');
  assert.equal(content(read), content(net));
  assert.equal(
    read.layers.map(({ type }) => type),
    net.layers.map(({ type }) => type),
  );
});

test('writing leaves only the file behind, and refuses a blob whose shape does not fit', () => {
  const before = readdirSync(folder).length;
  const wrong = { ...values(4), shape: [5] };
  assert.throws(
    () =>
      writeCaffemodel(path('wrong.caffemodel'), {
        name: '',
        layers: [{ name: 'a', type: '', blobs: [wrong] }],
      }),
    (error: unknown) => error instanceof ArgumentError,
  );
  assert.throws(
    () => writeNpy(path('wrong.npy'), wrong),
    (error: unknown) => error instanceof ArgumentError,
  );
  assert.throws(() => writeNpy(path('no/such/folder.npy'), values(4)), /ENOENT/);
  assert.is(readdirSync(folder).length, before);
});

test('a mean image keeps the legacy dimensions that older tools read', () => {
  writeBinaryproto(path('mean.binaryproto'), values(1, 3, 4, 5));
  const bytes = readFileSync(path('mean.binaryproto'));
  assert.equal([...bytes.subarray(0, 8)], [8, 1, 16, 3, 24, 4, 32, 5]);
  assert.equal(toFloat64(readBinaryproto(bytes, { file: '' })), toFloat64(values(1, 3, 4, 5)));
});

test("HDF5 is written and read again, and Caffe's own file equals the caffemodel beside it", async () => {
  await writeHdf5Weights(path('net.caffemodel.h5'), { ...net, layers: net.layers.slice(1) });
  const own = await readHdf5Weights(path('net.caffemodel.h5'));
  const sorted = (layers: { name: string }[]) => layers.sort((a, b) => (a.name < b.name ? -1 : 1));
  assert.equal(sorted(content(own)), sorted(content(net).slice(1)));
  const golden = goldenFolder();
  if (golden === null) return;
  const binary = join(golden, 'weights/v2.caffemodel');
  const caffe = readCaffemodel(readFileSync(binary), { file: binary });
  assert.equal(
    sorted(content(await readHdf5Weights(`${binary}.h5`))),
    sorted(content(caffe).filter(({ blobs }) => blobs.length > 0)),
  );
});

test('HDF5 in memory has the content of its file, and needs no folder for temporary files', async () => {
  await writeHdf5Weights(path('memory.h5'), { name: '', layers: net.layers.slice(1) });
  const bytes = readFileSync(path('memory.h5'));
  const temporary = process.env.TMPDIR;
  process.env.TMPDIR = path('no such folder');
  try {
    const read = await readWeights(bytes, () => bytes);
    assert.is(read.file, '<weights>');
    assert.equal(content(read), content(await readHdf5Weights(path('memory.h5'))));
    const error = await refused(() => readWeights(bytes.subarray(0, -200), () => bytes));
    assert.match(error.message, /^<weights>: the HDF5 data is damaged/);
  } finally {
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
  }
});

test('text, truncated and damaged HDF5 files are refused by name', async () => {
  await writeHdf5Weights(path('whole.h5'), { name: '', layers: net.layers.slice(1, 2) });
  const whole = readFileSync(path('whole.h5'));
  await refused(() => readHdf5Weights(path('none.h5')));
  for (let length = 0; length < whole.length; length += 97) {
    writeFileSync(path('cut.h5'), whole.subarray(0, length));
    assert.match((await refused(() => readHdf5Weights(path('cut.h5')))).message, 'cut.h5');
  }
  // Damage may change a value, which no reader can notice. Any other outcome is wrong.
  for (let at = 8; at < whole.length; at += 61) {
    const damaged = Buffer.from(whole);
    damaged[at] = damaged[at]! ^ 0x55;
    writeFileSync(path('damaged.h5'), damaged);
    const outcome = await readHdf5Weights(path('damaged.h5')).catch((error: unknown) => error);
    assert.ok(
      outcome instanceof WeightsError || Array.isArray((outcome as WeightsFile).layers),
      String(outcome),
    );
  }
});

test('.npy is written and read again for float32 and float64 and every number of dimensions', () => {
  const double = {
    shape: [2, 2],
    dtype: 'float64' as const,
    bytes: new Uint8Array(Float64Array.of(1, -2, 3, 1e300).buffer),
  };
  for (const blob of [values(), values(7), values(2, 3), values(1, 2, 3, 4), double]) {
    writeNpy(path('a.npy'), blob);
    const bytes = readFileSync(path('a.npy'));
    const read = readNpy(bytes, { file: 'a.npy' });
    assert.equal([...read.shape], [...blob.shape]);
    assert.is(read.dtype, blob.dtype);
    assert.equal(toFloat64(read), toFloat64(blob));
    assert.is((bytes.length - blob.bytes.length) % 64, 0);
  }
});

test('.npy that NumPy would have to convert is refused, with the call that converts it', async () => {
  const make = (dictionary: string, data: Uint8Array, version = 1) => {
    const header = Buffer.from(`${dictionary}\n`);
    const head = Buffer.from(
      [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, 0, 0, 0, 0].slice(0, version === 1 ? 10 : 12),
    );
    if (version === 1) head.writeUInt16LE(header.length, 8);
    else head.writeUInt32LE(header.length, 8);
    return Buffer.concat([head, header, data]);
  };
  const four = new Uint8Array(16);
  const good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }";
  for (const version of [1, 2, 3])
    assert.equal(readNpy(make(good, four, version), { file: '' }).shape, [2, 2]);
  for (const [dictionary, hint] of [
    [good.replace('<f4', '<i8'), 'astype'],
    [good.replace('<f4', '>f4'), 'astype'],
    [good.replace('False', 'True'), 'ascontiguousarray'],
    [good.replace('2, 2', '2, 3'), 'needs 24 bytes'],
    [good.replace("'<f4'", "[('a', '<f4')]"), 'does not describe an array'],
  ] as const)
    assert.match((await refused(() => readNpy(make(dictionary, four), { file: 'x.npy' }))).message, hint);
  const whole = make(good, four);
  for (let length = 0; length < whole.length; length++)
    await refused(() => readNpy(whole.subarray(0, length), { file: 'x.npy' }));
});

test.run();
