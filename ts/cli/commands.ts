/**
 * The table of commands: their descriptions in --help and the modules that implement them. A command's module is loaded only
 * when the command runs, because loading the whole library takes longer than most commands need.
 */
import type { Command } from 'commander';

export interface CommandEntry {
  readonly group: string;
  readonly summary: string;
  /** Caffe's name of the command. */
  readonly alias?: string;
  /**
   * What happens in several processes of mpirun: `share`: they share the work; `each`: every process describes its own
   * machine. Absent: the command refuses to run in several processes.
   */
  readonly processes?: 'share' | 'each';
  /** Creates the command; its argument creates the program with all commands. */
  readonly load: () => Promise<(whole: () => Promise<Command>) => Command>;
}

const COMPUTE = 'Classify and compute:';
const TRAIN = 'Train:';
const CONVERT = 'Convert:';
const INSPECT = 'Look into nets:';
const MEASURE = 'Measure and compare:';
const MACHINE = 'This machine:';

/** The commands in the order of --help. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  classify: {
    group: COMPUTE,
    processes: 'share',
    summary: 'classify images',
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
    summary: 'find the class of each pixel of images (FCN, DeepLab, PSPNet), or edges (HED)',
    load: async () => (await import('./segment.ts')).segment,
  },
  evaluate: {
    group: COMPUTE,
    processes: 'share',
    summary:
      'measure how often a net is right on images whose classes are known: top-1 and top-5 error, and more',
    load: async () => (await import('./evaluate.ts')).evaluate,
  },
  features: {
    group: COMPUTE,
    processes: 'share',
    summary: 'write any blob of a net for many images as one .npy array',
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
    summary: 'adapt a trained net to your own classes, given a folder of images for each',
    load: async () => (await import('./finetune.ts')).finetune,
  },
  train: {
    group: TRAIN,
    processes: 'share',
    summary: 'train a net with a solver',
    load: async () => (await import('./train.ts')).train,
  },
  test: {
    group: TRAIN,
    summary: "run a net's TEST phase over its data and average its outputs",
    load: async () => (await import('./test.ts')).test,
  },
  plot: {
    group: TRAIN,
    summary: "draw the curves of trainings from their logs (resnode's and Caffe's) as a page or SVG",
    load: async () => (await import('./plot.ts')).plot,
  },
  generate: {
    group: TRAIN,
    summary: 'write the nets and the solver that a paper trains, to use or to change',
    load: async () => (await import('./generate.ts')).generate,
  },
  dataset: {
    group: TRAIN,
    summary: "write an LMDB of images that Caffe's Data or SSD's AnnotatedData layer reads, or a mean image",
    load: async () => (await import('./dataset.ts')).dataset,
  },
  'bn-stats': {
    group: TRAIN,
    processes: 'share',
    summary: "measure BatchNorm's mean and variance again, as averages over batches of the training data",
    load: async () => (await import('./bn-stats.ts')).bnStats,
  },
  convert: {
    group: CONVERT,
    summary: 'convert a net and its weights from one format to another, and check the result',
    load: async () => (await import('./convert.ts')).convert,
  },
  quantize: {
    group: CONVERT,
    summary: 'measure the ranges of values of a net that int8 needs',
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
    summary:
      'show the memory that a net takes on a device for each batch size, and the largest batch that fits',
    load: async () => (await import('./plan.ts')).plan,
  },
  view: {
    group: INSPECT,
    summary: 'draw a net as one self-contained HTML page: shapes, costs, times, filters, activations',
    load: async () => (await import('./view.ts')).view,
  },
  lint: {
    group: INSPECT,
    summary: 'find mistakes in nets and solvers, with their place and a fix',
    load: async () => (await import('./lint.ts')).lint,
  },
  parity: {
    group: MEASURE,
    summary:
      'compare every blob with what Caffe, another device or ONNX Runtime computes, and find why they differ',
    load: async () => (await import('./parity.ts')).parity,
  },
  time: {
    group: MEASURE,
    summary: 'time a net as a whole and by operation, forward or also backward',
    load: async () => (await import('./time.ts')).time,
  },
  bench: {
    group: MEASURE,
    summary:
      'measure nets on this machine, and compare with onnxruntime-node, torch and Caffe where they are installed',
    load: async () => (await import('./bench.ts')).bench,
  },
  doctor: {
    group: MACHINE,
    processes: 'each',
    summary: 'check what resnode needs on this machine, and say how to install what is missing',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  completion: {
    group: MACHINE,
    summary: 'print the completion script for bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completion,
  },
  'device-query': {
    group: MACHINE,
    processes: 'each',
    summary: 'print what the NVIDIA driver reports about its GPUs',
    alias: 'device_query',
    load: async () => (await import('./device-query.ts')).deviceQuery,
  },
};
