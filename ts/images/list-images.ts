/** Lists the images in a folder, and its other files. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGE_FILE } from './format.ts';

export interface FoundImages {
  /** Paths that begin with the folder, sorted. */
  readonly files: readonly string[];
  /** Skipped entries, relative to the folder, sorted: other names, hidden files and folders (with a slash at the end). */
  readonly ignored: readonly string[];
}

/**
 * Lists images by their names, including those in subfolders.
 * @param options.recursive Default true; with false, folders are neither searched nor listed.
 * @throws the file system's error
 */
export function listImages(folder: string, { recursive = true } = {}): FoundImages {
  const names: string[] = [];
  const ignored: string[] = [];
  const walk = (below: string): void => {
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
      const name = join(below, entry.name);
      const isHidden = entry.name.startsWith('.');
      const stats = entry.isSymbolicLink() ? statSync(join(folder, name), { throwIfNoEntry: false }) : entry;
      if (stats?.isDirectory()) {
        if (!recursive) continue;
        // A link to a folder may lead to a cycle.
        if (isHidden || entry.isSymbolicLink()) ignored.push(`${name}/`);
        else walk(name);
      } else if (isHidden || !IMAGE_FILE.test(entry.name) || !stats?.isFile()) ignored.push(name);
      else names.push(name);
    }
  };
  walk('');
  return { files: names.sort().map((name) => join(folder, name)), ignored: ignored.sort() };
}
