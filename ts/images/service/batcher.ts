/** Dynamic batching: waiting items run together, in batches of compiled sizes. */
import { onAbort } from '../../base/on-abort.ts';

/** Runs a batch of one of the sizes and returns one result per item, in order. */
export type RunBatch<Item, Result> = (items: readonly Item[]) => Promise<readonly Result[]>;

export interface BatcherOptions {
  /** The batch sizes, ascending from 1. */
  readonly sizes: readonly number[];
  /** The milliseconds that an item waits for a batch of the largest size to fill. */
  readonly maxDelay: number;
  /** The number of batches in progress at once. */
  readonly concurrency: number;
}

interface Job<Item, Result> {
  readonly item: Item;
  readonly since: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Items wait until a batch of the largest size is full, or until the oldest has waited `maxDelay`; then the largest possible
 * size runs. While the device is busy more items arrive, so batches grow under load without a delay.
 */
export class Batcher<Item, Result> {
  /** The number of batches of each size that have run. */
  readonly batches = new Map<number, number>();
  readonly #options: BatcherOptions;
  readonly #run: RunBatch<Item, Result>;
  #waiting: Job<Item, Result>[] = [];
  #running = 0;
  #timer: NodeJS.Timeout | null = null;
  #closed: Error | null = null;

  constructor(options: BatcherOptions, run: RunBatch<Item, Result>) {
    this.#options = options;
    this.#run = run;
  }

  /**
   * Returns the result of the item. A signal removes it from the queue; if its batch is in progress, its result is
   * discarded.
   */
  add(item: Item, signal?: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (this.#closed !== null) return reject(this.#closed);
      const withdraw = onAbort(signal, () => {
        this.#waiting = this.#waiting.filter((other) => other !== job);
        reject(signal!.reason);
      });
      const job: Job<Item, Result> = {
        item,
        since: performance.now(),
        resolve: (result) => {
          withdraw();
          resolve(result);
        },
        reject: (error) => {
          withdraw();
          reject(error);
        },
      };
      this.#waiting.push(job);
      this.#pump();
    });
  }

  /** Rejects waiting and later items; batches in progress finish. */
  close(error: Error): void {
    this.#closed = error;
    for (const job of this.#waiting.splice(0)) job.reject(error);
    this.#wake(null);
  }

  #pump(): void {
    const { sizes, maxDelay, concurrency } = this.#options;
    while (this.#running < concurrency && this.#waiting.length > 0) {
      const left = this.#waiting[0]!.since + maxDelay - performance.now();
      if (this.#waiting.length < sizes.at(-1)! && left > 0) {
        this.#wake(left);
        return;
      }
      const size = sizes.findLast((each) => each <= this.#waiting.length)!;
      void this.#start(this.#waiting.splice(0, size));
    }
    this.#wake(null);
  }

  async #start(jobs: readonly Job<Item, Result>[]): Promise<void> {
    this.#running++;
    this.batches.set(jobs.length, (this.batches.get(jobs.length) ?? 0) + 1);
    try {
      const results = await this.#run(jobs.map(({ item }) => item));
      jobs.forEach(({ resolve }, i) => resolve(results[i]!));
    } catch (error) {
      for (const { reject } of jobs) reject(error);
    } finally {
      this.#running--;
      this.#pump();
    }
  }

  #wake(milliseconds: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = milliseconds === null ? null : setTimeout(() => this.#pump(), Math.ceil(milliseconds));
  }
}

/** The number of requests that are remembered. */
const REMEMBERED = 4096;

/** Milliseconds; NaN before the first request. */
export interface LatencySummary {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** The durations of the last requests. */
export class Latencies {
  readonly #last = new Float64Array(REMEMBERED);
  #count = 0;

  add(milliseconds: number): void {
    this.#last[this.#count++ % REMEMBERED] = milliseconds;
  }

  /** A summary of the last 4,096 requests, by nearest rank. */
  summary(): LatencySummary {
    const sorted = this.#last.slice(0, Math.min(this.#count, REMEMBERED)).sort();
    const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
  }
}
