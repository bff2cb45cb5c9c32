/** The figures as JSON (`resnode-bench/1`) and as a table for people. */
import type { EventLoopDelay } from './job.ts';
import type { Machine } from './machine.ts';
import { median } from './statistics.ts';

/** What `--json` writes. A field that changes its meaning changes the number at the end of the schema's name. */
export interface Report {
  readonly schema: 'resnode-bench/1';
  /** ISO 8601. */
  readonly date: string;
  /** With "+" where the checkout had changes; null outside one. */
  readonly commit: string | null;
  readonly machine: Machine;
  /** Cores that other processes took during the quiet rounds: the mean, and the worst of any measurement. */
  readonly othersCores: { readonly mean: number; readonly max: number };
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: { readonly threads: number; readonly precision: 'float32'; readonly rounds: number };
  /** The peak that shares are of: sgemm through oneDNN, the best of all rounds. */
  readonly sgemmGflops: number;
  readonly absent: readonly { readonly engine: string; readonly reason: string }[];
  readonly results: readonly Result[];
}

/** One engine on one net at one batch size. Times in milliseconds a run (not an image). */
export interface Result {
  readonly engine: string;
  readonly net: string;
  readonly batch: number;
  /** Multiply-accumulates of one run as this engine gets the net, all convolutions counted as direct ones. */
  readonly macs: number;
  /** Every timed run, by round. */
  readonly quiet: readonly (readonly number[])[];
  /** The same with one core kept busy by another process; null where it was not asked for. */
  readonly busy: readonly (readonly number[])[] | null;
  /** The worst of the quiet rounds. */
  readonly eventLoop: EventLoopDelay;
  /** Engine opened, net and weights loaded from disk (page cache warm), first run; one a round. */
  readonly firstAnswer: readonly number[];
  /** Of a process that loads and runs, node included. The most of the rounds; null where it cannot be told. */
  readonly peakBytes: number | null;
}

/** Images a second at the median of all rounds. */
export function imagesPerSecond(rounds: readonly (readonly number[])[], batch: number): number {
  return (1000 * batch) / median(rounds.flat());
}

/** The report as lines of text. */
export function table(report: Report): string {
  const { machine, versions, settings, othersCores } = report;
  const lines = [
    `${machine.processor}, ${machine.cores} cores, load ${machine.load.toFixed(2)}, governor ${machine.governor ?? 'unknown'}`,
    `${settings.threads} threads, ${settings.precision}, ${settings.rounds} interleaved rounds; ${Object.entries(
      versions,
    )
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}`,
    `sgemm through oneDNN: ${report.sgemmGflops.toFixed(0)} GFLOP/s`,
    ...report.absent.map(({ engine, reason }) => `${engine}: absent, ${reason}`),
  ];
  if (othersCores.max > 0.2)
    lines.push(
      `warning: other processes took ${othersCores.mean.toFixed(2)} cores, ${othersCores.max.toFixed(2)} at worst; these figures are noisy`,
    );
  for (const result of report.results) lines.push('', ...describe(result, report));
  return lines.join('\n');
}

function describe(result: Result, report: Report): string[] {
  const { engine, net, batch, quiet, busy, eventLoop, firstAnswer, peakBytes } = result;
  const times = quiet.flat();
  const share = (2 * result.macs) / median(times) / 1e6 / report.sgemmGflops;
  const indent = ' '.repeat(2);
  const lines = [
    `${net}, batch ${batch}, ${engine}: ${imagesPerSecond(quiet, batch).toFixed(1)} images/s`,
    `${indent}a run: median ${ms(median(times))}, ${ms(Math.min(...times))} to ${ms(Math.max(...times))}, ${times.length} runs; ${percent(share)} of sgemm`,
    `${indent}disk to first answer ${ms(median(firstAnswer))}; peak memory ${peakBytes === null ? 'unknown' : `${(peakBytes / 1e6).toFixed(0)} MB`}`,
    `${indent}event loop late by: median ${ms(eventLoop.median)}, p99 ${ms(eventLoop.p99)}, most ${ms(eventLoop.max)}`,
  ];
  if (busy !== null) {
    const beside = imagesPerSecond(busy, batch);
    lines.push(
      `${indent}beside a busy core: ${beside.toFixed(1)} images/s, ${percent(beside / imagesPerSecond(quiet, batch))} of quiet`,
    );
  }
  const own = report.results.find((each) => each.net === net && each.batch === batch)!;
  if (own !== result) {
    const ratio = (rounds: Result['quiet'], ours: Result['quiet']) =>
      (median(rounds.flat()) / median(ours.flat())).toFixed(2);
    const besides = busy === null || own.busy === null ? '' : `, beside a busy core ${ratio(busy, own.busy)}`;
    lines.push(`${indent}its median over ${own.engine}'s: ${ratio(quiet, own.quiet)}${besides}`);
  }
  return lines;
}

const ms = (value: number) => `${value.toFixed(1)} ms`;
const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
