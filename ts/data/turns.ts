/**
 * Serialises the calls of a source's next(): one at a time and none after the end. It also counts how long they have waited.
 */
import { DataError } from '../base/errors.ts';
import { onAbort } from '../base/on-abort.ts';

export class Turns {
  /** In milliseconds. */
  waited = 0;
  isDisposed = false;
  readonly #layer: string;
  #isTaken = false;

  /** @param layer The name of the layer in errors. */
  constructor(layer: string) {
    this.#layer = layer;
  }

  /** @throws DataError `data/disposed`, `data/busy`; the signal's reason; the errors of `work` */
  async take<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    const at = { layer: this.#layer };
    if (this.isDisposed) throw new DataError('data/disposed', at, 'the data source is disposed');
    if (this.#isTaken)
      throw new DataError(
        'data/busy',
        at,
        'next() was called before the previous call had returned its batch; await it first',
      );
    this.#isTaken = true;
    const begin = performance.now();
    try {
      return await work();
    } finally {
      this.#isTaken = false;
      this.waited += performance.now() - begin;
    }
  }
}

/**
 * Waits for `work` or for the signal, whichever comes first; the work continues.
 * @throws The errors of the work; the signal's reason
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  let withdraw = () => {};
  const aborted = new Promise<never>((_, reject) => {
    withdraw = onAbort(signal, () => reject(signal.reason));
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    withdraw();
  }
}
