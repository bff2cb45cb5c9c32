/**
 * How the papers trained their nets: data, augmentation, schedule. Settings for which a prototxt has no field (`augment`)
 * are passed to the training separately.
 */
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';
import { dataLayers } from './data-layers.ts';
import { cifarSolver, imagenetSolver, type SolverTarget, steppedSolver } from './solver-presets.ts';
import { trainingNet } from './training-net.ts';

/** The `augment` options of the data layers, by phase. */
export interface PhaseAugment {
  readonly TRAIN: {
    readonly shorterSide?: number | readonly [number, number];
    readonly resizedCrop?: Record<string, never>;
    readonly jitter?: { readonly brightness: number; readonly contrast: number; readonly saturation: number };
    readonly pad?: number;
    readonly lighting?: Record<string, never>;
    readonly shuffle?: boolean;
  };
  readonly TEST: { readonly shorterSide?: number };
}

export interface PaperTraining {
  /** Where the paper gives the schedule. */
  readonly source: string;
  readonly batch: number;
  readonly testBatch: number;
  readonly testImages: number;
  /** The default sources: databases with the names of Caffe's examples. */
  readonly train: string;
  readonly test: string;
  /** In the order of the channels in those databases. */
  readonly mean: readonly number[];
  readonly augment: PhaseAugment;
  readonly solver: (target: SolverTarget) => SolverParameter;
  /** A constant rate for the first iterations; null: none is needed. */
  readonly warmup: { readonly iterations: number; readonly rate: number } | null;
}

export type TrainingName =
  | 'imagenet'
  | 'imagenet-90'
  | 'imagenet-se'
  | 'cifar'
  | 'cifar-warm'
  | 'cifar-wide'
  | 'cifar-next';

const IMAGENET: PaperTraining = {
  source: 'arXiv 1512.03385, section 3.4',
  batch: 256,
  testBatch: 50,
  testImages: 50_000,
  train: 'ilsvrc12_train_lmdb',
  test: 'ilsvrc12_val_lmdb',
  // The means of MSRA's published mean image, B, G, R.
  mean: [103.063, 115.903, 123.152],
  augment: {
    TRAIN: { shorterSide: [256, 480], lighting: {}, shuffle: true },
    TEST: { shorterSide: 256 },
  },
  solver: imagenetSolver,
  warmup: null,
};
/** The augmentation of fb.resnet.torch (datasets/imagenet.lua), with which the later nets were trained. */
const RESIZED: PhaseAugment = {
  TRAIN: {
    resizedCrop: {},
    jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.4 },
    lighting: {},
    shuffle: true,
  },
  TEST: { shorterSide: 256 },
};
const CIFAR: PaperTraining = {
  source: 'arXiv 1512.03385, section 4.2',
  batch: 128,
  testBatch: 100,
  testImages: 10_000,
  train: 'cifar10_train_lmdb',
  test: 'cifar10_test_lmdb',
  // The values of fb.resnet.torch; Caffe's convert_cifar_data.cpp keeps the planes in the order R, G, B.
  mean: [125.3, 123, 113.9],
  augment: { TRAIN: { pad: 4, shuffle: true }, TEST: {} },
  solver: cifarSolver,
  warmup: null,
};
const IMAGENET_IMAGES = 1_281_167;
const CIFAR_IMAGES = 50_000;

export const PAPER: Readonly<Record<TrainingName, PaperTraining>> = {
  imagenet: IMAGENET,
  'imagenet-90': {
    ...IMAGENET,
    source: 'arXiv 1603.05027 and 1611.05431; augmentation as in fb.resnet.torch',
    augment: RESIZED,
    solver: (target) =>
      steppedSolver(target, {
        ...{ images: IMAGENET_IMAGES, batch: 256, epochs: 90, steps: [30, 60], interval: 5_000 },
        ...{ rate: 0.1, gamma: 0.1, weightDecay: 1e-4 },
      }),
  },
  'imagenet-se': {
    ...IMAGENET,
    source: 'arXiv 1709.01507',
    batch: 1024,
    augment: RESIZED,
    solver: (target) =>
      steppedSolver(target, {
        ...{ images: IMAGENET_IMAGES, batch: 1024, epochs: 100, steps: [30, 60, 90], interval: 1_250 },
        ...{ rate: 0.6, gamma: 0.1, weightDecay: 1e-4 },
      }),
  },
  cifar: CIFAR,
  'cifar-warm': {
    ...CIFAR,
    source: 'arXiv 1512.03385, section 4.2; 1603.05027, appendix',
    // "0.01 to warm up the training until the training error is below 80% (about 400 iterations)".
    warmup: { iterations: 400, rate: 0.01 },
  },
  'cifar-wide': {
    ...CIFAR,
    source: 'arXiv 1605.07146',
    solver: (target) =>
      steppedSolver(target, {
        ...{ images: CIFAR_IMAGES, batch: 128, epochs: 200, steps: [60, 120, 160], interval: 500 },
        ...{ rate: 0.1, gamma: 0.2, weightDecay: 5e-4, type: 'Nesterov' },
      }),
  },
  'cifar-next': {
    ...CIFAR,
    source: 'arXiv 1611.05431, of CIFAR',
    solver: (target) =>
      steppedSolver(target, {
        ...{ images: CIFAR_IMAGES, batch: 128, epochs: 300, steps: [150, 225], interval: 500 },
        ...{ rate: 0.1, gamma: 0.1, weightDecay: 5e-4 },
      }),
  },
};

/** Options that differ from the paper. */
export interface PaperOptions {
  /** LMDB folders of Datum. */
  readonly train?: string;
  readonly test?: string;
  /** The number of images in one forward pass. Default: the paper's batch. */
  readonly batch?: number;
  readonly testBatch?: number;
  /** One value per channel (or one for all), or the path of a mean image. */
  readonly mean?: readonly number[] | string;
  /** The size of the images after the crop. */
  readonly size: number;
  readonly channels: number;
}

/**
 * The train_val net of a paper's deploy net.
 * @throws ArgumentError as trainingNet
 */
export function paperTrainingNet(
  deploy: NetParameter,
  training: TrainingName,
  options: PaperOptions,
): NetParameter {
  const paper = PAPER[training];
  const { size, channels, batch = paper.batch, testBatch = paper.testBatch } = options;
  const { train = paper.train, test = paper.test } = options;
  const mean = options.mean ?? (channels === 3 ? paper.mean : [127.5]);
  const data = dataLayers({
    kind: 'lmdb',
    train,
    test,
    batch,
    testBatch,
    crop: size,
    mirror: true,
    mean,
    channels,
  });
  return trainingNet(deploy, { data });
}
