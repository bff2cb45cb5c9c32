/** File limits, checks before reading, and the causes of failed reads and writes. */
import { mkdirSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { getSystemErrorName } from 'node:util';
import { ResnodeError } from './errors.ts';

const MIB = 2 ** 20;

// These limits keep the memory for a file proportional to its size: the smallest items of a format (an empty node, a string
// of one letter) take a hundred times their size. All are far larger than any net needs; docs/limits.md lists them, together
// with the limits of single formats.

/** The text of a prototxt; the deploy net of ResNet-1202 has 0.8 MiB. */
export const MAX_PROTOTXT_BYTES = 16 * MIB;
/** A prototxt is parsed on the calling thread in one piece; the next two limits keep this under about a second. */
export const MAX_PROTOTXT_TOKENS = 1_000_000;
/** Messages in braces; the deploy net of ResNet-1202 has 9026. */
export const MAX_PROTOTXT_MESSAGES = 60_000;
/** Characters of a name or a number outside of quotes. */
export const MAX_WORD = 4096;

/** The fields of all messages in a binary file; a blob's weights count as one. */
export const MAX_FIELDS = 1_000_000;
export const MAX_LAYERS = 100_000;
/** NumPy's limit is 64; Caffe's and ours is 32. */
export const MAX_DIMENSIONS = 64;

/** Tensors of a safetensors file, entries of a zip file. */
export const MAX_TENSORS = 100_000;
export const MAX_SAFETENSORS_HEADER = 16 * MIB;
export const MAX_PICKLE_OPCODES = 2_000_000;

/** A line of a list: a path has at most 4096 bytes on Linux, and labels follow. */
export const MAX_LINE = 64 * 1024;
export const MAX_LINES = 20_000_000;
/** Lists that are read in one piece. */
export const MAX_LIST_BYTES = 256 * MIB;
export const MAX_LABELS_BYTES = 16 * MIB;
export const MAX_JSON_BYTES = 64 * MIB;

/**
 * Refuses a file before reading if it is larger than its kind can be, or is not a regular file. Files that cannot be
 * examined are left to the reader.
 * @param what The kind in the plural, e.g. `label files`.
 * @throws ResnodeError `file/too-large`; `file/special` for a file that is not regular
 */
export function checkFileSize(file: string, most: number, what: string): void {
  const stats = statsOf(file);
  if (stats !== null && isSpecial(stats)) throw specialFile(file);
  const size = stats?.size ?? 0;
  if (size > most)
    throw new ResnodeError(
      'file/too-large',
      `${file}: has ${size} bytes; ${what} have at most ${most}. Is it the right file?`,
    );
}

/**
 * Refuses, before opening it, a FIFO (which would block its reader until somebody writes), a socket, or a device (which may
 * never end). A missing file or a folder is left to the reader.
 * @throws ResnodeError `file/special`
 */
export function checkRegularFile(file: string): void {
  const stats = statsOf(file);
  if (stats !== null && isSpecial(stats)) throw specialFile(file);
}

/** Whether reading could wait forever or never end. */
export const isSpecial = (stats: Stats): boolean => !stats.isFile() && !stats.isDirectory();

const specialFile = (file: string): ResnodeError =>
  new ResnodeError(
    'file/special',
    `${file}: this is a FIFO, a socket or a device, which resnode does not read; write its data to a file, and give that`,
  );

/** Null if the file cannot be examined. */
export function statsOf(file: string): Stats | null {
  try {
    return statSync(file);
  } catch {
    return null;
  }
}

const READ_CAUSES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of its path is not a folder',
  EISDIR: 'this is a folder; expected a file',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  ELOOP: 'the links in its path lead in a circle',
};

/** Why a file cannot be read, from the error of the file system or of the addon. */
export function readCause({ code, errno, message }: NodeJS.ErrnoException): string {
  const name = errno === undefined || errno >= 0 ? undefined : getSystemErrorName(errno);
  return READ_CAUSES[name ?? code ?? ''] ?? `it cannot be read (${name ?? code ?? message})`;
}

/** Why no file or folder can be found at a path; null if one can. */
export function whyMissing(path: string): string | null {
  try {
    statSync(path);
    return null;
  } catch (error) {
    return readCause(error as Error);
  }
}

/** Whether an error of the file system says that there is no such file. */
export const isMissing = ({ code }: NodeJS.ErrnoException): boolean =>
  code === 'ENOENT' || code === 'ENOTDIR';

const WRITE_CAUSES: Readonly<Record<string, (path: string) => string>> = {
  ENOENT: (path) =>
    statsOf(dirname(path)) === null
      ? `there is no folder ${dirname(path)}; create it, or name another one`
      : `no file of this name can be created in ${dirname(path)}; name another folder`,
  ENOTDIR: (path) => `a part of ${dirname(path)} is a file; name a folder`,
  EISDIR: () => 'it is a folder; name a file in it',
  ENOTEMPTY: () => 'it is a folder; name a file in it',
  EEXIST: () => 'a file has this name; remove it, or choose another name',
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

/** Converts the file system's error to one that names the file and the cure; other errors stay unchanged. */
export function writeFailure(path: string, error: unknown): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || code === undefined || syscall === undefined) return error;
  const why = WRITE_CAUSES[code]?.(path) ?? message;
  return new ResnodeError('file/write', `${path}: cannot be written (${code}): ${why}`, { cause: error });
}

/**
 * Makes a folder and those above it.
 * @throws ResnodeError `file/write` that names the first of them that cannot be made
 */
export function makeFolder(path: string): void {
  if (statsOf(path)?.isDirectory()) return;
  // Not by mkdirSync's `recursive`, which never returns where a file system answers ENOENT inside a folder that exists, as
  // /proc does (node_file.cc, MKDirpSync: it makes the parent and tries again).
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have made it.
    if (!statsOf(path)?.isDirectory()) throw writeFailure(path, error);
  }
}
