/** Classifies images in one call: decoding, preprocessing and a net. Requests form batches automatically. */

import { ArgumentError, ClassifierError } from '../../base/errors.ts';
import { integer, oneOf, signal } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { pathOf } from '../../base/sources.ts';
import { type Crop, scoreCrops } from '../evaluate/image-scorers.ts';
import { averaged, scoresOf } from '../evaluate/scores.ts';
import { imageInput } from '../features/image-input.ts';
import { type AnyImage, imageArgument } from '../image.ts';
import { readLabels } from '../labels.ts';
import type { Preprocess } from '../preprocess.ts';
import { loadPreprocess, preprocessBeside } from '../preprocess-file.ts';
import { ImageService } from '../service/image-service.ts';
import { ModelQueue, type ModelQueueParts } from '../service/model-queue.ts';
import { batchSizes, onDevice, type ServiceOptions, serviceRows } from '../service/options.ts';
import { folderOr } from '../service/task-files.ts';
import { type Classification, likeliest } from './likeliest.ts';
import { type ClassifierFiles, classifierFiles, readModelFolder } from './model-folder.ts';

/** Options of a classifier. */
export interface ClassifierOptions extends ServiceOptions {}

/** Options of classifying one image. */
export interface ClassifyOptions {
  /** The number of classes to return, the most probable first. Default 5. */
  readonly top?: number;
  /** 10 averages the four corners, the centre and their mirror images (Krizhevsky et al. 2012). Default 1, the centre. */
  readonly crops?: 1 | 10;
  /** Cancels the request; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const classifierOptions = options<ClassifierOptions>(serviceRows);

const classifyOptions = options<ClassifyOptions>({
  top: optional(integer(1), '5', 'How many classes to return, the most probable first.'),
  crops: optional(
    oneOf(1, 10),
    '1',
    'The number of crops; 10 averages four corners, the centre and their mirror images.',
  ),
  signal: optional(signal, 'none', "Cancels the request; the promise rejects with the signal's reason."),
});

const OPEN_CLASSIFIER = signature('openClassifier', {
  source: required(folderOr(classifierFiles), 'A model folder, or its files.'),
  options: optional(classifierOptions, 'none', 'How to classify.'),
});
const CLASSIFY = signature('classifier.classify', {
  image: imageArgument,
  options: optional(classifyOptions, 'none', 'How to classify this image.'),
});

/**
 * Opens a classifier and warms it up: all batch sizes are compiled and have run once.
 * @param source A model folder, as `resnode finetune` writes it (`readModelFolder`), or its files.
 * @throws ArgumentError if a file is missing or does not fit. `preprocess` is required, too, because the preprocessing of
 * the training cannot be guessed. Also the errors of `openDevice`, `device.load` and `loadPreprocess`.
 * @example
 * await using classifier = await openClassifier('ants-and-bees');
 * const [best] = await classifier.classify('ant.jpg');
 */
export async function openClassifier(
  source: string | URL | ClassifierFiles,
  options: ClassifierOptions = {},
): Promise<Classifier> {
  OPEN_CLASSIFIER.check(source, options);
  const files = typeof source === 'string' || source instanceof URL ? readModelFolder(source) : source;
  const { maxBatch = 8, precision } = options;
  const preprocess = preprocessOf(files);
  const sizes = batchSizes(maxBatch);
  return onDevice(options, async (device, ownsDevice) => {
    const model = await device.load({
      model: files.model,
      weights: files.weights,
      batch: 1,
      batches: sizes,
      ...(precision === undefined ? {} : { precision }),
      ...(precision === 'int8' && files.calibration !== undefined
        ? { calibration: pathOf(files.calibration) }
        : {}),
    });
    try {
      const classifier = new Classifier({
        model,
        device,
        ownsDevice,
        preprocess: cropped(preprocess, imageInput(model).size),
        labels: files.labels,
        options,
        sizes,
      });
      await classifier.warm();
      return classifier;
    } catch (error) {
      model.dispose();
      throw error;
    }
  });
}

interface ClassifierParts extends Omit<ModelQueueParts, 'name' | 'refusal'> {
  readonly preprocess: Preprocess;
  readonly labels: ClassifierFiles['labels'];
}

/** Classifies images; created by `openClassifier`. You may call it many times concurrently. */
export class Classifier extends ImageService {
  /** Class names in the order of the net's outputs. */
  readonly labels: readonly string[];
  /** Whether classes do not exclude each other: each has its own probability, and they need not sum to 1. */
  readonly independent: boolean;
  readonly #parts: ClassifierParts;
  readonly #classes: number;
  readonly #scorers: (crops: 1 | 10) => ReturnType<typeof scoreCrops>;
  readonly #queue: ModelQueue<Crop, ArrayLike<number>>;

  /**
   * Use `openClassifier`.
   * @internal
   */
  constructor(parts: ClassifierParts) {
    const { model, preprocess } = parts;
    const input = imageInput(model);
    const scores = scoresOf(model, input.name);
    const scorers = (crops: 1 | 10) => scoreCrops(input, scores, preprocess, crops);
    const refusal: ModelQueueParts['refusal'] = (why, message) =>
      new ClassifierError(`classifier/${why}`, message);
    const queue = new ModelQueue<Crop, ArrayLike<number>>({ ...parts, name: 'classifier', refusal }, (rows) =>
      scorers(1).score(rows.map((row) => [row])),
    );
    super(model, queue);
    this.#parts = parts;
    this.#classes = scores.classes;
    this.#scorers = scorers;
    this.#queue = queue;
    this.independent = scores.independent;
    this.labels = labelsOf(parts.labels, scores.classes);
  }

  /**
   * Classifies an image.
   * @param image A path, a `file:` URL, the bytes of an image file, or decoded pixels.
   * @returns The most probable classes, in descending order
   * @throws ClassifierError: `classifier/busy` if `maxQueue` images are already waiting, `classifier/closed`,
   * `classifier/not-finite` if a probability is NaN; ImageError as in `decodeImage`; the signal's reason
   * @example const [{ label, probability }] = await classifier.classify(request.body, { top: 1 });
   */
  async classify(image: AnyImage, options: ClassifyOptions = {}): Promise<Classification[]> {
    CLASSIFY.check(image, options);
    const { top = 5, crops = 1, signal } = options;
    return this.#queue.serve(async () => {
      const pixels = await this.#queue.decode(image, this.#parts.preprocess, signal);
      const prepared = await this.#scorers(crops).prepare(pixels);
      const rows = await Promise.all(prepared.map((crop) => this.#queue.run(crop, signal)));
      return likeliest(this.#average(rows), this.labels, top);
    }, signal);
  }

  /**
   * Runs every batch size once.
   * @internal
   */
  async warm(): Promise<void> {
    const { blank, score } = this.#scorers(1);
    for (const batch of this.#parts.sizes) await score(Array<[Crop]>(batch).fill([blank]));
  }

  #average(rows: readonly ArrayLike<number>[]): ArrayLike<number> {
    const all = new Float64Array(rows.length * this.#classes);
    rows.forEach((row, i) => all.set(row, i * this.#classes));
    const mean = averaged(all, this.#classes);
    if (mean.every((value) => Number.isFinite(value))) return mean;
    throw new ClassifierError(
      'classifier/not-finite',
      'a probability is NaN: weights or statistics of the net are not finite, or its inputs are far from those that it was trained with',
    );
  }
}

function preprocessOf({ model, preprocess }: ClassifierFiles): Preprocess {
  if (typeof preprocess === 'object' && !(preprocess instanceof URL)) return preprocess;
  const file = preprocess === undefined ? preprocessBeside(pathOf(model)) : pathOf(preprocess);
  if (file !== null) return loadPreprocess(file);
  throw new ArgumentError(
    'preprocess',
    'how images are prepared, e.g. msraPreprocess(mean), or a file that `resnode classify --save-preprocess` wrote',
    undefined,
    `there is none beside ${pathOf(model)} either`,
  );
}

function cropped(preprocess: Preprocess, size: Preprocess['crop']): Preprocess {
  const { width, height } = preprocess.crop;
  if (width === size.width && height === size.height) return preprocess;
  throw new ArgumentError(
    'preprocess.crop',
    `${size.width}×${size.height}, the net's input`,
    `${width}×${height}`,
  );
}

function labelsOf(labels: ClassifierFiles['labels'], classes: number): readonly string[] {
  if (labels === undefined) return Array.from({ length: classes }, (_, i) => `class ${i}`);
  if (typeof labels === 'string' || labels instanceof URL) return readLabels(pathOf(labels), classes);
  if (labels.length === classes) return labels;
  throw new ArgumentError('labels', `${classes} names, one for each class of the net`, labels);
}
