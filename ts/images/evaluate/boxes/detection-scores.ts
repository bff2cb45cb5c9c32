/** Scores boxes as PASCAL VOC and COCO do. */
import { list, string } from '../../../base/kinds.ts';
import { optional, options, required, signature } from '../../../base/options.ts';
import { meanOf } from '../mean-of.ts';
import { type CocoScores, cocoClassAp, cocoScores } from './coco-score.ts';
import { type ScoredImage, scoredImages } from './truth.ts';
import { vocScore } from './voc-score.ts';

/** The scores of one class; null if none of its objects counts. */
export interface DetectionClassScore {
  readonly label: string;
  /** The number of annotated objects. */
  readonly objects: number;
  readonly found: number;
  readonly voc07: number | null;
  readonly voc10: number | null;
  /** At overlaps 0.5, 0.55, … 0.95. */
  readonly coco: number | null;
}

/** Mean average precision over the classes that have objects; null if there are none. */
export interface DetectionScores {
  readonly images: number;
  /** At an overlap of 0.5 with 11 recalls: VOC 2007. */
  readonly voc07: number | null;
  /** At an overlap of 0.5 with all recalls: VOC 2010 and later. */
  readonly voc10: number | null;
  readonly coco: CocoScores;
  readonly classes: readonly DetectionClassScore[];
}

export interface ScoreOptions {
  /** The classes that count. Default: those of the annotated objects. */
  readonly labels?: readonly string[];
}

const SCORE_DETECTIONS = signature('scoreDetections', {
  images: required(scoredImages, 'For each image, the true objects and the objects that were found.'),
  options: optional(
    options<ScoreOptions>({
      labels: optional(
        list(string, { of: 'class names' }),
        'those of the marked objects',
        'The classes that count.',
      ),
    }),
    'none',
    'Which classes count.',
  ),
});

/**
 * The mean average precision of boxes: PASCAL VOC's of 2007 and of 2010, and COCO's twelve figures. Among detections with
 * equal scores, that of the earlier image comes first, then the earlier one.
 * @throws ArgumentError
 * @example
 * const { voc07, coco } = scoreDetections([{ objects: [{ label: 'dog', box }], found: await detector.detect('dog.jpg', { minScore: 0.01 }) }]);
 */
export function scoreDetections(images: readonly ScoredImage[], options: ScoreOptions = {}): DetectionScores {
  SCORE_DETECTIONS.check(images, options);
  const marked = new Set(images.flatMap(({ objects }) => objects.map(({ label }) => label)));
  const labels = [...new Set(options.labels ?? [...marked].sort())];
  const classes = labels.map((label) => {
    const voc = vocScore(images, label);
    const count = (of: 'objects' | 'found') =>
      images.reduce((sum, image) => sum + image[of].filter((each) => each.label === label).length, 0);
    return {
      ...{ label, objects: count('objects'), found: count('found') },
      ...{ voc07: voc?.voc07 ?? null, voc10: voc?.voc10 ?? null, coco: cocoClassAp(images, label) },
    };
  });
  return {
    images: images.length,
    voc07: meanOf(classes.map(({ voc07 }) => voc07)),
    voc10: meanOf(classes.map(({ voc10 }) => voc10)),
    coco: cocoScores(images, labels),
    classes,
  };
}
