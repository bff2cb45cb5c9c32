/** Two reports of the same machine kind: what became faster, what slower, and what is noise. */
import { ArgumentError } from '../errors.ts';
import type { RecordedReport } from './read-report.ts';
import { titleOf } from './report.ts';
import { median } from './statistics.ts';

/** One thing that both reports measured. */
export interface Comparison {
  /** `ResNet-50, batch 1, resnode`, or an operation's name. */
  readonly name: string;
  /** Medians in milliseconds. */
  readonly before: number;
  readonly after: number;
  /** after / before. */
  readonly ratio: number;
  /** The ratio that noise alone may give: the spread of the rounds' medians of both, at least 2%. */
  readonly noise: number;
  readonly verdict: 'faster' | 'slower' | 'same within noise';
}

export interface ReportComparison {
  readonly comparisons: readonly Comparison[];
  /** Why the two should not be compared, if so: other processors, thread counts, a disturbed run. */
  readonly warnings: readonly string[];
}

/** @throws ArgumentError where nothing was measured by both */
export function compareReports(before: RecordedReport, after: RecordedReport): ReportComparison {
  const [old, now] = [samplesOf(before), samplesOf(after)];
  const comparisons = [...old].flatMap(([name, rounds]) => {
    const others = now.get(name);
    return others === undefined ? [] : [compare(name, rounds, others)];
  });
  if (comparisons.length === 0)
    throw new ArgumentError(
      'reports',
      'two that measured the same net, batch size and engine',
      'none in common',
    );
  const warnings: string[] = [];
  const differ = (what: string, a: unknown, b: unknown) => {
    if (a !== b) warnings.push(`${what} differ: ${a} and ${b}`);
  };
  differ('processors', before.machine.processor, after.machine.processor);
  differ('thread counts', before.settings.threads, after.settings.threads);
  for (const [which, { othersCores }] of [
    ['first', before],
    ['second', after],
  ] as const)
    if (othersCores.max > 0.2)
      warnings.push(`other processes took up to ${othersCores.max.toFixed(2)} cores during the ${which} run`);
  const change = after.sgemmGflops / before.sgemmGflops;
  if (Math.abs(change - 1) > 0.1)
    warnings.push(
      `the machine itself changed: sgemm ${before.sgemmGflops.toFixed(0)} and ${after.sgemmGflops.toFixed(0)} GFLOP/s`,
    );
  return { comparisons, warnings };
}

function samplesOf({ results, operations }: RecordedReport): Map<string, readonly (readonly number[])[]> {
  return new Map([
    ...results.map((result) => [`${titleOf(result)}, ${result.engine}`, result.quiet] as const),
    ...(operations?.times ?? []).map(
      ({ name, milliseconds }) =>
        [`${name}, batch ${operations!.batch}`, milliseconds.map((time) => [time])] as const,
    ),
  ]);
}

// Rounds, not runs: runs of one process are not independent of each other.
function compare(
  name: string,
  before: readonly (readonly number[])[],
  after: readonly (readonly number[])[],
): Comparison {
  const [old, now] = [median(before.flat()), median(after.flat())];
  const noise = Math.max(0.02, Math.hypot(spread(before), spread(after)));
  const ratio = now / old;
  const verdict = ratio > 1 + noise ? 'slower' : ratio < 1 / (1 + noise) ? 'faster' : 'same within noise';
  return { name, before: old, after: now, ratio, noise, verdict };
}

// Twice the median absolute deviation of the rounds' medians, as a share of the median.
function spread(rounds: readonly (readonly number[])[]): number {
  const medians = rounds.map(median);
  const middle = median(medians);
  return (2 * median(medians.map((each) => Math.abs(each - middle)))) / middle;
}
