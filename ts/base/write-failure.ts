/** Why a file cannot be written, and what mends it. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { ResnodeError } from './errors.ts';

const CAUSES: Readonly<Record<string, (path: string) => string>> = {
  ENOENT: (path) => `there is no folder ${dirname(path)}; make it, or name another one`,
  ENOTDIR: (path) => `a part of ${dirname(path)} is a file; name a folder`,
  EISDIR: () => 'it is a folder; name a file in it',
  ENOTEMPTY: () => 'it is a folder; name a file in it',
  EEXIST: () => 'a file of this name is in its place; remove it, or name another one',
  EACCES: (path) =>
    `this user may not write in ${dirname(path)}; change its permissions, or name another folder`,
  EPERM: (path) =>
    `this user may not write in ${dirname(path)}; change its permissions, or name another folder`,
  EROFS: (path) => `${dirname(path)} is on a read-only file system; name another folder`,
  ENOSPC: (path) => `the disk of ${dirname(path)} is full; make room, or name another folder`,
  EDQUOT: (path) =>
    `this user's quota on the disk of ${dirname(path)} is used up; make room, or name another folder`,
  EFBIG: () => 'it would be larger than its file system or the limit of the process (ulimit -f) allows',
  ENAMETOOLONG: () => 'its name is longer than its file system allows; choose a shorter one',
  ELOOP: () => 'the links in its path lead in a circle',
  EMFILE: () => 'the process has as many files open as it may (ulimit -n)',
  EIO: () => 'the disk reports an error; its data may be damaged',
};

/** The file system's error as one that names the file and the cure; anything else as it is. */
export function writeFailure(path: string, error: unknown): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || code === undefined || syscall === undefined) return error;
  const why = CAUSES[code]?.(path) ?? message;
  return new ResnodeError('file/write', `${path}: cannot be written (${code}): ${why}`, { cause: error });
}

/** Makes a folder and those above it. @throws ResnodeError `file/write` */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw writeFailure(path, error);
  }
}
