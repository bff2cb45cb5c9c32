/**
 * The wrong kind of file for images, records, numbers or JSON: the message names the kind that it is, the kind that is
 * needed, and where the file belongs.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ResnodeError } from '../../ts/base/errors.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { writeNpy } from '../../ts/caffe/npy.ts';
import { writeBinaryproto, writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';
import { readCalibration, saveCalibration } from '../../ts/compile/calibration.ts';
import { readAugment } from '../../ts/data/augment.ts';
import { readImageList } from '../../ts/data/image-list.ts';
import { LevelDb } from '../../ts/data/leveldb/leveldb.ts';
import { openLmdb } from '../../ts/data/lmdb.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { readInputShapes } from '../../ts/data/read-shapes.ts';
import { readLabelledImages } from '../../ts/images/evaluate/dataset.ts';
import { openProgressFile } from '../../ts/images/evaluate/progress-file.ts';
import { readResult } from '../../ts/images/evaluate/result.ts';
import { readLabels } from '../../ts/images/labels.ts';
import { loadPreprocess, savePreprocess } from '../../ts/images/preprocess-file.ts';
import { readReport } from '../../ts/tools/bench/read-report.ts';
import { readTimes } from '../../ts/tools/view/measured-times.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-wrong-kinds-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const write = (name: string, content: string | Uint8Array) => {
  writeFileSync(path(name), content);
  return path(name);
};
const blob = blobFromFloats([2, 3], new Float32Array(6).fill(0.5));

const files = {
  net: write('net.prototxt', 'name: "n"\nlayer { name: "a" type: "ReLU" bottom: "x" top: "x" }\n'),
  solver: write('solver.prototxt', 'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\n'),
  html: write('page', '<!DOCTYPE html><html></html>'),
  gzip: write('a.gz', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3)),
  png: write('a.png', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')),
  lfs: write('pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'),
  caffemodel: path('a.caffemodel'),
  mean: path('mean.binaryproto'),
  npy: path('a.npy'),
  preprocess: path('net.preprocess.json'),
  calibration: path('net.calibration.json'),
};
writeCaffemodel(files.caffemodel, { name: 'n', layers: [{ name: 'fc', type: '', blobs: [blob] }] });
writeBinaryproto(files.mean, blobFromFloats([1, 3, 1, 1], new Float32Array(3)));
writeNpy(files.npy, blob);
savePreprocess(files.preprocess, { resize: null, crop: { width: 2, height: 2 }, mean: [0] });
saveCalibration(files.calibration, {
  ...{ format: 'resnode-calibration/1', net: 'n', method: 'min-max', percentile: null, images: 1 },
  ranges: { 'a@a': 1 },
});
mkdirSync(path('empty'));

const kinds: Record<keyof typeof files, RegExp> = {
  net: /this is a net \(prototxt\)/,
  solver: /this is a solver \(prototxt\)/,
  html: /this is a web page/,
  gzip: /this is compressed with gzip/,
  png: /this is an image \(PNG\)/,
  lfs: /this is a Git LFS pointer/,
  caffemodel: /this is a file of trained weights/,
  mean: /this is a mean image/,
  npy: /this is a NumPy array/,
  preprocess: /this is resnode's description of preprocessing.*--preprocess/,
  calibration: /this is the calibration of a net.*--calibration/,
};

async function refusal(work: () => unknown): Promise<ResnodeError> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, ResnodeError, String((error as Error).stack));
    return error as ResnodeError;
  }
  return assert.unreachable('was taken') as never;
}

const layerOf = (type: string, param: string, source: string) =>
  readNet(
    `layer { name: "d" type: "${type}" top: "a" top: "b" ${param} { source: "${source}" batch_size: 1 } }`,
    { file: 'net' },
  ).layer![0]!;
const opened = (type: string, param: string) => (source: string) =>
  openDataLayer(layerOf(type, param, source), { phase: 'TEST' });
const shaped = (type: string, param: string) => (source: string) =>
  readInputShapes({ layer: [layerOf(type, param, source)] });

/** Each reader with the kind that it needs, and a kind that it reads or refuses with its own message. */
const readers: Record<string, [read: (file: string) => unknown, needed: RegExp, own?: keyof typeof files]> = {
  readImageList: [(file) => readImageList(file), /here a list of images/],
  ImageData: [opened('ImageData', 'image_data_param'), /here a list of images/],
  'the shapes of ImageData': [shaped('ImageData', 'image_data_param'), /here a list of images/],
  readLabelledImages: [(file) => readLabelledImages(file, { classes: 2 }), /here a list of images/],
  readLabels: [(file) => readLabels(file), /expected class names, one per line/],
  HDF5Data: [opened('HDF5Data', 'hdf5_data_param'), /here a list of HDF5 files/],
  'the shapes of HDF5Data': [shaped('HDF5Data', 'hdf5_data_param'), /here a list of HDF5 files/],
  'a file that HDF5Data lists': [
    (file) => opened('HDF5Data', 'hdf5_data_param')(write('files.txt', `${file}\n`)),
    /here an HDF5 file is needed/,
  ],
  LMDB: [openLmdb, /here an LMDB database/],
  LevelDB: [(file) => LevelDb.open(file), /here a LevelDB database/],
  Data: [opened('Data', 'data_param'), /here an LMDB database/],
  'the shapes of Data': [shaped('Data', 'data_param'), /here an LMDB database/],
  'a preprocess file': [(file) => loadPreprocess(file), /here a preprocess file/, 'preprocess'],
  'a calibration': [
    (file) => readCalibration(file),
    /here a file that `resnode quantize` wrote/,
    'calibration',
  ],
  'a result': [(file) => readResult(file), /here a result of `resnode evaluate --out`/],
  progress: [(file) => openProgressFile(file, {}), /here the progress of an evaluation/],
  augmentation: [(file) => readAugment(file, 'TRAIN'), /here a JSON file/],
  times: [(file) => readTimes(file), /here the output of `resnode time --json`/],
  'a report of bench': [(file) => readReport(file), /here a JSON file/],
};
const inWorkers = ['Data', 'a file that HDF5Data lists'];
for (const [name, [read, needed, own]] of Object.entries(readers))
  test(`${name}: another kind of file is named, with the kind that is needed`, async () => {
    for (const [kind, is] of Object.entries(kinds)) {
      // Readers that start a worker for each file get only two kinds.
      if (kind === own || (inWorkers.includes(name) && !['net', 'png'].includes(kind))) continue;
      const file = files[kind as keyof typeof files];
      const { message } = await refusal(() => read(file));
      assert.match(message, is, `${name} from ${kind}`);
      assert.match(message, needed, `${name} from ${kind}`);
      assert.match(message, file);
    }
  });

test('a folder in place of a list is named as one', async () => {
  for (const name of ['readImageList', 'ImageData', 'HDF5Data', 'the shapes of ImageData'])
    assert.match((await refusal(() => readers[name]![0](path('empty')))).message, /this is a folder/, name);
});

test('an HDF5 file in place of the list that names it is refused, with a list as the cure', async () => {
  const hdf5 = write('train.h5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'));
  const { message } = await refusal(() => readers.HDF5Data![0](hdf5));
  assert.match(message, /this is an HDF5 file.*write its path into a text file/);
});

test('run --input reads only raw float32, including zeros', () => {
  const net = write(
    'run.prototxt',
    'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 256 } } }\nlayer { name: "r" type: "ReLU" bottom: "x" top: "r" }\n',
  );
  const words = [...COMMAND, 'run', '--model', net, '--out', path('o')];
  const run = (file: string) =>
    spawnSync(process.execPath, [...words, '--input', `x=${file}`], { encoding: 'utf8' });
  assert.is(run(write('zeros.f32', new Uint8Array(1024))).status, 0);
  const cures = { npy: /tofile/, png: /resnode features/, net: /--model/, caffemodel: /--weights/ } as const;
  for (const [kind, cure] of Object.entries(cures)) {
    const { status, stderr } = run(files[kind as keyof typeof cures]);
    assert.is(status, 2, stderr);
    assert.match(stderr, kinds[kind as keyof typeof cures]);
    assert.match(stderr, /expected a file that holds only little-endian float32/);
    assert.match(stderr, cure);
  }
});

test.run();
