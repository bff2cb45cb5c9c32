/**
 * Scores maps of classes as in "Fully Convolutional Networks for Semantic Segmentation" (Long, Shelhamer and Darrell 2015),
 * section 5, and in fcn.berkeleyvision.org's score.py.
 */
import { InWords } from '../../../base/describe.ts';
import { ArgumentError } from '../../../base/errors.ts';
import { instance, integer, list, string } from '../../../base/kinds.ts';
import { fields, optional, required, signature } from '../../../base/options.ts';
import { meanOf } from '../mean-of.ts';

/** A class for every pixel. */
export interface LabelMap {
  readonly width: number;
  readonly height: number;
  /** The classes, row by row. */
  readonly map: Uint8Array;
}

/** The scores of one class; null if it neither occurs nor was found. */
export interface SegmentationClassScore {
  readonly label: string;
  readonly index: number;
  /** The pixels of this class, and the pixels that were classified as it. */
  readonly pixels: number;
  readonly found: number;
  /** The share of its pixels that were found. */
  readonly accuracy: number | null;
  /** The intersection over the union of its true and its found pixels. */
  readonly iu: number | null;
}

/** Shares from 0 to 1; null if no pixel counts. */
export interface SegmentationScores {
  readonly images: number;
  /** The number of pixels that count. */
  readonly pixels: number;
  readonly pixelAccuracy: number | null;
  /** Means over the classes that occur. */
  readonly meanAccuracy: number | null;
  /** Intersection over union, averaged over the classes that occur or were found. */
  readonly meanIu: number | null;
  /** Intersection over union, with each class weighted by its share of the pixels. */
  readonly frequencyWeightedIu: number | null;
  readonly classes: readonly SegmentationClassScore[];
}

export const labelMap = fields<LabelMap>('a map, { width, height, map }', {
  width: required(integer(1), 'The width in pixels.'),
  height: required(integer(1), 'The height in pixels.'),
  map: required(instance('a Uint8Array', Uint8Array), 'The class of each pixel, row by row.'),
});

const PIXEL_COUNTS = signature('PixelCounts', {
  labels: required(list(string, { of: 'class names', atLeast: 1 }), 'The class names, in order.'),
  ignored: optional(integer(0, 255), '255', 'The value of pixels that do not count.'),
});
const ADD = signature('pixelCounts.add', {
  truth: required(labelMap, 'The true map.'),
  found: required(labelMap, 'The map that was found.'),
});

/** The counts as plain data: by true class, then by found class. */
export interface CountedPixels {
  readonly images: number;
  readonly counts: Float64Array;
}

/** The value of pixels without a class, such as borders in PASCAL VOC's maps. */
const BORDER = 255;

/**
 * The first pixel of a true map whose value is neither a class nor ignored: what was expected and what was found; null if
 * there is none.
 */
export function wrongClass(
  { width, map }: LabelMap,
  classes: number,
  ignored: number,
): { readonly expected: string; readonly found: string } | null {
  const isWrong = (value: number) => value >= classes && value !== ignored && value !== BORDER;
  const first = map.findIndex(isWrong);
  if (first < 0) return null;
  const count = map.reduce((sum, value) => sum + (isWrong(value) ? 1 : 0), 0);
  return {
    expected: `classes from 0 to ${classes - 1}, ${ignored === BORDER ? BORDER : `${ignored} or ${BORDER}`} for a pixel that does not count`,
    found: `${map[first]} at row ${Math.floor(first / width)}, column ${first % width} (${count} such ${count === 1 ? 'pixel' : 'pixels'})`,
  };
}

/**
 * Counts pixels of maps, image by image.
 * @example
 * const counts = new PixelCounts(segmenter.labels);
 * counts.add(truth, await segmenter.segment('street.jpg') as ClassMap);
 * console.log(counts.scores().meanIu);
 */
export class PixelCounts {
  readonly #labels: readonly string[];
  readonly #ignored: number;
  /** Counts by true class, then by found class. */
  readonly #counts: Float64Array;
  #images = 0;

  /**
   * @param ignored The value of pixels that do not count: 255 in PASCAL VOC's maps. 255 never counts if it is not a class.
   */
  constructor(labels: readonly string[], ignored = 255) {
    PIXEL_COUNTS.check(labels, ignored);
    this.#labels = labels;
    this.#ignored = ignored;
    this.#counts = new Float64Array(labels.length ** 2);
  }

  /** @throws ArgumentError for maps of different sizes, or an unknown class */
  add(truth: LabelMap, found: LabelMap): void {
    ADD.check(truth, found);
    const classes = this.#labels.length;
    for (const [name, { width, height, map }] of Object.entries({ truth, found }))
      if (width !== truth.width || height !== truth.height || map.length !== width * height)
        throw new ArgumentError(
          `${name}.map`,
          `${truth.width}×${truth.height} values, the size of the true map`,
          new InWords(`${map.length} for ${width}×${height}`),
        );
    for (const value of found.map)
      if (value >= classes) throw new ArgumentError('found.map', `classes from 0 to ${classes - 1}`, value);
    const wrong = wrongClass(truth, classes, this.#ignored);
    if (wrong !== null) throw new ArgumentError('truth.map', wrong.expected, wrong.found);
    for (let i = 0; i < truth.map.length; i++) {
      const value = truth.map[i]!;
      if (value !== this.#ignored && value < classes) this.#counts[value * classes + found.map[i]!]!++;
    }
    this.#images++;
  }

  /**
   * The counts so far, to be added to another object with the same classes.
   * @internal
   */
  get counted(): CountedPixels {
    return { images: this.#images, counts: this.#counts.slice() };
  }

  /**
   * Adds the counts of another object.
   * @internal
   */
  join({ images, counts }: CountedPixels): void {
    for (let i = 0; i < counts.length; i++) this.#counts[i]! += counts[i]!;
    this.#images += images;
  }

  /** The scores of the counts so far. */
  scores(): SegmentationScores {
    const classes = this.#labels.map((label, index) => this.#classScore(label, index));
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    const right = classes.reduce((sum, { index }) => sum + this.#at(index, index), 0);
    const weighted = classes.reduce(
      (sum, { pixels, iu }) => sum + (pixels > 0 ? (pixels / total) * iu! : 0),
      0,
    );
    return {
      images: this.#images,
      pixels: total,
      pixelAccuracy: total === 0 ? null : right / total,
      meanAccuracy: meanOf(classes.map(({ accuracy }) => accuracy)),
      meanIu: meanOf(classes.map(({ iu }) => iu)),
      frequencyWeightedIu: total === 0 ? null : weighted,
      classes,
    };
  }

  #at(truth: number, found: number): number {
    return this.#counts[truth * this.#labels.length + found]!;
  }

  #classScore(label: string, index: number): SegmentationClassScore {
    const others = this.#labels.map((_, other) => other);
    const pixels = others.reduce((sum, other) => sum + this.#at(index, other), 0);
    const found = others.reduce((sum, other) => sum + this.#at(other, index), 0);
    const right = this.#at(index, index);
    const union = pixels + found - right;
    return {
      ...{ label, index, pixels, found },
      accuracy: pixels === 0 ? null : right / pixels,
      iu: union === 0 ? null : right / union,
    };
  }
}
