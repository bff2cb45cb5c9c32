/** Solvers for the papers' trainings and for fine-tuning (He et al., 2015). */

import { ArgumentError } from '../base/errors.ts';
import { integer, number, oneOf, path } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';

/** Options that all presets share. */
export interface SolverTarget {
  /** The path of the train_val net, relative to the working folder. */
  readonly net: string;
  /** The prefix of snapshots, e.g. `runs/resnet20`. */
  readonly prefix: string;
  /** The iterations of a test: its images divided by the test batch. */
  readonly testIterations: number;
  /** The number of forward passes whose gradients form one update. Default 1. */
  readonly iterSize?: number;
  readonly seed?: number;
}

const targetRows = {
  net: required(path, 'The path of the train_val net.'),
  prefix: required(path, 'The prefix of snapshots.'),
  testIterations: required(integer(1), 'The number of iterations of a test.'),
  iterSize: optional(integer(1), '1', 'The number of passes per update.'),
  seed: optional(integer(), '1', "The seed of the fillers and of the data's order."),
};

const solverTarget = options<SolverTarget>(targetRows);

const IMAGENET_SOLVER = signature('imagenetSolver', { target: required(solverTarget, 'Files and counts.') });

/**
 * Section 3.4: batches of 256, rate 0.1, divided by 10 "when the error plateaus", up to 60·10⁴ iterations, decay
 * 0.0001, momentum 0.9. The plateaus are set at a quarter, a half and three quarters: 30, 60 and 90 epochs of the
 * 1.28 million images, of 120.
 */
export function imagenetSolver(target: SolverTarget): SolverParameter {
  IMAGENET_SOLVER.check(target);
  return {
    ...common(target, { iterations: 600_000, interval: 5_000 }),
    base_lr: 0.1,
    lr_policy: 'multistep',
    gamma: 0.1,
    stepvalue: [150_000, 300_000, 450_000],
    momentum: 0.9,
    weight_decay: 1e-4,
  };
}

const CIFAR_SOLVER = signature('cifarSolver', { target: required(solverTarget, 'Files and counts.') });

/** Section 4.2: batches of 128, rate 0.1, divided by 10 at 32,000 and 48,000 of 64,000 iterations. */
export function cifarSolver(target: SolverTarget): SolverParameter {
  CIFAR_SOLVER.check(target);
  return {
    ...common(target, { iterations: 64_000, interval: 500 }),
    base_lr: 0.1,
    lr_policy: 'multistep',
    gamma: 0.1,
    stepvalue: [32_000, 48_000],
    momentum: 0.9,
    weight_decay: 1e-4,
  };
}

/** A schedule in epochs, as later papers describe theirs. */
export interface SteppedSchedule {
  /** The images of the training set, and of an update. */
  readonly images: number;
  readonly batch: number;
  readonly epochs: number;
  /** Epochs after which the rate is multiplied by gamma. */
  readonly steps: readonly number[];
  readonly interval: number;
  readonly rate: number;
  readonly gamma: number;
  readonly weightDecay: number;
  readonly type?: 'SGD' | 'Nesterov';
}

/** Converts epochs to iterations, each rounded: momentum 0.9. */
export function steppedSolver(target: SolverTarget, schedule: SteppedSchedule): SolverParameter {
  const { images, batch, epochs, steps, interval, rate, gamma, weightDecay, type = 'SGD' } = schedule;
  const iterations = (epoch: number) => Math.round((epoch * images) / batch);
  return {
    ...common(target, { iterations: iterations(epochs), interval }),
    ...(type === 'SGD' ? {} : { type }),
    base_lr: rate,
    lr_policy: 'multistep',
    gamma,
    stepvalue: steps.map(iterations),
    momentum: 0.9,
    weight_decay: weightDecay,
  };
}

/**
 * The first stage of a training with a warm-up, which Caffe's policies lack: a constant rate for some iterations, and a
 * snapshot, from which the second stage continues.
 */
export function warmupSolver(
  solver: SolverParameter,
  { iterations, rate }: { readonly iterations: number; readonly rate: number },
): SolverParameter {
  const { stepvalue: _, gamma: __, ...rest } = solver;
  return {
    ...rest,
    base_lr: rate,
    lr_policy: 'fixed',
    max_iter: iterations,
    test_interval: iterations,
    snapshot: iterations,
    snapshot_prefix: `${solver.snapshot_prefix}_warmup`,
  };
}

/** A schedule of fixed length: the rate falls linearly from `rate` to 0 over `iterations`. */
export interface LinearSolverOptions extends SolverTarget {
  readonly iterations: number;
  /** The iterations between tests. Default: a tenth of `iterations`. */
  readonly interval?: number;
  readonly rate: number;
  readonly weightDecay: number;
  readonly type?: 'SGD' | 'Nesterov';
}

const LINEAR_SOLVER = signature('linearSolver', {
  options: required(
    options<LinearSolverOptions>({
      ...targetRows,
      iterations: required(integer(1), 'The number of iterations in all.'),
      interval: optional(integer(1), 'a tenth of iterations', 'The number of iterations between tests.'),
      rate: required(number({ from: 0 }), 'The learning rate at the beginning.'),
      weightDecay: required(number({ from: 0 }), 'The weight decay of all weights.'),
      type: optional(oneOf('SGD', 'Nesterov'), 'SGD', "Caffe's type of solver."),
    }),
    'Files, counts and rates.',
  ),
});

/** For a limited number of epochs, and for fine-tuning: polynomial decay of power 1, momentum 0.9. */
export function linearSolver(options: LinearSolverOptions): SolverParameter {
  LINEAR_SOLVER.check(options);
  const { iterations, rate, weightDecay, type = 'SGD' } = options;
  const { interval = Math.max(1, Math.round(iterations / 10)) } = options;
  if (!Number.isInteger(iterations) || iterations < 1)
    throw new ArgumentError('iterations', 'an integer from 1', iterations);
  return {
    ...common(options, { iterations, interval }),
    type,
    base_lr: rate,
    lr_policy: 'poly',
    power: 1,
    momentum: 0.9,
    weight_decay: weightDecay,
  };
}

function common(
  { net, prefix, testIterations, iterSize = 1, seed = 1 }: SolverTarget,
  { iterations, interval }: { iterations: number; interval: number },
): SolverParameter {
  const display = Math.max(1, Math.min(100, Math.round(interval / 10)));
  return {
    net,
    test_iter: [testIterations],
    test_interval: interval,
    test_initialization: false,
    display,
    average_loss: display,
    max_iter: iterations,
    ...(iterSize === 1 ? {} : { iter_size: iterSize }),
    snapshot: 10 * interval,
    snapshot_prefix: prefix,
    random_seed: seed,
  };
}
