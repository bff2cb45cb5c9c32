/** A classifier over many images whose classes are known. */

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
  /** Nothing says in which order the channels of pixels were stored: B, G, R was assumed. Default false. */
  readonly orderIsAssumed?: boolean;
}

/** A sample that is read when its turn comes, as from a database; an ImageError that it throws is that of its image. */
export type LazySample = () => Promise<Sample>;

export interface EvaluateOptions extends DecodeLimits {
  readonly preprocess: Preprocess;
  /** 10: four corners, centre and their mirrors, of which the softmax scores are averaged. Default 1, the centre. */
  readonly crops?: 1 | 10;
  /**
   * Shorter sides, instead of crops: the model is one of a `fullyConvolutional` net, and the softmax scores of whole
   * images and their mirrors are averaged over these sizes; `preprocess.resize` does not count.
   */
  readonly scales?: readonly number[];
  /**
   * Images in one run, each with all its crops; with scales, where an image and its mirror are a run, those whose runs
   * are sorted by size. Default 8, and 1 with ten crops.
   */
  readonly batch?: number;
  /** Leaves images out that cannot be read, and lists them. Default false: the first one is an error. */
  readonly skipBroken?: boolean;
  /** What an earlier call over the same samples had come to: goes on behind it. Default: from the beginning. */
  readonly resume?: Progress;
  /** Told after each run how many images are done, and what was found so far. */
  readonly onProgress?: (done: number, soFar: Evaluated) => void;
  readonly signal?: AbortSignal;
}

/** An image that could not be read. */
export interface SkippedImage {
  readonly file: string;
  readonly reason: string;
}

export interface Evaluated {
  /** One an image, in their order, without those skipped. */
  readonly outcomes: readonly Outcome[];
  readonly skipped: readonly SkippedImage[];
}

/** An evaluation that has come half-way. */
export interface Progress extends Evaluated {
  /** Samples that are over, the skipped ones too; runs begin there anew, so that it is a multiple of the batch. */
  readonly done: number;
}

/** Scores of more classes are not kept: 1,000 of each of ImageNet's 50,000 images are a gigabyte of progress file. */
const MOST_SCORES = 30;

/** Images of one run by default. */
export const defaultBatch = (crops: 1 | 10): number => (crops === 10 ? 1 : 8);

export const imageOfSample: Kind<Sample['image']> = either(path, anyImage);

/** Rows of what any evaluation takes. */
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
 * Classifies every sample with the model's last output; images of the next run are decoded while one runs. Scores of
 * a net that ends in neither Softmax nor Sigmoid go through a softmax here.
 * @throws ImageError naming the file; GraphError where the model takes no image or gives no row of scores an image;
 * ArgumentError for a label that is no class, a crop that is not the net's input, ten crops without room for them,
 * scales below the net's input, or scores that are not finite; the signal's reason
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

/** @throws ArgumentError where the crop is not the net's input */
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

/** What is asked of images in any evaluation. */
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
 * Scores samples a batch at a time, whatever is known of them.
 * @param outcome What a row of scores says beside what is known; its place among the samples is added.
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
