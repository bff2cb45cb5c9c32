/** Losses that the host computes, together with their diffs, as in the forks that define them. */
import { elementCount, type Shape } from '../base/shape.ts';
import { Composition } from './compose.ts';
import { hostFunction } from './host-function.ts';
import type { JavaScriptBlob } from './javascript.ts';
import type { Built, LayerContext } from './layer.ts';

/** The value of a loss, and the diffs of the bottoms that receive them, in their order, for a loss_weight of 1. */
export interface LossWithDiffs {
  readonly loss: readonly number[];
  readonly diffs: readonly Float32Array[];
}

/**
 * A loss that keeps its diffs in tops that the net does not see, until the backward pass scales them. So random samples and
 * hard examples are the same in both passes.
 * @param top The loss's shape. The diff of its first value scales the gradient.
 * @param learning The number of bottoms, from the first on, that receive a diff.
 */
export function buildHostLoss(
  context: LayerContext,
  top: Shape,
  learning: number,
  compute: (bottoms: readonly JavaScriptBlob[]) => LossWithDiffs,
): Built {
  const tops = [top, ...context.shapes.slice(0, learning)];
  const operation = hostFunction(context, context.shapes, tops, {
    forward: (bottoms) => {
      const { loss, diffs } = compute(bottoms);
      return [Float32Array.from({ length: elementCount(top) }, (_, i) => loss[i]!), ...diffs];
    },
    backward: ({ bottoms, tops: made, topDiffs: [scale] }) => {
      const by = scale!.data[0]!;
      return bottoms.map((_, i) => (i < learning ? made[1 + i]!.data.map((diff) => diff * by) : null));
    },
  });
  const composed = new Composition(context.shapes);
  const [loss] = composed.add(
    operation,
    composed.bottoms,
    tops,
    context.shapes.map((_, i) => i < learning),
  );
  return composed.built([loss!]);
}
