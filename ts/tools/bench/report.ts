/** The figures as JSON (`resnode-bench/3`) and as a table. */
import type { CaffeTime } from './caffe-time.ts';
import { type Conditions, conditionLines } from './conditions.ts';
import type { EventLoopDelay, OperationTime } from './job.ts';
import { median } from './statistics.ts';

/** The output of `--json`. A field that changes its meaning changes the number at the end of the schema's name. */
export interface Report extends Conditions {
  readonly schema: 'resnode-bench/3';
  /** GB/s of a sum of two arrays that exceed every cache, reads plus writes; the best of all rounds. */
  readonly bandwidth: number;
  readonly results: readonly Result[];
  /** Every distinct operation of the nets alone; null if it was not requested. */
  readonly operations: { readonly batch: number; readonly times: readonly OperationTime[] } | null;
  readonly caffe: readonly CaffeFigures[];
}

/** A run is a net forward, or a training step (forward, loss, backward, update). */
export type Task = 'forward' | 'training';

/** One engine on one net at one batch size. Times are in milliseconds per run, not per image. */
export interface Result {
  readonly task: Task;
  readonly engine: string;
  readonly net: string;
  readonly batch: number;
  /** Multiply-accumulates of one run of the net that this engine gets. All convolutions are counted as direct ones. */
  readonly macs: number;
  /** Every timed run, by round. */
  readonly quiet: readonly (readonly number[])[];
  /** The same while another process keeps one core busy; null if it was not requested. */
  readonly busy: readonly (readonly number[])[] | null;
  /** The maximum of the quiet rounds; null for an engine without an event loop. */
  readonly eventLoop: EventLoopDelay | null;
  /**
   * The time to open the engine, load net and weights from disk (page cache warm) and run once; one per round. Empty if not
   * measured.
   */
  readonly firstAnswer: readonly number[];
  /**
   * The memory of a process that loads and runs, including its interpreter: the maximum of the rounds; null if it is
   * unknown.
   */
  readonly peakBytes: number | null;
}

/** The time of a Caffe build, measured in this run by `--caffe` or recorded elsewhere and given by `--caffe-figures`. */
export interface CaffeFigures {
  /** The net that was timed, for deployment or for training. `caffe time` goes backward in both, and never updates. */
  readonly task: Task;
  readonly net: string;
  readonly batch: number;
  readonly time: CaffeTime;
  /** A description of the machine on which it was recorded; null: this machine, in this run. */
  readonly recordedOn: string | null;
}

/** The measurements of one net at one batch size. */
export interface Group {
  /** `ResNet-50, batch 8`, with `training step` for training. */
  readonly title: string;
  readonly task: Task;
  readonly batch: number;
  /** The others are compared with the first engine's result. */
  readonly results: readonly Result[];
  readonly caffe: readonly CaffeFigures[];
}

/** The report by net, batch size and task, in the order of measurement. */
export function groupsOf({ results, caffe }: Pick<Report, 'results' | 'caffe'>): Group[] {
  const all = [...results, ...caffe];
  return [...new Set(all.map(titleOf))].map((title) => {
    const { task, batch } = all.find((each) => titleOf(each) === title)!;
    const isOfIt = (each: Result | CaffeFigures) => titleOf(each) === title;
    return { title, task, batch, results: results.filter(isOfIt), caffe: caffe.filter(isOfIt) };
  });
}

/** `ResNet-50, batch 8`, with `training step` for training. */
export const titleOf = ({ net, batch, task }: Pick<Result, 'net' | 'batch' | 'task'>): string =>
  `${net}, batch ${batch}${task === 'training' ? ', training step' : ''}`;

/**
 * The milliseconds of Caffe that are compared with a run: its forward, or its forward and backward, which lack the update.
 */
export const caffeMilliseconds = ({ task, time }: CaffeFigures): number =>
  task === 'forward' ? time.averageForward : time.averageForwardBackward;

/** The share of sgemm's speed, at the median. */
export const shareOfSgemm = ({ macs, quiet }: Result, { sgemmGflops }: Pick<Report, 'sgemmGflops'>): number =>
  (2 * macs) / median(quiet.flat()) / 1e6 / sgemmGflops;

/** Images per second at the median of all rounds. */
export function imagesPerSecond(rounds: readonly (readonly number[])[], batch: number): number {
  return (1000 * batch) / median(rounds.flat());
}

/**
 * The share of the limit that binds an operation, at its median: arithmetic relative to sgemm, or bytes relative to the
 * bandwidth.
 */
export function shareOfPeak(
  { macs, bytes, milliseconds }: OperationTime,
  report: Pick<Report, 'sgemmGflops' | 'bandwidth'>,
): number {
  const time = median(milliseconds);
  return Math.max((2 * macs) / time / 1e6 / report.sgemmGflops, bytes / time / 1e6 / report.bandwidth);
}

/** The report as lines of text. */
export function table(report: Report): string {
  const { machine } = report;
  const lines = [
    `${machine.processor}, ${machine.cores} cores, load ${machine.load.toFixed(2)}, governor ${machine.governor ?? 'unknown'}`,
    ...conditionLines(report, `; sum of large arrays: ${report.bandwidth.toFixed(1)} GB/s`),
  ];
  for (const group of groupsOf(report)) {
    for (const result of group.results) lines.push('', ...describe(result, group, report));
    for (const figures of group.caffe) lines.push('', ...describeCaffe(figures, group));
  }
  if (report.operations !== null) lines.push('', ...operationLines(report.operations, report));
  return lines.join('\n');
}

function describe(result: Result, { title, results }: Group, report: Report): string[] {
  const { task, engine, batch, quiet, busy, eventLoop, firstAnswer, peakBytes } = result;
  const [run, runs] = task === 'training' ? ['step', 'steps'] : ['run', 'runs'];
  const times = quiet.flat();
  const share = shareOfSgemm(result, report);
  const indent = ' '.repeat(2);
  const lines = [
    `${title}, ${engine}: ${imagesPerSecond(quiet, batch).toFixed(1)} images/s`,
    `${indent}a ${run}: median ${ms(median(times))}, ${ms(Math.min(...times))} to ${ms(Math.max(...times))}, ${times.length} ${runs}; ${percent(share)} of sgemm`,
    `${indent}disk to first answer ${ms(median(firstAnswer))}; peak memory ${peakBytes === null ? 'unknown' : `${(peakBytes / 1e6).toFixed(0)} MB`}`,
  ];
  if (eventLoop !== null)
    lines.push(
      `${indent}event loop late by: median ${ms(eventLoop.median)}, p99 ${ms(eventLoop.p99)}, most ${ms(eventLoop.max)}`,
    );
  if (busy !== null) {
    const rate = imagesPerSecond(busy, batch);
    lines.push(
      `${indent}beside a busy core: ${rate.toFixed(1)} images/s, ${percent(rate / imagesPerSecond(quiet, batch))} of quiet`,
    );
  }
  const own = results[0]!;
  if (own !== result) {
    const besides =
      busy === null || own.busy === null
        ? ''
        : `, beside a busy core ${(median(busy.flat()) / median(own.busy.flat())).toFixed(2)}`;
    lines.push(`${indent}its median over ${own.engine}'s: ${ratio(result, own).toFixed(2)}${besides}`);
  }
  return lines;
}

/** The ratio of a result to `own`, by medians. */
export function ratio(result: Result, own: Result): number {
  return median(result.quiet.flat()) / median(own.quiet.flat());
}

function describeCaffe(figures: CaffeFigures, { title, task, results }: Group): string[] {
  const { time, recordedOn } = figures;
  const place = recordedOn === null ? 'in this run' : `recorded on ${recordedOn}`;
  const lines = [
    `${title}, Caffe (${time.device ?? 'unknown device'}), ${place}: forward ${ms(time.averageForward)}, backward ${ms(time.averageBackward)}, ${time.iterations} iterations`,
  ];
  const own = results[0];
  if (own !== undefined && recordedOn === null) {
    const what = task === 'forward' ? 'forward' : 'forward and backward, without an update,';
    const over = caffeMilliseconds(figures) / median(own.quiet.flat());
    lines.push(`  its ${what} over ${own.engine}'s: ${over.toFixed(2)}`);
  }
  return lines;
}

function operationLines(operations: NonNullable<Report['operations']>, report: Report): string[] {
  return [
    `operations at batch ${operations.batch}: median, GFLOP/s, GB/s, share of the limit that binds`,
    ...operations.times.map((time) => {
      const milliseconds = median(time.milliseconds);
      const gflops = time.macs === 0 ? '' : ((2 * time.macs) / milliseconds / 1e6).toFixed(0);
      const share = percent(shareOfPeak(time, report));
      return `${milliseconds.toFixed(3).padStart(9)} ms ${gflops.padStart(5)} ${(time.bytes / milliseconds / 1e6).toFixed(1).padStart(6)} ${share.padStart(5)}  ${time.name}  (${candidatesText(time)})`;
    }),
  ];
}

/** The implementation. If several were timed, all with their medians, the chosen one first. */
export function candidatesText({ implementation, candidates }: OperationTime): string {
  if (candidates.length < 2) return implementation;
  return [...candidates]
    .sort((a, b) => Number(b.implementation === implementation) - Number(a.implementation === implementation))
    .map((each) => `${each.implementation} ${ms(median(each.milliseconds))}`)
    .join(', ');
}

/** Milliseconds with as many digits as a small net needs. */
export const significant = (value: number): string => value.toFixed(value < 1 ? 3 : value < 10 ? 2 : 1);
const ms = (value: number) => `${significant(value)} ms`;
const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
