/** How long the last requests took. */

/** So many requests are remembered. */
const REMEMBERED = 4096;

/** Milliseconds; NaN before the first request. */
export interface LatencySummary {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export class Latencies {
  readonly #last = new Float64Array(REMEMBERED);
  #count = 0;

  add(milliseconds: number): void {
    this.#last[this.#count++ % REMEMBERED] = milliseconds;
  }

  /** Of the last 4,096 requests, by nearest rank. */
  summary(): LatencySummary {
    const sorted = this.#last.slice(0, Math.min(this.#count, REMEMBERED)).sort();
    const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
  }
}
