/** Times engines in turn. */

export interface Engine {
  readonly name: string;
  /** Probabilities, or the losses of the first steps; null where the net is not the same and nothing can be compared. */
  output(): Promise<Float32Array | null>;
  /** Milliseconds from each call to its result in the process's memory, one call at a time. */
  latency(runs: number): Promise<number[]>;
  /** Milliseconds a run where the next ones already wait; one number for all runs. */
  throughput(runs: number): Promise<number[]>;
  /** Updates that were skipped so far because their diffs were not finite; of training alone. */
  skippedUpdates?(): Promise<number>;
}

/**
 * Why an engine is not timed: what is no number takes no time that means anything. Null where all is finite, and where
 * there is nothing to look at.
 */
export function whyNotTimed(output: Float32Array | null): string | null {
  const bad = output?.filter((value) => !Number.isFinite(value)) ?? [];
  if (bad.length === 0) return null;
  return `not timed: ${bad.length} of its ${output!.length} values are not finite (the first of them ${bad[0]})`;
}

export interface Compared {
  readonly output: Float32Array | null;
  /** Why it was not timed, else null. */
  readonly refusal: string | null;
  /** The largest difference to the first engine as a share of its largest value; null where one of them has none. */
  readonly apart: number | null;
  /** Null where it was not timed. */
  readonly times: Times | null;
}

/** Compares what the engines compute, then times in turn those whose results are finite. */
export async function compareAndTime(engines: readonly Engine[]): Promise<Compared[]> {
  const outputs: (Float32Array | null)[] = [];
  for (const engine of engines) outputs.push(await engine.output());
  const refusals = outputs.map(whyNotTimed);
  const timed = engines.filter((_, i) => refusals[i] === null);
  const times = await takeTurns(timed);
  const isComparable = (i: number) => outputs[i] !== null && refusals[i] === null;
  return engines.map((engine, i) => ({
    output: outputs[i]!,
    refusal: refusals[i]!,
    apart: i > 0 && isComparable(0) && isComparable(i) ? apart(outputs[i]!, outputs[0]!) : null,
    times: refusals[i] === null ? times[timed.indexOf(engine)]! : null,
  }));
}

export interface Times {
  readonly latency: number[];
  readonly throughput: number[];
}

/** Milliseconds of each run, one at a time. */
export async function oneByOne(run: () => Promise<unknown>, runs: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times;
}

/** Milliseconds a run where all wait at once. */
export async function allAtOnce(run: () => Promise<unknown>, runs: number): Promise<number> {
  const start = performance.now();
  await Promise.all(Array.from({ length: runs }, run));
  return (performance.now() - start) / runs;
}

const ROUNDS = 5;
/** About how long an engine measures each of the two in a round. */
const MILLISECONDS = 150;

/** One engine after the other in every round, so that what disturbs meets all of them. They are warm already. */
export async function takeTurns(engines: readonly Engine[]): Promise<Times[]> {
  const jobs: { engine: Engine; runs: number; times: Times }[] = [];
  for (const engine of engines) {
    const once = Math.min(...(await engine.latency(3)));
    const runs = Math.max(3, Math.min(500, Math.round(MILLISECONDS / once)));
    jobs.push({ engine, runs, times: { latency: [], throughput: [] } });
  }
  for (let round = 0; round < ROUNDS; round++)
    for (const { engine, runs, times } of jobs) {
      times.latency.push(...(await engine.latency(runs)));
      times.throughput.push(...(await engine.throughput(runs)));
    }
  return jobs.map(({ times }) => times);
}

function spread(values: readonly number[]) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))]!;
  return { median: at(0.5), p10: at(0.1), p90: at(0.9), count: sorted.length };
}

/** Medians and spread. */
export function timesRow(batch: number, { latency, throughput }: Times) {
  const throughputMilliseconds = spread(throughput);
  return {
    imagesPerSecond: (1000 * batch) / throughputMilliseconds.median,
    latency: spread(latency),
    throughputMilliseconds,
  };
}

/** The largest difference as a share of the largest expected value; Infinity where one is no number. */
export function apart(actual: Float32Array, expected: Float32Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const differences = expected.map((value, i) => Math.abs(value - actual[i]!));
  const worst = differences.reduce(
    (most, value) => Math.max(most, Number.isNaN(value) ? Infinity : value),
    0,
  );
  return worst / largest;
}
