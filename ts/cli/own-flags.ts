/** The flags that no public function has an option for: here alone, with their kinds, defaults and sentences. */
import {
  boolean,
  integer,
  isObject,
  type Kind,
  kind,
  list,
  number,
  oneOf,
  path,
  shape,
  string,
  written,
} from '../base/kinds.ts';
import { type Option, optional, required } from '../base/options.ts';
import { overwrite } from '../caffe/model-folder.ts';
import { exactSize } from '../images/geometry.ts';

/** The GPUs of processes that train together, by their places on a machine. */
export type Gpus = readonly number[] | 'all';

/** A file of `resnode run`, and its blob's shape where that is said. */
export interface InputFile {
  readonly name: string;
  readonly file: string;
  readonly shape: readonly number[] | null;
}

const onOff = (says: string): Option<boolean> => optional(boolean, 'false', says);

const text = string as Kind<string>;
const blobNames = list(
  written(
    kind<string>('a name', (value) => typeof value === 'string' && value !== ''),
    (each) => each,
  ),
  {
    of: 'names',
  },
);

const gpuId = integer(0, 999);
const gpuIds = list(gpuId, { of: 'numbers of GPUs' });
const gpus: Kind<Gpus> = written(
  kind<Gpus>(
    'numbers of GPUs or "all"',
    (value) =>
      value === 'all' ||
      (gpuIds.mistake(value) === null && new Set(value as number[]).size === (value as number[]).length),
  ),
  (each) => (each === 'all' ? each : gpuIds.written!.read(each)),
  'numbers of GPUs with commas between them, each once, or all',
);

const inputFiles: Kind<readonly InputFile[]> = written(
  list(
    kind<InputFile>('an input', (value) => {
      const { shape: dims = null } = isObject(value) ? (value as InputFile) : {};
      return isObject(value) && (dims === null || shape.mistake(dims) === null);
    }),
  ),
  (each) => {
    const [, name, file, dims] = /^([^=]+)=([^\0]+?)(?::(\d+(?:[x,×]\d+)*))?$/.exec(each) ?? [];
    if (name === undefined) return undefined;
    return [{ name, file, shape: dims === undefined ? null : shape.written!.read(dims) }];
  },
  'NAME=FILE or NAME=FILE:SHAPE, such as data=image.f32:1x3x224x224, once a name',
  (before, value) => {
    const all = [...(before as InputFile[]), ...(value as InputFile[])];
    return new Set(all.map(({ name }) => name)).size < all.length ? undefined : all;
  },
);

const UNITS: Readonly<Record<string, number>> = { '': 1, MB: 1e6, MiB: 2 ** 20, GB: 1e9, GiB: 2 ** 30 };

const byteCount: Kind<number> = written(
  integer(1, 2 ** 50),
  (each) => {
    const [, count, unit] = /^(\d{1,15}(?:\.\d{1,3})?) ?([MG]i?B)?$/.exec(each.trim()) ?? [];
    return count === undefined ? each : Math.floor(Number(count) * (UNITS[unit ?? ''] ?? Number.NaN));
  },
  'a size such as 8GiB, 12GB or 500MB, or a number of bytes',
);

const effect = (signal: string, fallback: string) =>
  optional(
    oneOf('stop', 'snapshot', 'none'),
    fallback,
    `What ${signal} does: stop (with a snapshot), snapshot or none.`,
  );

/** Flags, by a name for the commands. */
export const ownFlags = {
  // Files
  model: { flags: '--model <net>', row: required(path, 'The net, or a model folder.') },
  trainedModel: { flags: '--model <net>', row: required(path, 'The training net, with data layers.') },
  modelWithData: { flags: '--model <net>', row: required(path, 'The net, with data layers.') },
  camModel: {
    flags: '--model <net>',
    row: required(path, 'The deploy net; it must end in global average pooling → InnerProduct.'),
  },
  comparedModel: {
    flags: '--model <net>',
    row: optional(path, '', 'Compares this net, layer by layer.'),
  },
  deployModel: { flags: '--model <net>', row: required(path, 'The deploy net, or a model folder.') },
  layers: {
    flags: '--layers <module>',
    row: optional(
      path,
      'none',
      'A module in JavaScript whose default export is what registerLayers takes: functions for Python layers.',
    ),
  },
  weights: {
    flags: '--weights <caffemodel>',
    row: required(path, 'Its weights (.caffemodel or .caffemodel.h5).'),
  },
  weightsOrFillers: {
    flags: '--weights <caffemodel>',
    row: optional(path, 'the fillers', 'Its weights (.caffemodel or .caffemodel.h5).'),
  },
  weightsShown: { flags: '--weights <caffemodel>', row: optional(path, '', 'Shows its filters.') },
  labels: { flags: '--labels <file>', row: optional(path, 'classes by number', 'Class names, one a line.') },
  idxLabels: {
    flags: '--labels <file>',
    row: optional(path, 'named as the images, with labels-idx1 for images-idx3', 'The labels.'),
  },
  mean: {
    flags: '--mean <file>',
    row: optional(path, '', 'The mean to subtract (.binaryproto, or .npy in B,G,R), or none.'),
  },
  meanFile: {
    flags: '--mean <binaryproto>',
    row: optional(path, "the data set's", 'The mean image to subtract.'),
  },
  meanOfDatabase: {
    flags: '--mean-value <list>',
    row: optional(list(number(), { of: 'numbers' }), '', "Or a mean per channel, in the database's order."),
  },
  meanValue: {
    flags: '--mean-value <list>',
    row: optional(
      list(number(), { of: 'numbers' }),
      '',
      'Or a mean of pixels from 0 to 255: one value a channel, in the order B,G,R (--order), or one for all.',
    ),
  },
  preprocess: {
    flags: '--preprocess <json>',
    row: optional(
      path,
      'NAME.preprocess.json or preprocess.json beside the model, where no other option of preprocessing is given',
      'All of this from a file that `resnode classify --save-preprocess` wrote.',
    ),
  },
  shorterSide: {
    flags: '--shorter-side <n>',
    row: optional(
      integer(1),
      "256/224 of the net's input, 256 for 224",
      'Resizes the shorter side to this, then crops the centre.',
    ),
  },
  resize: {
    flags: '--resize <width>x<height>',
    row: optional(exactSize, '', 'Resizes to exactly this, aspect lost, then crops the centre.'),
  },
  noResize: { flags: '--no-resize', row: optional(boolean, '', 'Takes images as they are.') },
  wholeShorterSide: {
    flags: '--shorter-side <n>',
    row: optional(
      integer(1),
      '',
      'Resizes the shorter side to this, the aspect kept; with --longest-side at most.',
    ),
  },
  longestSide: {
    flags: '--longest-side <n>',
    row: optional(integer(1), '', 'Resizes the longer side to this; with --shorter-side that and no more.'),
  },
  wholeResize: {
    flags: '--resize <width>x<height>',
    row: optional(exactSize, '', 'Resizes to exactly this, aspect lost.'),
  },
  pad: {
    flags: '--pad <width>x<height>',
    row: optional(exactSize, '', 'Fills the resized image up to this size, with the mean.'),
  },
  savePreprocess: {
    flags: '--save-preprocess <json>',
    row: optional(
      path,
      '',
      'Keeps the preprocessing; as NAME.preprocess.json beside NAME.prototxt it is found by itself.',
    ),
  },
  images: {
    flags: '--images <path...>',
    row: required(path, 'Image files, folders, lists of paths (.txt), quoted patterns; -: by stdin.'),
  },
  imagesToCompare: {
    flags: '--images <path...>',
    row: optional(
      path,
      'random values, or what the dump holds',
      'Image files, folders, lists of paths (.txt), quoted patterns; -: by stdin.',
    ),
  },
  labelledImages: {
    flags: '--images <path>',
    row: required(
      path,
      'A folder per class, a list ("path label" lines), a folder of n01484850_….JPEG, or an LMDB database.',
    ),
  },
  image: {
    flags: '--image <file>',
    row: optional(path, '', 'Shows what becomes of this image (needs --weights).'),
  },
  outCalibration: { flags: '--out <json>', row: required(path, 'The calibration.') },
  outConverted: {
    flags: '--out <path>',
    row: required(
      path,
      'The file to write, its ending says its format; or, without an ending, a model folder.',
    ),
  },
  outLmdb: { flags: '--out <lmdb>', row: required(path, 'The folder to make.') },
  outMean: { flags: '--out <binaryproto>', row: required(path, 'The file to write.') },
  outWeights: {
    flags: '--out <caffemodel>',
    row: required(path, 'The new weights (.h5: in the HDF5 form).'),
  },
  outFolder: { flags: '--out <folder>', row: optional(path, 'finetuned', 'The model folder to write.') },
  overwrite: { flags: '--overwrite', row: overwrite },
  outTrained: {
    flags: '--out <folder>',
    row: optional(
      path,
      '',
      'Writes the trained net as a model folder in the end: deploy net, weights, preprocessing.',
    ),
  },
  labelsToKeep: {
    flags: '--labels <file>',
    row: optional(path, '', 'With --out: class names, one a line, kept in the folder.'),
  },
  trainingFolder: {
    flags: '--out <folder>',
    row: required(
      path,
      'Where the files go: deploy, train_val, solver .prototxt, augment.json and README.md.',
    ),
  },
  listArchitectures: {
    flags: '--list',
    row: onOff('Prints the architectures that papers name, instead of writing files.'),
  },
  outPng: {
    flags: '--out <png>',
    row: required(
      path,
      'The part of the image that the net sees, beside it the same under the map, with the scale of colours and a caption; of several images a folder.',
    ),
  },
  outDetections: {
    flags: '--out <folder>',
    row: optional(path, '', 'Writes each image with its boxes, classes and scores drawn on it, as PNG.'),
  },
  outMaps: {
    flags: '--out <folder>',
    row: optional(
      path,
      '',
      'Writes for each image its map as PNG (classes: with a palette; edges: grey), and as NAME-overlay.png the map over it.',
    ),
  },
  outNpy: {
    flags: '--out <npy>',
    row: required(path, 'The array; the list of images lies beside it, with .txt appended.'),
  },
  outHtml: {
    flags: '--out <html>',
    row: optional(path, 'the name of the prototxt with .html', 'The page.'),
  },
  outResult: {
    flags: '--out <json>',
    row: optional(path, '', 'Writes the result and the recipe that made it.'),
  },
  outRun: {
    flags: '--out <folder>',
    row: required(path, 'Where BLOB.f32 and manifest.json are written.'),
  },
  outPlot: {
    flags: '--out <file>',
    row: optional(path, 'training.html', 'The page (.html), or the charts alone (.svg).'),
  },
  title: { flags: '--title <text>', row: optional(text, "the logs' names", 'The heading of the page.') },
  report: {
    flags: '--report <html>',
    row: optional(
      path,
      '',
      'Writes the curves, the tests and what was trained as a page, and its data as .json beside it.',
    ),
  },
  log: {
    flags: '--log <file>',
    row: optional(
      path,
      '',
      'Writes every event as a line of JSON, undisplayed iterations too (--log-format).',
    ),
  },
  logFormat: {
    flags: '--log-format <name>',
    row: optional(
      oneOf('json', 'caffe'),
      'json',
      "What --log writes: lines of JSON, or Caffe's lines (glog), which its parse_log.py reads.",
    ),
  },

  // What is printed
  jsonWithMap: { flags: '--json', row: onOff('Prints a line of JSON an image, the map included.') },
  json: { flags: '--json', row: onOff('Prints JSON.') },
  jsonLines: { flags: '--json', row: onOff('Prints a line of JSON an image.') },
  progress: { flags: '--progress', row: onOff('Shows progress on stderr, on a terminal or not.') },
  jsonEvents: {
    flags: '--json',
    row: onOff('Prints events as lines of JSON; of iterations those that `display` names.'),
  },
  outReport: {
    flags: '--out <json>',
    row: optional(
      path,
      '',
      'Writes the report here (schema resnode-bench/3; of a GPU resnode-device-bench/2).',
    ),
  },
  htmlFile: { flags: '--html <file>', row: optional(path, '', 'Writes it as a page with plots here.') },
  evaluationReport: {
    flags: '--report <html>',
    row: optional(path, '', 'Writes figures, curves and the misses as pictures as a page here.'),
  },
  details: {
    flags: '--details',
    row: onOff('Prints every class, every confusion and the calibration, too.'),
  },
  top: { flags: '--top <n>', row: optional(integer(1), '5', 'How many classes to show.') },
  allBlobs: { flags: '--blobs', row: onOff('Lists every blob, not the worst of each case.') },
  fused: { flags: '--fused', row: onOff('As it runs, after the passes.') },

  // Which images, and how many
  limit: { flags: '--limit <n>', row: optional(integer(1), 'all', 'Takes only the first images.') },
  spreadLimit: {
    flags: '--limit <n>',
    row: optional(integer(1), 'all', 'Takes so many images, evenly spread over those given.'),
  },
  skipBroken: {
    flags: '--skip-broken',
    row: onOff('Images that cannot be read, which are named and left out, cost no exit status.'),
  },
  batch: { flags: '--batch <n>', row: optional(integer(1), '4', 'Images in one run.') },
  batches: {
    flags: '--batch <list>',
    row: optional(list(integer(1), { of: 'positive integers' }), '1', 'First dimensions of the inputs.'),
  },
  iterations: { flags: '--iterations <n>', row: optional(integer(1), '50', 'How many runs.') },

  // Devices and processes
  gpu: { flags: '--gpu <id>', row: optional(gpuId, '', "Caffe's flag: the same as --device cuda:<id>.") },
  trainingGpus: {
    flags: '--gpu <ids>',
    row: optional(
      gpus,
      '',
      "Caffe's flag: the same as --device cuda:<id>; in several processes one for each of a machine: 0,1 or all.",
    ),
  },
  queriedGpus: { flags: '--gpu <list>', row: optional(gpus, 'all', 'Their numbers, or all.') },
  gpuMemory: {
    flags: '--gpu-memory <size>',
    row: optional(byteCount, '', 'With --device cuda: plans for a GPU with so much memory that is not here.'),
  },
  mpi: {
    flags: '--mpi',
    row: onOff(
      'Shares the work among the processes that mpirun started, as is done where it started several.',
    ),
  },
  noMpi: {
    flags: '--no-mpi',
    row: optional(boolean, '', 'Lets each process that mpirun started do all of the work by itself.'),
  },
  backward: {
    flags: '--backward',
    row: onOff(
      "Forward and backward as in training, nothing folded, each operation's both passes apart (default phase: TRAIN).",
    ),
  },

  // Nets
  planTraining: {
    flags: '--train',
    row: onOff('For training with SGD and momentum; a deploy net gets a loss in the place of its Softmax.'),
  },
  deploy: {
    flags: '--deploy',
    row: onOff(
      'Its deploy net: an Input for its data layers, no losses, accuracies or labels, a Softmax called prob.',
    ),
  },
  trainVal: {
    flags: '--train',
    row: onOff('The reverse: data layers, a loss and an accuracy for a deploy net.'),
  },
  solver: { flags: '--solver <prototxt>', row: required(path, 'The solver.') },
  printedSolver: { flags: '--solver <prototxt>', row: optional(path, '', "Prints a solver's file instead.") },
  strict: { flags: '--strict', row: onOff('Fails for warnings too.') },
  rules: { flags: '--rules', row: onOff('Lists the rules instead: what each finds, and why.') },
  inputs: {
    flags: '--input <name=file[:shape]>',
    row: required(inputFiles, 'Little-endian float32, row-major; a shape replaces the one in the prototxt.'),
  },
  blobs: {
    flags: '--blobs <list>',
    row: optional(blobNames, 'the outputs', '"all", or blobs: their names, or blob@layer.'),
  },
  blob: {
    flags: '--blob <name>',
    row: required(text, 'The blob, e.g. pool5; blob@layer: as it is right after that layer.'),
  },

  // Training
  frozenBn: { flags: '--frozen-bn', row: onOff('BatchNorm keeps its statistics, which is the default.') },
  liveBn: {
    flags: '--live-bn',
    row: onOff('BatchNorm takes the statistics of each batch: for large ones.'),
  },
  sigint: { flags: '--sigint_effect <effect>', row: effect('SIGINT (Ctrl-C)', 'stop') },
  sigterm: { flags: '--sigterm_effect <effect>', row: effect('SIGTERM', 'stop') },
  sighup: { flags: '--sighup_effect <effect>', row: effect('SIGHUP', 'snapshot') },

  // Evaluations
  task: {
    flags: '--task <name>',
    row: optional(
      oneOf('classify', 'detect', 'segment'),
      'classify',
      'What the net does: names images, finds objects in them, or maps them.',
    ),
  },
  truth: {
    flags: '--truth <path>',
    row: optional(
      path,
      '',
      "What is known of the images: objects as a folder of PASCAL VOC's .xml files or COCO's .json; or a folder of label maps, PNG files named as the images.",
    ),
  },
  multiScale: {
    flags: '--multi-scale [sides]',
    row: optional(
      list(integer(1, 99999), { of: 'positive integers' }),
      'without sides 224,256,384,480,640',
      'Whole images, fully convolutional, their shorter sides resized to each of these.',
    ),
  },
  resume: {
    flags: '--resume <file>',
    row: optional(
      path,
      '',
      'Keeps what is done in this file; interrupted, the same command goes on from there.',
    ),
  },
  replay: {
    flags: '--replay <json>',
    row: optional(path, '', 'Makes a result of --out again and says whether it is the same.'),
  },
  against: {
    flags: '--against <what>',
    row: optional(
      path,
      '',
      'With a device (cpu, reference, cuda, cuda:1 …), with onnx (ONNX Runtime), or with a folder that scripts/caffe-dump.py wrote in a real Caffe.',
    ),
  },
  times: {
    flags: '--time <json>',
    row: optional(
      path,
      '',
      'Shows the times that `resnode time --json` printed, beside their roofline bounds.',
    ),
  },

  // Data sets
  shuffle: { flags: '--shuffle', row: onOff('In random order.') },
  shuffleSeed: {
    flags: '--seed <n>',
    row: optional(integer(0), '1', 'Of --shuffle: the same seed gives the same order.'),
  },
  cifar100: {
    flags: '--cifar100',
    row: onOff('Two labels an image (CIFAR-100); the second one, fine, is taken.'),
  },
  rootOfImages: {
    flags: '--root <folder>',
    row: optional(
      path,
      "of VOC the JPEGImages beside, else the annotations' folder",
      'Where the images are.',
    ),
  },
  labelMap: {
    flags: '--labels <file>',
    row: required(path, "SSD's label map, or class names one a line, the background first."),
  },
  root: { flags: '--root <folder>', row: optional(path, "the list's folder", 'What paths are relative to.') },

  // Benchmarks
  nets: { flags: '--nets <names>', row: optional(blobNames, 'ResNet-50', 'The nets.') },
  benchBatches: {
    flags: '--batches <list>',
    row: optional(list(integer(1), { of: 'positive integers' }), '1,8', 'Batch sizes.'),
  },
  trainingStep: {
    flags: '--train',
    row: onOff('A training step instead of a run forward: forward, loss, backward, SGD with momentum.'),
  },
  benchThreads: {
    flags: '--threads <n>',
    row: optional(integer(1, 1024), 'as many as there are', 'Threads of every engine.'),
  },
  rounds: {
    flags: '--rounds <n>',
    row: optional(
      integer(1),
      '5',
      'How often the engines take turns; on a CUDA device 4 times as many runs.',
    ),
  },
  busy: { flags: '--busy', row: onOff('Also with one core kept busy by another process.') },
  operations: {
    flags: '--operations',
    row: onOff(
      'Also every different operation by itself; on a CUDA device fused, apart, and as Caffe launches it.',
    ),
  },
  python: { flags: '--python <path>', row: optional(path, '', 'A Python that has torch.') },
  caffe: { flags: '--caffe <path>', row: optional(path, '', "A Caffe build's tool.") },
  caffeFigures: {
    flags: '--caffe-figures <file>',
    row: optional(path, '', 'JSON of figures that a Caffe gave before, shown as recorded.'),
  },
} satisfies Readonly<Record<string, { readonly flags: string; readonly row: Option }>>;

export type OwnFlag = keyof typeof ownFlags;
