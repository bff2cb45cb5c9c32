/** Requests for answers: counted, bounded, refused when it is too late, awaited before the end. */
import type { ResnodeError } from '../../base/errors.ts';
import { Latencies, type LatencySummary } from './batcher.ts';
import { Gate } from './gate.ts';

/** What was asked and answered since the opening. */
export interface ServiceStats {
  readonly served: number;
  /** Images that could not be decoded or computed. */
  readonly failed: number;
  readonly aborted: number;
  /** Refused as busy. */
  readonly refused: number;
  readonly pending: number;
  /** How many runs there were of each batch size. */
  readonly batches: Readonly<Record<number, number>>;
  /** Of the last 4,096 images served, in milliseconds from call to answer. */
  readonly latency: LatencySummary;
}

export interface RequestLimits {
  /** Requests that may wait or be under way. Default 256. */
  readonly maxQueue?: number | undefined;
  /** Requests whose images may be decoded or in memory at once. */
  readonly inMemory: number;
  /** The error of a request that is one too many, or comes too late. */
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

  /** @param name What is asked: `classifier`. */
  constructor(name: string, limits: RequestLimits) {
    this.#name = name;
    this.#limits = limits;
    this.#gate = new Gate(limits.inMemory);
  }

  /** That wait or are under way. */
  get pending(): number {
    return this.#pending;
  }

  /** Counts a request, and works on it when there is room. @throws the refusal; the signal's reason; what `work` throws */
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

  /** Takes no more. @returns what is said to those who wait in vain */
  close(): ResnodeError {
    this.#isClosed = true;
    return this.#closedError();
  }

  /** Until those that were taken are answered. */
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
