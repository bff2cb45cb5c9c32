/** Evaluates a segmenter on many images whose pixels have known classes. */
import { readFile } from 'node:fs/promises';
import { ArgumentError, ImageError } from '../../base/errors.ts';
import { isMissing, readCause } from '../../base/files.ts';
import { either, having, integer, list } from '../../base/kinds.ts';
import { fields, optional, options, required, signature } from '../../base/options.ts';
import { location, pathOf } from '../../base/sources.ts';
import { type EachOptions, eachBatch, eachRows } from '../evaluate/each-sample.ts';
import type { SkippedImage } from '../evaluate/evaluate-images.ts';
import {
  type CountedPixels,
  type LabelMap,
  labelMap,
  PixelCounts,
  type SegmentationScores,
  wrongClass,
} from '../evaluate/maps/pixel-counts.ts';
import { type AnyImage, imageOrFile } from '../image.ts';
import { decodeIndexedPng } from '../indexed-png.ts';
import type { ClassMap } from './segmentation.ts';
import type { Segmenter } from './segmenter.ts';

/** An image and its true map: a PNG with a palette, or a grey one, whose samples are classes. */
export interface SegmentationSample {
  readonly image: AnyImage;
  readonly truth: string | URL | LabelMap;
}

export interface EvaluateSegmenterOptions extends EachOptions {
  /** The value of pixels that do not count. Default 255, as in PASCAL VOC's maps. */
  readonly ignored?: number;
}

/** The result of evaluating a segmenter. */
export interface EvaluatedSegmenter extends SegmentationScores {
  /** Images that could not be read. */
  readonly skipped: readonly SkippedImage[];
}

const EVALUATE_SEGMENTER = signature('evaluateSegmenter', {
  segmenter: required(
    having<Segmenter>('a Segmenter of openSegmenter', 'segment'),
    'The segmenter to evaluate.',
  ),
  samples: required(
    list(
      fields<SegmentationSample>('{ image, truth }', {
        image: required(imageOrFile, 'The image, as for segmenter.segment.'),
        truth: required(
          either(location, labelMap),
          'The true map: a PNG whose samples are classes, or a map.',
        ),
      }),
      { of: 'samples, each { image, truth }', atLeast: 1 },
    ),
    'The images and their true maps.',
  ),
  options: optional(
    options<EvaluateSegmenterOptions>({
      ...eachRows,
      ignored: optional(integer(0, 255), '255', 'The value of pixels that do not count.'),
    }),
    'none',
    'How to evaluate.',
  ),
});

/**
 * Computes pixel accuracy, mean accuracy, mean IU and frequency weighted IU of a segmenter, as `PixelCounts` does.
 * @throws ArgumentError for a segmenter of edges; ImageError for a file that is not a map, or a map with another size than
 * its image or with an unknown class; the errors of `segment`
 * @example
 * const { meanIu } = await evaluateSegmenter(segmenter, [{ image: 'JPEGImages/a.jpg', truth: 'SegmentationClass/a.png' }]);
 */
export async function evaluateSegmenter(
  segmenter: Segmenter,
  samples: readonly SegmentationSample[],
  options: EvaluateSegmenterOptions = {},
): Promise<EvaluatedSegmenter> {
  EVALUATE_SEGMENTER.check(segmenter, samples, options);
  const { ignored } = options;
  const counts = new PixelCounts(classesOf(segmenter), ignored);
  const skipped: SkippedImage[] = [];
  for await (const batch of segmentSamples(segmenter, samples, options)) {
    counts.join(batch.counts);
    skipped.push(...batch.skipped);
  }
  return { ...counts.scores(), skipped };
}

/**
 * The class names of a segmenter.
 * @throws ArgumentError if it outputs edges
 */
export function classesOf({ labels }: Pick<Segmenter, 'labels'>): readonly string[] {
  if (labels.length > 0) return labels;
  throw new ArgumentError('segmenter', 'one that outputs classes', 'one that outputs edges');
}

/** The results of a batch of images. */
export interface SegmentedBatch {
  readonly counts: CountedPixels;
  readonly skipped: readonly SkippedImage[];
}

/**
 * Yields the pixel counts of images, batch by batch.
 * @throws as `evaluateSegmenter`
 */
export async function* segmentSamples(
  segmenter: Segmenter,
  samples: readonly SegmentationSample[],
  { ignored = 255, ...each }: EvaluateSegmenterOptions,
): AsyncGenerator<SegmentedBatch> {
  const labels = classesOf(segmenter);
  const { signal } = each;
  const look = async ({ image, truth }: SegmentationSample) => {
    const map = await mapOf(truth);
    const found = (await segmenter.segment(image, signal === undefined ? {} : { signal })) as ClassMap;
    const refuse = (message: string) =>
      new ImageError(
        'image/label-map',
        typeof truth === 'string' || truth instanceof URL ? pathOf(truth) : undefined,
        message,
      );
    if (map.width !== found.width || map.height !== found.height)
      throw refuse(
        `expected the classes of an image of ${found.width}×${found.height}, found ${map.width}×${map.height}`,
      );
    const wrong = wrongClass(map, labels.length, ignored);
    if (wrong !== null)
      throw refuse(
        `expected ${wrong.expected}, found ${wrong.found}; ignore that class (--ignore-label, in code: ignored), or name the classes that the net has`,
      );
    return { map, found };
  };
  for await (const { results, skipped } of eachBatch(samples, look, each)) {
    const counts = new PixelCounts(labels, ignored);
    for (const { map, found } of results)
      counts.add(map, { width: found.width, height: found.height, map: found.map });
    yield { counts: counts.counted, skipped };
  }
}

async function mapOf(truth: SegmentationSample['truth']): Promise<LabelMap> {
  if (typeof truth === 'object' && !(truth instanceof URL)) return truth;
  const path = pathOf(truth);
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new ImageError(isMissing(error) ? 'image/not-found' : 'image/unreadable', path, readCause(error), {
      cause: error,
    });
  });
  return decodeIndexedPng(bytes, path);
}
