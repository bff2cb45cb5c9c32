/** The arguments and results of a trainer's methods, and their checks. */
import { boolean, instance, integer, number, readable, record, signal } from '../base/kinds.ts';
import { internal, optional, options, required, signature } from '../base/options.ts';
import type { Outputs, RunOptions } from './model-calls.ts';
import { newWeights } from './new-weights.ts';
import type { RunMode } from './runner.ts';
import type { Tensor } from './tensor.ts';

/** The solver's state that a pass needs. */
export interface Schedule {
  /** The learning rate, before lr_mult. */
  readonly rate: number;
  /** The iteration, from 0; Adam and Dropout use it. */
  readonly iteration: number;
  /** Whether this is the first pass of the iteration, in which accumulated diffs start at 0. Default true. */
  readonly first?: boolean;
  /**
   * Whether this is the last pass of the iteration, which the update follows. Default true; false requires an iter_size
   * above 1.
   */
  readonly last?: boolean;
}

/** One operation of a pass. */
export interface TimedOperation {
  readonly layer: string;
  readonly milliseconds: number;
  readonly pass: 'forward' | 'backward' | 'update';
}

export type PassOptions = Pick<RunOptions, 'signal' | 'copyInputs'>;

/** Options of a pass, and whether each operation is timed. */
export type ProfiledPass = PassOptions & Pick<RunMode, 'profile'>;

export interface WeightsOptions {
  /**
   * Returns the average of the learnable blobs, and all others unchanged; the update must have an `ema_decay`. Default
   * false.
   */
  readonly average?: boolean;
}

export interface GradientOptions {
  /** Diffs of the net's outputs that are not losses, by name. Default: zeros. */
  readonly topDiffs?: Readonly<Record<string, Float32Array>>;
  /** The iteration that seeds Dropout, as in the first pass of `step`. Default 0. */
  readonly iteration?: number;
  readonly signal?: AbortSignal;
}

export interface Gradients {
  /** The outputs, as from `step`. */
  readonly outputs: Outputs;
  /** Diffs of the blobs that `diffs` requested; zeros where no gradient flows. */
  readonly blobs: Readonly<Record<string, Tensor>>;
  /**
   * Diffs of `learnable`, in its order; null if there is none, because the blob does not learn or does not affect a loss.
   */
  readonly parameters: readonly (Tensor | null)[];
}

const scheduleOptions = options<Schedule>({
  rate: required(number(), 'The learning rate, before lr_mult.'),
  iteration: required(integer(0), 'The iteration, from 0; Adam and Dropout use it.'),
  first: optional(boolean, 'true', 'Whether this is the first pass of the iteration.'),
  last: optional(boolean, 'true', 'Whether this is the last pass of the iteration.'),
});
const passOptions = options<PassOptions>({
  signal: optional(signal, 'none', "Aborts the pass; the promise rejects with the signal's reason."),
  copyInputs: internal(boolean),
});
const stepRows = {
  inputs: required(readable, 'An array for each input blob, by name.'),
  schedule: required(scheduleOptions, 'The learning rate and the iteration.'),
  options: optional(passOptions, 'none', 'How to run the pass.'),
};

export const TRAINER_STEP = signature('trainer.step', { ...stepRows });
export const TRAINER_TIME = signature('trainer.time', {
  ...stepRows,
  schedule: optional(
    scheduleOptions,
    'required with an update',
    'The learning rate and the iteration, as in trainer.step.',
  ),
});
export const TRAINER_GRADIENTS = signature('trainer.gradients', {
  inputs: stepRows.inputs,
  options: optional(
    options<GradientOptions>({
      topDiffs: optional(
        record(instance('a Float32Array', Float32Array)),
        'zeros',
        "Diffs of the net's outputs that are not losses, by name.",
      ),
      iteration: optional(integer(0), '0', 'The iteration, which seeds Dropout.'),
      signal: optional(signal, 'none', "Aborts the pass; the promise rejects with the signal's reason."),
    }),
    'none',
    'Where the backward pass begins.',
  ),
});
export const TRAINER_WEIGHTS = signature('trainer.weights', {
  options: optional(
    options<WeightsOptions>({
      average: optional(boolean, 'false', 'Returns their average if the update has an ema_decay.'),
    }),
    'none',
    'Which weights to return.',
  ),
});
export const TRAINER_SET_WEIGHTS = signature('trainer.setWeights', {
  weights: required(newWeights, 'New blobs by layer, or a weights file.'),
});
