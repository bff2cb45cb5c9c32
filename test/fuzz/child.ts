/**
 * Gives readers their inputs one after the other, as its parent asks. It announces each input before it is read, so
 * that the parent knows which one crashed or blocked the process.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ResnodeError } from '../../ts/base/errors.ts';
import { Random } from './random.ts';
import { mutate, READERS } from './readers.ts';

/** A task from the parent: the inputs from `from` to `to` − 1 of a seed. */
export interface Task {
  readonly reader: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

/** The messages to the parent. */
export type Message =
  | { readonly type: 'begin'; readonly index: number }
  | { readonly type: 'untyped'; readonly index: number; readonly error: string }
  | { readonly type: 'large'; readonly index: number; readonly bytes: number }
  | { readonly type: 'done'; readonly refused: number; readonly peak: number };

const LIMIT = 2 ** 30;
const tell = (message: Message) => process.send!(message);

async function readAll({ reader: name, seed, from, to }: Task): Promise<void> {
  const reader = READERS.find((each) => each.name === name)!;
  const folder = mkdtempSync(join(tmpdir(), 'resnode-fuzz-'));
  let refused = 0;
  forgetPeak();
  const seeds = await reader.seeds(folder);
  for (let index = from; index < to; index++) {
    const bytes = mutate(reader, seeds, new Random(seed * 1_000_003 + index));
    const path = join(folder, `input${reader.extension}`);
    writeFileSync(path, bytes);
    tell({ type: 'begin', index });
    try {
      await reader.read(path, bytes);
    } catch (error) {
      refused++;
      if (!(error instanceof ResnodeError))
        tell({ type: 'untyped', index, error: String((error as Error)?.stack ?? error).slice(0, 600) });
    }
    const { rss } = process.memoryUsage();
    if (rss > LIMIT) {
      tell({ type: 'large', index, bytes: rss });
      process.disconnect();
      break;
    }
  }
  rmSync(folder, { recursive: true });
  if (process.connected) tell({ type: 'done', refused, peak: peak() });
}

/** The peak memory of the process since `forgetPeak`, in bytes (proc(5): clear_refs, VmHWM). */
function peak(): number {
  return Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
}
function forgetPeak(): void {
  writeFileSync('/proc/self/clear_refs', '5');
}

process.on('message', (task: Task) => void readAll(task));
