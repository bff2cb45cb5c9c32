/**
 * How the paper trained its two families (He et al. 2015, sections 3.4 and 4.2): data, augmentation, schedule. What a
 * prototxt has no field for (`augment`, `warmup`) is given to a training beside it.
 */
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';
import { dataLayers } from './data-layers.ts';
import { cifarSolver, imagenetSolver, type SolverTarget } from './solver-presets.ts';
import { trainingNet } from './training-net.ts';

/** As `augment` of the data layers takes it, by phase. */
export interface PhaseAugment {
  readonly TRAIN: {
    readonly shorterSide?: number | readonly [number, number];
    readonly pad?: number;
    readonly lighting?: Record<string, never>;
    readonly shuffle?: boolean;
  };
  readonly TEST: { readonly shorterSide?: number };
}

export interface PaperTraining {
  readonly batch: number;
  readonly testBatch: number;
  readonly testImages: number;
  /** Default sources: databases as Caffe's examples make and name them. */
  readonly train: string;
  readonly test: string;
  /** In the order of the channels in those databases. */
  readonly mean: readonly number[];
  readonly augment: PhaseAugment;
  readonly solver: (target: SolverTarget) => SolverParameter;
}

export type Family = 'imagenet' | 'cifar';

export const PAPER: Readonly<Record<Family, PaperTraining>> = {
  imagenet: {
    batch: 256,
    testBatch: 50,
    testImages: 50_000,
    train: 'ilsvrc12_train_lmdb',
    test: 'ilsvrc12_val_lmdb',
    // Of the mean image that MSRA published, B, G, R.
    mean: [103.063, 115.903, 123.152],
    augment: {
      TRAIN: { shorterSide: [256, 480], lighting: {}, shuffle: true },
      TEST: { shorterSide: 256 },
    },
    solver: imagenetSolver,
  },
  cifar: {
    batch: 128,
    testBatch: 100,
    testImages: 10_000,
    train: 'cifar10_train_lmdb',
    test: 'cifar10_test_lmdb',
    // fb.resnet.torch's; Caffe's convert_cifar_data.cpp keeps the planes R, G, B.
    mean: [125.3, 123, 113.9],
    augment: { TRAIN: { pad: 4, shuffle: true }, TEST: {} },
    solver: cifarSolver,
  },
};

/** Where it differs from the paper. */
export interface PaperOptions {
  /** LMDB folders of Datum. */
  readonly train?: string;
  readonly test?: string;
  /** Images of one forward pass. Default: the paper's batch (256, CIFAR 128). */
  readonly batch?: number;
  readonly testBatch?: number;
  /** Values a channel (or one), or the path of a mean image. */
  readonly mean?: readonly number[] | string;
  /** Of the images after the crop. */
  readonly size: number;
  readonly channels: number;
}

/** The train_val net of a deploy net from the paper. @throws ArgumentError as trainingNet */
export function paperTrainingNet(deploy: NetParameter, family: Family, options: PaperOptions): NetParameter {
  const paper = PAPER[family];
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
