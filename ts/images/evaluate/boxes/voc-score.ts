/**
 * Average precision as in PASCAL VOC: the development kit's VOCevaldet.m, by way of py-faster-rcnn's
 * lib/datasets/voc_eval.py. A found object is right if it overlaps an annotated one of its class by more than the threshold
 * and no more certain one did. Objects marked as difficult count neither as hits nor as misses.
 */
import { overlapOf, type ScoredImage } from './truth.ts';

/** The scores of one class. */
export interface VocScore {
  /** The annotated objects that are not difficult. */
  readonly objects: number;
  /** The mean of the best precisions at recalls 0, 0.1, … 1: VOC 2007. */
  readonly voc07: number;
  /** The area below the best precisions: VOC 2010 and later. */
  readonly voc10: number;
}

/**
 * @param threshold The overlap; VOC uses 0.5.
 * @returns null if no object of the class must be found
 */
export function vocScore(images: readonly ScoredImage[], label: string, threshold = 0.5): VocScore | null {
  const truths = images.map(({ objects }) =>
    objects
      .filter((object) => object.label === label)
      .map(({ box, isDifficult = false }) => ({ box, isDifficult, isTaken: false })),
  );
  const objects = truths.flat().filter(({ isDifficult }) => !isDifficult).length;
  if (objects === 0) return null;
  const found = images
    .flatMap((image, at) => image.found.map((each) => ({ ...each, at })))
    .filter((each) => each.label === label)
    .sort((a, b) => b.score - a.score);
  let [right, wrong] = [0, 0];
  const recalls: number[] = [];
  const precisions: number[] = [];
  for (const { at, box } of found) {
    let [best, overlap] = [null as (typeof truths)[number][number] | null, Number.NEGATIVE_INFINITY];
    for (const truth of truths[at]!) {
      const each = overlapOf(box, truth.box);
      if (each > overlap) [best, overlap] = [truth, each];
    }
    if (best === null || !(overlap > threshold)) wrong++;
    else if (!best.isDifficult) {
      if (best.isTaken) wrong++;
      else right++;
      best.isTaken = true;
    }
    recalls.push(right / objects);
    precisions.push(right / Math.max(right + wrong, Number.EPSILON));
  }
  return { objects, voc07: at11Recalls(recalls, precisions), voc10: areaBelow(recalls, precisions) };
}

function at11Recalls(recalls: readonly number[], precisions: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i <= 10; i++) {
    // As in numpy's arange(0, 1.1, 0.1): the fourth value is slightly above 0.3.
    const least = i * 0.1;
    sum += precisions.reduce((best, value, k) => (recalls[k]! >= least && value > best ? value : best), 0);
  }
  return sum / 11;
}

function areaBelow(recalls: readonly number[], precisions: readonly number[]): number {
  const recall = [0, ...recalls, 1];
  const best = [0, ...precisions, 0];
  for (let i = best.length - 2; i >= 0; i--) best[i] = Math.max(best[i]!, best[i + 1]!);
  let sum = 0;
  for (let i = 1; i < recall.length; i++) sum += (recall[i]! - recall[i - 1]!) * best[i]!;
  return sum;
}
