/** Batches of one data layer, made by worker threads ahead of their reader. */
import { availableParallelism } from 'node:os';
import { DataError } from '../errors.ts';
import { mix } from './random.ts';
import type { Description, Sample } from './reader.ts';
import type { Batch, DataSource } from './source.ts';
import { checkState } from './state.ts';
import type { Stream } from './stream.ts';
import { Turns } from './turns.ts';
import { unlessAborted } from './unless-aborted.ts';
import { WorkerPool } from './worker-pool.ts';

// libuv has four threads for decoding by default, and the caller's files need one.
const MOST_WORKERS = 4;

export interface Ahead {
  readonly seed: number;
  /** Batches made ahead. */
  readonly prefetch: number;
}

export class PrefetchedSource implements DataSource {
  readonly shapes: DataSource['shapes'];
  readonly epochSize: number | null;
  readonly #stream: Stream;
  readonly #description: Description;
  readonly #pool: WorkerPool;
  readonly #prefetch: number;
  #seed: number;
  /** Samples of all ranks before the next batch: what was given, and what was begun. */
  #given = 0;
  #begun = 0;
  readonly #ahead: Promise<Batch>[] = [];
  #orders = new Map<number, Promise<Uint32Array>>();
  readonly #turns: Turns;

  /** @throws DataError for what the first sample shows already */
  static async open(stream: Stream, ahead: Ahead): Promise<PrefetchedSource> {
    const pool = new WorkerPool(stream.reader, stream.layer);
    try {
      const first = {
        index: 0,
        seed: mix(ahead.seed, 0),
        ...(stream.images === null ? {} : { image: stream.images[0]! }),
      };
      return new PrefetchedSource(stream, ahead, pool, await pool.hold(pool.describe(first)));
    } catch (error) {
      await pool.close();
      throw error;
    }
  }

  private constructor(stream: Stream, { seed, prefetch }: Ahead, pool: WorkerPool, description: Description) {
    this.#stream = stream;
    this.#turns = new Turns(stream.layer);
    this.#seed = seed;
    this.#pool = pool;
    this.#description = description;
    this.epochSize = stream.count(description);
    this.shapes = Object.fromEntries(
      Object.entries(description.shapes).map(([top, shape]) => [
        top,
        stream.batched ? [stream.batch, ...shape] : shape,
      ]),
    );
    pool.size = stream.workers ?? (description.decodes ? Math.min(MOST_WORKERS, availableParallelism()) : 1);
    this.#prefetch = Math.max(1, prefetch);
  }

  get waited(): number {
    return this.#turns.waited;
  }

  next(signal?: AbortSignal): Promise<Batch> {
    return this.#turns.take(signal, async () => {
      this.#fill();
      const batch = await this.#pool.hold(unlessAborted(this.#ahead[0]!, signal));
      this.#ahead.shift();
      this.#given += this.#step;
      this.#fill();
      return batch;
    });
  }

  state(): unknown {
    return { kind: this.#stream.reader.kind, count: this.epochSize, seed: this.#seed, position: this.#given };
  }

  restore(state: unknown): void {
    if (this.#ahead.length > 0)
      throw new DataError('data/state', this.#at, 'restore() comes before the first next()');
    const { kind } = this.#stream.reader;
    const { seed, position } = checkState(state, { kind, count: this.epochSize }, this.#stream.layer);
    this.#seed = seed;
    this.#given = this.#begun = position;
  }

  async dispose(): Promise<void> {
    this.#turns.isDisposed = true;
    await this.#pool.close();
  }

  get #at() {
    return { layer: this.#stream.layer };
  }

  get #step(): number {
    return this.#stream.batch * this.#stream.ranks;
  }

  #fill(): void {
    while (this.#ahead.length < this.#prefetch && !this.#turns.isDisposed) {
      const batch = this.#read(this.#begun);
      batch.catch(() => {}); // is awaited in its turn
      this.#ahead.push(batch);
      this.#begun += this.#step;
    }
  }

  async #read(position: number): Promise<Batch> {
    const { batch, rank, ranks } = this.#stream;
    const samples: Sample[] = [];
    for (let i = 0; i < batch; i++) samples.push(await this.#sample(position + i * ranks + rank));
    return this.#pool.read(samples, this.#description.shapes);
  }

  async #sample(position: number): Promise<Sample> {
    const { order, images, skip } = this.#stream;
    const seed = mix(this.#seed, position);
    if (this.epochSize === null) return { index: 0, seed };
    const at = position + skip(this.#seed);
    const place = at % this.epochSize;
    const index = order === null ? place : (await this.#orderOf(Math.floor(at / this.epochSize)))[place]!;
    return images === null ? { index, seed } : { index, seed, image: images[index]! };
  }

  #orderOf(epoch: number): Promise<Uint32Array> {
    const known = this.#orders.get(epoch);
    if (known !== undefined) return known;
    const order = this.#stream.order!(epoch, this.#seed, this.#description);
    // A batch, and so what is under way, may reach from the last epoch into this one.
    for (const old of this.#orders.keys()) if (old < epoch - 1) this.#orders.delete(old);
    this.#orders.set(epoch, order);
    return order;
  }
}
