/** The files of a net for a task, separately or in a model folder. */
import { ArgumentError } from '../../base/errors.ts';
import { describedAs, either, type Kind, list, string } from '../../base/kinds.ts';
import { optional, options, required } from '../../base/options.ts';
import { location, pathOf } from '../../base/sources.ts';
import { filesOfModelFolder } from '../../caffe/model-folder.ts';
import { readLabels } from '../labels.ts';
import { loadWholePreprocess, preprocessBeside } from '../preprocess-file.ts';
import { type WholePreprocess, wholePreprocess } from '../whole.ts';

/** The files of a detector or segmenter, each as a path or `file:` URL. */
export interface TaskFiles {
  /** The deploy net. */
  readonly model: string | URL;
  /** A .caffemodel or .caffemodel.h5. */
  readonly weights: string | URL;
  /**
   * Class names, one per line in a file, or as an array, with or without the background. Default: `class 0`, `class 1`, …
   */
  readonly labels?: string | URL | readonly string[];
  /**
   * How images are prepared, or the path of a preprocess.json. Default: `NAME.preprocess.json` beside `NAME.prototxt`, or
   * `preprocess.json`.
   */
  readonly preprocess?: string | URL | WholePreprocess;
  /** The calibration of `resnode quantize`, for precision int8. Default none. */
  readonly calibration?: string | URL;
}

const taskFiles: Kind<TaskFiles> = options<TaskFiles>({
  model: required(location, 'The deploy net.'),
  weights: required(location, 'A .caffemodel or .caffemodel.h5.'),
  labels: optional(
    either(location, list(string, { of: 'class names' })),
    'class 0, class 1, …',
    'Class names, in a file with one per line or as an array, with or without the background.',
  ),
  preprocess: optional(
    either(location, wholePreprocess),
    'the file beside the model',
    'How images are prepared, or the path of a preprocess.json.',
  ),
  calibration: optional(location, 'none', 'The calibration of `resnode quantize`, for precision int8.'),
});

/** A model folder, or its files. */
export const folderOr = <Files>(files: Kind<Files>): Kind<string | URL | Files> =>
  describedAs(
    either(location, files),
    'a model folder',
    '{ model, weights, labels, preprocess, calibration }',
  );

export const taskSource: Kind<string | URL | TaskFiles> = folderOr(taskFiles);

/** @throws ArgumentError that names a file which the folder lacks */
export const filesOf = (source: string | URL | TaskFiles): TaskFiles =>
  typeof source === 'string' || source instanceof URL
    ? filesOfModelFolder(pathOf(source), ['model', 'weights'])
    : source;

/** @throws ArgumentError if there is no preprocessing; ImageError for an invalid file */
export function wholePreprocessOf({ model, preprocess }: TaskFiles): WholePreprocess {
  if (typeof preprocess === 'object' && !(preprocess instanceof URL)) return preprocess;
  const file = preprocess === undefined ? preprocessBeside(pathOf(model)) : pathOf(preprocess);
  if (file !== null) return loadWholePreprocess(file);
  throw new ArgumentError(
    'preprocess',
    'how images are prepared, e.g. { mean: [104, 117, 123] }, or a file that saveWholePreprocess wrote',
    undefined,
    `there is none beside ${pathOf(model)} either`,
  );
}

/**
 * A name for every class of the net.
 * @param background The class that may lack a name; null: none may.
 * @throws ArgumentError for another number of names
 */
export function classNames(
  labels: TaskFiles['labels'],
  classes: number,
  background: number | null,
): readonly string[] {
  if (labels === undefined)
    return Array.from({ length: classes }, (_, i) => (i === background ? 'background' : `class ${i}`));
  const isFile = typeof labels === 'string' || labels instanceof URL;
  const names = isFile ? readLabels(pathOf(labels)) : labels;
  if (names.length === classes) return names;
  if (background !== null && names.length === classes - 1)
    return [...names.slice(0, background), 'background', ...names.slice(background)];
  const orLess = background === null ? '' : `, or ${classes - 1} without the background's`;
  throw new ArgumentError(
    'labels',
    `${classes} names, one for each class of the net${orLess}`,
    isFile ? `${pathOf(labels)} with ${names.length}` : names,
  );
}
