/** Evaluates a classifier on many images with known classes. */

import { ArgumentError, DataError, ImageError } from '../../base/errors.ts';
import {
  anything,
  boolean,
  callback,
  either,
  having,
  integer,
  type Kind,
  list,
  oneOf,
  path,
  signal,
} from '../../base/kinds.ts';
import { fields, optional, options, required, signature } from '../../base/options.ts';
import { type Model, model } from '../../device/model.ts';
import { type DecodeLimits, decodeImage, limitRows } from '../decode.ts';
import { type ImageInput, imageInput } from '../features/image-input.ts';
import { readAhead } from '../features/read-ahead.ts';
import { anyImage, type DeepImage, type Image } from '../image.ts';
import { decodingOf, type Preprocess, preprocess } from '../preprocess.ts';
import { type ImageScorer, scoreCrops, scoreScales } from './image-scorers.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { scoresOf } from './scores.ts';

export interface Sample {
  /** A path, or pixels. */
  readonly image: string | Image | DeepImage;
  /** The true class, from 0. */
  readonly label: number;
  /** Whether the order of the channels is unknown, so that B, G, R was assumed. Default false. */
  readonly orderIsAssumed?: boolean;
}

/** A sample that is read when needed, e.g. from a database; an ImageError that it throws belongs to its image. */
export type LazySample = () => Promise<Sample>;

export interface EvaluateOptions extends DecodeLimits {
  readonly preprocess: Preprocess;
  /**
   * With 10, the softmax scores of the four corners, the centre and their mirror images are averaged. Default 1, the centre.
   */
  readonly crops?: 1 | 10;
  /**
   * Shorter sides to use instead of crops: the model must be that of a `fullyConvolutional` net, and the softmax scores of
   * whole images and their mirror images are averaged over these sizes; `preprocess.resize` is ignored.
   */
  readonly scales?: readonly number[];
  /**
   * The number of images in one run, each with all its crops. With scales, where an image and its mirror image form a run,
   * the number of images whose runs are sorted by size. Default 8, and 1 with ten crops.
   */
  readonly batch?: number;
  /** Skips images that cannot be read, and lists them. Default false: the first one is an error. */
  readonly skipBroken?: boolean;
  /** The progress of an earlier call with the same samples, which this call continues. Default: starts at the beginning. */
  readonly resume?: Progress;
  /** Called after each run with the number of images done and the results so far. */
  readonly onProgress?: (done: number, soFar: Evaluated) => void;
  readonly signal?: AbortSignal;
}

/** An image that could not be read. */
export interface SkippedImage {
  readonly file: string;
  readonly reason: string;
}

export interface Evaluated {
  /** One per image, in order, without skipped ones. */
  readonly outcomes: readonly Outcome[];
  readonly skipped: readonly SkippedImage[];
}

/** The state of an unfinished evaluation. */
export interface Progress extends Evaluated {
  /** The number of samples that are done, including skipped ones. Runs continue there, so it is a multiple of the batch. */
  readonly done: number;
}

/**
 * Scores of more classes are not kept: 1,000 scores for each of ImageNet's 50,000 images would make a progress file of a
 * gigabyte.
 */
const MOST_SCORES = 30;

/** The default number of images in one run. */
export const defaultBatch = (crops: 1 | 10): number => (crops === 10 ? 1 : 8);

export const imageOfSample: Kind<Sample['image']> = either(path, anyImage);

/** Rows that all evaluations share. */
export const evaluateRows = {
  ...limitRows,
  preprocess: required(preprocess, 'How images are prepared.'),
  crops: optional(
    oneOf<1 | 10>(1, 10),
    '1',
    'The number of views of an image: the centre alone, or the four corners, the centre and their mirror images.',
  ),
  batch: optional(integer(1), '8, and 1 with ten crops', 'The number of images in one run.'),
  skipBroken: optional(boolean, 'false', 'Skips images that cannot be read.'),
  signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
};

const evaluateOptions = options<EvaluateOptions>({
  resume: optional(
    fields<Progress>('the progress of an earlier call', {
      done: required(integer(0), 'The number of samples that are done.'),
      outcomes: required(list(having<Outcome>('an outcome')), 'The outcomes, one per image.'),
      skipped: required(list(having<SkippedImage>('a skipped file')), 'The images that were skipped.'),
    }),
    'from the beginning',
    'Earlier progress to continue from.',
  ),
  ...evaluateRows,
  scales: optional(
    list(integer(1), { of: 'sides', atLeast: 1 }),
    'none',
    'Runs whole images at these shorter sides instead of crops.',
  ),
  onProgress: optional(
    callback<NonNullable<EvaluateOptions['onProgress']>>(),
    'none',
    'Called after each run.',
  ),
});

const EVALUATE_IMAGES = signature('evaluateImages', {
  model: required(model, 'The model of the classifier.'),
  samples: required(
    list(
      either(
        fields<Omit<Sample, 'orderIsAssumed'>>('a sample, { image, label }', {
          image: required(imageOfSample, 'The image: a path, or pixels.'),
          label: required(anything as Kind<number>, 'The true class, from 0.'),
        }),
        callback<LazySample>(),
      ),
      { of: 'samples' },
    ),
    'The images with their classes.',
  ),
  options: required(evaluateOptions, 'How to evaluate.'),
});

/**
 * Classifies every sample with the model's last output; images of the next run are decoded during a run. Scores of a net
 * that ends in neither Softmax nor Sigmoid pass through a softmax here.
 * @throws ImageError that names the file; GraphError if the model does not take images or does not output a row of scores
 * per image; ArgumentError for a label that is not a class, a crop that differs from the net's input, ten crops without
 * enough room, scales below the net's input, or non-finite scores; the signal's reason
 * @example const { outcomes } = await evaluateImages(model, samples, { preprocess, crops: 10 });
 */
export async function evaluateImages(
  model: Model,
  samples: readonly (Sample | LazySample)[],
  options: EvaluateOptions,
): Promise<Evaluated> {
  EVALUATE_IMAGES.check(model, samples, options);
  const { preprocess, crops = 1, scales } = options;
  if (crops !== 1 && crops !== 10) throw new ArgumentError('crops', '1 or 10', crops);
  if (scales !== undefined && crops === 10) throw new ArgumentError('crops', '1 with scales', 10);
  const input = imageInput(model);
  checkCrop(preprocess, input);
  const scores = scoresOf(model, input.name);
  const checked = ({ image, label, orderIsAssumed }: Sample): Sample => {
    if (orderIsAssumed && preprocess.order === 'RGB') throw unknownOrder(image);
    if (Number.isInteger(label) && label >= 0 && label < scores.classes) return { image, label };
    const where = typeof image === 'string' ? image : image.file;
    throw new ArgumentError(`the label of ${where}`, `a class from 0 to ${scores.classes - 1}`, label);
  };
  const all = samples.map((sample) =>
    typeof sample === 'function' ? async () => checked(await sample()) : checked(sample),
  );
  const outcome = (row: ArrayLike<number>, { label }: Sample): Outcome =>
    row.length > MOST_SCORES ? outcomeOf(row, label) : { ...outcomeOf(row, label), scores: Array.from(row) };
  return scales === undefined
    ? evaluateWith(scoreCrops(input, scores, preprocess, crops), all, options, outcome)
    : evaluateWith(scoreScales(input, scores, preprocess, scales), all, options, outcome);
}

/** @throws ArgumentError if the crop differs from the net's input */
export function checkCrop({ crop }: Preprocess, { size }: ImageInput): void {
  if (crop.width !== size.width || crop.height !== size.height)
    throw new ArgumentError(
      'preprocess.crop',
      `the net's input, ${size.width}×${size.height}`,
      `${crop.width}×${crop.height}`,
    );
}

const unknownOrder = (image: Sample['image']): DataError =>
  new DataError(
    'data/order',
    typeof image === 'string' ? {} : { file: image.file },
    'nothing says in which order raw images of the database have their channels, and the net takes R, G, B: give databaseOrder (--database-order): BGR if convert_imageset wrote it, RGB if convert_cifar_data did',
  );

type Read<Ready, Known> =
  | { readonly known: Known; readonly ready: Ready; readonly sample: number }
  | SkippedImage;

/** Options of images that all evaluations share. */
type AnyOptions<Found> = Omit<EvaluateOptions, 'scales' | 'resume' | 'onProgress'> & {
  readonly resume?: {
    readonly done: number;
    readonly outcomes: readonly Found[];
    readonly skipped: readonly SkippedImage[];
  };
  readonly onProgress?: (
    done: number,
    soFar: { readonly outcomes: readonly Found[]; readonly skipped: readonly SkippedImage[] },
  ) => void;
};

/**
 * Scores samples batch by batch, whatever their ground truth is.
 * @param outcome Computes the outcome from a row of scores and the ground truth; the index of the sample is added.
 */
export async function evaluateWith<Ready, Known extends Pick<Sample, 'image'>, Found>(
  scorer: ImageScorer<Ready>,
  samples: readonly (Known | (() => Promise<Known>))[],
  options: AnyOptions<Found & { readonly sample?: number }>,
  outcome: (row: ArrayLike<number>, known: Known) => Found,
): Promise<{
  outcomes: readonly (Found & { readonly sample?: number })[];
  skipped: readonly SkippedImage[];
}> {
  const {
    skipBroken = false,
    resume,
    onProgress,
    signal,
    batch = defaultBatch(options.crops ?? 1),
    preprocess,
    maxPixels,
    timeout,
  } = options;
  const decoding = decodingOf(preprocess, {
    ...(maxPixels === undefined ? {} : { maxPixels }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (!Number.isInteger(batch) || batch < 1) throw new ArgumentError('batch', 'a positive integer', batch);
  const done = resume?.done ?? 0;
  if (!(Number.isInteger(done) && done >= 0 && done <= samples.length))
    throw new ArgumentError('resume.done', `an integer from 0 to ${samples.length}`, done);
  const outcomes = [...(resume?.outcomes ?? [])];
  const skipped = [...(resume?.skipped ?? [])];

  const read = async (at: number): Promise<Read<Ready, Known>> => {
    try {
      const sample = samples[at]!;
      const known = typeof sample === 'function' ? await sample() : sample;
      const { image } = known;
      return {
        known,
        sample: at,
        ready: await scorer.prepare(typeof image === 'string' ? await decodeImage(image, decoding) : image),
      };
    } catch (error) {
      if (!(skipBroken && error instanceof ImageError)) throw error;
      return { file: error.file ?? '', reason: error.message };
    }
  };
  const prepare = (part: readonly number[]) => Promise.all(part.map(read));
  const left = Array.from({ length: samples.length - done }, (_, i) => done + i);

  for await (const { end, batch: results } of readAhead(left, batch, prepare, signal)) {
    skipped.push(...results.flatMap((result) => ('reason' in result ? [result] : [])));
    const images = results.flatMap((result) => ('ready' in result ? [result] : []));
    if (images.length > 0) {
      const rows = await scorer.score(
        images.map(({ ready }) => ready),
        signal,
      );
      images.forEach(({ known, sample }, i) => {
        outcomes.push({ ...outcome(rows[i]!, known), sample });
      });
    }
    onProgress?.(done + end, { outcomes, skipped });
  }
  return { outcomes, skipped };
}
