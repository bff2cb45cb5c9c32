/** Shows the progress of a long command in one line on stderr, on a terminal or with --progress. */
import { formatDuration } from '../train/pace.ts';

export interface ProgressFlags {
  readonly progress?: boolean;
}

/** Milliseconds between two updates on a terminal and in a file. */
const [REDRAWN, WRITTEN] = [100, 1000];

export class Progress {
  readonly #begin = performance.now();
  readonly #units: string;
  readonly #total: number | null;
  readonly #first: number;
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #isShown: boolean;
  #shown = Number.NEGATIVE_INFINITY;
  #isOpen = false;

  /**
   * @param units For example `images`.
   * @param total Null if unknown.
   * @param first The amount done earlier if work is resumed.
   */
  constructor(units: string, total: number | null, { progress = false }: ProgressFlags, first = 0) {
    this.#first = first;
    this.#units = units;
    this.#total = total;
    this.#isShown = this.#isTerminal || progress;
  }

  readonly update = (done: number): void => {
    const now = performance.now();
    const isLast = done === this.#total;
    if (!this.#isShown || (!isLast && now - this.#shown < (this.#isTerminal ? REDRAWN : WRITTEN))) return;
    this.#shown = now;
    const line = this.#line(done, (now - this.#begin) / 1000);
    process.stderr.write(this.#isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
    this.#isOpen = this.#isTerminal;
  };

  /** Clears the line so that others can be written. */
  readonly end = (): void => {
    if (this.#isOpen) process.stderr.write('\r\x1b[K');
    this.#isOpen = false;
  };

  #line(done: number, seconds: number): string {
    const rate = (done - this.#first) / seconds;
    const left = this.#total === null || rate <= 0 ? null : (this.#total - done) / rate;
    return [
      `${done}${this.#total === null ? '' : ` of ${this.#total}`} ${this.#units}`,
      ...(rate > 0 ? [`${rate.toFixed(1)} a second`] : []),
      ...(left === null || left === 0 ? [] : [`${formatDuration(left)} left`]),
    ].join(', ');
  }
}
