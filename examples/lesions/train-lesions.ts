/** Fine-tunes the same net on the same unbalanced scans in three ways. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OutcomeSummary } from '../../ts/api/images.ts';
import { type FinetuneOptions, finetune } from '../../ts/api/train.ts';
import type { Device } from '../../ts/index.ts';
import { WINDOW } from './draw-lesions.ts';

/** A residual net of 20 layers that was trained on clothes. */
const fashion = join(dirname(fileURLToPath(import.meta.url)), '../fashion');

/** The countermeasures against the small number of lesions. */
export const WAYS: Readonly<Record<string, Pick<FinetuneOptions, 'classWeights' | 'sampling'>>> = {
  plain: {},
  'class weights': { classWeights: 'balanced' },
  'balanced sampling': { sampling: 'balanced' },
};

/**
 * Fine-tunes in one way.
 * @returns The evaluation on the scans of `val`
 */
export async function tune(
  way: string,
  {
    device,
    scans,
    out,
    epochs,
  }: { readonly device: Device; readonly scans: string; readonly out: string; readonly epochs: number },
): Promise<OutcomeSummary> {
  let summary: OutcomeSummary | null = null;
  for await (const event of finetune({
    ...{ folder: scans, out, device, epochs },
    model: join(fashion, 'deploy.prototxt'),
    weights: join(fashion, 'model.caffemodel'),
    preprocess: { resize: { shorterSide: 32 }, mean: [73], window: WINDOW },
    batch: 16,
    rate: 0.005,
    ...WAYS[way],
  }))
    if (event.type === 'evaluated') ({ summary } = event);
  return summary!;
}

/** The figures that matter if one class is rare. */
export function figuresOf(summary: OutcomeSummary) {
  const [clear, lesion] = summary.balance.classes;
  const { auc, interval, averagePrecision } = lesion!.scores!;
  return {
    right: 1 - summary.top1.error,
    balanced: summary.balance.balancedAccuracy,
    ...{ auc, interval, averagePrecision },
    recall: lesion!.recall,
    specificity: clear!.recall,
  };
}
