/** Every reader of files that strangers may send: small valid files to start from, and the calls that read them. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import sharp from 'sharp';
import {
  readCalibration,
  readKerasResnet,
  readOnnxFile,
  readSafetensorsFile,
  readTorchResnet,
  saveCalibration,
} from '../../ts/api/convert.ts';
import { readAugment, readIdx, readImageList, readLmdb } from '../../ts/api/data.ts';
import { decodeImage, loadPreprocess, readLabels } from '../../ts/api/images.ts';
import { lintPrototxt } from '../../ts/api/tools.ts';
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import { readBinaryproto, type WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { checkSolver } from '../../ts/caffe/check-solver.ts';
import { writeHdf5Weights } from '../../ts/caffe/hdf5-weights.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { readNpy } from '../../ts/caffe/npy.ts';
import { readWeights } from '../../ts/caffe/read-weights.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import { readSolverState, saveHdf5SolverState, saveSolverState } from '../../ts/caffe/solver-state.ts';
import { writeBinaryproto, writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';
import { mapFile } from '../../ts/convert/map-file.ts';
import { readMatConvNet } from '../../ts/convert/matconvnet/read-matconvnet.ts';
import { readNpz } from '../../ts/convert/numpy/read-npz.ts';
import { readTensorflow } from '../../ts/convert/tensorflow/read-tensorflow.ts';
import { readTorch7 } from '../../ts/convert/torch7/read-torch7.ts';
import { LevelDb } from '../../ts/data/leveldb/leveldb.ts';
import { readWindowFile } from '../../ts/data/window-file.ts';
import { readAnnotatedImages } from '../../ts/images/evaluate/boxes/annotated-images.ts';
import { readAnnotations } from '../../ts/images/evaluate/boxes/annotations.ts';
import { decodeIndexedPng, encodeIndexedPng } from '../../ts/images/indexed-png.ts';
import { graphFromCaffe, summarise } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';
import { mutateBytes } from './mutate-bytes.ts';
import { mutateJson, mutateList, mutatePrototxt, mutateWire } from './mutate-fields.ts';
import { mutateProgram, programSeeds, runMutated } from './programs.ts';
import type { Random } from './random.ts';

export interface Reader {
  readonly name: string;
  /** The extension of the file. */
  readonly extension: string;
  /**
   * Valid files.
   * @param folder Where some are created.
   */
  seeds(folder: string): Promise<readonly Uint8Array[]> | readonly Uint8Array[];
  /** Reads the file to its last value. */
  read(path: string, bytes: Buffer): unknown;
  /** It never refuses a file: damage is reported, or ignored as the format defines. */
  readonly isLenient?: boolean;
  /** Syntax-preserving changes, in addition to changes of arbitrary bytes. */
  readonly mutations?: readonly ((bytes: Uint8Array, random: Random) => Uint8Array)[];
  /** Only use these changes. */
  readonly keepsSyntax?: boolean;
}

const fixture = (name: string) => readFileSync(join(repositoryFolder, 'test', name));
/** A list with one image, whose boxes are in this file. */
function boxesBeside(path: string) {
  const [list, names] = ['list.txt', 'names.txt'].map((name) => join(dirname(path), name));
  writeFileSync(list!, `a.jpg ${basename(path)}\n`);
  writeFileSync(names!, 'background\n1\ncat\n');
  return readAnnotatedImages(list!, names!);
}
const example = (name: string) => readFileSync(join(repositoryFolder, 'examples/fashion', name));
const text = (...files: string[]) => files.map((each) => Buffer.from(each));
const utf8 = (bytes: Buffer) => bytes.toString('utf8');

const NET = `name: "small"
input: "data"
input_shape {
  dim: 1
  dim: 3
  dim: 9
  dim: 9
}
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  param {
    lr_mult: 1
    decay_mult: 1
  }
  convolution_param {
    num_output: 4
    kernel_size: 3
    pad: 1
    stride: 2
    weight_filler {
      type: "msra"
    }
  }
}
layer {
  name: "pool"
  type: "Pooling"
  bottom: "conv"
  top: "pool"
  pooling_param {
    pool: MAX
    kernel_size: 3
    stride: 2
  }
}
layer {
  name: "flat"
  type: "Reshape"
  bottom: "pool"
  top: "flat"
  reshape_param {
    shape {
      dim: 0
      dim: -1
    }
  }
}
layer {
  name: "fc"
  type: "InnerProduct"
  bottom: "flat"
  top: "fc"
  inner_product_param {
    num_output: 5
  }
}
layer {
  name: "prob"
  type: "Softmax"
  bottom: "fc"
  top: "prob"
}
`;
const SOLVER = `net: "train_val.prototxt"
test_iter: 10
test_interval: 100
base_lr: 0.1
lr_policy: "multistep"
gamma: 0.1
stepvalue: 200
stepvalue: 300
momentum: 0.9
weight_decay: 0.0001
max_iter: 400
snapshot: 100
snapshot_prefix: "small"
solver_mode: CPU
type: "SGD"
`;
const BLOBS = [
  blobFromFloats([4, 3, 3, 3], new Float32Array(108).fill(0.5)),
  blobFromFloats([4], new Float32Array(4)),
];
const WEIGHTS = { name: 'small', layers: [{ name: 'conv', type: 'Convolution', blobs: BLOBS }] };

function readAll({ layers }: WeightsFile): void {
  for (const { blobs } of layers) for (const blob of blobs) toFloat32(blob);
}

async function written(folder: string, name: string, write: (path: string) => unknown): Promise<Buffer> {
  const path = join(folder, name);
  await write(path);
  const bytes = readFileSync(path);
  rmSync(path);
  return bytes;
}

/** A database is a folder: the mutated file replaces one of its files. */
function inDatabase(source: string, file: string, path: string, bytes: Buffer): string {
  const folder = `${path}.folder`;
  rmSync(folder, { recursive: true, force: true });
  cpSync(join(repositoryFolder, 'test/data/fixtures', source), folder, { recursive: true });
  writeFileSync(join(folder, file), bytes);
  return folder;
}

async function readLevelDb(folder: string): Promise<void> {
  const database = await LevelDb.open(folder);
  try {
    for (let i = 0; i < database.count; i++) await database.at(i);
  } finally {
    await database.close();
  }
}

const levelDb = (file: string): Reader => ({
  name: `LevelDB (${file})`,
  extension: '',
  isLenient: file.endsWith('.log'),
  seeds: () => [fixture(`data/fixtures/raw.leveldb/${file}`)],
  read: (path, bytes) => readLevelDb(inDatabase('raw.leveldb', file, path, bytes)),
});

export const READERS: readonly Reader[] = [
  {
    name: 'net prototxt',
    extension: '.prototxt',
    seeds: () => [...text(NET), example('deploy.prototxt')],
    read(path, bytes) {
      const net = readNet(utf8(bytes), { file: path });
      summarise(graphFromCaffe(net, { phase: 'TEST' }));
    },
    mutations: [mutatePrototxt],
  },
  {
    name: 'lint',
    extension: '.prototxt',
    isLenient: true,
    seeds: () => text(NET, SOLVER),
    read: (path, bytes) => lintPrototxt(utf8(bytes), { file: path }),
    mutations: [mutatePrototxt],
  },
  {
    name: 'solver prototxt',
    extension: '.prototxt',
    seeds: () => text(SOLVER),
    read: (path, bytes) => checkSolver(readSolver(utf8(bytes), { file: path })),
    mutations: [mutatePrototxt],
  },
  {
    name: 'caffemodel',
    extension: '.caffemodel',
    seeds: async (folder) => [
      await written(folder, 'small.caffemodel', (path) => writeCaffemodel(path, WEIGHTS)),
    ],
    read: async (path) => readAll(await readWeights(path, mapFile)),
    mutations: [mutateWire],
  },
  {
    name: 'caffemodel.h5',
    extension: '.caffemodel.h5',
    seeds: async (folder) => [
      await written(folder, 'small.caffemodel.h5', (path) => writeHdf5Weights(path, WEIGHTS)),
    ],
    read: async (path) => readAll(await readWeights(path, mapFile)),
  },
  {
    name: 'binaryproto',
    extension: '.binaryproto',
    seeds: async (folder) => [
      await written(folder, 'mean.binaryproto', (path) => writeBinaryproto(path, BLOBS[0]!)),
    ],
    read: (path, bytes) => toFloat32(readBinaryproto(bytes, { file: path })),
    mutations: [mutateWire],
  },
  {
    name: 'solverstate',
    extension: '.solverstate',
    seeds: async (folder) => {
      const state = { iter: 7, learned_net: 'a.caffemodel', current_step: 1, history: BLOBS };
      return [
        await written(folder, 'a.solverstate', (path) => saveSolverState(path, state)),
        await written(folder, 'a.solverstate.h5', (path) => saveHdf5SolverState(path, state)),
      ];
    },
    read: async (path) => (await readSolverState(path)).history.forEach(toFloat32),
    mutations: [mutateWire],
  },
  {
    name: 'npy',
    extension: '.npy',
    seeds: () => [fixture('convert/fixtures/keras-new.npy')],
    read: (path, bytes) => toFloat32(readNpy(bytes, { file: path })),
  },
  {
    name: 'ONNX',
    extension: '.onnx',
    seeds: () =>
      ['assorted', 'zoo-v2', 'torch-basic', 'torch-bottleneck-dynamic'].map((name) =>
        fixture(`convert/fixtures/${name}.onnx`),
      ),
    read: async (path) => readAll((await readOnnxFile(path, { inputShapes: {} })).weights),
    mutations: [mutateWire],
  },
  {
    name: 'safetensors',
    extension: '.safetensors',
    seeds: () => [fixture('convert/fixtures/torch-mixed.safetensors')],
    read: async (path) => readAll((await readSafetensorsFile(path)).weights),
  },
  {
    name: 'torch',
    extension: '.pth',
    seeds: () =>
      ['torch-checkpoint.pth', 'torch-old.pth', 'torch-early.pth', 'torch-mixed.pth', 'torch-cifar.th'].map(
        (name) => fixture(`convert/fixtures/${name}`),
      ),
    read: async (path) => readAll((await readTorchResnet(path)).weights),
  },
  {
    name: 'Keras',
    extension: '.h5',
    seeds: () =>
      ['old', 'new', 'whole', 'resnet8', 'odd', 'sequential'].map((name) =>
        gunzipSync(fixture(`convert/fixtures/keras-${name}.h5.gz`)),
      ),
    read: async (path) => readAll((await readKerasResnet(path)).weights),
  },
  {
    name: 'MatConvNet',
    extension: '.mat',
    seeds: () => [
      ...['dagnn.mat', 'dagnn-packed.mat', 'simplenn.mat'].map((name) => fixture(`convert/fixtures/${name}`)),
      gunzipSync(fixture('convert/fixtures/dagnn-7.3.mat.gz')),
    ],
    read: async (path) => readAll((await readMatConvNet(path)).weights),
  },
  {
    name: 'TensorFlow (version 1)',
    extension: '.ckpt',
    seeds: () => ['port-v1.ckpt', 'port-small.ckpt'].map((name) => fixture(`convert/fixtures/${name}`)),
    read: async (path) => readAll((await readTensorflow(path, { net: null, inputShapes: {} })).weights),
  },
  {
    name: 'TensorFlow (version 2)',
    extension: '.index',
    seeds: () => [fixture('convert/fixtures/port-v2.ckpt.index')],
    async read(path) {
      const data = 'port-v2.ckpt.data-00000-of-00001';
      writeFileSync(path.replace(/index$/, 'data-00000-of-00001'), fixture(`convert/fixtures/${data}`));
      readAll((await readTensorflow(path, { net: null, inputShapes: {} })).weights);
    },
  },
  {
    name: 'Torch7',
    extension: '.t7',
    seeds: () =>
      ['fb-b.t7', 'fb-a-ascii.t7', 'nngraph.t7'].map((name) => fixture(`convert/fixtures/${name}`)),
    read: async (path) =>
      readAll((await readTorch7(path, { inputShapes: { data: [1, 3, 33, 33] } })).weights),
  },
  {
    name: 'npz',
    extension: '.npz',
    seeds: () => ['tensorpack.npz', 'named.npz'].map((name) => fixture(`convert/fixtures/${name}`)),
    read: async (path) =>
      [...(await readNpz(path)).values()].map(({ type, blob }) => type === 'no floats' || toFloat32(blob())),
  },
  {
    name: 'LMDB',
    extension: '',
    seeds: () => ['odd', 'floats', 'encoded'].map((name) => fixture(`data/fixtures/${name}.lmdb/data.mdb`)),
    async read(path, bytes) {
      for await (const { datum } of readLmdb(inDatabase('odd.lmdb', 'data.mdb', path, bytes)))
        void datum.data.length;
    },
  },
  ...readdirSync(join(repositoryFolder, 'test/data/fixtures/raw.leveldb')).sort().map(levelDb),
  {
    name: 'image',
    extension: '.jpg',
    seeds: () => {
      const folder = join(repositoryFolder, 'test/images/fixtures/decode');
      return readdirSync(folder)
        .filter((name) => /\.(jpe?g|png|webp|gif|tiff?|bmp|pgm|ppm)$/.test(name))
        .map((name) => readFileSync(join(folder, name)))
        .filter(({ length }) => length < 20_000);
    },
    read: (path) => decodeImage(path),
  },
  {
    name: 'map of classes',
    extension: '.png',
    seeds: async () => {
      const map = Uint8Array.from({ length: 60 }, (_, i) => i % 5);
      const grey = sharp(map, { raw: { width: 10, height: 6, channels: 1 } });
      return [Buffer.from(await encodeIndexedPng(map, 10, 6)), await grey.png().toBuffer()];
    },
    read: (path, bytes) => decodeIndexedPng(bytes, path),
  },
  {
    name: 'window file',
    extension: '.txt',
    seeds: () => text('# 0\na.jpg\n3\n30\n40\n2\n1 0.7 0 0 9 9\n0 0.1 5 5 20 20\n# 1\nb.jpg 3 10 10 0\n'),
    read: (path) => readWindowFile(path, { foreground: 0.5, background: 0.5 }),
    mutations: [mutateList],
  },
  {
    name: 'list of annotated images',
    extension: '.txt',
    seeds: () => text('a.jpg boxes.txt\nb.png boxes.txt\n'),
    read(path) {
      writeFileSync(join(dirname(path), 'boxes.txt'), '1 0 0 9 9\n');
      writeFileSync(join(dirname(path), 'names.txt'), 'background\ncat\n');
      return readAnnotatedImages(path, join(dirname(path), 'names.txt'));
    },
    mutations: [mutateList],
  },
  {
    name: 'boxes of an image',
    extension: '.txt',
    seeds: () => text('1 0 0 9 9\n2 4.5 3 30 20\n'),
    read: (path) => boxesBeside(path),
    mutations: [mutateList],
  },
  {
    name: 'boxes of an image (COCO)',
    extension: '.json',
    seeds: () =>
      text(
        JSON.stringify({
          image: { id: 1 },
          annotation: [{ category_id: 1, bbox: [1, 2, 3, 4], iscrowd: 0 }],
        }),
      ),
    read: (path) => boxesBeside(path),
    mutations: [mutateJson],
  },
  {
    name: 'DICOM',
    extension: '.dcm',
    seeds: () => {
      const folder = join(repositoryFolder, 'test/images/fixtures/dicom');
      return readdirSync(folder).map((name) => readFileSync(join(folder, name)));
    },
    read: (path) => decodeImage(path),
  },
  {
    name: 'image list',
    extension: '.txt',
    seeds: () => text('a.jpg 0\nb/c d.png 12\n', '\ufeffa.jpg 1 2 3\r\nb.jpg 4 5 6\r\n'),
    read: (path) => readImageList(path),
    mutations: [mutateList],
  },
  {
    name: 'labels',
    extension: '.txt',
    seeds: () => [example('labels.txt')],
    read: (path) => readLabels(path, 10),
    mutations: [mutateList],
  },
  {
    name: 'label map',
    extension: '.prototxt',
    seeds: () =>
      text(
        'item {\n  name: "none"\n  label: 0\n  display_name: "background"\n}\nitem {\n  name: "n1"\n  label: 1\n}\n',
      ),
    read: (path) => readLabels(path),
    mutations: [mutatePrototxt],
  },
  {
    name: 'annotations (VOC)',
    extension: '.xml',
    seeds: () =>
      text(
        '<annotation><filename>a.jpg</filename><object><name>cat</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>',
        '<?xml version="1.0"?>\n<!-- a --><annotation>\n<object><name>a &amp; b</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object></annotation>',
      ),
    read: (path) => readAnnotations(path),
  },
  {
    name: 'annotations (COCO)',
    extension: '.json',
    seeds: () =>
      text(
        JSON.stringify({
          images: [{ id: 1, file_name: 'a.jpg', width: 40, height: 30 }],
          categories: [{ id: 3, name: 'cat' }],
          annotations: [{ id: 7, image_id: 1, category_id: 3, bbox: [1, 2, 20, 10], iscrowd: 0, area: 200 }],
        }),
      ),
    read: (path) => readAnnotations(path),
    mutations: [mutateJson],
  },
  {
    name: 'preprocess file',
    extension: '.json',
    seeds: () => [example('preprocess.json')],
    read: (path) => loadPreprocess(path),
    mutations: [mutateJson],
  },
  {
    name: 'augment file',
    extension: '.json',
    seeds: () =>
      text(
        '{"TRAIN":{"shorterSide":[256,480],"lighting":{"std":0.1,"values":[1,2,3],"vectors":[[1,0,0],[0,1,0],[0,0,1]]},"shuffle":true},"TEST":{"shorterSide":256}}',
        '{"TRAIN":{"resizedCrop":{"area":[0.1,1],"ratio":[0.75,1.5]},"affine":{"rotation":10,"translate":[0.1,0.1],"scale":[0.9,1.1],"shear":[-5,5]},"jitter":{"brightness":0.4,"hue":0.1},"cutout":{"size":8,"count":2}}}',
      ),
    read: (path) => readAugment(path, 'TRAIN'),
    mutations: [mutateJson],
  },
  {
    name: 'calibration file',
    extension: '.json',
    seeds: async (folder) => [
      await written(folder, 'calibration.json', (path) =>
        saveCalibration(path, {
          format: 'resnode-calibration/1',
          net: 'small',
          method: 'entropy',
          percentile: null,
          images: 3,
          ranges: { 'data@data': 1, 'conv@conv': 2.5 },
        }),
      ),
    ],
    read: (path) => readCalibration(path),
    mutations: [mutateJson],
  },
  {
    name: 'IDX',
    extension: '-images-idx3-ubyte',
    seeds: () => {
      const head = Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3]);
      return [Buffer.concat([head, Buffer.alloc(18, 7)])];
    },
    read(path) {
      const labels = path.replace('images-idx3', 'labels-idx1');
      writeFileSync(labels, Buffer.from([0, 0, 8, 1, 0, 0, 0, 2, 1, 0]));
      return readIdx(path, labels);
    },
  },
  {
    name: 'Program',
    extension: '.program',
    seeds: programSeeds,
    read: (_path, bytes) => runMutated(bytes),
    mutations: [mutateProgram],
    keepsSyntax: true,
  },
];

/** An input, determined by its reader's seeds, a seed and its number. */
export function mutate(reader: Reader, seeds: readonly Uint8Array[], random: Random): Buffer {
  const seed = random.pick(seeds);
  const all = [...(reader.keepsSyntax === true ? [] : [mutateBytes]), ...(reader.mutations ?? [])];
  return Buffer.from(random.pick(all)(seed, random));
}
