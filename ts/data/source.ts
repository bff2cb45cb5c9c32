/** The interface of data layers' sources. */
import { DataError } from '../base/errors.ts';
import { having, type Kind } from '../base/kinds.ts';

/** One batch by blob name: the tops of the data layers with their shapes. */
export interface Batch {
  readonly [top: string]: Float32Array | Uint8Array;
}

/** The memory of a batch, for a transfer. */
export const buffersOf = (batch: Batch): ArrayBuffer[] =>
  Object.values(batch).map(({ buffer }) => buffer as ArrayBuffer);

/** A source of batches, which worker threads make ahead of the reader. */
export interface DataSource {
  /** The shape of each top, batch first. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** The number of samples until they repeat; null if it is unknown or they never repeat (DummyData, iterators). */
  readonly epochSize: number | null;
  /**
   * Returns the next batch; make one call at a time. An aborted call takes no batch: the next call gets it.
   * @throws DataError, also at every later call; the signal's reason; `data/ended` if an iterator has no more batches
   */
  next(signal?: AbortSignal): Promise<Batch>;
  /**
   * Takes back a batch that `next` returned and that the caller no longer needs: its memory is filled again, which saves
   * allocating and clearing more. The call is optional; a source whose batches belong to someone else has no such method.
   * @throws DataError `data/batch` for another batch, or the same one twice
   */
  recycle?(batch: Batch): void;
  /**
   * The origin of a sample in a batch that `next` returned, e.g. `list.txt:4 (cat.png)`, for messages; absent if it is
   * unknown.
   * @param label The label of one of its pixels; with a label map, the position is that of the first such pixel.
   */
  nameOf?(batch: Batch, sample: number, label?: number): Promise<string | null>;
  /** The total milliseconds that callers of next() have waited. */
  readonly waited: number;
  /** The position as JSON, for a snapshot. */
  state(): unknown;
  /**
   * Continues where `state` was taken, with the same bits; call it before the first next().
   * @throws DataError `data/state`
   */
  restore(state: unknown): void;
  /** Stops the workers and waits for their end. A waiting next() is rejected with `data/disposed`. */
  dispose(): Promise<void>;
}

/** A source that resnode opened: `await using` ends its threads. */
export interface OpenedSource extends DataSource {
  /** `dispose()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A source of batches: of openNetData, openDataLayer, or the caller's own. */
export const dataSource: Kind<DataSource> = having<DataSource>('a DataSource', 'next', 'dispose');
export interface SourceState {
  /** The kind of data. */
  readonly kind: string;
  /** The number of samples of an epoch. */
  readonly count: number | null;
  readonly seed: number;
  /** The number of samples returned, of all ranks together (batches, for an iterator). */
  readonly position: number;
}

/** @throws DataError `data/state` if a state does not belong to such a source */
export function checkState(
  state: unknown,
  expected: Pick<SourceState, 'kind' | 'count'>,
  layer: string,
): SourceState {
  const { kind, count, seed, position } = (state ?? {}) as Partial<SourceState>;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (kind !== expected.kind || !isCount(position) || !isCount(seed))
    throw new DataError(
      'data/state',
      { layer },
      `this state is not one of this source (${expected.kind}); give what state() returned`,
    );
  if (count !== expected.count)
    throw new DataError(
      'data/state',
      { layer },
      `the state was taken where an epoch had ${count} samples; here it has ${expected.count}: the data changed, so a resumed run could not compute the same bits`,
    );
  return { kind, count: expected.count, seed, position };
}
