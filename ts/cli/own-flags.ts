/** The flags that correspond to no option of a public function, with their kinds, defaults and descriptions. */
import { boolean, integer, list, oneOf, path } from '../base/kinds.ts';
import { type Option, optional, required } from '../base/options.ts';
import { fileFlags } from './file-flags.ts';
import { blobNames, byteCount, effect, gpuId, gpus, inputFiles, onOff, text } from './flag-kinds.ts';

/** The flags, by names for the commands. */
export const ownFlags = {
  ...fileFlags,

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
