/** Class names: one a line, in the order of the net's outputs. */
import { readFileSync } from 'node:fs';
import { ArgumentError } from '../base/errors.ts';
import { checkFileSize, MAX_LABELS_BYTES } from '../base/files.ts';
import { integer, path } from '../base/kinds.ts';
import { optional, required, signature } from '../base/options.ts';
import { wrongKindAt } from '../caffe/wrong-kind.ts';

const READ_LABELS = signature('readLabels', {
  file: required(path, 'Class names, one a line.'),
  classes: optional(integer(0), 'any', 'How many the net has.'),
});

/**
 * Reads a label file, e.g. `synset_words.txt`; lines are kept as they are (`n01440764 tench, Tinca tinca`).
 * @param classes How many the net has; another count is an error. Default: any.
 * @throws ArgumentError naming the file and both counts
 * @example const labels = readLabels('synset_words.txt', 1000);
 */
export function readLabels(file: string, classes?: number): string[] {
  READ_LABELS.check(file, classes);
  const wrong = wrongKindAt(file, 'labels');
  if (wrong !== null) throw new ArgumentError('labels', 'class names, one a line', file, wrong);
  checkFileSize(file, MAX_LABELS_BYTES, 'label files');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ArgumentError(
      'labels',
      'a readable file',
      `${file} (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  const lines = text
    .replace(/^\uFEFF/, '')
    .replace(/(\r?\n)+$/, '')
    .split(/\r?\n/);
  const labels = lines.length === 1 && lines[0] === '' ? [] : lines;
  if (classes !== undefined && labels.length !== classes)
    throw new ArgumentError(
      'labels',
      `${classes} lines, as many as the net has classes`,
      `${file} with ${labels.length}`,
    );
  return labels;
}
