/** The factor by which a backward pass in 16 bits scales diffs: a constant, or one that adapts. */
import { ArgumentError } from '../base/errors.ts';
import {
  isNarrow,
  type LossScaleOption,
  lossScaleOf,
  type TrainPrecision,
} from '../gradient/training-precision.ts';

interface LossScaleOptions {
  readonly precision?: TrainPrecision;
  readonly lossScale?: LossScaleOption;
  /** Null if there is no update. */
  readonly update: object | null;
}

/** The state of a dynamic scale, so that training can be resumed. */
export interface LossScaleState {
  readonly factor: number;
  /** The number of updates since the factor last changed. */
  readonly since: number;
}

/**
 * As in torch.amp.GradScaler: the initial factor; it doubles after a number of updates and is halved when an update is
 * skipped.
 */
const FIRST = 65536;
const INTERVAL = 2000;
const MOST = 2 ** 24;
const LEAST = 2 ** -14;

export class LossScale {
  readonly isDynamic: boolean;
  #factor: number;
  #since = 0;

  constructor(options: LossScaleOptions) {
    LossScale.check(options);
    this.isDynamic = options.lossScale === 'dynamic';
    const { precision, lossScale } = options;
    this.#factor = lossScale === 'dynamic' ? FIRST : lossScaleOf({ precision, lossScale });
  }

  /** @throws ArgumentError for `dynamic` if no update checks its diffs */
  static check({ precision, lossScale, update }: LossScaleOptions): void {
    if (lossScale !== 'dynamic' || (update !== null && isNarrow(precision))) return;
    const expected =
      update === null
        ? 'a number without an update'
        : 'a number, or "dynamic" in precision "float16" or "bfloat16", where updates with non-finite gradients are skipped';
    throw new ArgumentError('lossScale', expected, lossScale);
  }

  /** The factor of the next pass. */
  get factor(): number {
    return this.#factor;
  }

  get state(): LossScaleState | null {
    return this.isDynamic ? { factor: this.#factor, since: this.#since } : null;
  }

  /** Restores the state of an earlier training. */
  restore({ factor, since }: LossScaleState): void {
    if (!this.isDynamic) return;
    this.#factor = Math.min(Math.max(factor, LEAST), MOST);
    this.#since = since;
  }

  /**
   * Adapts the factor to the result of an update.
   * @param by The factor of its passes: passes that were queued before the result arrived do not count twice.
   */
  updated(isSkipped: boolean, by: number): void {
    if (!this.isDynamic || by !== this.#factor) return;
    this.#since = isSkipped ? 0 : this.#since + 1;
    if (isSkipped) this.#factor = Math.max(this.#factor / 2, LEAST);
    else if (this.#since >= INTERVAL) {
      this.#factor = Math.min(this.#factor * 2, MOST);
      this.#since = 0;
    }
  }
}
