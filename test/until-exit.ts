/** Folders and processes that are removed when this process ends, even if it is interrupted or crashes. */
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';

const folders: string[] = [];
const children = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
// Without a handler, a signal ends the process before `exit`. Shells use this status for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => process.exit(128 + constants.signals[signal]));

export function folderUntilExit(folder: string): string {
  folders.push(folder);
  return folder;
}

export function childUntilExit<Child extends ChildProcess>(child: Child): Child {
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}
