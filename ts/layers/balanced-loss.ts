/** SigmoidCrossEntropyBalanceLoss: learns edges and objects, which few of the pixels belong to. */
import { sigmoid } from '../base/numbers.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { buildHostLoss } from './host-loss.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const balancedLosses: Layers = {
  SigmoidCrossEntropyBalanceLoss: { build: balancedLoss, bottoms: [2, 2], isLoss: true },
};

/**
 * Equation 2 of holistically-nested edge detection (arXiv:1504.06375), as sigmoid_cross_entropy_loss_layer.cpp of
 * github.com/s9xie/hed computes it. In each item, positions of label 1 are weighted by the share of label 0, and the others
 * by the share of label 1. The sum is divided by the number of items. Positions with other labels are ignored, also in the
 * diff.
 */
function balancedLoss(context: LayerContext): Built {
  const [scores, labels] = context.shapes as [Shape, Shape];
  if (scores.length === 0 || scores[0] !== labels[0] || elementCount(scores) !== elementCount(labels))
    context.fail(
      'shape',
      `needs a label for each score, found ${showShape(labels)} for ${showShape(scores)}`,
    );
  const items = scores[0]!;
  const length = elementCount(scores.slice(1));
  return buildHostLoss(context, [], 1, ([of, label]) => {
    const diff = new Float32Array(items * length);
    let sum = 0;
    for (let first = 0; first < diff.length; first += length) {
      let [edges, others] = [0, 0];
      for (let i = first; i < first + length; i++) {
        if (label!.data[i] === 1) edges++;
        else if (label!.data[i] === 0) others++;
      }
      for (let i = first; i < first + length; i++) {
        const isEdge = label!.data[i] === 1;
        if (!isEdge && label!.data[i] !== 0) continue;
        const weight = (isEdge ? others : edges) / (edges + others) / items;
        // −log σ(x) for an edge, −log(1 − σ(x)) otherwise, without overflow.
        const score = of!.data[i]!;
        const signed = isEdge ? -score : score;
        sum += weight * (Math.max(signed, 0) + Math.log1p(Math.exp(-Math.abs(signed))));
        diff[i] = weight * (sigmoid(score) - (isEdge ? 1 : 0));
      }
    }
    return { loss: [sum], diffs: [diff] };
  });
}
