/**
 * The wrong kind of file: every reader names the kind that it got, the kind that it needs, and where the file belongs.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert, readHdf5Weights, writeHdf5Weights } from '../../ts/api/convert.ts';
import { readMeanImage } from '../../ts/api/images.ts';
import { lintFile } from '../../ts/api/tools.ts';
import { readSolverFile, readSolverState } from '../../ts/api/train.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { type FileKind, fileKind, fileKindAt } from '../../ts/caffe/file-kind.ts';
import { saveSolverState } from '../../ts/caffe/solver-state.ts';
import { topLevelWords } from '../../ts/caffe/top-level.ts';
import { readOnnxFile } from '../../ts/convert/onnx-files.ts';
import { readTorchFile } from '../../ts/convert/resnet/read-torch-resnet.ts';
import { readSafetensors, writeSafetensors } from '../../ts/convert/safetensors.ts';
import {
  blobFromFloats,
  openDevice,
  ResnodeError,
  readBinaryproto,
  readCaffemodel,
  readNet,
  readNetFile,
  readNpy,
  writeBinaryproto,
  writeCaffemodel,
  writeNpy,
} from '../../ts/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-kinds-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const write = (name: string, content: string | Uint8Array) => {
  writeFileSync(path(name), content);
  return path(name);
};

const blob = (...shape: number[]) => blobFromFloats(shape, new Float32Array(elementCount(shape)).fill(0.5));

const NET = `name: "n"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
`;
const SOLVER = 'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 1\n';
const HTML = '<!DOCTYPE html>\n<html><head><title>Not Found</title></head></html>';
const LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n';

const files: Record<string, string> = {
  net: write('net.prototxt', NET),
  solver: write('solver.prototxt', SOLVER),
  html: write('page', HTML),
  'lfs-pointer': write('pointer', LFS),
  gzip: write('a.gz', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3)),
  zip: write('a.zip', 'PK\x03\x04\x14\0\0\0\0\0net.caffemodel'),
  list: write('list.txt', 'cat.jpg 0\nsome dog.jpg 1\n'),
  labels: write('words.txt', 'n01440764 tench, Tinca tinca\nn01443537 goldfish\n'),
  'utf-16': write('wide.prototxt', Buffer.from(`\uFEFF${NET}`, 'utf16le')),
  json: write('a.json', '{ "mean": [1] }'),
  jpeg: write('a.jpg', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16)),
  png: write('a.png', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')),
  empty: write('empty', ''),
  zeros: write('zeros', new Uint8Array(4096)),
  folder: path('folder'),
  onnx: write('a.onnx', Uint8Array.of(8, 8, 0x12, 2, 0x70, 0x74, 0x3a, 2, 0x12, 0, 0x42, 2, 0x10, 17)),
};
mkdirSync(path('folder'));
writeCaffemodel(path('a.caffemodel'), {
  name: 'n',
  layers: [{ name: 'fc', type: 'InnerProduct', blobs: [blob(2, 192), blob(2)] }],
});
files.caffemodel = path('a.caffemodel');
writeBinaryproto(path('mean.binaryproto'), blob(1, 3, 8, 8));
files.mean = path('mean.binaryproto');
writeNpy(path('a.npy'), blob(3, 8, 8));
files.npy = path('a.npy');
writeSafetensors(path('a.safetensors'), { metadata: new Map(), tensors: new Map([['fc.0', blob(2, 2)]]) });
files.safetensors = path('a.safetensors');
mkdirSync(path('lmdb'));
write('lmdb/data.mdb', 'x');
files.lmdb = path('lmdb');

test('the kind of a file is recognised from its content, whatever its name', async () => {
  await saveSolverState(path('a.solverstate'), {
    iter: 7,
    learned_net: 'a.caffemodel',
    current_step: 0,
    history: [blob(4)],
  });
  files['solver-state'] = path('a.solverstate');
  await writeHdf5Weights(path('a.h5'), {
    name: '',
    layers: [{ name: 'fc', type: '', blobs: [blob(2, 192), blob(2)] }],
  });
  files.hdf5 = path('a.h5');
  for (const [kind, file] of Object.entries(files)) assert.is(fileKindAt(file), kind as FileKind, file);
});

test('the start of a large file is enough to recognise its kind', () => {
  const name = 'a'.repeat(100);
  writeCaffemodel(path('large.caffemodel'), {
    name,
    layers: [{ name: 'fc', type: '', blobs: [blob(300, 300)] }],
  });
  assert.is(fileKindAt(path('large.caffemodel')), 'caffemodel');
  assert.is(fileKind(Buffer.from(`# ${'long comment '.repeat(3000)}\n${SOLVER}`)), 'solver');
});

const refusal = async (work: () => unknown): Promise<ResnodeError> => {
  try {
    await work();
  } catch (error) {
    assert.instance(error, ResnodeError, String((error as Error).stack));
    return error as ResnodeError;
  }
  return assert.unreachable('was taken') as never;
};

const bytes = (file: string) => readFileSync(file);

test('where a net is needed, any other file is named with the place where it belongs', async () => {
  for (const [kind, message] of [
    ['solver', /this is a solver .*here a net \(prototxt\) is needed: .*"net" names/],
    ['caffemodel', /this is a file of trained weights .*--weights/],
    ['solver-state', /this is a solver state .*--snapshot/],
    ['mean', /a mean image .*--mean/],
    ['onnx', /an ONNX model.*resnode convert/],
    ['hdf5', /an HDF5 file.*--weights/],
    ['html', /a web page \(HTML\).*download failed/],
    ['lfs-pointer', /Git LFS pointer.*git lfs pull/],
    ['gzip', /compressed with gzip.*gunzip/],
    ['zip', /a zip archive.*unpack/],
    ['list', /a list of files/],
    ['labels', /class names.*--labels/],
    ['utf-16', /UTF-16.*UTF-8/],
    ['json', /a JSON file/],
    ['jpeg', /an image \(JPEG\)/],
    ['empty', /an empty file.*download it again/],
    ['folder', /this is a folder/],
    ['lmdb', /an LMDB database/],
    ['npy', /a NumPy array/],
    ['safetensors', /safetensors.*resnode convert/],
  ] as const) {
    const error = await refusal(() => readNetFile(files[kind]!));
    assert.is(error.code, 'prototxt/wrong-kind', `${kind}: ${error.message}`);
    assert.match(error.message, message);
    assert.match(error.message, files[kind]!);
  }
});

test('where a solver is needed, a net is named as one', async () => {
  for (const kind of ['net', 'caffemodel', 'solver-state', 'html', 'empty', 'utf-16', 'folder']) {
    const error = await refusal(() => readSolverFile(files[kind]!));
    assert.is(error.code, 'prototxt/wrong-kind', error.message);
    assert.match(error.message, /here a solver \(prototxt\) is needed/);
  }
});

test('where weights are needed: by path on a device, by bytes, in a thread', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  for (const kind of Object.keys(files).filter((name) => !['caffemodel', 'hdf5'].includes(name))) {
    const error = await refusal(() => device.load({ model: files.net!, weights: files[kind]! }));
    assert.is(error.code, 'weights/wrong-kind', `${kind}: ${error.message}`);
    assert.match(error.message, /here weights \(\.caffemodel or \.caffemodel\.h5\) are needed/);
  }
  for (const kind of ['net', 'mean', 'hdf5', 'html'])
    assert.is(
      (await refusal(() => readCaffemodel(bytes(files[kind]!), { file: kind }))).code,
      'weights/wrong-kind',
    );
});

test('where a mean image, a solver state, HDF5, .npy, ONNX, safetensors or .pth is needed, the error names the kind that was found', async () => {
  const readers: Record<string, [(file: string) => unknown, RegExp]> = {
    mean: [(file) => readBinaryproto(bytes(file), { file }), /a mean image \(\.binaryproto\) is needed/],
    'solver-state': [(file) => readSolverState(file), /a solver state .* is needed/],
    hdf5: [(file) => readHdf5Weights(file), /an HDF5 file is needed/],
    npy: [(file) => readNpy(bytes(file), { file }), /a NumPy array \(\.npy\) is needed/],
    onnx: [(file) => readOnnxFile(file), /an ONNX model is needed/],
    safetensors: [(file) => readSafetensors(bytes(file), { file }), /a safetensors file is needed/],
    torch: [(file) => readTorchFile(bytes(file), file), /a file of torch\.save is needed/],
  };
  for (const [own, [read, message]] of Object.entries(readers))
    for (const kind of ['net', 'solver', 'caffemodel', 'html', 'lfs-pointer', 'gzip', 'png', 'empty']) {
      if (kind === own) continue;
      const error = await refusal(() => read(files[kind]!));
      assert.is(error.code, 'weights/wrong-kind', `${own} from ${kind}: ${error.message}`);
      assert.match(error.message, message);
    }
  assert.match(
    (await refusal(() => readMeanImage(files.npy!))).message,
    /resnode convert mean\.npy --out mean\.binaryproto/,
  );
  assert.match((await refusal(() => readMeanImage(files.folder!))).message, /this is a folder/);
  assert.match(
    (await refusal(() => convert(files.html!, path('b.npy')))).message,
    /one of the formats|web page/,
  );
});

test('an HDF5 file for another purpose is named as such', async () => {
  const { saveHdf5SolverState } = await import('../../ts/caffe/solver-state.ts');
  await saveHdf5SolverState(path('state.h5'), {
    iter: 1,
    learned_net: '',
    current_step: 0,
    history: [blob(2)],
  });
  assert.match(
    (await refusal(() => readHdf5Weights(path('state.h5')))).message,
    /a solver state \(HDF5\).*--snapshot/,
  );
  assert.match(
    (await refusal(() => readSolverState(files.hdf5!))).message,
    /these are weights \(HDF5\).*--weights/,
  );
});

test('lint accepts nets and solvers, and names other files', async () => {
  assert.match(lintFile(files.caffemodel!)[0]!.message, /here a net or a solver \(prototxt\) is needed/);
  assert.match(lintFile(files.list!)[0]!.message, /this is a list of files/);
});

test('V1 layers with V2 types, and the reverse, give an error that says so', async () => {
  for (const [text, message] of [
    [
      'layers { name: "a" type: "Convolution" }',
      /type: "Convolution" is of "layer" \(V2\), but this stands in "layers" \(V1\).*or type: CONVOLUTION here/,
    ],
    ['layers { name: "a" type: "BatchNorm" }', /"layer" \(V2\).*V1 has no such type/],
    ['layers { name: "a" type: "CONVOLUTION" }', /write type: CONVOLUTION without quotes/],
    ['layers { name: "a" type: InnerProduct }', /or type: INNER_PRODUCT here/],
    [
      'layer { name: "a" type: CONVOLUTION }',
      /type: CONVOLUTION is of "layers" \(V1\).*write type: "Convolution"/,
    ],
    ['layer { name: "a" type: Convolution }', /write it in quotes: type: "Convolution"/],
    ['layer { name: "a" type: "ReLU" blobs_lr: 1 }', /"blobs_lr".*of "layers" \(V1\).*param \{ lr_mult/],
    ['layers { name: "a" type: RELU batch_norm_param { eps: 1 } }', /"batch_norm_param".*of "layer" \(V2\)/],
    [
      'layers { name: "a" type: CONVOLUTION param { lr_mult: 1 } }',
      /param \{ … \} is of "layer" \(V2\).*blobs_lr/,
    ],
  ] as const) {
    const error = await refusal(() => readNet(text, { file: 'n.prototxt' }));
    assert.is(error.code, 'prototxt/layer-form', error.message);
    assert.match(error.message, message);
    assert.match(error.message, /^n\.prototxt:1:\d+: /);
  }
  using device = await openDevice('cpu', { threads: 1 });
  const quoted = readNet(NET.replace('"InnerProduct"', '"INNER_PRODUCT"'), { file: 'n' });
  assert.match(
    (await refusal(() => device.load({ model: quoted }))).message,
    /"INNER_PRODUCT" is its name in "layers" \(V1\), write "InnerProduct"/,
  );
});

test('a word of four megabytes is examined once, not once per letter', () => {
  assert.equal(topLevelWords(`${'b'.repeat(1 << 22)} name: "x" layer { type: "y" }`), ['name', 'layer']);
});

test.run();
