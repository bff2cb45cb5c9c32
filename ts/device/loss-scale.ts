/** What a backward pass in 16 bits computes with instead of the diffs: a constant times them, or one that finds itself. */
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
  /** Null: none. */
  readonly update: object | null;
}

/** Where a dynamic scale is, so that a training can go on with it. */
export interface LossScaleState {
  readonly factor: number;
  /** Updates since it last changed. */
  readonly since: number;
}

/** As torch.amp.GradScaler: it begins here, doubles after so many updates, and halves where one is skipped. */
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

  /** @throws ArgumentError for `dynamic` where no update looks at its diffs */
  static check({ precision, lossScale, update }: LossScaleOptions): void {
    if (lossScale !== 'dynamic' || (update !== null && isNarrow(precision))) return;
    const expected =
      update === null
        ? 'a number without an update'
        : 'a number, or "dynamic" in precision "float16" or "bfloat16", where updates with non-finite gradients are skipped';
    throw new ArgumentError('lossScale', expected, lossScale);
  }

  /** What the next pass takes. */
  get factor(): number {
    return this.#factor;
  }

  get state(): LossScaleState | null {
    return this.isDynamic ? { factor: this.#factor, since: this.#since } : null;
  }

  /** Goes on from where a training was. */
  restore({ factor, since }: LossScaleState): void {
    if (!this.isDynamic) return;
    this.#factor = Math.min(Math.max(factor, LEAST), MOST);
    this.#since = since;
  }

  /**
   * Takes account of an update.
   * @param by The factor of its passes: what was called before its result came does not count twice.
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
