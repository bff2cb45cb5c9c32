/** A classifier's files, by themselves or in a folder that is passed around: a model folder. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ArgumentError } from '../../base/errors.ts';
import { either, type Kind, list, string } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { location, pathOf } from '../../base/sources.ts';
import { type Preprocess, preprocess } from '../preprocess.ts';

/** What a classifier is made of. Files by path or `file:` URL. */
export interface ClassifierFiles {
  /** The deploy net. */
  readonly model: string | URL;
  /** A .caffemodel or .caffemodel.h5. */
  readonly weights: string | URL;
  /** Class names, one a line, or as an array. Default: `class 0`, `class 1`, … */
  readonly labels?: string | URL | readonly string[];
  /**
   * A file of `savePreprocess`, or what it holds. Default: `NAME.preprocess.json` beside `NAME.prototxt`, or
   * `preprocess.json`.
   */
  readonly preprocess?: string | URL | Preprocess;
  /** Of `resnode quantize`, for precision int8. Default none. */
  readonly calibration?: string | URL;
}

export const classifierFiles: Kind<ClassifierFiles> = options<ClassifierFiles>({
  model: required(location, 'The deploy net.'),
  weights: required(location, 'A .caffemodel or .caffemodel.h5.'),
  labels: optional(
    either(location, list(string, { of: 'class names' })),
    'class 0, class 1, …',
    'Class names, one a line, or as an array.',
  ),
  preprocess: optional(
    either(location, preprocess),
    'the file beside the model',
    'A file of savePreprocess, or what it holds.',
  ),
  calibration: optional(location, 'none', 'Of `resnode quantize`, for precision int8.'),
});

/** Names of the files of a model folder, the first one's before the second's: Caffe's users call the net deploy.prototxt. */
const NAMES = {
  model: ['model.prototxt', 'deploy.prototxt'],
  weights: ['model.caffemodel', 'model.caffemodel.h5'],
  labels: ['labels.txt'],
  preprocess: ['preprocess.json'],
  calibration: ['calibration.json'],
} as const;

/** Whether a path is a folder, which `readModelFolder` takes. */
export const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

const READ_MODEL_FOLDER = signature('readModelFolder', { folder: required(location, 'A model folder.') });

/**
 * The files of a model folder: `model.prototxt` (or `deploy.prototxt`), `model.caffemodel` (or `.caffemodel.h5`), and where
 * they are there `labels.txt`, `preprocess.json` and `calibration.json`. `resnode finetune` writes one.
 * @returns Their paths, absolute
 * @throws ArgumentError naming the folder and the file that it lacks
 * @example const { model, weights } = readModelFolder('ants-and-bees');
 */
export function readModelFolder(folder: string | URL): ClassifierFiles {
  READ_MODEL_FOLDER.check(folder);
  const path = resolve(pathOf(folder));
  const find = (names: readonly string[]) =>
    names.map((name) => join(path, name)).find((file) => existsSync(file));
  const need = (names: readonly string[]) => {
    const found = find(names);
    if (found !== undefined) return found;
    const lacks = isFolder(path)
      ? `${path}, which lacks ${names.join(' or ')}`
      : `${path}, which is no folder`;
    throw new ArgumentError('the model folder', 'a folder with model.prototxt and model.caffemodel', lacks);
  };
  const [labels, preprocess, calibration] = [NAMES.labels, NAMES.preprocess, NAMES.calibration].map(find);
  return {
    model: need(NAMES.model),
    weights: need(NAMES.weights),
    ...(labels === undefined ? {} : { labels }),
    ...(preprocess === undefined ? {} : { preprocess }),
    ...(calibration === undefined ? {} : { calibration }),
  };
}
