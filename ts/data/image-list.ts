/** Caffe's lists: `path label` a line. */
import { readLines } from '../base/read-lines.ts';
import { DataError, ResnodeError } from '../errors.ts';
import type { ListedImage } from './reader.ts';

/**
 * Reads an image list without holding the event loop. The last space divides, so a path may hold others; empty lines
 * count for nothing.
 * @throws DataError `data/list` naming file and line; `data/not-found`
 */
export async function readImageList(file: string): Promise<ListedImage[]> {
  const images: ListedImage[] = [];
  let line = 0;
  try {
    for await (const text of readLines(file)) {
      line++;
      if (text.trim() === '') continue;
      const [, path, label] = /^\uFEFF?(.+?)[ \t]+(-?\d{1,10})\s*$/.exec(text) ?? [];
      if (path === undefined)
        throw new DataError(
          'data/list',
          { file: `${file}:${line}` },
          `expected "path label" with a whole number for the label, found "${text.slice(0, 200)}"`,
        );
      images.push({ path, label: Number(label), line });
    }
  } catch (error) {
    if (error instanceof ResnodeError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DataError('data/not-found', { file }, `the list cannot be read (${code ?? message})`, {
      cause: error,
    });
  }
  if (images.length === 0)
    throw new DataError('data/list', { file }, 'the list is empty; expected "path label" lines');
  return images;
}
