/** Parses the lines of text files that name images. */
import { open } from 'node:fs/promises';
import { DataError } from '../base/errors.ts';
import { checkRegularFile } from '../base/files.ts';
import { wrongKind, wrongKindAt } from '../caffe/wrong-kind.ts';
import { IMAGE_FILE } from '../images/format.ts';

/** The number of bytes that are examined to recognise a file. */
const HEAD_BYTES = 2 ** 16;

/** The content of a line, or a description of what was expected. Null for an empty line. */
export type ListLine =
  | { readonly path: string; readonly label: number; readonly labels?: readonly number[] }
  | { readonly expected: string }
  | null;

/**
 * Parses Caffe's `path label`: the last space separates the two, so paths may contain spaces.
 * @param options.negative Whether labels may be below 0.
 * @param options.several Whether several values may follow the path; they become `labels`, and `label` is the first.
 */
export function readListLine(
  line: string,
  { negative, several = false }: { readonly negative: boolean; readonly several?: boolean },
): ListLine {
  const text = line.trim();
  if (text === '') return null;
  const fail = (cure: string) => ({ expected: `"path label" with a whole number for the label: ${cure}` });
  if (text.includes('\0')) return fail('the file is binary, or in UTF-16; save it as UTF-8');
  if (text.includes('\uFFFD')) return fail('the line is not UTF-8; save the list as UTF-8 (iconv -t utf-8)');
  const [, path, label] = /^(.+?)\s+(\S+)$/.exec(text) ?? [];
  if (path === undefined || label === undefined) {
    const [, divider] = /[^\s]([,;|])-?\d+$/.exec(text) ?? [];
    return fail(
      divider === undefined ? 'no label follows the path' : `a space must separate them, not "${divider}"`,
    );
  }
  if (IMAGE_FILE.test(label)) return fail('no label follows the path');
  const [, others] = /\.\w{2,5}((?:\s+[-+\d.eE,]+)+)$/.exec(path) ?? [];
  if (others !== undefined && IMAGE_FILE.test(path.slice(0, -others.length))) {
    const labels = [...others.trim().split(/\s+/), label].map(Number);
    if (several && labels.every(Number.isFinite))
      return { path: path.slice(0, -others.length), label: labels[0]!, labels };
    return fail(
      several
        ? 'values after the path must be numbers separated by spaces, one per class'
        : `there are ${labels.length} labels, but one is expected; several labels are for nets that end in Sigmoid, whose classes do not exclude each other`,
    );
  }
  if (!/^[+-]?\d{1,10}$/.test(label) || Math.abs(Number(label)) > 2 ** 31 - 1)
    return fail(
      `"${label.slice(0, 40)}" is not a valid label${Number.isNaN(Number(label)) ? '; number the classes from 0' : '; use HDF5Data for values that are not classes'}`,
    );
  if (Number(label) < 0 && !negative) return fail(`"${label}" is below 0; number the classes from 0`);
  return { path, label: Number(label) };
}

/**
 * Splits a line into the path and the rest: after the last name of an image, or else after the first space. Null if nothing
 * follows.
 */
export function splitLabels(line: string): [path: string, labels: string] | null {
  const text = line.trim();
  for (let at = text.length; at > 0; at = text.lastIndexOf(' ', at - 1)) {
    const end = at === text.length ? -1 : at;
    if (end > 0 && IMAGE_FILE.test(text.slice(0, end).trimEnd()))
      return [text.slice(0, end).trimEnd(), text.slice(end).trim()];
  }
  const [, path, labels] = /^(\S+)\s+(.+)$/.exec(text) ?? [];
  return path === undefined || labels === undefined || IMAGE_FILE.test(text) ? null : [path, labels];
}

/**
 * Refuses a file whose first bytes show another kind, or are not UTF-8.
 * @throws DataError `data/wrong-kind`, `data/list`
 */
export function checkIsList(head: Uint8Array, file: string): void {
  const wrong = wrongKind(head, 'list');
  if (wrong !== null) throw new DataError('data/wrong-kind', { file }, wrong);
  const [first, second] = head;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new DataError(
      'data/list',
      { file },
      `the list is in UTF-16, which neither Caffe nor resnode reads; save it as UTF-8 (iconv -f utf-16 -t utf-8 ${file})`,
    );
}

/**
 * The same for a file.
 * @throws DataError `data/wrong-kind`, `data/list`; the file system's error
 */
export async function checkIsListFile(file: string): Promise<void> {
  checkRegularFile(file);
  const handle = await open(file);
  try {
    if ((await handle.stat()).isDirectory())
      throw new DataError('data/wrong-kind', { file }, wrongKindAt(file, 'list') ?? 'this is a folder');
    const head = new Uint8Array(HEAD_BYTES);
    const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
    checkIsList(head.subarray(0, bytesRead), file);
  } finally {
    await handle.close();
  }
}
