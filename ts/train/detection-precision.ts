/** Solver::TestDetection of SSD's solver.cpp: rows of DetectionEvaluate over all batches → mean average precision. */
import type { ApVersion } from '../caffe/check-solver.ts';
import type { Tensor } from '../device/tensor.ts';
import type { ClassPrecision } from './events.ts';

interface Found {
  readonly score: number;
  readonly isRight: boolean;
}

/** The rows of one output. */
export class DetectionRows {
  readonly #positives = new Map<number, number>();
  readonly #found = new Map<number, Found[]>();

  add({ data }: Tensor): void {
    for (let at = 0; at < data.length; at += 5) {
      const [image, label, score, right, wrong] = data.subarray(at, at + 5) as unknown as number[];
      if (image === -1) this.#positives.set(label!, (this.#positives.get(label!) ?? 0) + score!);
      else if (right !== 0 || wrong !== 0) {
        if (!this.#found.has(label!)) this.#found.set(label!, []);
        this.#found.get(label!)!.push({ score: score!, isRight: right === 1 });
      }
    }
  }

  /** The precision of each class, in the order of labels; a class that is never found counts as 0. */
  precisions(version: ApVersion): ClassPrecision[] {
    return [...this.#positives].map(([label, positives]) => {
      const found = this.#found.get(label);
      const isNone = found === undefined || positives === 0;
      return { label, precision: isNone ? 0 : averagePrecision(found, positives, version) };
    });
  }
}

export const meanPrecision = (classes: readonly ClassPrecision[]): number =>
  classes.reduce((sum, { precision }) => sum + precision, 0) / Math.max(classes.length, 1);

/** ComputeAP of bbox_util.cpp. */
export function averagePrecision(found: readonly Found[], positives: number, version: ApVersion): number {
  let [right, all] = [0, 0];
  const curve = found
    .toSorted((a, b) => b.score - a.score)
    .map(({ isRight }) => {
      all++;
      if (isRight) right++;
      return { precision: right / all, recall: right / positives };
    });
  // For each point the best precision from it on: recall never falls.
  const best = curve.map(({ precision }) => precision);
  for (let i = best.length - 2; i >= 0; i--) best[i] = Math.max(best[i]!, best[i + 1]!);
  if (version === '11point') {
    const from = (recall: number) => best[curve.findIndex((at) => at.recall >= recall)] ?? 0;
    return Array.from({ length: 11 }, (_, i) => from(i / 10)).reduce((sum, each) => sum + each, 0) / 11;
  }
  return curve.reduce((sum, { precision, recall }, i) => {
    const gained = recall - (i === 0 ? 0 : curve[i - 1]!.recall);
    return gained > 0 ? sum + gained * (version === 'Integral' ? precision : best[i]!) : sum;
  }, 0);
}
