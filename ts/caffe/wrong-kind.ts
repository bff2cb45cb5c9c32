/** The error message for a file of the wrong kind: its kind, and its proper use. */
import { type FileKind, fileKind, fileKindAt } from './file-kind.ts';

const UNPACK = 'unpack it first';
const CONVERT = 'makes a caffemodel and a prototxt from it';
const MATLAB = `\`resnode convert net.mat --out net.caffemodel\` ${CONVERT} if it holds a net of MatConvNet; save an array as .npy (scipy.io.loadmat, numpy.save)`;
const IMAGES = ['jpeg', 'png', 'gif', 'webp', 'tiff', 'bmp', 'pnm'] as const;
const AN_IMAGE = 'images are arguments of `resnode classify`, or --images of the other commands';

/** The name of each kind, and its use. */
const KINDS: Readonly<Record<FileKind, readonly [is: string, cure: string]>> = {
  empty: ['an empty file', 'its download or copy was interrupted, download it again'],
  zeros: ['a file of zeros', 'its download or copy was interrupted, download it again'],
  folder: ['a folder', 'give a file'],
  lmdb: ['an LMDB database', 'it is the source of a Data layer, or --images of `resnode evaluate`'],
  leveldb: ['a LevelDB database', 'it is the source of a Data layer with backend: LEVELDB'],
  'lmdb-file': ['the data file of an LMDB database', 'databases are named by their folder'],
  net: ['a net (prototxt)', 'give it as the model (--model)'],
  solver: [
    'a solver (prototxt)',
    'it belongs to `resnode train --solver`; the net is the file that its "net" names, or is written in its net_param',
  ],
  'label-map': ['a label map', 'give it as the labels (--labels)'],
  list: ['a list of files', 'it is the source of an ImageData layer, or --images of `resnode evaluate`'],
  labels: ['a list of class names', 'give it as the labels (--labels)'],
  'preprocess-json': ["resnode's description of preprocessing", 'give it as --preprocess'],
  'calibration-json': ['the calibration of a net', 'give it as --calibration'],
  'evaluation-json': ['the result of an evaluation', '`resnode evaluate --replay` repeats it'],
  'evaluation-progress-json': ['the progress of an evaluation', 'give it as --resume of `resnode evaluate`'],
  'solver-state-json': [
    'the file that resnode writes beside a .solverstate',
    '`resnode train --snapshot` takes the .solverstate itself',
  ],
  'training-report-json': ["the data of a training's report", 'give the file that it belongs to'],
  'database-json': [
    'the file that resnode writes beside the records of a database',
    'databases are named by their folder',
  ],
  'run-json': ['the manifest of a run', 'the blobs are beside it'],
  json: ['a JSON file', 'give the file that it belongs to'],
  html: [
    'a web page (HTML)',
    'the download failed or fetched the page about the file; download the file itself ("raw" on GitHub)',
  ],
  xml: ['an XML file', 'perhaps the message of a server that refused the download: download the file again'],
  'lfs-pointer': ['a Git LFS pointer', 'run "git lfs pull" to get the file itself'],
  'utf-16': ['text in UTF-16', 'save it as UTF-8 (iconv -f UTF-16 -t UTF-8)'],
  text: ['text', 'give the file itself'],
  caffemodel: ['a file of trained weights (.caffemodel)', 'give it as the weights (--weights)'],
  'solver-state': [
    'a solver state (.solverstate)',
    '`resnode train --snapshot` resumes from it; the weights are the .caffemodel of the same iteration',
  ],
  mean: ['a mean image (.binaryproto)', 'give it as the mean (--mean)'],
  datum: ['one image of a database (a Datum)', 'give the database itself'],
  onnx: ['an ONNX model', `\`resnode convert net.onnx --out net.caffemodel\` ${CONVERT}`],
  hdf5: [
    'an HDF5 file',
    'weights (--weights), solver states (--snapshot) and the data of HDF5Data layers have this form',
  ],
  npy: ['a NumPy array', '`resnode convert mean.npy --out mean.binaryproto` makes a mean image from it'],
  npz: [
    'an archive of NumPy arrays',
    '`resnode convert weights.npz --out net.caffemodel --model net.prototxt` makes a caffemodel from it',
  ],
  safetensors: [
    'a safetensors file',
    '`resnode convert net.safetensors --out net.caffemodel` makes a caffemodel from it',
  ],
  torch: [
    'a PyTorch file',
    `\`resnode convert net.pth --out net.caffemodel\` ${CONVERT} if it holds a ResNet`,
  ],
  pickle: [
    'a Python pickle',
    'if torch.save wrote it, `resnode convert net.pth --out net.caffemodel` reads it',
  ],
  zip: ['a zip archive', `${UNPACK} (unzip)`],
  gzip: ['compressed with gzip', `${UNPACK} (gunzip, or tar -xzf)`],
  bzip2: ['compressed with bzip2', `${UNPACK} (bunzip2, or tar -xjf)`],
  xz: ['compressed with xz', `${UNPACK} (unxz, or tar -xJf)`],
  zstd: ['compressed with zstd', `${UNPACK} (unzstd)`],
  '7z': ['a 7z archive', `${UNPACK} (7z x)`],
  rar: ['a rar archive', `${UNPACK} (unrar x)`],
  tar: ['a tar archive', `${UNPACK} (tar -xf)`],
  matlab: ['a MATLAB file', MATLAB],
  'matlab-7.3': ['a MATLAB file', MATLAB],
  table: [
    'a table of TensorFlow or LevelDB',
    `\`resnode convert model.ckpt --out net.caffemodel\` ${CONVERT} if it is a checkpoint of a ResNet; a database is named by its folder`,
  ],
  torch7: ['a net of Torch7', `\`resnode convert net.t7 --out net.caffemodel\` ${CONVERT}`],
  tflite: ['a TensorFlow Lite model', 'export the net as ONNX and convert that'],
  pdf: ['a PDF', 'give the file itself'],
  jpeg: ['an image (JPEG)', AN_IMAGE],
  png: ['an image (PNG)', AN_IMAGE],
  gif: ['an image (GIF)', AN_IMAGE],
  webp: ['an image (WebP)', AN_IMAGE],
  tiff: ['an image (TIFF)', AN_IMAGE],
  bmp: ['an image (BMP)', AN_IMAGE],
  pnm: ['an image (PNM)', AN_IMAGE],
};

/** The kinds that a reader accepts, and their name. */
const NEEDED = {
  net: [['net', 'text'], 'a net (prototxt) is needed'],
  solver: [['solver', 'text'], 'a solver (prototxt) is needed'],
  'net or solver': [['net', 'solver', 'text'], 'a net or a solver (prototxt) is needed'],
  caffemodel: [['caffemodel'], 'a binary caffemodel is needed'],
  weights: [['caffemodel', 'hdf5'], 'weights (.caffemodel or .caffemodel.h5) are needed'],
  state: [['solver-state', 'hdf5'], 'a solver state (.solverstate or .solverstate.h5) is needed'],
  mean: [['mean'], 'a mean image (.binaryproto) is needed'],
  hdf5: [['hdf5', 'matlab-7.3'], 'an HDF5 file is needed'],
  matlab: [['matlab', 'matlab-7.3'], 'a MAT-file (.mat) is needed'],
  onnx: [['onnx'], 'an ONNX model is needed'],
  npy: [['npy'], 'a NumPy array (.npy) is needed'],
  safetensors: [['safetensors'], 'a safetensors file is needed'],
  torch: [['torch', 'pickle', 'zip', 'tar'], 'a file of torch.save is needed'],
  image: [IMAGES, 'an image is needed'],
  list: [['list', 'text', 'labels', 'utf-16', 'empty'], 'a list of images ("path label" lines) is needed'],
  'hdf5 list': [['list', 'text', 'labels', 'empty'], 'a list of HDF5 files, a path per line, is needed'],
  labels: [['labels', 'label-map', 'text', 'list', 'utf-16'], 'class names, one per line, are needed'],
  lmdb: [['lmdb', 'lmdb-file', 'leveldb', 'folder'], 'an LMDB database (a folder with data.mdb) is needed'],
  leveldb: [['leveldb', 'lmdb', 'folder'], 'a LevelDB database (a folder with CURRENT) is needed'],
  // Zeros are numbers too.
  floats: [['zeros'], 'raw float32 is needed'],
  json: [['json'], 'a JSON file is needed'],
  preprocess: [['preprocess-json', 'json'], 'a preprocess file (JSON) is needed'],
  calibration: [['calibration-json', 'json'], 'a file that `resnode quantize` wrote (JSON) is needed'],
  evaluation: [['evaluation-json', 'json'], 'a result of `resnode evaluate --out` (JSON) is needed'],
  'evaluation progress': [
    ['evaluation-progress-json', 'json'],
    'the progress of an evaluation (JSON), or a file that does not exist yet, is needed',
  ],
  times: [['json'], 'the output of `resnode time --json` is needed'],
  'snapshot state': [
    ['solver-state-json', 'json'],
    'the file that resnode writes beside a .solverstate (JSON) is needed',
  ],
} as const satisfies Record<string, readonly [readonly FileKind[], string]>;

export type NeededKind = keyof typeof NEEDED;

/** Hints that are better than the usual use of the file. */
const CURES: Readonly<Partial<Record<NeededKind, Partial<Record<FileKind, string>>>>> = {
  solver: {
    net: 'a solver describes a training and names its net ("net: …"); `resnode generate` writes both',
  },
  'hdf5 list': { hdf5: 'write its path into a text file, and name that' },
  floats: {
    npy: "numpy writes it so: array.astype('<f4').tofile('data.f32')",
    text: 'write the numbers in binary, 4 bytes each',
    ...Object.fromEntries(IMAGES.map((kind) => [kind, '`resnode features` takes images'])),
  },
  image: { html: 'the download failed or fetched the page about the image; download the image itself' },
};

/**
 * The message that a file is not of the needed kind.
 * @param found The file's bytes or their beginning, or its known kind.
 * @returns `this is a solver (prototxt); here a net (prototxt) is needed: …`; null if the file may be of the needed
 * kind, or if its kind is unknown
 */
export function wrongKind(found: Uint8Array | FileKind | null, needed: NeededKind): string | null {
  const wrong = wrongOf(found instanceof Uint8Array ? fileKind(found) : found, needed);
  return wrong === null ? null : `this is ${wrong.is}; here ${NEEDED[needed][1]}: ${wrong.cure}`;
}

function wrongOf(kind: FileKind | null, needed: NeededKind): { is: string; cure: string } | null {
  if (kind === null || (NEEDED[needed][0] as readonly FileKind[]).includes(kind)) return null;
  const [is, cure] = KINDS[kind];
  return { is, cure: CURES[needed]?.[kind] ?? cure };
}

/** The same for the file at a path; null also if it cannot be read, which the reader reports. */
export const wrongKindAt = (path: string, needed: NeededKind): string | null =>
  wrongKind(kindAt(path), needed);

/** The same, shorter, as the hint of an ArgumentError, which says itself what is needed. */
export function wrongKindHint(path: string, needed: NeededKind): string | null {
  const wrong = wrongOf(kindAt(path), needed);
  return wrong === null ? null : `this is ${wrong.is}: ${wrong.cure}`;
}

function kindAt(path: string): FileKind | null {
  try {
    return fileKindAt(path);
  } catch {
    return null;
  }
}
