/**
 * Runs readers on many damaged files in a process that may crash, hang or use too much memory; then another process
 * continues.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { nodeArguments } from '../support/command.ts';
import type { Message, Task } from './child.ts';
import type { Reader } from './readers.ts';

const HANG_MS = 5000;

export interface Figures {
  readonly reader: string;
  readonly seed: number;
  inputs: number;
  /** Inputs that were refused with a typed error; the others were still valid. */
  refused: number;
  /** One line per finding: the input's number and what happened. */
  readonly crashes: string[];
  readonly hangs: string[];
  readonly untyped: string[];
  readonly large: string[];
  /** The peak memory of any process, in bytes. */
  peak: number;
}

/** Inputs from `from` to `to` − 1 of a seed. The same seed and number reproduce a finding. */
export async function fuzz(reader: Reader, seed: number, from: number, to: number): Promise<Figures> {
  const figures: Figures = {
    reader: reader.name,
    seed,
    inputs: 0,
    refused: 0,
    crashes: [],
    hangs: [],
    untyped: [],
    large: [],
    peak: 0,
  };
  for (let next = from; next < to; ) {
    const hangs = figures.hangs.length;
    const { last, ended } = await runChild(reader, seed, next, to, figures);
    if (ended === null) break;
    // On a busy machine any input may take long. A real hang repeats when the input runs alone.
    if (figures.hangs.length > hangs) {
      const again = { ...figures, hangs: [] as string[] };
      await runChild(reader, seed, last, last + 1, again);
      if (again.hangs.length === 0) figures.hangs.pop();
    }
    // It sent nothing, so the harness itself is broken.
    if (last < next) throw new Error(`${reader.name}: the process did not begin: ${ended}`);
    next = last + 1;
  }
  return figures;
}

/** A process that has completed its task. Starting one takes as long as hundreds of inputs. */
let waiting: ChildProcess | undefined;

/**
 * Ends the idle process.
 * @throws Error if it does not exit cleanly
 */
export async function endFuzzing(): Promise<void> {
  const child = waiting;
  if (child === undefined) return;
  waiting = undefined;
  child.disconnect();
  const [code, signal] = await once(child, 'exit');
  if (code !== 0) throw new Error(`what read the files ended with ${signal ?? code}`);
}

/** @returns `ended`: why the process stopped before the end; null: it completed. */
function runChild(reader: Reader, seed: number, from: number, to: number, figures: Figures) {
  return new Promise<{ last: number; ended: string | null }>((resolve) => {
    const child =
      waiting ??
      spawn(process.execPath, nodeArguments('test/fuzz/child.ts'), {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      });
    waiting = undefined;
    let last = from - 1;
    let stderr = '';
    let grown = false;
    let isHanging = false;
    const limit = () => {
      isHanging = true;
      child.kill('SIGKILL');
    };
    // Its start, which loads the whole library, may take longer on a busy machine.
    let watch = setTimeout(limit, 120_000);
    child.stderr!.on('data', (bytes) => {
      stderr = (stderr + bytes).slice(-2000);
    });
    child.on('message', (message: Message) => {
      if (message.type === 'begin') {
        clearTimeout(watch);
        watch = setTimeout(limit, HANG_MS);
        last = message.index;
        figures.inputs++;
      } else if (message.type === 'untyped') figures.untyped.push(`${message.index}: ${message.error}`);
      else if (message.type === 'large') {
        grown = true;
        figures.large.push(`${message.index}: ${Math.round(message.bytes / 2 ** 20)} MiB`);
      } else {
        clearTimeout(watch);
        figures.refused += message.refused;
        figures.peak = Math.max(figures.peak, message.peak);
        for (const event of ['message', 'close']) child.removeAllListeners(event);
        child.stderr!.removeAllListeners('data');
        waiting = child;
        resolve({ last, ended: null });
      }
    });
    child.on('close', (code, signal) => {
      clearTimeout(watch);
      if (isHanging) figures.hangs.push(`${last}: longer than ${HANG_MS / 1000} s`);
      else if (!grown) figures.crashes.push(`${last}: ${signal ?? `exit status ${code}`}: ${stderr}`);
      resolve({ last, ended: stderr || String(signal ?? code) });
    });
    child.send({ reader: reader.name, seed, from, to } satisfies Task);
  });
}

/** One line for people and tests. */
export function describe(figures: Figures): string {
  const { reader, seed, inputs, refused, crashes, hangs, untyped, large, peak } = figures;
  return `${reader}: seed ${seed}, ${inputs} inputs, ${refused} refused, crashes ${crashes.length}, hangs over 5 s ${hangs.length}, untyped errors ${untyped.length}, memory over 1 GiB ${large.length}, peak ${Math.round(peak / 2 ** 20)} MiB`;
}

export const findings = ({ crashes, hangs, untyped, large }: Figures): string[] => [
  ...crashes.map((text) => `crash at input ${text}`),
  ...hangs.map((text) => `hang at input ${text}`),
  ...untyped.map((text) => `untyped error at input ${text}`),
  ...large.map((text) => `memory at input ${text}`),
];
