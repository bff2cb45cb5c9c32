/** JSON files: their value, or a sentence that says what else the file is. */
import { readFileSync } from 'node:fs';
import { checkFileSize, MAX_JSON_BYTES } from '../base/limits.ts';
import { fileKind } from './file-kind.ts';
import { type NeededKind, wrongKind, wrongKindAt } from './wrong-kind.ts';

/**
 * Reads a JSON file; a byte-order mark before it is passed over.
 * @param refuse Makes the reader's own error of what is wrong, e.g. `cannot be read (ENOENT)`; whether it is another kind of file.
 * @throws what `refuse` makes; ResnodeError `file/too-large`, `file/special`
 */
export function readJsonFile(
  file: string,
  needed: NeededKind,
  refuse: (found: string, cause?: unknown, isWrongKind?: boolean) => Error,
): unknown {
  checkFileSize(file, MAX_JSON_BYTES, 'JSON files');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const wrong = wrongKindAt(file, needed);
    const { code } = error as NodeJS.ErrnoException;
    throw refuse(wrong ?? `cannot be read (${code})`, error, wrong !== null);
  }
  const wrong = wrongKind(fileKind(bytes), needed);
  if (wrong !== null) throw refuse(wrong, undefined, true);
  try {
    return JSON.parse(bytes.toString('utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    throw refuse(`cannot be read (${(error as Error).message})`, error);
  }
}
