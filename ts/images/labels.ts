/** Class names: one a line, in the order of the net's outputs; or SSD's label map. */
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
 * Reads a label file, e.g. `synset_words.txt`; lines are kept as they are (`n01440764 tench, Tinca tinca`). Of SSD's label maps
 * (`labelmap_voc.prototxt`, items with `label` and `name`) the display names are taken.
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
  const lines = labelMap(text) ?? linesOf(text);
  if (classes !== undefined && lines.length !== classes)
    throw new ArgumentError(
      'labels',
      `${classes} lines, as many as the net has classes`,
      `${file} with ${lines.length}`,
    );
  return lines;
}

function linesOf(text: string): string[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .replace(/(\r?\n)+$/, '')
    .split(/\r?\n/);
  return lines.length === 1 && lines[0] === '' ? [] : lines;
}

const ITEM = /\bitem\s*\{([^{}]*)\}/g;

/** Items of weiliu89/caffe's LabelMap, each at its label; null where there is none. */
function labelMap(text: string): string[] | null {
  const items = text.replace(/^\s*#.*$/gm, '').trimStart();
  if (!/^item\s*\{/.test(items)) return null;
  const names: string[] = [];
  for (const [, fields = ''] of items.matchAll(ITEM)) {
    const value = (name: string) =>
      new RegExp(`\\b${name}\\s*:\\s*(?:"([^"]*)"|'([^']*)'|(-?\\d{1,4}))`)
        .exec(fields)
        ?.slice(1)
        .find(Boolean);
    const label = Number(value('label') ?? names.length);
    if (label < 0) continue;
    names[label] = value('display_name') ?? value('(?<!_)name') ?? `class ${label}`;
  }
  return Array.from(names, (name, i) => name ?? `class ${i}`);
}
