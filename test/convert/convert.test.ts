/** `resnode convert`: pairs of formats, refusals, and a failing check. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { conversions, convert } from '../../ts/api/convert.ts';
import { readBinaryproto, readCaffemodel, type WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { readNpy } from '../../ts/caffe/npy.ts';
import { writeBinaryproto } from '../../ts/caffe/write-caffemodel.ts';
import { compareRuns, compareValues, resnodeRunner } from '../../ts/convert/check.ts';
import { ArgumentError, blobFromFloats, readNetFile } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-convert-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const fashion = join(repositoryFolder, 'examples/fashion');
const [model, weights] = [join(fashion, 'deploy.prototxt'), join(fashion, 'model.caffemodel')];
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], {
    encoding: 'utf8',
    cwd: folder,
  });
const read = (file: string) => readCaffemodel(readFileSync(file), { file });

test('a trained net is converted to ONNX and back, and each command prints the difference', () => {
  const there = resnode('convert', weights, '--out', 'net.onnx', '--model', model);
  assert.is(there.status, 0, there.stderr);
  assert.match(
    there.stdout,
    /^wrote net\.onnx\nlargest difference of outputs: \d\.\d\de-\d+, \d\.\d\de-\d+ of the largest value \(prob; resnode on the CPU, layer by layer against onnxruntime-node [\d.]+\)\n$/,
  );
  const back = resnode('convert', 'net.onnx', '--out', 'net.caffemodel', '--json');
  assert.is(back.status, 0, back.stderr);
  const result = JSON.parse(back.stdout);
  assert.equal(result.files, ['net.caffemodel', 'net.prototxt']);
  assert.ok(result.check.ok && result.check.largest.relative < 1e-5, back.stdout);
  assert.is(readNetFile(path('net.prototxt')).layer?.length, readNetFile(model).layer?.length);
});

test('a merged pair is written with its net, and is bit-equal after HDF5 and back', async () => {
  const merged = await convert(weights, path('merged.caffemodel'), { model, merge: true });
  assert.equal(merged.files, [path('merged.caffemodel'), path('merged.prototxt')]);
  assert.ok(merged.merged > 30 && merged.check!.largest.relative < 1e-5);
  const types = new Set(readNetFile(path('merged.prototxt')).layer?.map(({ type }) => type));
  assert.not.ok(types.has('BatchNorm') || types.has('Scale'));
  const hdf5 = await convert(weights, path('net.caffemodel.h5'));
  assert.is(hdf5.check!.compared, 'values');
  assert.is(hdf5.check!.largest.absolute, 0);
  const again = await convert(path('net.caffemodel.h5'), path('again.caffemodel'), { model });
  assert.is(again.check!.compared, 'outputs');
  assert.is(compareValues(read(weights), read(path('again.caffemodel'))).largest.absolute, 0);
});

test('a mean image is converted to NumPy and back', async () => {
  const values = Float32Array.from({ length: 60 }, (_, i) => i * 1.1);
  writeBinaryproto(path('mean.binaryproto'), blobFromFloats([1, 3, 4, 5], values));
  await convert(path('mean.binaryproto'), path('mean.npy'));
  await convert(path('mean.npy'), path('again.binaryproto'));
  assert.equal(readNpy(readFileSync(path('mean.npy')), { file: '' }).shape, [1, 3, 4, 5]);
  const again = readBinaryproto(readFileSync(path('again.binaryproto')), { file: '' });
  assert.equal(new Uint8Array(again.bytes), new Uint8Array(values.buffer));
});

test('--help names the formats of every pair, and every other pair is refused by name', async () => {
  const help = resnode('convert', '--help').stdout;
  const [, read, written] = /^Reads (.*)\.\nWrites (.*);/m.exec(help) ?? [];
  for (const { from, to } of conversions()) {
    if (from.kind === 'array') continue;
    assert.ok(read?.split(/, | or /).includes(from.extensions[0]!), from.name);
    assert.ok(written?.split(/, | or /).includes(to.extensions[0]!), to.name);
  }
  const before = readdirSync(folder).length;
  for (const [from, to, options, message] of [
    [
      weights,
      path('x.npy'),
      {},
      /^to: expected a file name that ends in \.caffemodel, .*\.ckpt, formats that Caffe can become, but received ".*x\.npy"/,
    ],
    [weights, path('x.tflite'), {}, /^to: expected a file name that ends in \.caffemodel, .*x\.tflite/],
    [weights, path('x.caffemodel'), {}, /another format .*but received Caffe → Caffe/],
    [
      weights,
      path('x.onnx'),
      {},
      /model: expected a net, which ONNX needs and the source \(Caffe\) does not/,
    ],
    [model, path('x.onnx'), {}, /^from: .*a prototxt holds no weights: give the weights file/],
    [weights, path('x.caffemodel'), { merge: true }, /a net, which merging needs/],
    [weights, path('x.caffemodel'), { outputModel: path('x.prototxt') }, /a net, which rewriting needs/],
    [path('none.onnx'), path('x.caffemodel'), {}, /none\.onnx: there is no such file/],
    [weights, weights, { merge: true, model }, /another file than the source/],
    [
      weights,
      path('x.caffemodel'),
      { merge: true, model, outputModel: model },
      /another file than the model/,
    ],
  ] as const) {
    const error = await convert(from, to, options).then(
      () => null,
      (thrown: unknown) => thrown as Error,
    );
    assert.match(error?.message ?? 'nothing was thrown', message);
  }
  assert.is(readdirSync(folder).length, before);
  const misuse = resnode('convert', weights, '--out', 'x.npy');
  assert.is(misuse.status, 2);
  assert.match(misuse.stderr, /^resnode: --out: expected [^\n]+\n$/);
  assert.is(
    resnode('convert', weights, '--out', 'x.onnx', '--model', model, '--input-shape', 'data').status,
    2,
  );
  writeFileSync(path('text.onnx'), 'not ONNX at all');
  const failed = resnode('convert', 'text.onnx', '--out', 'x.caffemodel');
  assert.is(failed.status, 1);
  assert.match(failed.stderr, /^resnode: text\.onnx: [^\n]+\n$/);
  assert.not.ok(existsSync(path('x.caffemodel')));
  assert.is((await convert(weights, path('y.onnx'), { model, check: false })).check, null);
  assert.instance(await convert('', '').catch((error: unknown) => error), ArgumentError);
});

test('a check notices a single wrong weight, in the outputs and in the values', async () => {
  const [net, source] = [readNetFile(model), read(weights)];
  const layers = source.layers.map((layer) => {
    if (layer.name !== 'conv1') return layer;
    const bytes = Uint8Array.from(layer.blobs[0]!.bytes);
    new DataView(bytes.buffer).setFloat32(0, 1, true);
    return { ...layer, blobs: [{ ...layer.blobs[0]!, bytes }, ...layer.blobs.slice(1)] };
  });
  const wrong: WeightsFile = { ...source, layers };
  assert.not.ok(compareValues(source, wrong).ok);
  assert.is(compareValues(source, wrong).largest.name, 'conv1/0');
  assert.not.ok(compareValues(source, { ...source, layers: layers.slice(0, -1) }).ok);
  const runners = [
    await resnodeRunner({ net, weights: source }, { optimize: false }),
    await resnodeRunner({ net, weights: wrong }, { optimize: true }),
  ] as const;
  const check = await compareRuns(...runners, runners[0].inputs);
  assert.not.ok(check.ok, JSON.stringify(check));
  for (const runner of runners) runner.dispose();
});

test.run();
