/** Everything for the training of a residual network: deploy and train_val nets, solver, augmentation. */

import { join } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import { integer, path } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';
import { PAPER, type PaperOptions, type PhaseAugment } from './paper-training.ts';
import { residualNet } from './residual-net.ts';
import { architectureRows, planOf, type ResnetOptions, resnet, sourceRows } from './resnet.ts';
import { warmupSolver } from './solver-presets.ts';

export interface ResnetTrainingOptions
  extends Omit<ResnetOptions, 'batch' | 'train'>,
    Omit<PaperOptions, 'size' | 'channels'> {
  /** The folder for the files, relative to the working folder. Default: the working folder. */
  readonly folder?: string;
  /** The path of the train_val net. Default `train_val.prototxt` in `folder`. */
  readonly net?: string;
  /** The prefix of snapshots. Default: the net's name in `folder`, e.g. `resnet110` or `wrn28-10`. */
  readonly prefix?: string;
  /** The number of images in the test set. Default: the paper's 50,000; for CIFAR 10,000. */
  readonly testImages?: number;
  /** The seed of the fillers and of the data's order. Default 1. */
  readonly seed?: number;
}

export interface TrainingFiles {
  readonly deploy: NetParameter;
  readonly net: NetParameter;
  readonly solver: SolverParameter;
  /** Augmentation beside the prototxt. */
  readonly augment: PhaseAugment;
  /**
   * A constant rate for the first iterations. Caffe's policies have none, so its solver is a first stage, and `solver`
   * continues from its snapshot. null: none is needed.
   */
  readonly warmup: {
    readonly iterations: number;
    readonly rate: number;
    readonly solver: SolverParameter;
  } | null;
  /** The name of the net, and the papers that describe it and its training. */
  readonly about: { readonly name: string; readonly paper: string; readonly schedule: string };
}

const RESNET_TRAINING = signature('resnetTraining', {
  options: required(
    options<ResnetTrainingOptions>({
      ...architectureRows,
      ...sourceRows,
      batch: optional(
        integer(1),
        "the paper's",
        "The number of images in one forward pass; it must divide the paper's batch.",
      ),
      folder: optional(path, 'the working folder', 'The folder for the files.'),
      net: optional(path, 'train_val.prototxt in folder', 'The path that the solver names for the net.'),
      prefix: optional(path, "the net's name in folder", 'The prefix of snapshots.'),
      testImages: optional(integer(1), "the paper's", 'The number of images in the test set.'),
      seed: optional(integer(), '1', "The seed of the fillers and of the data's order."),
    }),
    'Which net to train, and how.',
  ),
});

/**
 * A net of the table of architectures and its paper's training: schedule, augmentation, warm-up. If `batch` is smaller than
 * the paper's, iter_size passes form one update; gradients then cover the paper's batch, but BatchNorm does not.
 * @throws ArgumentError as resnet, and if the batch does not divide the paper's, or the testBatch the number of images
 * @example writeTrainingFiles('runs/resnet20', resnetTraining({ depth: 20, folder: 'runs/resnet20' }));
 */
export function resnetTraining(options: ResnetTrainingOptions): TrainingFiles {
  RESNET_TRAINING.check(options);
  const { train, test, mean, testBatch: givenTestBatch, net: _, prefix: __, ...rest } = options;
  const { folder = '', ...others } = rest;
  const { batch: givenBatch, testImages: givenTestImages, seed = 1, ...architecture } = others;
  const { plan, training, slug, paper: about } = planOf(architecture);
  const { net = join(folder, 'train_val.prototxt'), prefix = join(folder, slug) } = options;
  const paper = PAPER[training];
  const batch = givenBatch ?? paper.batch;
  const testBatch = givenTestBatch ?? paper.testBatch;
  const testImages = givenTestImages ?? paper.testImages;
  if (!Number.isInteger(batch) || batch < 1 || paper.batch % batch !== 0)
    throw new ArgumentError(
      'batch',
      `a divisor of ${paper.batch}, which iter_size multiplies to ${paper.batch}`,
      batch,
    );
  if (!Number.isInteger(testBatch) || testBatch < 1 || testImages % testBatch !== 0)
    throw new ArgumentError('testBatch', `a divisor of the ${testImages} test images`, testBatch);
  const solver = paper.solver({
    net,
    prefix,
    seed,
    testIterations: testImages / testBatch,
    iterSize: paper.batch / batch,
  });
  const { warmup } = paper;
  return {
    deploy: residualNet(plan),
    net: resnet({ ...architecture, batch, train: { train, test, mean, testBatch } }),
    solver,
    augment: paper.augment,
    warmup: warmup === null ? null : { ...warmup, solver: warmupSolver(solver, warmup) },
    about: { name: plan.name, paper: about, schedule: paper.source },
  };
}
