/** What data layers give. */
import { DataError } from '../base/errors.ts';
import { having, type Kind } from '../base/kinds.ts';

/** One batch by blob name: the tops of the data layers, in their shapes. */
export interface Batch {
  readonly [top: string]: Float32Array | Uint8Array;
}

/** The memory of a batch, to be transferred. */
export const buffersOf = (batch: Batch): ArrayBuffer[] =>
  Object.values(batch).map(({ buffer }) => buffer as ArrayBuffer);

/** Batches, made ahead of their reader by worker threads. */
export interface DataSource {
  /** Top → shape, batch first. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Samples until they begin again; null where that is unknown or never (DummyData, iterators). */
  readonly epochSize: number | null;
  /**
   * The next batch; one call at a time. An aborted call takes no batch: the next call gets it.
   * @throws DataError, also at every later call; the signal's reason; `data/ended` where an iterator has no more
   */
  next(signal?: AbortSignal): Promise<Batch>;
  /**
   * Takes back a batch that `next` gave and that is not looked at any more: its memory is filled again, which saves
   * taking and clearing more. Nobody has to; a source whose batches are somebody else's has no such method.
   * @throws DataError `data/batch` for another batch, or the same one twice
   */
  recycle?(batch: Batch): void;
  /**
   * What a sample of a batch is that `next` gave, e.g. `list.txt:4 (cat.png)`, for messages; absent where nobody knows.
   * @param label Of one of its pixels: where it has a label map, the place is that of the first such pixel.
   */
  nameOf?(batch: Batch, sample: number, label?: number): Promise<string | null>;
  /** Milliseconds that callers of next() have waited, in all. */
  readonly waited: number;
  /** The position, for a snapshot, as JSON. */
  state(): unknown;
  /** Goes on where `state` was taken, to the same bits; before the first next(). @throws DataError `data/state` */
  restore(state: unknown): void;
  /** Stops the workers and waits for their end. A next() that waits is refused with `data/disposed`. */
  dispose(): Promise<void>;
}

/** A source that resnode opened: `await using` ends its threads. */
export interface OpenedSource extends DataSource {
  /** `dispose()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Something that gives batches: of openNetData, openDataLayer, or the caller's own. */
export const dataSource: Kind<DataSource> = having<DataSource>('a DataSource', 'next', 'dispose');
export interface SourceState {
  /** What is read. */
  readonly kind: string;
  /** Samples of an epoch. */
  readonly count: number | null;
  readonly seed: number;
  /** Samples given, of all ranks together (batches, for an iterator). */
  readonly position: number;
}

/** @throws DataError `data/state` where a state is not one of a source like this one */
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
