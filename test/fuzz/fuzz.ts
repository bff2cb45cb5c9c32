/** Runs readers on many damaged files, in a process that may crash, hang or grow; another one then goes on. */
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
  /** One line for each finding: the input's number and what happened. */
  readonly crashes: string[];
  readonly hangs: string[];
  readonly untyped: string[];
  readonly large: string[];
  /** The most bytes that a process took. */
  peak: number;
}

/** Inputs from `from` to `to` − 1 of a seed. A finding is made again by the same seed and number. */
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
    // Beside other work any input may take long: what hangs does so by itself and again, too.
    if (figures.hangs.length > hangs) {
      const again = { ...figures, hangs: [] as string[] };
      await runChild(reader, seed, last, last + 1, again);
      if (again.hangs.length === 0) figures.hangs.pop();
    }
    // Told nothing: it is the harness that is broken.
    if (last < next) throw new Error(`${reader.name}: the process did not begin: ${ended}`);
    next = last + 1;
  }
  return figures;
}

/** The process that has done what it was asked for: to start one takes as long as hundreds of inputs. */
let waiting: ChildProcess | undefined;

/** Ends the process that waits. @throws Error where it does not end well */
export async function endFuzzing(): Promise<void> {
  const child = waiting;
  if (child === undefined) return;
  waiting = undefined;
  child.disconnect();
  const [code, signal] = await once(child, 'exit');
  if (code !== 0) throw new Error(`what read the files ended with ${signal ?? code}`);
}

/** @returns `ended`: why the process stopped before it was through; null: it was. */
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
    // Its start, which reads the whole library, may take longer beside other work.
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

/** One line that a person and a test read alike. */
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
