/** A curve of any number of points in bounded memory: neighbours are merged if there are too many. */

/** The values between two positions of x. */
export interface CurvePoint {
  /** The position of the last value. */
  readonly x: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

interface Bucket {
  x: number;
  sum: number;
  low: number;
  high: number;
  count: number;
}

export class Curve {
  readonly #capacity: number;
  #width = 1;
  #buckets: Bucket[] = [];

  /** @param capacity The largest number of points that are kept; an even number. */
  constructor(capacity = 600) {
    this.#capacity = capacity;
  }

  /**
   * Adds a value; values that are not finite are ignored.
   * @param x Not below the previous one.
   */
  add(x: number, value: number): void {
    if (!Number.isFinite(value)) return;
    const last = this.#buckets.at(-1);
    if (last !== undefined && last.count < this.#width) {
      merge(last, { x, sum: value, low: value, high: value, count: 1 });
      return;
    }
    if (this.#buckets.length === this.#capacity) {
      this.#buckets = this.#buckets.filter((bucket, i, all) => {
        if (i % 2 === 0) merge(bucket, all[i + 1]!);
        return i % 2 === 0;
      });
      this.#width *= 2;
    }
    this.#buckets.push({ x, sum: value, low: value, high: value, count: 1 });
  }

  points(): CurvePoint[] {
    return this.#buckets.map(({ x, sum, low, high, count }) => ({ x, mean: sum / count, low, high }));
  }
}

function merge(into: Bucket, other: Bucket): void {
  into.x = other.x;
  into.sum += other.sum;
  into.low = Math.min(into.low, other.low);
  into.high = Math.max(into.high, other.high);
  into.count += other.count;
}
