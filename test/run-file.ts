/**
 * A test file in a process of its own, and what it says of itself: its counts, and lines `skipped: …` and `figures: …`.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const LIMIT_MS = 1_800_000;

export interface Outcome {
  readonly passed: number;
  /** Tests, and the file itself where it crashed or holds none. */
  readonly failed: number;
  /** Why. */
  readonly skipped: readonly string[];
  readonly seconds: number;
  /** Of a processor, with what the file itself started and waited for. */
  readonly processorSeconds: number;
}

/** Runs it and prints its line; where it failed, also all that it wrote. */
export function runFile(
  name: string,
  command: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Outcome> {
  const start = performance.now();
  let processorSeconds = 0;
  return new Promise((resolve) => {
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MS, env });
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
    });
    child.on('close', (status, signal) => {
      const total = Number(/Total:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const passed = Number(/Passed:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const skipped = told(output, 'skipped');
      const crashed = status !== 0 && total === passed;
      const isEmpty = total === 0 && skipped.length === 0;
      const notes = [
        ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
        ...(crashed ? [`ended with ${signal ?? status}`] : []),
        ...(isEmpty ? ['it holds no test'] : []),
      ];
      console.log([`${name}: ${passed} of ${total}`, ...notes].join(', '));
      if (status !== 0 || isEmpty) console.log(output);
      for (const reason of skipped) console.log(`  skipped: ${reason}`);
      for (const figures of told(output, 'figures')) console.log(`  figures: ${figures}`);
      const failed = total - passed + (crashed || isEmpty ? 1 : 0);
      const seconds = (performance.now() - start) / 1000;
      resolve({ passed, failed, skipped, seconds, processorSeconds });
    });
  });
}

/** Prints the sums, on which the exit status depends: nothing failed, and something was there. */
export function conclude(results: readonly Outcome[]): void {
  const sum = (key: 'passed' | 'failed') => results.reduce((total, each) => total + each[key], 0);
  const skips = results.reduce((total, { skipped }) => total + skipped.length, 0);
  console.log(`${sum('passed')} passed, ${skips} skipped, ${sum('failed')} failed`);
  process.exitCode = sum('failed') === 0 && sum('passed') + skips > 0 ? 0 : 1;
}

/** What a file says of itself, once each; uvu's dots may stand before it. */
function told(output: string, what: 'skipped' | 'figures'): string[] {
  const lines = output.matchAll(new RegExp(`^[•✘ ]*${what}: (.*)$`, 'gm'));
  return [...new Set([...lines].map(([, text]) => text!))];
}

let counted = childSeconds();

/** Seconds of a processor that the child took that has just ended. */
export function takenSeconds(): number {
  const before = counted;
  counted = childSeconds();
  return counted - before;
}

/** Taken by all children that have ended (proc(5): cutime and cstime, in hundredths on Linux). */
function childSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}
