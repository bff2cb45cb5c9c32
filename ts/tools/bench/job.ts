/**
 * The requests to and answers of measure.ts and torch-engine.py. Each job has its own process, so that engines do not
 * disturb each other.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { ResnodeError } from '../../base/errors.ts';
import { isSource, ownFile } from '../../base/own-package.ts';
import type { UpdateRule } from '../../device/trainer.ts';
import { torchEngine } from './engines.ts';

/** One measurement. */
export interface Job {
  readonly what: keyof Answers;
  readonly engine: string;
  /** The Python that runs the engine; null: this Node.js. */
  readonly python: string | null;
  /** The file that prepare.ts wrote there for `net`. */
  readonly folder: string;
  readonly net: string;
  /** C×H×W of one input. */
  readonly input: readonly number[];
  readonly batch: number;
  readonly threads: number;
  /** The number of timed runs after the warm-up. */
  readonly runs: number;
  /** A run is a training step with this update, or with null the net forward. */
  readonly training: Training | null;
  /** For torch: `cpu`, `cuda:0` (…). Everything else runs on the CPU. Default `cpu`. */
  readonly device?: string;
  /** For torch. Default `float32`. */
  readonly precision?: string;
  /**
   * The number of training steps whose losses the first answer contains. Default 4: over more steps rounding makes results
   * diverge.
   */
  readonly steps?: number;
}

/** The end of a training step. */
export interface Training {
  /** The learning rate of every step. */
  readonly rate: number;
  readonly update: UpdateRule;
}

/** The answer to each measurement; times are in milliseconds. */
export interface Answers {
  firstAnswer: {
    readonly loadMilliseconds: number;
    /** The time to load and to run once. */
    readonly milliseconds: number;
    /** The peak of the process's resident memory after a few runs, including node; null without /proc. */
    readonly peakBytes: number | null;
    /** The output of the first run. For training: the losses of all these runs, one per step. */
    readonly output: readonly number[];
    readonly versions: Readonly<Record<string, string>>;
    /** For torch's training: the updates that its GradScaler skipped in these steps. */
    readonly skippedUpdates?: number;
  };
  /** `eventLoop`: null for an engine without one. */
  run: { readonly milliseconds: readonly number[]; readonly eventLoop: EventLoopDelay | null };
  /** The limits of this machine: a product of matrices, and a copy in main memory (reads plus writes). */
  ceilings: { readonly gflops: number; readonly bandwidth: number };
  operations: readonly OperationTime[];
}

/** The duration of an operation in one implementation. */
export interface Candidate {
  readonly implementation: string;
  readonly milliseconds: readonly number[];
}

/** One problem of case-list.ts on one device, in the implementation that the device chose. */
export interface OperationTime extends Candidate {
  readonly name: string;
  readonly nets: readonly string[];
  /** Multiply-accumulates; 0 for operations that memory limits. */
  readonly macs: number;
  /** Bytes of inputs, outputs and weights, each counted once. */
  readonly bytes: number;
  /** Every implementation that was timed, the chosen one first. Products include those of `kernels: "oneDNN"`. */
  readonly candidates: readonly Candidate[];
}

/** The delay of a timer beyond the requested time, in milliseconds. */
export interface EventLoopDelay {
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

/** An answer, and the average number of cores that other processes used meanwhile. */
export interface Measured<Answer> {
  readonly answer: Answer;
  readonly othersCores: number;
}

// From a checkout, too, the compiled package is measured.
const measureScript = ownFile(`${isSource() ? '../dist/' : ''}tools/bench/measure.js`);

/** @throws ResnodeError in a checkout that is not compiled */
export function checkIsCompiled(): void {
  if (!existsSync(measureScript))
    throw new ResnodeError(
      'file/not-found',
      `${measureScript}: there is no such file; the compiled package is measured, so run \`npm run build\` first`,
    );
}

/**
 * Does one job in its own process.
 * @throws Error with the process's stderr
 */
export function measure<What extends keyof Answers>(
  job: Job & { readonly what: What },
): Measured<Answers[What]> {
  const [command, script] =
    job.python === null ? [process.execPath, measureScript] : [job.python, torchEngine];
  const variant = job.engine.includes('channels_last') ? 'channels_last' : 'plain';
  const words = { device: 'cpu', precision: 'float32', steps: 4, ...job, variant };
  return measureProcess(command, [script, JSON.stringify(words)], `${job.engine}, ${job.what}`);
}

/** The current limits of this machine: the best of a few runs each. */
export const measureCeilings = (threads: number): Measured<Answers['ceilings']> =>
  measure({
    what: 'ceilings',
    engine: 'resnode',
    python: null,
    folder: '',
    net: '',
    input: [],
    batch: 1,
    threads,
    runs: 4,
    training: null,
  });

/**
 * Runs a process whose last line is its answer and its processor time.
 * @throws Error as `measure`
 */
function measureProcess<Answer>(command: string, words: readonly string[], what: string): Measured<Answer> {
  const [idle, start] = [idleMilliseconds(), performance.now()];
  const child = spawnSync(command, words, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (child.status !== 0) throw new Error(`${what} failed: ${child.stderr || child.error}`);
  const elapsed = performance.now() - start;
  const busy = cpus().length * elapsed - (idleMilliseconds() - idle);
  const { answer, processorMilliseconds } = JSON.parse(child.stdout.trim().split('\n').at(-1)!, numbers) as {
    answer: Answer;
    processorMilliseconds: number;
  };
  return { answer, othersCores: Math.max(0, (busy - processorMilliseconds) / elapsed) };
}

// JSON writes null for a value that is not a number.
const numbers = (key: string, value: unknown) =>
  key === 'output' ? (value as (number | null)[]).map((each) => each ?? Number.NaN) : value;

// Uses idle time, because busy time does not include what a hypervisor takes away, which must not count as idle.
function idleMilliseconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0);
}

/** Does `work` while another process keeps one core busy. */
export function besideBusyCore<Result>(work: () => Result): Result {
  // It ends by itself if this process dies first.
  const parent =
    'const parent = process.ppid; while (process.ppid === parent) for (let i = 0; i < 1e7; i++);';
  const spinning = spawn(process.execPath, ['-e', parent], { stdio: 'ignore' });
  try {
    return work();
  } finally {
    spinning.kill('SIGKILL');
  }
}
