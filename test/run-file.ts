/**
 * Runs a test file in its own process and reads what it reports: its counts, and lines `skipped: …` and `figures: …`.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { childUntilExit } from './until-exit.ts';

const LIMIT_MS = 1_800_000;
/** A process that a file leaves behind may hold its output open for ever. */
const HELD_MS = 10_000;

export interface Counts {
  readonly passed: number;
  /** Failed tests, plus the file itself if it crashed, has no tests, or leaves some out without saying why. */
  readonly failed: number;
  /** The reasons. */
  readonly skipped: readonly string[];
}

export interface Outcome extends Counts {
  readonly seconds: number;
  /** Processor time, including that of processes that the file started and waited for. */
  readonly processorSeconds: number;
}

/** Runs it and prints its line. If it failed, also prints all its output. */
export function runFile(
  name: string,
  command: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  heldMs = HELD_MS,
): Promise<Outcome> {
  const start = performance.now();
  let processorSeconds = 0;
  let isHeld = false;
  return new Promise((resolve) => {
    // SIGKILL, because a file that hangs may block its own signal handlers.
    const limit = { timeout: LIMIT_MS, killSignal: 'SIGKILL' } as const;
    const child = childUntilExit(spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], ...limit, env }));
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    child.on('error', (error) => {
      output += error.message;
    });
    child.on('exit', () => {
      processorSeconds = takenSeconds();
      const waiting = setTimeout(() => {
        isHeld = true;
        child.stdout.destroy();
        child.stderr.destroy();
      }, heldMs);
      child.on('close', () => clearTimeout(waiting));
    });
    child.on('close', (status, signal) => {
      const { total, notes, ...counts } = judge(output, status, signal, isHeld);
      console.log([`${name}: ${counts.passed} of ${total}`, ...notes].join(', '));
      if (counts.failed > 0) console.log(output);
      for (const reason of counts.skipped) console.log(`  skipped: ${reason}`);
      for (const figures of told(output, 'figures')) console.log(`  figures: ${figures}`);
      const seconds = (performance.now() - start) / 1000;
      resolve({ ...counts, seconds, processorSeconds });
    });
  });
}

/**
 * Judges a file by its output and its exit.
 * @param isHeld Its output was still open.
 */
export function judge(
  output: string,
  status: number | null,
  signal: NodeJS.Signals | null,
  isHeld = false,
): Counts & { readonly total: number; readonly notes: readonly string[] } {
  const count = (what: string) => Number(new RegExp(`^ *${what}: +(\\d+)`, 'm').exec(output)?.[1] ?? 0);
  const [total, passed, leftOut] = [count('Total'), count('Passed'), count('Skipped')];
  const skipped = told(output, 'skipped');
  const problems = [
    ...(status !== 0 && total === passed ? [`ended with ${signal ?? status}`] : []),
    // uvu's last words. A file without them may have exited before its tests began.
    ...(/^ *Total:/m.test(output) ? [] : ['it did not come to its end']),
    ...(isHeld ? ['a process that it started lives on'] : []),
    ...(total === 0 && skipped.length === 0 ? ['it holds no test'] : []),
    ...(leftOut > 0 ? [`${leftOut} left out by .only or .skip, which say no reason`] : []),
  ];
  const notes = [...(skipped.length > 0 ? [`${skipped.length} skipped`] : []), ...problems];
  return { passed, failed: total - passed + (problems.length > 0 ? 1 : 0), skipped, total, notes };
}

/** Prints the sums, which determine the exit status: nothing failed, and there were tests. */
export function conclude(results: readonly Outcome[]): void {
  const sum = (key: 'passed' | 'failed') => results.reduce((total, each) => total + each[key], 0);
  const skips = results.reduce((total, { skipped }) => total + skipped.length, 0);
  console.log(`${sum('passed')} passed, ${skips} skipped, ${sum('failed')} failed`);
  process.exitCode = sum('failed') === 0 && sum('passed') + skips > 0 ? 0 : 1;
}

/** The distinct lines of one kind that a file printed; uvu's dots may precede them. */
function told(output: string, what: 'skipped' | 'figures'): string[] {
  const lines = output.matchAll(new RegExp(`^[•✘ ]*${what}: (.*)$`, 'gm'));
  return [...new Set([...lines].map(([, text]) => text!))];
}

let counted = childSeconds();

/** Processor seconds of the child that has just ended. */
export function takenSeconds(): number {
  const before = counted;
  counted = childSeconds();
  return counted - before;
}

/** Processor time of all children that have ended (proc(5): cutime and cstime, in hundredths on Linux). */
function childSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}
