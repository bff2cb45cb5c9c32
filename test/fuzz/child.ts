/**
 * Gives a reader its inputs, one after the other. The parent is told of each before it is read, so that it knows which
 * one crashed the process or held it up.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ResnodeError } from '../../ts/base/errors.ts';
import { Random } from './random.ts';
import { mutate, READERS } from './readers.ts';

/** What the parent is told. */
export type Message =
  | { readonly type: 'begin'; readonly index: number }
  | { readonly type: 'untyped'; readonly index: number; readonly error: string }
  | { readonly type: 'large'; readonly index: number; readonly bytes: number }
  | { readonly type: 'done'; readonly refused: number; readonly peak: number };

const [name, seed, from, to, keep] = process.argv.slice(2);
const reader = READERS.find((each) => each.name === name)!;
const tell = (message: Message) => process.send!(message);
const folder = mkdtempSync(join(tmpdir(), 'resnode-fuzz-'));
const LIMIT = 2 ** 30;
let refused = 0;
const seeds = await reader.seeds(folder);
for (let index = Number(from); index < Number(to); index++) {
  const bytes = mutate(reader, seeds, new Random(Number(seed) * 1_000_003 + index));
  const path = keep === undefined ? join(folder, `input${reader.extension}`) : keep;
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
    break;
  }
}
rmSync(folder, { recursive: true });
tell({ type: 'done', refused, peak: process.resourceUsage().maxRSS * 1024 });
process.disconnect();
