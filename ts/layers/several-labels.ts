/**
 * SoftmaxWithLoss of several labels for each item, such as an object's attributes (softmax_loss_layer.cpp of
 * github.com/peteanderson80/bottom-up-attention): the mean of the losses of those that are not ignore_label.
 */
import type { Shape } from '../base/shape.ts';
import { buildHostLoss } from './host-loss.ts';
import type { Built, LayerContext } from './layer.ts';

type Normalization = 'full' | 'valid' | 'batchSize' | 'none';

/**
 * The number of labels of each row of scores: labels N×K, fewer than the classes, of which unused ones are ignore_label. 1 for
 * BVLC's labels, and for those that do not fit.
 */
export function labelsOfRow([scores, labels]: readonly Shape[], ignored: number | undefined): number {
  const [rows, columns] = labels as [number, number?];
  const isSeveral =
    ignored !== undefined && scores!.length === 2 && labels!.length === 2 && rows === scores![0];
  return isSeveral && columns! > 1 && columns! < scores![1]! ? columns! : 1;
}

/** Caffe's smallest probability, whose logarithm is finite. */
const FLT_MIN = 1.1754943508222875e-38;

export function severalLabels(context: LayerContext, ignored: number, normalization: Normalization): Built {
  const [items, classes] = context.shapes[0] as [number, number];
  const [, columns] = context.shapes[1] as [number, number];
  if (context.topCount > 1)
    context.fail(
      'top-count',
      `with ${columns} labels of each item there is one top, found ${context.topCount}`,
    );
  return buildHostLoss(context, [], 1, ([scores, labels]) => {
    const diff = new Float32Array(items * classes);
    let [sum, valid] = [0, 0];
    for (let item = 0; item < items; item++) {
      const given = labels!.data.subarray(item * columns, (item + 1) * columns);
      const own = [...given].map(Math.trunc).filter((label) => label !== ignored);
      const wrong = own.find((label) => !(label >= 0 && label < classes));
      if (wrong !== undefined)
        throw new Error(
          `a label of item ${item} is ${wrong}; it must be a class, from 0 to ${classes - 1}, or ignore_label ${ignored}`,
        );
      if (own.length === 0) continue;
      valid++;
      const row = scores!.data.subarray(item * classes, (item + 1) * classes);
      const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
      const powers = Float64Array.from(row, (score) => Math.exp(score - most));
      const total = powers.reduce((a, b) => a + b, 0);
      const made = Float64Array.from(powers, (power) => power / total);
      for (const label of own) sum -= Math.log(Math.max(made[label]!, FLT_MIN)) / own.length;
      for (const label of own) powers[label]! -= total / own.length;
      diff.set(
        powers.map((power) => power / total),
        item * classes,
      );
    }
    const divisor = Math.max(1, { full: items, valid, batchSize: items, none: 1 }[normalization]);
    return { loss: [sum / divisor], diffs: [diff.map((value) => value / divisor)] };
  });
}
