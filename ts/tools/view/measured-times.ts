/** Times of operations from `resnode time --json`, and the roofline (Williams, Waterman, Patterson, CACM 2009). */

import { ArgumentError } from '../../base/errors.ts';
import { path } from '../../base/kinds.ts';
import { required, signature } from '../../base/options.ts';
import { readJsonFile } from '../../caffe/json.ts';
import type { Measured, Roofs } from './page-data.ts';

/** One operation of the net. */
export interface MeasuredOperation {
  readonly layer: string;
  readonly implementation: string;
  readonly milliseconds: number;
}

export interface MeasuredTimes {
  readonly device: string;
  /** The whole net, median. */
  readonly milliseconds: number;
  readonly operations: readonly MeasuredOperation[];
}

const READ_TIMES = signature('readTimes', {
  file: required(path, 'The path of a file that `resnode time --json` printed.'),
});

/**
 * Reads the output of `resnode time --json`.
 * @throws ArgumentError naming the file and the error
 */
export function readTimes(file: string): MeasuredTimes {
  READ_TIMES.check(file);
  const expected = 'a file that `resnode time --json` printed';
  const json = readJsonFile(file, 'times', (found) => new ArgumentError('time', expected, file, found)) as {
    device?: unknown;
    milliseconds?: { median?: unknown };
    operations?: unknown;
  } | null;
  const isTimed = (each: unknown): each is MeasuredOperation => {
    const { layer, implementation, milliseconds } = (each ?? {}) as Partial<MeasuredOperation>;
    return typeof layer === 'string' && typeof implementation === 'string' && Number.isFinite(milliseconds);
  };
  const { operations } = json ?? {};
  const median = json?.milliseconds?.median;
  if (typeof median !== 'number' || !Array.isArray(operations) || !operations.every(isTimed))
    throw new ArgumentError('time', expected, file, 'it lacks milliseconds.median or operations');
  return { device: String(json?.device ?? 'a device'), milliseconds: median, operations };
}

export interface Work {
  readonly macs: number;
  readonly bytes: number;
}

/**
 * The machine's limits: the given ones, or otherwise the highest rates of any operation in the run, which the true limits
 * are at least.
 */
export function findRoofs(
  timed: readonly (Work & { milliseconds: number })[],
  given: { gflops?: number; gigabytes?: number },
): Roofs {
  const best = (of: (work: Work) => number) =>
    timed.reduce((highest, work) => Math.max(highest, of(work) / (work.milliseconds * 1e6)), 0);
  const isGiven = given.gflops !== undefined && given.gigabytes !== undefined;
  return {
    gflops: given.gflops ?? best(({ macs }) => 2 * macs),
    gigabytes: given.gigabytes ?? best(({ bytes }) => bytes),
    source: isGiven ? 'as given' : 'the highest rate that an operation of this run reached, unless given',
  };
}

/** The minimal milliseconds within the limits: every byte once, every multiply-accumulate as two operations. */
export function boundOf({ macs, bytes }: Work, roofs: Roofs): Pick<Measured, 'bound' | 'limit'> {
  const arithmetic = roofs.gflops > 0 ? (2 * macs) / (roofs.gflops * 1e6) : 0;
  const memory = roofs.gigabytes > 0 ? bytes / (roofs.gigabytes * 1e6) : 0;
  return { bound: Math.max(arithmetic, memory), limit: arithmetic > memory ? 'arithmetic' : 'memory' };
}
