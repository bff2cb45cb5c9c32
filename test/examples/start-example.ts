/** Runs an example from this tree in a separate process; tsconfig.json tells it where `resnode` is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { repositoryFolder } from '../support/golden.ts';

export interface Example {
  readonly process: ChildProcess;
  /** The match in what it printed when it was ready. */
  readonly match: RegExpMatchArray;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/**
 * Resolves when the example has printed the expected text.
 * @throws if it ends before
 */
export async function startExample(file: string, args: readonly string[], ready: RegExp): Promise<Example> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', join(repositoryFolder, 'examples', file), ...args],
    { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  process.once('exit', () => child.kill('SIGKILL'));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  let printed = '';
  const match = await Promise.race([
    new Promise<RegExpMatchArray>((resolve) => {
      child.stdout.on('data', (text) => {
        printed += text;
        const found = ready.exec(printed);
        if (found !== null) resolve(found);
      });
    }),
    ended.then(({ code, signal }) => {
      throw new Error(`${file} ended with ${signal ?? code}; it printed ${printed}`);
    }),
  ]);
  return { process: child, match, ended };
}
