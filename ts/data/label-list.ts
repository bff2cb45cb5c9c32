/** Reads lists of images with several labels or none: `path 0,3,7`, or one value per class, `path 1 0 1`. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import { checkFileSize, MAX_LIST_BYTES, readCause } from '../base/files.ts';
import { integer, path } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { checkIsList, splitLabels } from './list-lines.ts';

/** An image and its classes, in order. */
export interface SeveralLabels {
  readonly image: string;
  readonly labels: readonly number[];
}

export interface LabelList {
  /** The number of classes: the values of a line, or one more than the largest label, or the given number. */
  readonly classes: number;
  readonly images: readonly SeveralLabels[];
}

export interface LabelListOptions {
  /** The number of classes of the net, or of names. Default: derived from the list. */
  readonly classes?: number;
}

const READ_LABEL_LIST = signature('readLabelList', {
  file: required(path, 'A file with one `path 0,3,7` or `path 1 0 1` per line.'),
  options: optional(
    options<LabelListOptions>({
      classes: optional(integer(1), 'what the list says', 'The number of classes.'),
    }),
    'none',
    'How many classes there are.',
  ),
});

/**
 * Reads a list of images with any number of labels each: their numbers separated by commas (`path 0,3,7`; `path 3`; `path -`
 * for none), or a 0 or 1 for each class (`path 1 0 1`). All lines of a list use the same form. Paths are relative to the
 * list.
 * @throws ArgumentError that names the file and line; DataError for a file that is not a list
 * @example const { classes, images } = readLabelList('findings.txt');
 */
export function readLabelList(file: string, options: LabelListOptions = {}): LabelList {
  READ_LABEL_LIST.check(file, options);
  checkFileSize(file, MAX_LIST_BYTES, 'lists of images');
  const bytes = readList(file);
  checkIsList(bytes, file);
  const images: SeveralLabels[] = [];
  let [values, most, isSeveral] = [null as number | null, -1, false];
  const lines = bytes
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/);
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const refuse = (expected: string): never => {
      throw new ArgumentError(`${file}:${i + 1}`, expected, line.slice(0, 200));
    };
    const [path, text] =
      splitLabels(line) ?? refuse('a path and its labels, "path 0,3,7", "path 1 0 1" or "path -"');
    const isVector = /^[01](\s+[01])+$/.test(text);
    if (!isVector && !/^(-|\d{1,9}(\s*,\s*\d{1,9})*)$/.test(text))
      refuse(
        'labels after the path: numbers of classes separated by commas ("0,3,7", "-" for none), or a 0 or 1 for each class ("1 0 1")',
      );
    const numbers = text === '-' ? [] : text.split(isVector ? /\s+/ : /\s*,\s*/).map(Number);
    if (images.length > 0 && isVector !== (values !== null))
      refuse(
        values === null
          ? 'numbers of classes separated by commas, as in the lines before'
          : `${values} values of 0 or 1, as in the lines before`,
      );
    if (isVector && values !== null && values !== numbers.length)
      refuse(`${values} values of 0 or 1, one per class, as in the lines before`);
    if (isVector) values = numbers.length;
    const labels = isVector
      ? numbers.flatMap((value, label) => (value === 1 ? [label] : []))
      : [...new Set(numbers)].sort((a, b) => a - b);
    if (labels.length < numbers.length && !isVector) refuse('each label once');
    most = Math.max(most, ...labels);
    isSeveral ||= isVector || numbers.length !== 1;
    const { classes } = options;
    if (classes !== undefined && (isVector ? numbers.length !== classes : most >= classes))
      refuse(isVector ? `${classes} values, one per class,` : `labels from 0 to ${classes - 1}`);
    images.push({ image: resolve(dirname(file), path), labels });
  }
  if (images.length === 0)
    throw new ArgumentError('images', 'a list with "path 0,3,7" or "path 1 0 1" lines', file);
  if (!isSeveral)
    throw new ArgumentError(
      'images',
      'a list in which some image has several labels, or none ("-"): for one class per image give a folder of images for each class',
      file,
    );
  return { classes: options.classes ?? values ?? most + 1, images };
}

function readList(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ArgumentError(
      'file',
      'a readable list of images with their labels',
      file,
      readCause(error as Error),
    );
  }
}
