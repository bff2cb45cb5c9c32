/** Class names: one per line, in the order of the net's outputs, or SSD's label map. */
import { readFileSync } from 'node:fs';
import { ArgumentError } from '../base/errors.ts';
import { checkFileSize, MAX_LABELS_BYTES, readCause } from '../base/files.ts';
import { integer, path } from '../base/kinds.ts';
import { optional, required, signature } from '../base/options.ts';
import { parseMessage } from '../caffe/prototxt.ts';
import { wrongKindHint } from '../caffe/wrong-kind.ts';

const READ_LABELS = signature('readLabels', {
  file: required(path, 'A file of class names, one per line.'),
  classes: optional(integer(0), 'any', 'The number of classes of the net.'),
});

/**
 * Reads a label file, e.g. `synset_words.txt`; lines stay unchanged (`n01440764 tench, Tinca tinca`). For SSD's label maps
 * (`labelmap_voc.prototxt`, items with `label` and `name`) it returns the display names.
 * @param classes The number of classes of the net; another count is an error. Default: any.
 * @throws ArgumentError that names the file and both counts; PrototxtError for an invalid label map, with the position
 * @example const labels = readLabels('synset_words.txt', 1000);
 */
export function readLabels(file: string, classes?: number): string[] {
  READ_LABELS.check(file, classes);
  const text = readLabelText(file);
  const lines = labelMap(text, file) ?? linesOf(text);
  if (classes !== undefined && lines.length !== classes)
    throw new ArgumentError(
      'labels',
      `${classes} lines, one for each class of the net`,
      file,
      `it has ${lines.length}`,
    );
  return lines;
}

/**
 * The numbers of classes by name: for SSD's label maps by `name` and by `display_name`, otherwise by the lines of a label
 * file, counted from 0.
 * @throws as `readLabels`
 */
export function readLabelNumbers(file: string): Map<string, number> {
  const text = readLabelText(file);
  const items = itemsOf(text, file);
  if (items === null) return new Map(linesOf(text).map((line, i) => [line.trim(), i]));
  return new Map(
    items.flatMap(({ label, name, display_name: shown }, i) =>
      [shown, name].flatMap((each): [string, number][] => (each === undefined ? [] : [[each, label ?? i]])),
    ),
  );
}

function readLabelText(file: string): string {
  const wrong = wrongKindHint(file, 'labels');
  if (wrong !== null) throw new ArgumentError('labels', 'class names, one per line', file, wrong);
  checkFileSize(file, MAX_LABELS_BYTES, 'label files');
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ArgumentError('labels', 'a readable file', file, readCause(error as Error));
  }
}

function linesOf(text: string): string[] {
  const lines = text
    .replace(/^\uFEFF/, '')
    .replace(/(\r?\n)+$/, '')
    .split(/\r?\n/);
  return lines.length === 1 && lines[0] === '' ? [] : lines;
}

/** The beginning of a label map after its comments. */
const ITEM = /^(?:\s|#.*)*item\s*:?\s*[{<]/;

/** More classes than any net has: a higher label is a mistake, which would create as many names. */
const MOST_CLASSES = 1_000_000;

/**
 * The items of weiliu89/caffe's LabelMap, each at its label; null if the text is not a label map.
 * @throws PrototxtError, ArgumentError
 */
function labelMap(text: string, file: string): string[] | null {
  const items = itemsOf(text, file);
  if (items === null) return null;
  const names: string[] = [];
  for (const item of items) {
    const { label = names.length, name, display_name: shown } = item;
    if (label < 0) continue;
    if (label >= MOST_CLASSES)
      throw new ArgumentError('labels', `labels below ${MOST_CLASSES}`, file, `it has label ${label}`);
    names[label] = shown ?? name ?? `class ${label}`;
  }
  return Array.from(names, (name, i) => name ?? `class ${i}`);
}

function itemsOf(text: string, file: string): LabelMapItem[] | null {
  if (!ITEM.test(text)) return null;
  return (parseMessage('LabelMap', text, { file }) as { item?: LabelMapItem[] }).item ?? [];
}

interface LabelMapItem {
  readonly name?: string;
  readonly label?: number;
  readonly display_name?: string;
}
