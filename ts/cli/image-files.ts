/** The image files of a command line. */

import { statSync } from 'node:fs';
import { ArgumentError } from '../base/errors.ts';
import { listImages } from '../images/list-images.ts';

/**
 * Files as they are, folders as the images in them and below, sorted; what lies beside them is named on stderr.
 * @throws ArgumentError where there are none
 */
export function imageFiles(paths: readonly string[]): string[] {
  const found = paths.map((path) =>
    statSync(path, { throwIfNoEntry: false })?.isDirectory()
      ? { path, ...listImages(path) }
      : { path, files: [path], ignored: [] },
  );
  const files = found.flatMap((each) => each.files);
  if (files.length === 0) {
    const ignored = found.flatMap((each) => each.ignored);
    throw new ArgumentError(
      'images',
      'image files, or folders with some',
      `${paths.join(', ')}${ignored.length === 0 ? '' : ` with ${ignored.length} files that are by name no images (${ignored.slice(0, 3).join(', ')})`}`,
    );
  }
  for (const { path, ignored } of found) sayIgnored(path, ignored);
  return files;
}

/** Says on stderr what of a folder is not taken. */
export function sayIgnored(folder: string, ignored: readonly string[]): void {
  if (ignored.length === 0) return;
  const some = ignored.slice(0, 8).join(', ');
  console.error(
    `resnode: ${ignored.length} of ${folder} ${ignored.length === 1 ? 'is' : 'are'} not taken, by name no images or hidden: ${some}${ignored.length > 8 ? ', …' : ''}`,
  );
}
