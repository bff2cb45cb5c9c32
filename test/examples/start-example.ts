/** Runs an example in a process of its own, from this tree: tsconfig.json says where `resnode` lies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { repositoryFolder } from '../support/golden.ts';

export interface Example {
  readonly process: ChildProcess;
  /** Of what it printed when it was ready. */
  readonly match: RegExpMatchArray;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

/** Settles when the example has printed what is waited for. @throws where it ends before */
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
