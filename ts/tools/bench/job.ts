/** What measure.ts and torch-engine.py are asked and answer, and how it is asked: one process a job, so that no engine disturbs another. */
import { spawn, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { isSource, ownFile } from '../../base/own-package.ts';
import type { UpdateRule } from '../../device/trainer.ts';
import { torchEngine } from './engines.ts';

/** One measurement. */
export interface Job {
  readonly what: keyof Answers;
  readonly engine: string;
  /** The Python that runs the engine; null: this Node.js. */
  readonly python: string | null;
  /** What prepare.ts wrote there for `net`. */
  readonly folder: string;
  readonly net: string;
  /** C×H×W of one input. */
  readonly input: readonly number[];
  readonly batch: number;
  readonly threads: number;
  /** How often to time it, after the warm-up. */
  readonly runs: number;
  /** What a run is: a training step with this update; null: the net forward. */
  readonly training: Training | null;
  /** Of torch: `cpu`, `cuda:0` (…). Everything else runs on the processor. Default `cpu`. */
  readonly device?: string;
  /** Of torch. Default `float32`. */
  readonly precision?: string;
  /** Steps of a training whose losses a first answer tells. Default 4: rounding leads longer ones apart. */
  readonly steps?: number;
}

/** What a training step ends with. */
export interface Training {
  /** The learning rate of every step. */
  readonly rate: number;
  readonly update: UpdateRule;
}

/** The answer of each measurement; times in milliseconds. */
export interface Answers {
  firstAnswer: {
    readonly loadMilliseconds: number;
    /** Load and the first run. */
    readonly milliseconds: number;
    /** The process's resident high-water mark after a few runs, node itself included; null where there is no /proc. */
    readonly peakBytes: number | null;
    /** Of the first run; of training the losses of all these runs, one a step. */
    readonly output: readonly number[];
    readonly versions: Readonly<Record<string, string>>;
    /** Of torch's training: updates that its GradScaler left out in these steps. */
    readonly skippedUpdates?: number;
  };
  /** `eventLoop`: null where there is none. */
  run: { readonly milliseconds: readonly number[]; readonly eventLoop: EventLoopDelay | null };
  /** The most that this machine does here: a product of matrices, and a copy in main memory (read and written). */
  ceilings: { readonly gflops: number; readonly bandwidth: number };
  operations: readonly OperationTime[];
}

/** What an operation takes in one implementation. */
export interface Candidate {
  readonly implementation: string;
  readonly milliseconds: readonly number[];
}

/** One problem of case-list.ts on one device, in the implementation that it chose. */
export interface OperationTime extends Candidate {
  readonly name: string;
  readonly nets: readonly string[];
  /** Multiply-accumulates; 0 where memory is what counts. */
  readonly macs: number;
  /** Bytes of inputs, outputs and weights, each counted once. */
  readonly bytes: number;
  /** Every implementation that was timed, the chosen one first: for products those of `kernels: "oneDNN"` too. */
  readonly candidates: readonly Candidate[];
}

/** How late a timer fires, in milliseconds beyond what was asked. */
export interface EventLoopDelay {
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

/** An answer, and how many cores were kept from idling meanwhile by anyone but the measured process. */
export interface Measured<Answer> {
  readonly answer: Answer;
  readonly othersCores: number;
}

// From a checkout's sources too it is the compiled package that is measured (npm run build).
const measureScript = ownFile(`${isSource() ? '../dist/' : ''}tools/bench/measure.js`);

/** Does one job in a process of its own. @throws Error with what the process wrote on stderr */
export function measure<What extends keyof Answers>(
  job: Job & { readonly what: What },
): Measured<Answers[What]> {
  const [command, script] =
    job.python === null ? [process.execPath, measureScript] : [job.python, torchEngine];
  const variant = job.engine.includes('channels_last') ? 'channels_last' : 'plain';
  const words = { device: 'cpu', precision: 'float32', steps: 4, ...job, variant };
  return measureProcess(command, [script, JSON.stringify(words)], `${job.engine}, ${job.what}`);
}

/** The limits of this machine, now: the best of a few runs each. */
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

/** Runs a process whose last line is its answer and the processor time that it took. @throws Error as `measure` */
export function measureProcess<Answer>(
  command: string,
  words: readonly string[],
  what: string,
): Measured<Answer> {
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

// JSON says null of a value that is no number.
const numbers = (key: string, value: unknown) =>
  key === 'output' ? (value as (number | null)[]).map((each) => each ?? Number.NaN) : value;

// Idle time, not busy time: what a hypervisor takes away is in neither, and must not look idle.
function idleMilliseconds(): number {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0);
}

/** Does `work` while another process keeps one core busy. */
export function besideBusyCore<Result>(work: () => Result): Result {
  // It ends by itself should this process die first.
  const parent =
    'const parent = process.ppid; while (process.ppid === parent) for (let i = 0; i < 1e7; i++);';
  const spinning = spawn(process.execPath, ['-e', parent], { stdio: 'ignore' });
  try {
    return work();
  } finally {
    spinning.kill('SIGKILL');
  }
}
