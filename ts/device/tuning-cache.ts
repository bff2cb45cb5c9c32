/** The file in which native code keeps its measurements (native/core/tuning-cache.cc); this module warns of damage to it. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { warn } from '../base/warn.ts';
import { loadBinding } from '../native/load.ts';

const FILE = 'convolutions-1.txt';
const MAX_BYTES = 64 * 2 ** 20;
const FOLDER = 'is a folder; a file of measured choices was expected';

/** Native code skips damaged lines and measures again; the warning tells the user why that takes time. */
export async function warnOfDamagedCache(folder: string): Promise<void> {
  const file = join(folder, FILE);
  const damage = await damageOf(file);
  if (damage === null) return;
  const cure =
    damage === FOLDER
      ? 'each process measures everything again until you remove it'
      : 'they are measured again when needed, and the next write repairs the file';
  warn('device/tuning-cache', `${file}: ${damage}; ${cure}`);
}

async function damageOf(file: string): Promise<string | null> {
  const stats = await stat(file).catch(() => null);
  if (stats === null) return null;
  if (stats.isDirectory()) return FOLDER;
  if (!stats.isFile()) return 'the file of measured choices is not a regular file and cannot be used';
  if (stats.size > MAX_BYTES) return `has ${stats.size} bytes, too many for a file of measured choices`;
  const bytes = await readFile(file).catch(() => null);
  if (bytes === null) return 'the file of measured choices cannot be read';
  const { lines, damaged } = loadBinding().binding.countTuningCacheLines(bytes);
  return damaged === 0 ? null : `${damaged} of ${lines} lines of measured choices are damaged`;
}
