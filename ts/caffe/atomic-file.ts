/** Writes files atomically: a file is complete, or it is not there. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { writeFailure } from '../base/files.ts';

/**
 * Writes a temporary file in the same folder and renames it, so that no reader sees an incomplete file.
 * @param chunks Written in order. A generator keeps large files out of memory.
 * @throws ResnodeError `file/write` with the reason and the cure; the temporary file is removed
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

/** The same without blocking the event loop, for large files that are written during other work. */
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
 * The name of the temporary file: `.NAME.HOST-PROCESS-RANDOM.tmp`. Temporary files of the same NAME are removed if their
 * process on this machine has ended.
 */
export function temporaryFor(path: string): string {
  const [folder, name] = [dirname(path), basename(path)];
  removeLeftovers(folder, name);
  return join(folder, `.${name}.${HOST}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
}

/** Removes an incomplete file if there is one. The caller throws the reason. */
export function removeQuietly(temporary: string): void {
  try {
    rmSync(temporary, { recursive: true, force: true });
  } catch {}
}

// Process ids do not identify processes of another machine that shares the folder.
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

function removeLeftovers(folder: string, name: string): void {
  const [prefix, suffix] = [`.${name}.${HOST}-`, '.tmp'];
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return; // writing reports the problem
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
