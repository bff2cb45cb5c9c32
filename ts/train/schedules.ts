/** The learning rate of each iteration: Caffe's policies in its own float32 arithmetic, and two additional ones. */
import { boolean, integer, type Kind, list, number, oneOf } from '../base/kinds.ts';
import { fields, optional, options, required, signature } from '../base/options.ts';
import type { SolverSettings } from '../caffe/check-solver.ts';

const { fround } = Math;

/** The fields of a solver that a schedule reads. */
export type ScheduleSettings = Pick<
  SolverSettings,
  'lr_policy' | 'base_lr' | 'gamma' | 'power' | 'stepsize' | 'stepvalue' | 'max_iter'
>;

/** Schedules for which Caffe has no policy; they are options of a run, so that a SolverParameter remains Caffe's. */
export interface ScheduleExtensions {
  /**
   * A constant rate for the first iterations, whatever the policy; the policy counts them, too. The paper (section 4.2)
   * trains its 110-layer CIFAR net with 0.01 until the error is below 80%, for about 400 iterations.
   */
  readonly warmup?: { readonly iterations: number; readonly rate: number };
  /** base_lr/2 · (1 + cos(π · iteration / max_iter)) instead of lr_policy (Loshchilov & Hutter, arXiv 1608.03983). */
  readonly cosine?: boolean;
}

/** The rows of ScheduleExtensions. */
export const extensionRows = {
  warmup: optional(
    options<NonNullable<ScheduleExtensions['warmup']>>({
      iterations: required(integer(0), 'The number of iterations that train at `rate`.'),
      rate: required(number({ from: 0 }), 'The learning rate of these iterations.'),
    }),
    'none',
    'A warm-up: a constant rate for the first iterations.',
  ),
  cosine: optional(
    boolean,
    'false',
    "The learning rate follows a cosine down to max_iter instead of the solver's lr_policy.",
  ),
};

export const scheduleExtensions = options<ScheduleExtensions>(extensionRows);

const SCHEDULE = signature('Schedule', {
  settings: required(
    fields<ScheduleSettings>('settings of checkSolver', {
      lr_policy: required(
        oneOf('fixed', 'step', 'exp', 'inv', 'multistep', 'poly', 'sigmoid'),
        "Caffe's policy.",
      ),
      base_lr: required(number(), "The policy's base rate."),
      gamma: required(number(), "The policy's gamma."),
      power: required(number(), "The policy's power."),
      stepsize: required(number(), "The policy's stepsize."),
      stepvalue: required(
        list(number(), { of: 'iterations' }) as Kind<number[]>,
        'The iterations at which multistep lowers the rate.',
      ),
      max_iter: required(number(), 'The number of iterations.'),
    }),
    'The settings of a solver.',
  ),
  extensions: optional(scheduleExtensions, 'none', 'Schedules that Caffe has no policy for.'),
  currentStep: optional(integer(0), '0', 'The number of steps in a .solverstate.'),
});
/** Computes the rates of a run, one iteration after the other. */
export class Schedule {
  readonly #settings: ScheduleSettings;
  readonly #extensions: ScheduleExtensions;
  #step: number;

  /**
   * @param currentStep From a .solverstate: how many steps `multistep` has taken. Default 0.
   * @throws ArgumentError for an invalid warm-up
   */
  constructor(settings: ScheduleSettings, extensions: ScheduleExtensions = {}, currentStep = 0) {
    SCHEDULE.check(settings, extensions, currentStep);
    this.#settings = settings;
    this.#extensions = extensions;
    this.#step = currentStep;
  }

  /** Caffe's current_step_, for `step` and `multistep`; a .solverstate stores it. */
  get currentStep(): number {
    return this.#step;
  }

  /**
   * The rate of an iteration, a float32. Call it once for each iteration, in order: `multistep` takes at most one step
   * at a time, so equal stepvalues take effect one after the other (GetLearningRate in sgd_solver.cpp).
   * @param iteration From 0.
   */
  rate(iteration: number): number {
    const { warmup, cosine } = this.#extensions;
    const { base_lr, max_iter } = this.#settings;
    const rate =
      cosine === true
        ? fround((base_lr / 2) * (1 + Math.cos((Math.PI * iteration) / Math.max(1, max_iter))))
        : this.#caffeRate(iteration);
    return warmup !== undefined && iteration < warmup.iterations ? fround(warmup.rate) : rate;
  }

  // Caffe computes a power with an integer exponent in double, everything else in float.
  #caffeRate(iteration: number): number {
    const { lr_policy, stepvalue, stepsize, max_iter } = this.#settings;
    const base = fround(this.#settings.base_lr);
    const gamma = fround(this.#settings.gamma);
    const power = fround(this.#settings.power);
    switch (lr_policy) {
      case 'fixed':
        return base;
      case 'step':
        this.#step = Math.floor(iteration / stepsize);
        return fround(base * gamma ** this.#step);
      case 'exp':
        return fround(base * gamma ** iteration);
      case 'inv':
        return fround(base * fround(fround(1 + fround(gamma * iteration)) ** -power));
      case 'multistep':
        if (this.#step < stepvalue.length && iteration >= stepvalue[this.#step]!) this.#step++;
        return fround(base * gamma ** this.#step);
      case 'poly':
        return fround(base * fround(fround(1 - fround(iteration / max_iter)) ** power));
      case 'sigmoid': {
        const exponential = fround(Math.exp(fround(-gamma * (iteration - stepsize))));
        return fround(base * fround(1 / fround(1 + exponential)));
      }
    }
  }
}
