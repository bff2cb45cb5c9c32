/** Evaluates a detector on many images with known objects. */
import { ArgumentError, DataError } from '../../base/errors.ts';
import { having, integer, list, number } from '../../base/kinds.ts';
import { fields, optional, options, required, signature } from '../../base/options.ts';
import { nearest } from '../../base/suggest.ts';
import { type DetectionScores, scoreDetections } from '../evaluate/boxes/detection-scores.ts';
import {
  type AnnotatedImage,
  type ScoredImage,
  type TrueObject,
  trueObjects,
} from '../evaluate/boxes/truth.ts';
import { type EachBatch, type EachOptions, eachBatch, eachRows } from '../evaluate/each-sample.ts';
import type { SkippedImage } from '../evaluate/evaluate-images.ts';
import { type AnyImage, imageOrFile } from '../image.ts';
import type { Detector } from './detector.ts';

/** An image and the objects in it. */
export interface DetectionSample {
  readonly image: AnyImage;
  readonly objects: readonly TrueObject[];
}

export interface EvaluateDetectorOptions extends EachOptions {
  /** The lowest score that counts; average precision also considers uncertain objects. Default 0.01. */
  readonly minScore?: number;
  /** The largest number of objects per image that count. Default 100, as in COCO. */
  readonly top?: number;
}

/** The result of evaluating a detector. */
export interface EvaluatedDetector extends DetectionScores {
  /** Images that could not be read. */
  readonly skipped: readonly SkippedImage[];
}

const EVALUATE_DETECTOR = signature('evaluateDetector', {
  detector: required(having<Detector>('a Detector of openDetector', 'detect'), 'The detector to evaluate.'),
  samples: required(
    list(
      fields<DetectionSample>('{ image, objects }', {
        image: required(imageOrFile, 'The image, as for detector.detect.'),
        objects: required(trueObjects, 'The objects in the image.'),
      }),
      { of: 'samples, each { image, objects }', atLeast: 1 },
    ),
    'The images and the objects in them.',
  ),
  options: optional(
    options<EvaluateDetectorOptions>({
      ...eachRows,
      minScore: optional(number({ from: 0, to: 1 }), '0.01', 'The lowest score of an object that counts.'),
      top: optional(integer(1), '100', 'The largest number of objects per image that count.'),
    }),
    'none',
    'How to evaluate.',
  ),
});

/**
 * The mean average precision of a detector, as `scoreDetections` defines it. The classes are those of the detector, by name,
 * without the background.
 * @throws ArgumentError for an object whose class the detector does not have; the errors of `detect`
 * @example
 * const marked = new Map(readAnnotations('Annotations').map(({ name, objects }) => [name, objects]));
 * const samples = [...marked].map(([name, objects]) => ({ image: `JPEGImages/${name}`, objects }));
 * const { voc07, coco } = await evaluateDetector(detector, samples);
 */
export async function evaluateDetector(
  detector: Detector,
  samples: readonly DetectionSample[],
  options: EvaluateDetectorOptions = {},
): Promise<EvaluatedDetector> {
  EVALUATE_DETECTOR.check(detector, samples, options);
  const labels = countedLabels(detector, samples);
  const images: ScoredImage[] = [];
  const skipped: SkippedImage[] = [];
  for await (const batch of detectSamples(detector, samples, options)) {
    images.push(...batch.results);
    skipped.push(...batch.skipped);
  }
  return { ...scoreDetections(images, { labels }), skipped };
}

/**
 * The classes that count.
 * @param samples Samples, with the file of their annotations if there is one.
 * @throws ArgumentError for an object whose class the detector does not have; DataError `data/annotations` if a file
 * contains it
 */
export function countedLabels(
  { labels: all, background }: Pick<Detector, 'labels' | 'background'>,
  samples: readonly (Pick<DetectionSample, 'objects'> & Partial<AnnotatedImage>)[],
): readonly string[] {
  const labels = all.filter((_, index) => index !== background);
  for (const [i, { objects, name, annotations: file }] of samples.entries())
    for (const [k, { label }] of objects.entries()) {
      if (labels.includes(label)) continue;
      const hint = hintFor(label, labels);
      if (file === undefined)
        throw new ArgumentError(`samples[${i}].objects[${k}].label`, 'a class of the detector', label, hint);
      throw new DataError(
        'data/annotations',
        { file },
        `image "${name}", object ${k + 1}: "${label}" is not a class of the detector; ${hint}`,
      );
    }
  return labels;
}

/**
 * Yields, batch by batch, the objects that were found with the true ones.
 * @throws the errors of `detect`
 */
export function detectSamples(
  detector: Detector,
  samples: readonly DetectionSample[],
  { minScore = 0.01, top = 100, ...each }: EvaluateDetectorOptions,
): AsyncGenerator<EachBatch<ScoredImage>> {
  const options = { minScore, top, ...(each.signal === undefined ? {} : { signal: each.signal }) };
  return eachBatch(
    samples,
    async ({ image, objects }) => ({ objects, found: await detector.detect(image, options) }),
    each,
  );
}

function hintFor(label: string, labels: readonly string[]): string {
  const named = nearest(label, labels);
  if (named !== undefined) return `did you mean "${named}"?`;
  return `it has ${labels.slice(0, 5).join(', ')}${labels.length > 5 ? ', …' : ''}; its labels must have the names of the objects' classes`;
}
