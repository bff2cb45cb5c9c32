/** Files that are there whole or not at all. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { writeFailure } from '../base/files.ts';

/**
 * Writes a file beside its place and renames it, so that a reader never sees half of it.
 * @param chunks Written in order; a generator keeps large files out of memory.
 * @throws ResnodeError `file/write`, which says why and what mends it; nothing is left behind then
 */
export function writeFileAtomically(path: string, chunks: Iterable<Uint8Array | string>): void {
  const temporary = temporaryFor(path);
  try {
    const descriptor = openSync(temporary, 'wx');
    try {
      for (const chunk of chunks) {
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
        for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
      }
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw writeFailure(path, error);
  }
}

/** The same beside a running event loop: for what is large and written while other work goes on. */
export async function saveFileAtomically(path: string, chunks: Iterable<Uint8Array | string>): Promise<void> {
  const temporary = temporaryFor(path);
  try {
    const file = await open(temporary, 'wx');
    try {
      for (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    removeQuietly(temporary);
    throw writeFailure(path, error);
  }
}

/**
 * A name beside a file for what is not whole yet: `.NAME.HOST-PROCESS-RANDOM.tmp`. Leftovers of the same name, whose
 * process on this machine has ended without removing them, are removed.
 */
export function temporaryFor(path: string): string {
  const [folder, name] = [dirname(path), basename(path)];
  removeLeftovers(folder, name);
  return join(folder, `.${name}.${HOST}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
}

/** Removes what was begun, if it was: the caller is about to throw why it is not whole. */
export function removeQuietly(temporary: string): void {
  try {
    rmSync(temporary, { recursive: true, force: true });
  } catch {}
}

// Process ids say nothing of another machine that shares the folder.
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

function removeLeftovers(folder: string, name: string): void {
  const [prefix, suffix] = [`.${name}.${HOST}-`, '.tmp'];
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return; // whoever writes will say it
  }
  for (const each of names) {
    if (!each.startsWith(prefix) || !each.endsWith(suffix)) continue;
    const writer = /^(\d+)-[0-9a-f]{12}$/.exec(each.slice(prefix.length, -suffix.length))?.[1];
    if (writer !== undefined && !isAlive(Number(writer)))
      rmSync(join(folder, each), { force: true, recursive: true });
  }
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
