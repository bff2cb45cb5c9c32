/** The flags that correspond to no option of a public function, with their kinds, defaults and descriptions. */
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

/** The GPUs of processes that train together, by local rank. */
export type Gpus = readonly number[] | 'all';

/** A file for `resnode run`, and the shape of its blob if given. */
export interface InputFile {
  readonly name: string;
  readonly file: string;
  readonly shape: readonly number[] | null;
}

const onOff = (description: string): Option<boolean> => optional(boolean, 'false', description);

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
  'numbers of GPUs, separated by commas, each once, or all',
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
  'NAME=FILE or NAME=FILE:SHAPE, such as data=image.f32:1x3x224x224, once per name',
  (before, value) => {
    const all = [...(before as InputFile[]), ...(value as InputFile[])];
    return new Set(all.map(({ name }) => name)).size < all.length ? undefined : all;
  },
);

const UNITS: Readonly<Record<string, number>> = { '': 1, MB: 1e6, MiB: 2 ** 20, GB: 1e9, GiB: 2 ** 30 };

const byteCount: Kind<number> = written(
  // Nobody plans for less: "8" was meant as 8GiB.
  integer(2 ** 20, 2 ** 50),
  (each) => {
    const [, count, unit] = /^(\d{1,15}(?:\.\d{1,3})?) ?([MG]i?B)?$/.exec(each.trim()) ?? [];
    return count === undefined ? each : Math.floor(Number(count) * (UNITS[unit ?? ''] ?? Number.NaN));
  },
  'a size such as 8GiB, 12GB or 500MB, or a number of bytes from 1048576 on',
);

const effect = (signal: string, fallback: string) =>
  optional(
    oneOf('stop', 'snapshot', 'none'),
    fallback,
    `What ${signal} does: stop (with a snapshot), snapshot or none.`,
  );

/** The flags, by names for the commands. */
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
      'A JavaScript module whose default export is what registerLayers takes: functions that replace Python layers.',
    ),
  },
  weights: {
    flags: '--weights <caffemodel>',
    row: required(path, 'The weights (.caffemodel or .caffemodel.h5).'),
  },
  weightsOrFillers: {
    flags: '--weights <caffemodel>',
    row: optional(path, 'the fillers', 'The weights (.caffemodel or .caffemodel.h5).'),
  },
  weightsShown: { flags: '--weights <caffemodel>', row: optional(path, '', 'Shows its filters.') },
  labels: {
    flags: '--labels <file>',
    row: optional(path, 'classes by number', 'Class names, one per line.'),
  },
  newLabels: {
    flags: '--labels <file>',
    row: optional(
      path,
      'classes by number',
      'For a list of images: the names of the new classes, one per line. Folders are named for their classes.',
    ),
  },
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
    row: optional(
      list(number(), { of: 'numbers' }),
      '',
      "Instead of --mean: one value per channel, in the database's order.",
    ),
  },
  meanValue: {
    flags: '--mean-value <list>',
    row: optional(
      list(number(), { of: 'numbers' }),
      '',
      'Instead of --mean: one value per channel in the order B,G,R (--order), or one for all; pixels go from 0 to 255.',
    ),
  },
  preprocess: {
    flags: '--preprocess <json>',
    row: optional(
      path,
      'NAME.preprocess.json or preprocess.json beside the model, unless another preprocessing flag is given',
      'Takes all of these settings from a file that `resnode classify --save-preprocess` wrote.',
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
    row: optional(
      exactSize,
      '',
      'Resizes to exactly this size, without keeping the aspect ratio, then crops the centre.',
    ),
  },
  noResize: { flags: '--no-resize', row: optional(boolean, '', 'Does not resize images.') },
  wholeShorterSide: {
    flags: '--shorter-side <n>',
    row: optional(
      integer(1),
      '',
      'Resizes the shorter side to this and keeps the aspect ratio; with --longest-side, to at most this.',
    ),
  },
  longestSide: {
    flags: '--longest-side <n>',
    row: optional(integer(1), '', 'Resizes the longer side to this; with --shorter-side, to at most this.'),
  },
  wholeResize: {
    flags: '--resize <width>x<height>',
    row: optional(exactSize, '', 'Resizes to exactly this size, without keeping the aspect ratio.'),
  },
  pad: {
    flags: '--pad <width>x<height>',
    row: optional(exactSize, '', 'Pads the resized image with the mean to this size.'),
  },
  savePreprocess: {
    flags: '--save-preprocess <json>',
    row: optional(
      path,
      '',
      'Saves the preprocessing; a NAME.preprocess.json beside NAME.prototxt is found automatically.',
    ),
  },
  images: {
    flags: '--images <path...>',
    row: required(
      path,
      'Image files, folders, lists of paths (.txt) or quoted patterns; - reads standard input.',
    ),
  },
  imagesToCompare: {
    flags: '--images <path...>',
    row: optional(
      path,
      'random values, or the input of the dump',
      'Image files, folders, lists of paths (.txt) or quoted patterns; - reads standard input.',
    ),
  },
  labelledImages: {
    flags: '--images <path>',
    row: required(
      path,
      'A folder with a folder per class, a list of "path label" lines, a folder of n01484850_….JPEG, or an LMDB database.',
    ),
  },
  image: {
    flags: '--image <file>',
    row: optional(path, '', 'Shows the activations that this image causes (needs --weights).'),
  },
  outCalibration: { flags: '--out <json>', row: required(path, 'The calibration file to write.') },
  outConverted: {
    flags: '--out <path>',
    row: required(
      path,
      'The file to write, in the format of its extension; a path without an extension is a model folder.',
    ),
  },
  outLmdb: { flags: '--out <lmdb>', row: required(path, 'The folder to write.') },
  outMean: { flags: '--out <binaryproto>', row: required(path, 'The file to write.') },
  outWeights: {
    flags: '--out <caffemodel>',
    row: required(path, 'The weights file to write (.h5: as HDF5).'),
  },
  outFolder: { flags: '--out <folder>', row: optional(path, 'finetuned', 'The model folder to write.') },
  overwrite: { flags: '--overwrite', row: overwrite },
  outTrained: {
    flags: '--out <folder>',
    row: optional(
      path,
      '',
      'Writes the trained net as a model folder: deploy net, weights and preprocessing.',
    ),
  },
  labelsToKeep: {
    flags: '--labels <file>',
    row: optional(path, '', 'With --out: class names, one per line, to copy into the folder.'),
  },
  trainingFolder: {
    flags: '--out <folder>',
    row: required(
      path,
      'The folder to write: deploy, train_val and solver .prototxt, augment.json and README.md.',
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
      'The picture to write: the part of the image that the net sees, the map over it, the colour scale and a caption; a folder for several images.',
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
      'Writes a PNG of the map for each image (classes: with a palette; edges: grey), and NAME-overlay.png with the map over the image.',
    ),
  },
  outNpy: {
    flags: '--out <npy>',
    row: required(path, 'The array to write; the list of images is written beside it, with .txt appended.'),
  },
  outHtml: {
    flags: '--out <html>',
    row: optional(path, 'the name of the prototxt with .html', 'The page to write.'),
  },
  outResult: {
    flags: '--out <json>',
    row: optional(path, '', 'Writes the result and the recipe that produced it.'),
  },
  outRun: {
    flags: '--out <folder>',
    row: required(path, 'The folder for BLOB.f32 and manifest.json.'),
  },
  outPlot: {
    flags: '--out <file>',
    row: optional(path, 'training.html', 'The page (.html), or the charts only (.svg).'),
  },
  title: { flags: '--title <text>', row: optional(text, "the logs' names", 'The heading of the page.') },
  report: {
    flags: '--report <html>',
    row: optional(
      path,
      '',
      'Writes a page with curves, tests and the settings of the training, and its data as .json beside it.',
    ),
  },
  log: {
    flags: '--log <file>',
    row: optional(
      path,
      '',
      'Writes every event, including iterations that are not displayed, as a line of JSON (--log-format).',
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

  // Output
  jsonWithMap: { flags: '--json', row: onOff('Prints a line of JSON per image, including the map.') },
  json: { flags: '--json', row: onOff('Prints JSON.') },
  jsonLines: { flags: '--json', row: onOff('Prints a line of JSON per image.') },
  progress: { flags: '--progress', row: onOff('Shows progress on stderr even if it is not a terminal.') },
  jsonEvents: {
    flags: '--json',
    row: onOff('Prints events as lines of JSON; iterations as often as `display` says.'),
  },
  outReport: {
    flags: '--out <json>',
    row: optional(
      path,
      '',
      'The report to write (schema resnode-bench/3; for a GPU resnode-device-bench/2).',
    ),
  },
  htmlFile: { flags: '--html <file>', row: optional(path, '', 'Writes the report as a page with plots.') },
  evaluationReport: {
    flags: '--report <html>',
    row: optional(path, '', 'Writes a page with figures, curves and pictures of the mistakes.'),
  },
  details: {
    flags: '--details',
    row: onOff('Also prints every class, every confusion and the calibration.'),
  },
  top: { flags: '--top <n>', row: optional(integer(1), '5', 'How many classes to show.') },
  allBlobs: { flags: '--blobs', row: onOff('Lists every blob, not only the worst of each case.') },
  fused: { flags: '--fused', row: onOff('Shows the net as it runs, after the passes.') },

  // Selection of images
  limit: {
    flags: '--limit <n>',
    row: optional(integer(1), 'all', 'Takes only this many images, from the beginning.'),
  },
  spreadLimit: {
    flags: '--limit <n>',
    row: optional(integer(1), 'all', 'Takes only this many images, evenly spread over those given.'),
  },
  skipBroken: {
    flags: '--skip-broken',
    row: onOff('Exits with status 0 even if images could not be read; they are listed and skipped.'),
  },
  batch: { flags: '--batch <n>', row: optional(integer(1), '4', 'The number of images in one run.') },
  batches: {
    flags: '--batch <list>',
    row: optional(list(integer(1), { of: 'positive integers' }), '1', 'Batch sizes.'),
  },
  iterations: { flags: '--iterations <n>', row: optional(integer(1), '50', 'The number of runs.') },

  // Devices and processes
  gpu: { flags: '--gpu <id>', row: optional(gpuId, '', "Caffe's flag: the same as --device cuda:<id>.") },
  trainingGpus: {
    flags: '--gpu <ids>',
    row: optional(
      gpus,
      '',
      "Caffe's flag: the same as --device cuda:<id>. With several processes, one GPU for each on a machine: 0,1 or all.",
    ),
  },
  precision: {
    flags: '--precision <name>',
    row: optional(
      oneOf('float32', 'tf32', 'float16', 'bfloat16', 'int8'),
      'float32',
      'The type in which activations and weights are stored and multiplied: int8 on the CPU; bfloat16 on the CPU or a CUDA device; tf32 and float16 on a CUDA device.',
    ),
  },
  queriedGpus: { flags: '--gpu <list>', row: optional(gpus, 'all', 'The numbers of the GPUs, or all.') },
  gpuMemory: {
    flags: '--gpu-memory <size>',
    row: optional(
      byteCount,
      '',
      'With --device cuda: plans for a GPU with this much memory, which need not be present.',
    ),
  },
  mpi: {
    flags: '--mpi',
    row: onOff('Shares the work among the processes that mpirun started; the default if it started several.'),
  },
  noMpi: {
    flags: '--no-mpi',
    row: optional(boolean, '', 'Lets each process that mpirun started do all of the work.'),
  },
  backward: {
    flags: '--backward',
    row: onOff(
      'Times forward and backward as in training, with nothing folded, and both passes of each operation (default phase: TRAIN).',
    ),
  },

  // Nets
  planTraining: {
    flags: '--train',
    row: onOff('Plans training with SGD and momentum; a deploy net gets a loss in place of its Softmax.'),
  },
  deploy: {
    flags: '--deploy',
    row: onOff(
      'Prints the deploy net: an Input instead of data layers, a Softmax called prob, and no losses, accuracies or labels.',
    ),
  },
  trainVal: {
    flags: '--train',
    row: onOff('Prints the training net of a deploy net: adds data layers, a loss and an accuracy.'),
  },
  solver: { flags: '--solver <prototxt>', row: required(path, 'The solver.') },
  printedSolver: {
    flags: '--solver <prototxt>',
    row: optional(path, '', 'Prints a solver instead of a net.'),
  },
  strict: { flags: '--strict', row: onOff('Also fails for warnings.') },
  rules: { flags: '--rules', row: onOff('Lists the rules, what each finds and why.') },
  inputs: {
    flags: '--input <name=file[:shape]>',
    row: required(
      inputFiles,
      'A file of little-endian float32, row-major; a shape replaces the one in the prototxt.',
    ),
  },
  blobs: {
    flags: '--blobs <list>',
    row: optional(blobNames, 'the outputs', 'The blobs to write: "all", names, or blob@layer.'),
  },
  blob: {
    flags: '--blob <name>',
    row: required(text, 'The blob, e.g. pool5; blob@layer is the blob right after that layer.'),
  },

  // Training
  frozenBn: { flags: '--frozen-bn', row: onOff('BatchNorm keeps its stored statistics; the default.') },
  liveBn: {
    flags: '--live-bn',
    row: onOff('BatchNorm uses the statistics of each batch; for large batches.'),
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
      'What the net does: classifies images, finds objects in them, or maps them.',
    ),
  },
  truth: {
    flags: '--truth <path>',
    row: optional(
      path,
      '',
      "The ground truth: objects as a folder of PASCAL VOC's .xml files or COCO's .json, or a folder of label maps, PNG files with the images' names.",
    ),
  },
  multiScale: {
    flags: '--multi-scale [sides]',
    row: optional(
      list(integer(1, 99999), { of: 'positive integers' }),
      'if it is given without sides, 224,256,384,480,640',
      'Runs the net fully convolutionally on whole images, with the shorter side resized to each of these.',
    ),
  },
  resume: {
    flags: '--resume <file>',
    row: optional(
      path,
      '',
      'Keeps progress in this file; the same command continues from there after an interruption.',
    ),
  },
  replay: {
    flags: '--replay <json>',
    row: optional(
      path,
      '',
      'Repeats the evaluation of a file that --out wrote, and says whether the result is the same.',
    ),
  },
  against: {
    flags: '--against <what>',
    row: optional(
      path,
      '',
      'What to compare with: a device (cpu, reference, cuda, cuda:1 …), onnx (ONNX Runtime), or a folder that scripts/caffe-dump.py wrote in a real Caffe.',
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
  shuffle: { flags: '--shuffle', row: onOff('Writes the records in random order.') },
  shuffleSeed: {
    flags: '--seed <n>',
    row: optional(integer(0), '1', 'For --shuffle: the same seed gives the same order.'),
  },
  cifar100: {
    flags: '--cifar100',
    row: onOff('Reads CIFAR-100, whose images have two labels, and takes the second, fine one.'),
  },
  rootOfImages: {
    flags: '--root <folder>',
    row: optional(
      path,
      "for VOC the JPEGImages beside it, else the annotations' folder",
      'Where the images are.',
    ),
  },
  labelMap: {
    flags: '--labels <file>',
    row: required(path, "SSD's label map, or class names, one per line, beginning with the background."),
  },
  root: {
    flags: '--root <folder>',
    row: optional(path, "the list's folder", 'The folder that paths are relative to.'),
  },

  // Benchmarks
  nets: { flags: '--nets <names>', row: optional(blobNames, 'ResNet-50', 'The nets.') },
  benchBatches: {
    flags: '--batches <list>',
    row: optional(list(integer(1), { of: 'positive integers' }), '1,8', 'Batch sizes.'),
  },
  trainingStep: {
    flags: '--train',
    row: onOff(
      'Measures a training step (forward, loss, backward, SGD with momentum) instead of a forward run.',
    ),
  },
  benchThreads: {
    flags: '--threads <n>',
    row: optional(integer(1, 1024), 'as many as there are', 'Threads of every engine.'),
  },
  rounds: {
    flags: '--rounds <n>',
    row: optional(integer(1), '5', 'How often the engines take turns; a CUDA device runs 4 times as often.'),
  },
  busy: { flags: '--busy', row: onOff('Also measures while another process keeps one core busy.') },
  operations: {
    flags: '--operations',
    row: onOff(
      'Also measures every different operation alone; on a CUDA device fused, separate, and as Caffe launches it.',
    ),
  },
  python: { flags: '--python <path>', row: optional(path, '', 'A Python that has torch.') },
  caffe: { flags: '--caffe <path>', row: optional(path, '', 'The caffe tool of a Caffe build.') },
  caffeFigures: {
    flags: '--caffe-figures <file>',
    row: optional(path, '', 'JSON of figures that a Caffe gave before; they are shown as recorded.'),
  },
} satisfies Readonly<Record<string, { readonly flags: string; readonly row: Option }>>;

export type OwnFlag = keyof typeof ownFlags;
