/** The files of a classifier, separately or in a model folder. */
import { either, type Kind, list, string } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { location, pathOf } from '../../base/sources.ts';
import { filesOfModelFolder } from '../../caffe/model-folder.ts';
import { type Preprocess, preprocess } from '../preprocess.ts';

/** The files of a classifier, each as a path or `file:` URL. */
export interface ClassifierFiles {
  /** The deploy net. */
  readonly model: string | URL;
  /** A .caffemodel or .caffemodel.h5. */
  readonly weights: string | URL;
  /** Class names, one per line in a file, or as an array. Default: `class 0`, `class 1`, … */
  readonly labels?: string | URL | readonly string[];
  /**
   * A file that `savePreprocess` wrote, or its content. Default: `NAME.preprocess.json` beside `NAME.prototxt`, or
   * `preprocess.json`.
   */
  readonly preprocess?: string | URL | Preprocess;
  /** The calibration of `resnode quantize`, for precision int8. Default none. */
  readonly calibration?: string | URL;
}

export const classifierFiles: Kind<ClassifierFiles> = options<ClassifierFiles>({
  model: required(location, 'The deploy net.'),
  weights: required(location, 'A .caffemodel or .caffemodel.h5.'),
  labels: optional(
    either(location, list(string, { of: 'class names' })),
    'class 0, class 1, …',
    'Class names, in a file with one per line or as an array.',
  ),
  preprocess: optional(
    either(location, preprocess),
    'the file beside the model',
    'A file that savePreprocess wrote, or its content.',
  ),
  calibration: optional(location, 'none', 'The calibration of `resnode quantize`, for precision int8.'),
});

const READ_MODEL_FOLDER = signature('readModelFolder', { folder: required(location, 'A model folder.') });

/**
 * The files of a model folder: `model.prototxt` (or `deploy.prototxt`), `model.caffemodel` (or `.caffemodel.h5`), and, if
 * they exist, `labels.txt`, `preprocess.json` and `calibration.json`. `resnode finetune`, `convert` and `train --out` write
 * such folders.
 * @returns Their absolute paths
 * @throws ArgumentError that names the folder and the missing file
 * @example const { model, weights } = readModelFolder('ants-and-bees');
 */
export function readModelFolder(folder: string | URL): ClassifierFiles {
  READ_MODEL_FOLDER.check(folder);
  return filesOfModelFolder(pathOf(folder), ['model', 'weights']);
}
