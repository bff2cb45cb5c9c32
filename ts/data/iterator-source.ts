/** Batches from the caller's own iterator (Input, MemoryData), which are checked and passed on without transformation. */

import { DataError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import type { Batch, DataSource, OpenedSource } from './source.ts';
import { checkState } from './source.ts';
import { Turns, unlessAborted } from './turns.ts';

export class IteratorSource implements OpenedSource {
  readonly shapes: DataSource['shapes'];
  readonly epochSize = null;
  readonly #layer: string;
  readonly #turns: Turns;
  readonly #iterator: AsyncIterator<Batch>;
  /** A batch that was requested from the iterator but not returned: an aborted call leaves it for the next one. */
  #pending: Promise<IteratorResult<Batch>> | null = null;
  #given = 0;
  #passed = 0;
  #target = 0;

  constructor(layer: string, shapes: DataSource['shapes'], batches: AsyncIterable<Batch>) {
    this.#layer = layer;
    this.#turns = new Turns(layer);
    this.shapes = shapes;
    this.#iterator = batches[Symbol.asyncIterator]();
  }

  get waited(): number {
    return this.#turns.waited;
  }

  next(signal?: AbortSignal): Promise<Batch> {
    return this.#turns.take(signal, async () => {
      // Skips the batches that the earlier run had received.
      for (; this.#passed < this.#target; this.#passed++) await this.#take(signal);
      const batch = await this.#take(signal);
      this.#check(batch);
      this.#given++;
      return batch;
    });
  }

  state(): unknown {
    return { kind: 'iterator', count: null, seed: 0, position: this.#target + this.#given };
  }

  /** The iterator must begin where it began then: batches that were returned before are taken from it and dropped. */
  restore(state: unknown): void {
    if (this.#given > 0 || this.#target > 0)
      throw new DataError('data/state', this.#at, 'call restore() before the first next()');
    this.#target = checkState(state, { kind: 'iterator', count: null }, this.#layer).position;
  }

  async dispose(): Promise<void> {
    if (this.#turns.isDisposed) return;
    this.#turns.isDisposed = true;
    // A busy generator would end only after its work, which may never finish.
    const end = this.#iterator.return?.();
    if (this.#pending === null) await end;
    else end?.catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  get #at() {
    return { layer: this.#layer };
  }

  async #take(signal: AbortSignal | undefined): Promise<Batch> {
    this.#pending ??= this.#iterator.next();
    this.#pending.catch(() => {}); // if no later call awaits it
    const { done, value } = await unlessAborted(this.#pending, signal);
    if (done === true)
      throw new DataError(
        'data/ended',
        this.#at,
        `the iterator ended after ${this.#passed + this.#given} batches; give an iterator that does not end, or train for fewer iterations`,
      );
    this.#pending = null;
    return value;
  }

  #check(batch: Batch): void {
    const expected = Object.entries(this.shapes).map(([top, shape]) => `${top} ${shape.join('×')}`);
    for (const [top, shape] of Object.entries(this.shapes)) {
      const array: unknown = batch?.[top];
      const isArray = array instanceof Float32Array || array instanceof Uint8Array;
      const count = elementCount(shape);
      if (!isArray || array.length !== count)
        throw new DataError(
          'data/batch',
          this.#at,
          `the iterator's batch ${this.#passed + this.#given} has ${isArray ? `${array.length} values` : 'no Float32Array or Uint8Array'} for "${top}"; expected ${expected.join(', ')}`,
        );
    }
  }
}
