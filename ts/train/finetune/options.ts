import { ArgumentError, type ImageError } from '../../base/errors.ts';
import {
  callback,
  either,
  having,
  integer,
  type Kind,
  list,
  number,
  oneOf,
  path,
  signal,
  string,
} from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { filesOfModelFolder, isFolder, overwrite } from '../../caffe/model-folder.ts';
import type { Device } from '../../device/device.ts';
import { matchRows } from '../../device/load-options.ts';
import { solverRows } from '../../device/train-options.ts';
import type { TrainOptions } from '../../device/trainer.ts';
import { limitRows } from '../../images/decode.ts';
import { type Preprocess, type TunedPreprocess, tunedPreprocess } from '../../images/preprocess.ts';
import { loadPreprocess } from '../../images/preprocess-file.ts';
import type { Recipe } from './files.ts';

export interface FinetuneOptions
  extends Pick<TrainOptions, 'precision' | 'lossScale' | 'partialWeights' | 'reshapeWeights'> {
  /**
   * A folder of images for each class, in `folder` or in its `train` and `val`. For images with several labels: a list
   * (`readLabelList`), or a folder with `train.txt` and `val.txt`.
   */
  readonly folder: string;
  /** The names of the classes of a list. Default `class 0`, `class 1`, …; for folders, their names. */
  readonly labels?: readonly string[];
  /** The deploy prototxt of the trained net, or a model folder, whose weights and preprocessing are used by default. */
  readonly model: string;
  /** Required unless `model` is a folder. */
  readonly weights?: string;
  /** The folder of the result; it is created if it does not exist. */
  readonly out: string;
  /** Writes into a folder that already contains files. Default false: this is an error. */
  readonly overwrite?: boolean;
  readonly device: Device;
  /**
   * The preprocessing with which the net was trained: its mean ([0]: none), and differences from a shorter side of
   * 256/224 of the input (256 for 224), order BGR and scale 1. The crop is the net's input. Required unless `model` is a
   * folder.
   */
  readonly preprocess?: TunedPreprocess;
  /** The largest number of pixels of an image. Default 2^26. */
  readonly maxPixels?: number;
  /**
   * Skips images that cannot be read and reports each of them here. All images are decoded once before the split.
   * Default: the first such image is an error.
   */
  readonly onBroken?: (error: ImageError) => void;
  /** Default 10. */
  readonly epochs?: number;
  /** Images per iteration. Default 16. */
  readonly batch?: number;
  /** The initial rate of all layers except the head; it falls linearly to 0. Default 0.002. */
  readonly rate?: number;
  /** The head's rate is this many times `rate`. Default 10. */
  readonly headRate?: number;
  /** `frozen`: BatchNorm keeps its statistics, which suits small batches. Default frozen. */
  readonly batchNorm?: 'frozen' | 'live';
  /** Default 0.0001. */
  readonly weightDecay?: number;
  /**
   * A factor for each class in the loss, in the order of their names. `balanced`: images / (classes · images of the
   * class). Caffe has no such factors and refuses the resulting train_val.prototxt. Default: none.
   */
  readonly classWeights?: 'balanced' | readonly number[];
  /**
   * `balanced`: all classes appear equally often in an epoch, so images of rare classes are repeated. Default shuffled.
   */
  readonly sampling?: 'shuffled' | 'balanced';
  /** The share of each class that is held out for evaluation if there is no `val` folder. Default 0.2. */
  readonly valShare?: number;
  /** The seed of the split, the new head and the order of the images. Default 1. */
  readonly seed?: number;
  /** Ends the fine-tuning and throws the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Ends the training in order: it stops after the current iteration and writes a snapshot, the last event is
   * `stopped`, and nothing is evaluated or written. Before and after the training, the signal's reason is thrown.
   */
  readonly stop?: AbortSignal;
}

const weightsOfClasses: Kind<'balanced' | readonly number[]> = either(
  oneOf('balanced'),
  list(number({ from: 0 }), { of: 'numbers of at least 0', atLeast: 2 }),
);

export const FINETUNE = signature('finetune', {
  options: required(
    options<FinetuneOptions>({
      folder: required(
        path,
        'A folder with a folder of images per class, or a list with several labels per image.',
      ),
      labels: optional(
        list(string, { of: 'class names' }),
        'class 0, class 1, …',
        'The class names of a list.',
      ),
      model: required(path, 'The deploy prototxt, or a model folder.'),
      weights: optional(path, 'those of the model folder', 'The weights of the net.'),
      out: required(path, 'The folder to write.'),
      overwrite,
      device: required(having<Device>('a Device of openDevice', 'load', 'train'), 'The device to train on.'),
      preprocess: optional(
        tunedPreprocess,
        'that of the model folder',
        'How images were prepared when the original net was trained.',
      ),
      maxPixels: limitRows.maxPixels,
      onBroken: optional(
        callback<(error: ImageError) => void>(),
        'the first is an error',
        'Called for each image that cannot be read.',
      ),
      epochs: optional(integer(1), '10', 'How many times training sees each image.'),
      batch: optional(integer(1), '16', 'The number of images per iteration.'),
      rate: optional(
        number({ above: 0 }),
        '0.002',
        'The learning rate at the start; it falls linearly to 0.',
      ),
      headRate: optional(
        number({ above: 0 }),
        '10',
        'The factor by which the new head learns faster than the other layers.',
      ),
      batchNorm: optional(
        oneOf('frozen', 'live'),
        'frozen',
        'Whether BatchNorm keeps its stored statistics or uses those of each batch, which suits large batches.',
      ),
      weightDecay: optional(number({ from: 0 }), '0.0001', 'The weight decay of all weights.'),
      classWeights: optional(
        weightsOfClasses,
        'none',
        'The weights of the loss, one per class in the order of the class names; balanced: inversely proportional to the number of images.',
      ),
      sampling: optional(
        oneOf('shuffled', 'balanced'),
        'shuffled',
        'The order of the images; balanced shows every class equally often in an epoch.',
      ),
      valShare: optional(
        number({ above: 0 }),
        '0.2, or the folder val',
        'The share of each class that is kept for validation.',
      ),
      seed: optional(
        integer(),
        '1',
        "The seed of the split, of the new head's initial weights and of the order of images.",
      ),
      signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
      stop: optional(signal, 'none', 'Ends training after the current iteration, with a snapshot.'),
      ...matchRows,
      precision: solverRows.precision,
      lossScale: solverRows.lossScale,
    }),
    'Files and rates.',
  ),
});

/** Options with the files of the net. */
export type CompleteOptions = FinetuneOptions & Required<Pick<FinetuneOptions, 'weights' | 'preprocess'>>;

/**
 * Adds the files of a model folder to the options.
 * @throws ArgumentError that names a missing file; ImageError for its preprocessing
 */
export function withModelFolder(options: FinetuneOptions): CompleteOptions {
  const { model, weights, preprocess } = options;
  if (isFolder(model)) {
    const needed = (['weights', 'preprocess'] as const).filter((name) => options[name] === undefined);
    const files = filesOfModelFolder(model, ['model', ...needed]);
    return {
      ...options,
      model: files.model,
      weights: weights ?? files.weights!,
      preprocess: preprocess ?? withoutCrop(loadPreprocess(files.preprocess!)),
    };
  }
  if (weights !== undefined && preprocess !== undefined) return { ...options, weights, preprocess };
  const missing = weights === undefined ? 'weights' : 'preprocess';
  throw new ArgumentError(
    missing,
    `${missing === 'weights' ? 'a path' : 'an object with a mean'}, because model is no model folder`,
    undefined,
  );
}

const withoutCrop = ({ crop: _, ...preprocess }: Preprocess): TunedPreprocess => preprocess;

/** The settings of the training, with their defaults. */
export function recipeOf(options: FinetuneOptions): Recipe {
  const { epochs = 10, batch = 16, rate = 0.002, headRate = 10 } = options;
  const { batchNorm = 'frozen', weightDecay = 1e-4, seed = 1 } = options;
  const { classWeights, sampling } = options;
  return { epochs, batch, rate, headRate, batchNorm, weightDecay, seed, classWeights, sampling };
}

/** The limits for decoding images. */
export const limitsOf = ({ maxPixels }: Pick<FinetuneOptions, 'maxPixels'>) =>
  maxPixels === undefined ? {} : { maxPixels };
