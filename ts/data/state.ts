/** The state of a source, as it is kept in a snapshot. */
import { DataError } from '../base/errors.ts';

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
      `the state was taken where an epoch had ${count} samples; here it has ${expected.count}: the data changed, so it cannot go on to the same bits`,
    );
  return { kind, count: expected.count, seed, position };
}
