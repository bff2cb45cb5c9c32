/** Counts and limits requests, refuses late ones, and waits for them before closing. */
import type { ResnodeError } from '../../base/errors.ts';
import { Latencies, type LatencySummary } from './batcher.ts';
import { Gate } from './gate.ts';

/** The counts of requests and answers since the service was opened. */
export interface ServiceStats {
  readonly served: number;
  /** Images that could not be decoded or computed. */
  readonly failed: number;
  readonly aborted: number;
  /** The number of requests refused as busy. */
  readonly refused: number;
  readonly pending: number;
  /** The number of runs of each batch size. */
  readonly batches: Readonly<Record<number, number>>;
  /** The latency of the last 4,096 images, in milliseconds from call to answer. */
  readonly latency: LatencySummary;
}

export interface RequestLimits {
  /** The number of requests that may wait or be in progress. Default 256. */
  readonly maxQueue?: number | undefined;
  /** The number of requests whose images may be decoded or in memory at once. */
  readonly inMemory: number;
  /** The error of a request beyond the limit or after closing. */
  readonly refusal: (why: 'busy' | 'closed', message: string) => ResnodeError;
}

export class Requests {
  readonly #limits: RequestLimits;
  readonly #name: string;
  readonly #gate: Gate;
  readonly #latencies = new Latencies();
  readonly #counts = { served: 0, failed: 0, aborted: 0, refused: 0 };
  #pending = 0;
  #isClosed = false;
  #drained: (() => void)[] = [];

  /** @param name The name of the service: `classifier`. */
  constructor(name: string, limits: RequestLimits) {
    this.#name = name;
    this.#limits = limits;
    this.#gate = new Gate(limits.inMemory);
  }

  /** The number of requests that are waiting or in progress. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Counts a request, and works on it when there is room.
   * @throws the refusal; the signal's reason; the errors of `work`
   */
  async serve<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    this.#refuse();
    const started = performance.now();
    this.#pending++;
    try {
      const answer = await this.#gate.within(work, signal);
      this.#counts.served++;
      this.#latencies.add(performance.now() - started);
      return answer;
    } catch (error) {
      this.#counts[signal?.aborted ? 'aborted' : 'failed']++;
      throw error;
    } finally {
      if (--this.#pending === 0) for (const resolve of this.#drained.splice(0)) resolve();
    }
  }

  stats(batches: ReadonlyMap<number, number>): ServiceStats {
    return {
      ...this.#counts,
      pending: this.#pending,
      batches: Object.fromEntries(batches),
      latency: this.#latencies.summary(),
    };
  }

  /**
   * Accepts no more requests.
   * @returns the error for those that are still waiting
   */
  close(): ResnodeError {
    this.#isClosed = true;
    return this.#closedError();
  }

  /** Resolves when all accepted requests are answered. */
  async drained(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  #refuse(): void {
    if (this.#isClosed) throw this.#closedError();
    const { maxQueue = 256, refusal } = this.#limits;
    if (this.#pending < maxQueue) return;
    this.#counts.refused++;
    throw refusal(
      'busy',
      `${this.#pending} images are waiting or in progress, as many as maxQueue allows; try again later (a server answers 503)`,
    );
  }

  #closedError(): ResnodeError {
    return this.#limits.refusal('closed', `the ${this.#name} is closed`);
  }
}
