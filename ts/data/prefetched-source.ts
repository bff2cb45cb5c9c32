/** The batches of one data layer, which worker threads make ahead of the reader. */
import { DataError } from '../base/errors.ts';
import { usableProcessors } from '../base/processors.ts';
import { mix } from '../base/random.ts';
import { firstPixels, readLabelMap } from './label-map.ts';
import { type Description, type Sample, wholeTops } from './reader.ts';
import { type Batch, buffersOf, checkState, type DataSource, type OpenedSource } from './source.ts';
import type { Stream } from './stream.ts';
import { Turns, unlessAborted } from './turns.ts';
import { WorkerPool } from './worker-pool.ts';

/** libuv's threads decode and resize images; more workers than libuv has threads would only wait for them. */
const LIBUV_THREADS = Number(process.env.UV_THREADPOOL_SIZE ?? 4);

export interface Ahead {
  readonly seed: number;
  /** The number of batches made ahead. */
  readonly prefetch: number;
}

export class PrefetchedSource implements OpenedSource {
  readonly shapes: DataSource['shapes'];
  readonly epochSize: number | null;
  readonly #stream: Stream;
  readonly #description: Description;
  readonly #pool: WorkerPool;
  readonly #prefetch: number;
  #seed: number;
  /** The samples of all ranks before the next batch: those returned, and those begun. */
  #given = 0;
  #begun = 0;
  readonly #ahead: Promise<Batch>[] = [];
  /** Batches that were returned and not given back, by position; batches that were given back, to be filled again. */
  readonly #lent = new WeakMap<Batch, number>();
  readonly #spare: Batch[] = [];
  #orders = new Map<number, Promise<Uint32Array>>();
  readonly #turns: Turns;

  /** @throws DataError for faults of the first sample */
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
    const whole = wholeTops(stream.reader);
    this.shapes = Object.fromEntries(
      Object.entries(description.shapes).map(([top, shape]) => [
        top,
        stream.batched && !whole.includes(top) ? [stream.batch, ...shape] : shape,
      ]),
    );
    this.#prefetch = Math.max(1, prefetch);
    pool.size = stream.workers ?? Math.min(LIBUV_THREADS || 4, this.#prefetch, usableProcessors());
  }

  get waited(): number {
    return this.#turns.waited;
  }

  next(signal?: AbortSignal): Promise<Batch> {
    return this.#turns.take(signal, async () => {
      this.#fill();
      const batch = await this.#pool.hold(unlessAborted(this.#ahead[0]!, signal));
      this.#ahead.shift();
      this.#lent.set(batch, this.#given);
      this.#given += this.#step;
      this.#fill();
      return batch;
    });
  }

  recycle(batch: Batch): void {
    if (!this.#lent.delete(batch))
      throw new DataError(
        'data/batch',
        this.#at,
        'recycle() takes a batch that next() returned, and only once',
      );
    // If the caller transferred the batch, its memory is gone.
    const isWhole = buffersOf(batch).every(({ byteLength }) => byteLength > 0);
    if (isWhole && this.#spare.length < this.#prefetch) this.#spare.push(batch);
  }

  async nameOf(batch: Batch, sample: number, label?: number): Promise<string | null> {
    const begin = this.#lent.get(batch);
    const { reader } = this.#stream;
    if (begin === undefined || this.epochSize === null) return null;
    const position = this.#positionOf(begin, sample);
    const { index, image } = this.#sample(position, await this.#ordersAt([position]));
    if (image === undefined) return `record ${index} (counted from 0)`;
    const line = `${'list' in reader ? reader.list : 'the list'}:${image.line}`;
    if (image.map === undefined) return `${line} (${image.path})`;
    const pixel = firstPixels(await readLabelMap(image.map)).find((each) => each.label === label)?.pixel;
    return `${pixel === undefined ? '' : `${pixel} of `}${line} (${image.map})`;
  }

  state(): unknown {
    return { kind: this.#stream.reader.kind, count: this.epochSize, seed: this.#seed, position: this.#given };
  }

  restore(state: unknown): void {
    if (this.#ahead.length > 0)
      throw new DataError('data/state', this.#at, 'call restore() before the first next()');
    const { kind } = this.#stream.reader;
    const { seed, position } = checkState(state, { kind, count: this.epochSize }, this.#stream.layer);
    this.#seed = seed;
    this.#given = this.#begun = position;
  }

  async dispose(): Promise<void> {
    this.#turns.isDisposed = true;
    await this.#pool.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  get #at() {
    return { layer: this.#stream.layer };
  }

  get #step(): number {
    return this.#stream.batch * this.#stream.ranks;
  }

  /** @param begin Among the batches of all ranks. */
  #positionOf(begin: number, sample: number): number {
    const { batch, rank, ranks, share } = this.#stream;
    return share === 'batches' ? begin + rank * batch + sample : begin + sample * ranks + rank;
  }

  #fill(): void {
    while (this.#ahead.length < this.#prefetch && !this.#turns.isDisposed) {
      const batch = this.#read(this.#begun);
      batch.catch(() => {}); // awaited when it is due
      this.#ahead.push(batch);
      this.#begun += this.#step;
    }
  }

  async #read(position: number): Promise<Batch> {
    const positions = Array.from({ length: this.#stream.batch }, (_, i) => this.#positionOf(position, i));
    const orders = await this.#ordersAt(positions);
    const samples = positions.map((at) => this.#sample(at, orders));
    return this.#pool.read(samples, this.#description.shapes, this.#spare.pop() ?? null);
  }

  #sample(position: number, orders: ReadonlyMap<number, Uint32Array>): Sample {
    const { images } = this.#stream;
    const seed = mix(this.#seed, position);
    if (this.epochSize === null) return { index: 0, seed };
    const { epoch, place } = this.#placeOf(position, this.epochSize);
    const index = orders.get(epoch)?.[place] ?? place;
    return images === null ? { index, seed } : { index, seed, image: images[index]! };
  }

  #placeOf(position: number, epochSize: number): { epoch: number; place: number } {
    const at = position + this.#stream.skip(this.#seed);
    return { epoch: Math.floor(at / epochSize), place: at % epochSize };
  }

  /** The orders of the epochs that these positions are in; none if samples keep their own order. */
  async #ordersAt(positions: readonly number[]): Promise<ReadonlyMap<number, Uint32Array>> {
    const orders = new Map<number, Uint32Array>();
    if (this.#stream.order === null || this.epochSize === null) return orders;
    for (const position of positions) {
      const { epoch } = this.#placeOf(position, this.epochSize);
      if (!orders.has(epoch)) orders.set(epoch, await this.#orderOf(epoch));
    }
    return orders;
  }

  #orderOf(epoch: number): Promise<Uint32Array> {
    const known = this.#orders.get(epoch);
    if (known !== undefined) return known;
    const order = this.#stream.order!(epoch, this.#seed, this.#description);
    // A batch, and therefore work in progress, may extend from the last epoch into this one.
    for (const old of this.#orders.keys()) if (old < epoch - 1) this.#orders.delete(old);
    this.#orders.set(epoch, order);
    return order;
  }
}
