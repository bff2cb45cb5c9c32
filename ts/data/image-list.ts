/** Reads Caffe's lists with one `path label` per line. */

import { createReadStream } from 'node:fs';
import { DataError, ResnodeError } from '../base/errors.ts';
import { MAX_LINE, MAX_LINES, readCause } from '../base/files.ts';
import { boolean, path } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { checkIsListFile, readListLine } from './list-lines.ts';
import type { ListedImage } from './reader.ts';

const READ_IMAGE_LIST = signature('readImageList', {
  file: required(path, 'A file with one `path label` per line.'),
  options: optional(
    options<ImageListOptions>({
      negative: optional(boolean, 'true', 'Whether labels below 0 are accepted.'),
      several: optional(boolean, 'false', 'Whether lines may have several values, the same number in each.'),
    }),
    'none',
    'Which labels are accepted.',
  ),
});

export interface ImageListOptions {
  /** Whether labels below 0 are accepted, as for a loss with `ignore_label: -1`. Default true. */
  readonly negative?: boolean;
  /** Whether lines may have several values, `path 1 0 1`, the same number in each (`labels`). Default false. */
  readonly several?: boolean;
}

/**
 * Reads an image list without blocking the event loop. The last space separates path and label, so paths may contain spaces.
 * Empty lines are ignored; lines may end in CR LF.
 * @throws DataError `data/list` that names file, line and cure; `data/not-found`
 */
export async function readImageList(file: string, options: ImageListOptions = {}): Promise<ListedImage[]> {
  READ_IMAGE_LIST.check(file, options);
  const { negative = true, several = false } = options;
  const images: ListedImage[] = [];
  let line = 0;
  try {
    await checkIsListFile(file);
    for await (const text of readLines(file)) {
      line++;
      const read = readListLine(text, { negative, several });
      if (read === null) continue;
      if ('expected' in read)
        throw new DataError(
          'data/list',
          { file: `${file}:${line}` },
          `expected ${read.expected}; found "${text.slice(0, 200)}"`,
        );
      const [first] = images;
      if (first !== undefined && first.labels?.length !== read.labels?.length)
        throw new DataError(
          'data/list',
          { file: `${file}:${line}` },
          `expected ${first.labels?.length ?? 1} values after the path, as in line ${first.line}; found "${text.slice(0, 200)}"`,
        );
      images.push({ ...read, line });
    }
  } catch (error) {
    if (error instanceof ResnodeError) throw error;
    throw new DataError('data/not-found', { file }, readCause(error as Error), { cause: error });
  }
  if (images.length === 0)
    throw new DataError('data/list', { file }, 'the list is empty; expected "path label" lines');
  return images;
}

/**
 * Lines in UTF-8, without their line ends (\n or \r\n).
 * @throws ResnodeError `file/line-too-long`, `file/too-many-lines`; the file system's error
 */
export async function* readLines(file: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  let count = 0;
  const checked = (line: Buffer): string => {
    if (++count > MAX_LINES)
      throw new ResnodeError('file/too-many-lines', `${file}: has more than ${MAX_LINES} lines`);
    if (line.length > MAX_LINE) throw tooLong(file, count);
    return line.toString('utf8', 0, line.at(-1) === 13 ? line.length - 1 : line.length);
  };
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      yield checked(bytes.subarray(from, end));
      from = end + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > MAX_LINE) throw tooLong(file, count + 1);
  }
  if (rest.length > 0) yield checked(rest);
}
const tooLong = (file: string, line: number): ResnodeError =>
  new ResnodeError(
    'file/line-too-long',
    `${file}:${line}: the line is longer than ${MAX_LINE} bytes; expected a text file with one entry per line`,
  );
