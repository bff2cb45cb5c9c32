/**
 * Average precision and recall of boxes as in COCO: cocoapi, PythonAPI/pycocotools/cocoeval.py. There are ten overlaps from
 * 0.5 to 0.95, and the most certain objects of each image come first. Crowds, and objects outside the requested size, count
 * neither as hits nor as misses.
 */
import { meanOf } from '../mean-of.ts';
import { areaOf, type FoundObject, overlapOf, type ScoredImage, type TrueObject } from './truth.ts';

/** Means over overlaps and classes; null if no object counts. */
export interface CocoScores {
  /** Average precision at overlaps 0.5, 0.55, … 0.95. */
  readonly ap: number | null;
  readonly ap50: number | null;
  readonly ap75: number | null;
  /** For objects up to 32² pixels, up to 96² pixels, and above. */
  readonly apSmall: number | null;
  readonly apMedium: number | null;
  readonly apLarge: number | null;
  /** The recall with at most 1, 10 and 100 found objects per image. */
  readonly ar1: number | null;
  readonly ar10: number | null;
  readonly ar100: number | null;
  readonly arSmall: number | null;
  readonly arMedium: number | null;
  readonly arLarge: number | null;
}

// As in numpy's linspace, to the last bit, because an overlap equal to a threshold counts.
const OVERLAPS = Array.from({ length: 10 }, (_, i) => (i === 9 ? 0.95 : 0.5 + ((0.95 - 0.5) / 9) * i));
const RECALLS = Array.from({ length: 101 }, (_, i) => (i === 100 ? 1 : 0.01 * i));
const MOST = 100;
type Range = readonly [least: number, most: number];
const SIZES = {
  all: [0, 1e10],
  small: [0, 32 ** 2],
  medium: [32 ** 2, 96 ** 2],
  large: [96 ** 2, 1e10],
} as const satisfies Record<string, Range>;

/** For an object that was found, by overlap: whether it is right, and whether it counts. */
interface Matched {
  readonly score: number;
  readonly isRight: readonly boolean[];
  readonly isIgnored: readonly boolean[];
}

/** The result of one class, by overlap; null if no object counts. */
interface ClassScore {
  readonly precision: readonly number[];
  readonly recall: readonly number[];
}

/** @param labels The classes, each once. */
export function cocoScores(images: readonly ScoredImage[], labels: readonly string[]): CocoScores {
  const at = (size: keyof typeof SIZES, most = MOST) =>
    labels.flatMap((label) => classScore(images, label, SIZES[size], most) ?? []);
  const all = at('all');
  const [small, medium, large] = [at('small'), at('medium'), at('large')];
  const ap = (scores: readonly ClassScore[], overlap?: number) =>
    meanOf(scores.flatMap(({ precision }) => (overlap === undefined ? precision : [precision[overlap]!])));
  const ar = (scores: readonly ClassScore[]) => meanOf(scores.flatMap(({ recall }) => recall));
  return {
    ap: ap(all),
    ap50: ap(all, 0),
    ap75: ap(all, 5),
    ...{ apSmall: ap(small), apMedium: ap(medium), apLarge: ap(large) },
    ...{ ar1: ar(at('all', 1)), ar10: ar(at('all', 10)), ar100: ar(all) },
    ...{ arSmall: ar(small), arMedium: ar(medium), arLarge: ar(large) },
  };
}

/** The average precision of one class over all overlaps; null if none of its objects counts. */
export const cocoClassAp = (images: readonly ScoredImage[], label: string): number | null => {
  const score = classScore(images, label, SIZES.all, MOST);
  return score === null ? null : meanOf(score.precision);
};

function classScore(
  images: readonly ScoredImage[],
  label: string,
  range: Range,
  most: number,
): ClassScore | null {
  const matched: Matched[] = [];
  let objects = 0;
  for (const image of images) {
    const truths = image.objects.filter((each) => each.label === label);
    const found = image.found
      .filter((each) => each.label === label)
      .sort((a, b) => b.score - a.score)
      .slice(0, most);
    if (truths.length === 0 && found.length === 0) continue;
    const isIgnored = truths.map((truth) => truth.isCrowd === true || isOutside(sizeOf(truth), range));
    objects += isIgnored.filter((ignored) => !ignored).length;
    matched.push(...matchesOf(truths, isIgnored, found, range));
  }
  if (objects === 0) return null;
  matched.sort((a, b) => b.score - a.score);
  const curves = OVERLAPS.map((_, t) => averaged(matched, t, objects));
  return { precision: curves.map(({ precision }) => precision), recall: curves.map(({ recall }) => recall) };
}

const sizeOf = ({ area, box }: TrueObject): number => area ?? areaOf(box);
const isOutside = (area: number, [least, most]: Range): boolean => area < least || area > most;

/**
 * COCOeval.evaluateImg: matches each found object with the best object that no more certain one has; objects that count come
 * before those that do not.
 */
function matchesOf(
  truths: readonly TrueObject[],
  isIgnored: readonly boolean[],
  found: readonly FoundObject[],
  range: Range,
): Matched[] {
  const order = [...truths.keys()].sort((a, b) => Number(isIgnored[a]) - Number(isIgnored[b]));
  const overlaps = found.map(({ box }) => truths.map((truth) => overlapOf(box, truth.box, truth.isCrowd)));
  const takenBy = OVERLAPS.map(() => truths.map(() => false));
  return found.map(({ score, box }, d) => {
    const matches = OVERLAPS.map((threshold, t) => {
      const taken = takenBy[t]!;
      let best = -1;
      let overlap = Math.min(threshold, 1 - 1e-10);
      for (const g of order) {
        if (taken[g] && truths[g]!.isCrowd !== true) continue;
        if (best >= 0 && !isIgnored[best] && isIgnored[g]) break;
        if (overlaps[d]![g]! < overlap) continue;
        [best, overlap] = [g, overlaps[d]![g]!];
      }
      if (best >= 0) taken[best] = true;
      return best;
    });
    return {
      score,
      isRight: matches.map((g) => g >= 0),
      isIgnored: matches.map((g) => (g >= 0 ? isIgnored[g]! : isOutside(areaOf(box), range))),
    };
  });
}

/** COCOeval.accumulate: averages the best precision at each of 101 recalls; and the final recall. */
function averaged(matched: readonly Matched[], t: number, objects: number) {
  const recalls: number[] = [];
  const precisions: number[] = [];
  let [right, wrong] = [0, 0];
  for (const { isRight, isIgnored } of matched) {
    if (!isIgnored[t]) {
      if (isRight[t]) right++;
      else wrong++;
    }
    recalls.push(right / objects);
    precisions.push(right / (right + wrong + Number.EPSILON));
  }
  for (let i = precisions.length - 2; i >= 0; i--)
    precisions[i] = Math.max(precisions[i]!, precisions[i + 1]!);
  let at = 0;
  let sum = 0;
  for (const recall of RECALLS) {
    while (at < recalls.length && recalls[at]! < recall) at++;
    sum += precisions[at] ?? 0;
  }
  return { precision: sum / RECALLS.length, recall: recalls.at(-1) ?? 0 };
}
