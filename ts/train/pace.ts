/** The speed of training, and the share of its time that is spent waiting for data. */

interface Totals {
  readonly samples: number;
  /** Milliseconds of iterations, including the waiting. */
  readonly busy: number;
  readonly waited: number;
}
const NOTHING: Totals = { samples: 0, busy: 0, waited: 0 };

/** The speed over some iterations. */
export interface Speed {
  readonly imagesPerSecond: number;
  /** Share of the time spent waiting for data, 0 to 1. */
  readonly waiting: number;
}

export class Pace {
  readonly #begin: number;
  readonly #now: () => number;
  #total = NOTHING;
  #mark = NOTHING;

  /** @param now Returns the time in milliseconds; tests replace it. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#begin = now();
  }

  /**
   * Counts one iteration.
   * @param waited The milliseconds of `busy` that were spent waiting for data.
   */
  add(samples: number, busy: number, waited: number): void {
    const total = this.#total;
    this.#total = {
      samples: total.samples + samples,
      busy: total.busy + busy,
      waited: total.waited + waited,
    };
  }

  /** The speed since `mark` was last called. */
  recent(): Speed {
    const { samples, busy, waited } = this.#total;
    return speed({
      samples: samples - this.#mark.samples,
      busy: busy - this.#mark.busy,
      waited: waited - this.#mark.waited,
    });
  }

  /** The speed since the beginning. */
  overall(): Speed {
    return speed(this.#total);
  }

  mark(): void {
    this.#mark = this.#total;
  }

  /** Seconds since the beginning. */
  elapsed(): number {
    return (this.#now() - this.#begin) / 1000;
  }

  /**
   * Estimates the seconds that `left` iterations will take from the time since the beginning, including everything
   * besides the `done` iterations; null if none is done.
   */
  remaining(done: number, left: number): number | null {
    return done === 0 ? null : (this.elapsed() / done) * left;
  }
}

function speed({ samples, busy, waited }: Totals): Speed {
  if (busy <= 0) return { imagesPerSecond: 0, waiting: 0 };
  return { imagesPerSecond: (1000 * samples) / busy, waiting: Math.min(1, Math.max(0, waited / busy)) };
}

/** For example `1 h 02 min`, `3 min 05 s` or `8.4 s`. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}
