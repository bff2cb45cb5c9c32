/** Everything that training a residual network takes: deploy and train_val nets, solver, augmentation. */

import { ArgumentError } from '../base/errors.ts';
import { either, integer, list, number, path, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';
import { PAPER, type PaperOptions, type PhaseAugment } from './paper-training.ts';
import { architectureRows, familyOf, type ResnetOptions, resnet } from './resnet.ts';

export interface ResnetTrainingOptions
  extends Omit<ResnetOptions, 'batch' | 'train'>,
    Omit<PaperOptions, 'size' | 'channels'> {
  /** Where the train_val net will lie, from the working folder. Default `train_val.prototxt`. */
  readonly net?: string;
  /** Beginning of the snapshots' names. Default `resnet<depth>`. */
  readonly prefix?: string;
  /** Images of the test set. Default: the paper's 50,000, CIFAR 10,000. */
  readonly testImages?: number;
  /** Of fillers and data. Default 1. */
  readonly seed?: number;
}

export interface TrainingFiles {
  readonly deploy: NetParameter;
  readonly net: NetParameter;
  readonly solver: SolverParameter;
  /** What the data layers are given beside the prototxt. */
  readonly augment: PhaseAugment;
  /** A constant rate at the beginning, of which Caffe's policies know none; null: none is needed. */
  readonly warmup: { readonly iterations: number; readonly rate: number } | null;
}

const RESNET_TRAINING = signature('resnetTraining', {
  options: required(
    options<ResnetTrainingOptions>({
      ...architectureRows,
      train: optional(string, "as Caffe's examples", 'Source of TRAIN.'),
      test: optional(string, "as Caffe's examples", 'Source of TEST.'),
      mean: optional(either(list(number(), { of: 'numbers' }), path), 'of the data set', 'Subtracted.'),
      testBatch: optional(integer(1), "the paper's", 'Images in one forward pass of TEST.'),
      batch: optional(integer(1), "the paper's", 'A divisor of it.'),
      net: optional(path, 'train_val.prototxt', 'Where the net will lie.'),
      prefix: optional(path, 'resnet<depth>', 'Of snapshots.'),
      testImages: optional(integer(1), "the paper's", 'Of the test set.'),
      seed: optional(integer(), '1', 'Of fillers and data.'),
    }),
    'Which net, and how.',
  ),
});

/**
 * The paper's training for a depth: ImageNet's for 18 to 152, CIFAR's for the others. A `batch` below the paper's
 * becomes iter_size passes an update, which gives the paper's batch to the gradients, and not to BatchNorm.
 * @throws ArgumentError as resnet, and for a batch that does not divide the paper's, or a testBatch the images
 * @example writeTrainingFiles('runs/resnet20', resnetTraining({ depth: 20, net: 'runs/resnet20/train_val.prototxt', prefix: 'runs/resnet20/resnet20' }));
 */
export function resnetTraining(options: ResnetTrainingOptions): TrainingFiles {
  RESNET_TRAINING.check(options);
  const { depth, classes, version, shortcut, channels, size, train, test, mean } = options;
  const { net = 'train_val.prototxt', prefix = `resnet${depth}`, seed = 1 } = options;
  const architecture = { depth, classes, version, shortcut, channels, size };
  const deploy = resnet(architecture);
  const paper = PAPER[familyOf(depth)];
  const { batch = paper.batch, testBatch = paper.testBatch, testImages = paper.testImages } = options;
  if (!Number.isInteger(batch) || batch < 1 || paper.batch % batch !== 0)
    throw new ArgumentError(
      'batch',
      `a divisor of ${paper.batch}, of which iter_size makes ${paper.batch}`,
      batch,
    );
  if (!Number.isInteger(testBatch) || testBatch < 1 || testImages % testBatch !== 0)
    throw new ArgumentError('testBatch', `a divisor of the ${testImages} test images`, testBatch);
  return {
    deploy,
    net: resnet({ ...architecture, batch, train: { train, test, mean, testBatch } }),
    solver: paper.solver({
      net,
      prefix,
      seed,
      testIterations: testImages / testBatch,
      iterSize: paper.batch / batch,
    }),
    augment: paper.augment,
    // Section 4.2: 110 layers begin with 0.01 until the error is below 80%, which took about 400 iterations.
    warmup: depth >= 110 && familyOf(depth) === 'cifar' ? { iterations: 400, rate: 0.01 } : null,
  };
}
