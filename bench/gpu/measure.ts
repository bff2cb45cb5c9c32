/** Times engines in turn. */

export interface Engine {
  readonly name: string;
  /** Probabilities, or the losses of the first steps; null if the net differs and nothing can be compared. */
  output(): Promise<Float32Array | null>;
  /** Milliseconds from each call to its result in the process's memory, one call at a time. */
  latency(runs: number): Promise<number[]>;
  /** Milliseconds per run while the next runs already wait; one number for all runs. */
  throughput(runs: number): Promise<number[]>;
  /** How many updates were skipped so far because their diffs were not finite; training only. */
  skippedUpdates?(): Promise<number>;
}

/**
 * Why an engine is not timed: the time of a result that is not finite means nothing. Null if all values are finite, or
 * if there are none.
 */
export function whyNotTimed(output: Float32Array | null): string | null {
  const bad = output?.filter((value) => !Number.isFinite(value)) ?? [];
  if (bad.length === 0) return null;
  return `not timed: ${bad.length} of its ${output!.length} values are not finite (the first of them ${bad[0]})`;
}

export interface Compared {
  readonly output: Float32Array | null;
  /** Why it was not timed, or null. */
  readonly refusal: string | null;
  /**
   * The largest difference from the first engine, as a share of its largest value; null if one of them has no output.
   */
  readonly apart: number | null;
  /** Null if it was not timed. */
  readonly times: Times | null;
}

/** Compares the engines' results, then times in turn those with finite results. */
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

/** Milliseconds per run when all are queued at once. */
export async function allAtOnce(run: () => Promise<unknown>, runs: number): Promise<number> {
  const start = performance.now();
  await Promise.all(Array.from({ length: runs }, run));
  return (performance.now() - start) / runs;
}

const ROUNDS = 5;
/** How long an engine measures each of the two in a round, roughly. */
const MILLISECONDS = 150;

/** In every round the engines run one after the other, so that disturbances affect all of them. They must be warm. */
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

/** Medians and spreads. */
export function timesRow(batch: number, { latency, throughput }: Times) {
  const throughputMilliseconds = spread(throughput);
  return {
    imagesPerSecond: (1000 * batch) / throughputMilliseconds.median,
    latency: spread(latency),
    throughputMilliseconds,
  };
}

/** The largest difference as a share of the largest expected value; Infinity if a value is NaN. */
export function apart(actual: Float32Array, expected: Float32Array): number {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const differences = expected.map((value, i) => Math.abs(value - actual[i]!));
  const worst = differences.reduce(
    (most, value) => Math.max(most, Number.isNaN(value) ? Infinity : value),
    0,
  );
  return worst / largest;
}
