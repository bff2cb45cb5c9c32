/** The quality of detections: the area under the precision-recall curve of each class (VOC, from 2010 on). */
import type { Box } from '../../ts/data/annotated-datum.ts';
import { overlapOf } from '../../ts/data/sample-boxes.ts';

export interface Detection extends Box {
  readonly label: number;
  readonly score: number;
}

/**
 * @param truths The true boxes of each picture.
 * @param found The detections of each picture.
 * @param classes The number of classes, including the background, 0.
 */
export function meanAveragePrecision(
  truths: readonly (readonly (Box & { readonly label: number })[])[],
  found: readonly (readonly Detection[])[],
  classes: number,
): number {
  const labels = Array.from({ length: classes - 1 }, (_, i) => i + 1);
  const precisions = labels.map((label) => averagePrecision(label, truths, found));
  return precisions.reduce((sum, precision) => sum + precision, 0) / precisions.length;
}

function averagePrecision(
  label: number,
  truths: readonly (readonly (Box & { readonly label: number })[])[],
  found: readonly (readonly Detection[])[],
): number {
  const all = truths.map((boxes) => boxes.filter((box) => box.label === label));
  const count = all.reduce((sum, boxes) => sum + boxes.length, 0);
  const ranked = found
    .flatMap((detections, picture) =>
      detections.filter((each) => each.label === label).map((each) => ({ ...each, picture })),
    )
    .sort((a, b) => b.score - a.score);
  const taken = new Set<Box>();
  let right = 0;
  const curve = ranked.map((detection, i) => {
    const [best] = all[detection.picture]!.toSorted(
      (a, b) => overlapOf(b, detection) - overlapOf(a, detection),
    );
    if (best !== undefined && overlapOf(best, detection) >= 0.5 && !taken.has(best)) {
      taken.add(best);
      right++;
    }
    return { recall: right / count, precision: right / (i + 1) };
  });
  let [area, before] = [0, 0];
  curve.forEach(({ recall }, i) => {
    area += (recall - before) * Math.max(...curve.slice(i).map(({ precision }) => precision));
    before = recall;
  });
  return area;
}
