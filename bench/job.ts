/** What measure.mjs is asked and answers, and how it is asked: one process a job, so that no engine disturbs another. */
import { spawn, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

/** One measurement. */
export interface Job {
  readonly what: keyof Answers;
  readonly engine: string;
  /** What prepare.ts wrote. */
  readonly folder: string;
  readonly batch: number;
  readonly threads: number;
  /** How often to time it, after the warm-up. */
  readonly runs: number;
}

/** The answer of each measurement; times in milliseconds. */
export interface Answers {
  firstAnswer: {
    readonly loadMilliseconds: number;
    /** Load and the first run. */
    readonly milliseconds: number;
    /** The process's resident high-water mark after a few runs, node itself included; null where there is no /proc. */
    readonly peakBytes: number | null;
    readonly output: readonly number[];
    readonly versions: Readonly<Record<string, string>>;
  };
  run: { readonly milliseconds: readonly number[]; readonly eventLoop: EventLoopDelay };
  sgemm: { readonly flops: number; readonly milliseconds: readonly number[] };
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

/** Does one job in a process of its own. @throws Error with what the process wrote on stderr */
export function measure<What extends keyof Answers>(
  job: Job & { readonly what: What },
): Measured<Answers[What]> {
  const script = fileURLToPath(new URL('measure.mjs', import.meta.url));
  const [idle, start] = [idleMilliseconds(), performance.now()];
  const child = spawnSync(process.execPath, [script, JSON.stringify(job)], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (child.status !== 0)
    throw new Error(`${job.engine}, ${job.what} failed: ${child.stderr || child.error}`);
  const elapsed = performance.now() - start;
  const busy = cpus().length * elapsed - (idleMilliseconds() - idle);
  const { answer, processorMilliseconds } = JSON.parse(child.stdout.trim().split('\n').at(-1)!) as {
    answer: Answers[What];
    processorMilliseconds: number;
  };
  return { answer, othersCores: Math.max(0, (busy - processorMilliseconds) / elapsed) };
}

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
