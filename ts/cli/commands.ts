/** The commands: what --help says of each, and where it lies. Each is loaded when it is run: the whole library takes longer to load than most take to run. */
import type { Command } from 'commander';

export interface CommandEntry {
  readonly group: string;
  readonly summary: string;
  /** Caffe's own name for it. */
  readonly alias?: string;
  /**
   * Where mpirun started several: `share`, they share its work; `each`, every process says what it sees of its machine.
   * Absent: it is one process's work.
   */
  readonly processes?: 'share' | 'each';
  /** What makes it, given how the program with all commands is made. */
  readonly load: () => Promise<(whole: () => Promise<Command>) => Command>;
}

const COMPUTE = 'Classify and compute:';
const TRAIN = 'Train:';
const CONVERT = 'Convert:';
const INSPECT = 'Look into nets:';
const MEASURE = 'Measure and compare:';
const MACHINE = 'This machine:';

/** In the order of --help. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  classify: {
    group: COMPUTE,
    processes: 'share',
    summary: 'name what is on images',
    load: async () => (await import('./classify.ts')).classify,
  },
  detect: {
    group: COMPUTE,
    summary:
      'find objects in images: boxes, classes and scores (SSD, YOLO, Faster R-CNN, R-FCN, MS-CNN, Cascade R-CNN)',
    load: async () => (await import('./detect.ts')).detect,
  },
  segment: {
    group: COMPUTE,
    summary: 'map images: the class of each pixel (FCN, DeepLab, PSPNet), or edges (HED)',
    load: async () => (await import('./segment.ts')).segment,
  },
  evaluate: {
    group: COMPUTE,
    processes: 'share',
    summary: 'count how often a net is right: top-1 and top-5 error over images whose classes are known',
    load: async () => (await import('./evaluate.ts')).evaluate,
  },
  features: {
    group: COMPUTE,
    processes: 'share',
    summary: 'write any blob of a net for many images as one .npy array, images × the blob',
    load: async () => (await import('./features.ts')).features,
  },
  cam: {
    group: COMPUTE,
    summary: 'show where in an image a class comes from (class activation map, Zhou et al. 2016)',
    load: async () => (await import('./cam.ts')).cam,
  },
  run: {
    group: COMPUTE,
    summary: 'run a net on raw float32 files and write its blobs as raw float32 files',
    load: async () => (await import('./run.ts')).run,
  },
  finetune: {
    group: TRAIN,
    summary: 'train a trained net on for your own classes: a folder of images for each',
    load: async () => (await import('./finetune.ts')).finetune,
  },
  train: {
    group: TRAIN,
    processes: 'share',
    summary: 'train a net as its solver says',
    load: async () => (await import('./train.ts')).train,
  },
  test: {
    group: TRAIN,
    summary: "run a net's TEST phase over its own data and average its outputs",
    load: async () => (await import('./test.ts')).test,
  },
  plot: {
    group: TRAIN,
    summary: "draw the curves of trainings from their logs, resnode's own and Caffe's, in one page or as SVG",
    load: async () => (await import('./plot.ts')).plot,
  },
  generate: {
    group: TRAIN,
    summary:
      "write the nets and the solver of a training, as the paper's, to be trained as they are or changed",
    load: async () => (await import('./generate.ts')).generate,
  },
  dataset: {
    group: TRAIN,
    summary:
      "write images as an LMDB that Caffe's Data or SSD's AnnotatedData layer reads, or the mean of one",
    load: async () => (await import('./dataset.ts')).dataset,
  },
  'bn-stats': {
    group: TRAIN,
    processes: 'share',
    summary: "measure BatchNorm's mean and variance anew: strict averages over batches of the training data",
    load: async () => (await import('./bn-stats.ts')).bnStats,
  },
  convert: {
    group: CONVERT,
    summary: 'convert a net and its weights from one format into another, and check the result',
    load: async () => (await import('./convert.ts')).convert,
  },
  quantize: {
    group: CONVERT,
    summary: 'measure how large the values of a net are, so that it can run in int8',
    load: async () => (await import('./quantize.ts')).quantize,
  },
  print: {
    group: CONVERT,
    summary: 'print a prototxt in canonical form, upgraded to the current format',
    load: async () => (await import('./print.ts')).print,
  },
  summary: {
    group: INSPECT,
    summary: 'list the layers of a net: shapes, parameters, multiply-accumulates, memory',
    load: async () => (await import('./summary.ts')).summary,
  },
  plan: {
    group: INSPECT,
    summary: 'tell the memory that a net takes on a device, by batch, and the largest batch that fits',
    load: async () => (await import('./plan.ts')).plan,
  },
  view: {
    group: INSPECT,
    summary: 'draw a net as one HTML page that needs no network: shapes, costs, times, filters, activations',
    load: async () => (await import('./view.ts')).view,
  },
  lint: {
    group: INSPECT,
    summary: 'find the traps in nets and solvers, each with its place and what mends it',
    load: async () => (await import('./lint.ts')).lint,
  },
  parity: {
    group: MEASURE,
    summary:
      'compare every array with what Caffe, another device or ONNX Runtime computes, and name why they diverge',
    load: async () => (await import('./parity.ts')).parity,
  },
  time: {
    group: MEASURE,
    summary: 'time a net: the whole, then each operation in runs of its own; forward, or backward too',
    load: async () => (await import('./time.ts')).time,
  },
  bench: {
    group: MEASURE,
    summary: 'measure nets on this machine beside onnxruntime-node, torch and Caffe, where they are there',
    load: async () => (await import('./bench.ts')).bench,
  },
  doctor: {
    group: MACHINE,
    processes: 'each',
    summary: 'look at all that resnode needs, and say what mends what is missing',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  completion: {
    group: MACHINE,
    summary: 'print what completes commands and flags in bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completion,
  },
  'device-query': {
    group: MACHINE,
    processes: 'each',
    summary: 'print what the driver says of the GPUs',
    alias: 'device_query',
    load: async () => (await import('./device-query.ts')).deviceQuery,
  },
};
