/** The lines of a file, one after the other, none longer than a limit: node:readline joins a line of any length. */
import { createReadStream } from 'node:fs';
import { ResnodeError } from './errors.ts';
import { MAX_LINE, MAX_LINES } from './limits.ts';

/**
 * Lines without their ends (\n or \r\n), in UTF-8.
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
    `${file}:${line}: the line is longer than ${MAX_LINE} bytes; expected a text file with an entry a line`,
  );
