/** Only plain files are read: a FIFO would hold its reader up until somebody writes, a device until it ends, if it does. */
import { type Stats, statSync } from 'node:fs';
import { ResnodeError } from './errors.ts';

/**
 * Refuses a FIFO, a socket or a device before it is opened. What is missing, or a folder, is left to the reader.
 * @throws ResnodeError `file/special`
 */
export function checkRegularFile(file: string): void {
  const stats = statsOf(file);
  if (stats !== null && isSpecial(stats)) throw specialFile(file);
}

/** Whether reading may wait for ever, or never end. */
export const isSpecial = (stats: Stats): boolean => !stats.isFile() && !stats.isDirectory();

export const specialFile = (file: string): ResnodeError =>
  new ResnodeError(
    'file/special',
    `${file}: this is a FIFO, a socket or a device, which is not read; write what it gives to a file, and give that`,
  );

/** Null where nothing can be looked at. */
export function statsOf(file: string): Stats | null {
  try {
    return statSync(file);
  } catch {
    return null;
  }
}
