/** Runs the same script in several processes with `mpirun`. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { nodeArguments } from './command.ts';

/** Whether mpirun exists; if not, prints why the caller skips. */
export function hasMpirun(): boolean {
  const found = spawnSync('mpirun', ['--version'], { encoding: 'utf8' });
  if (found.status === 0) return true;
  console.log('skipped: no mpirun (Debian: apt-get install openmpi-bin)');
  return false;
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a TypeScript file as `count` processes, and ends them after ten minutes. */
export function inProcesses(
  count: number,
  script: string,
  words: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const flags = ['--oversubscribe', '--bind-to', 'none', '-n', `${count}`];
  const child = spawn('mpirun', [...flags, process.execPath, ...nodeArguments(script), ...words], {
    env: {
      ...process.env,
      ...environment,
      OMPI_ALLOW_RUN_AS_ROOT: '1',
      OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    },
    timeout: 600_000,
    killSignal: 'SIGTERM',
  });
  return ended(child);
}

/** The output of a process until it ends. */
export function ended(child: ChildProcessByStdio<Writable | null, Readable, Readable>): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}
