/** FocalLoss of a softmax (github.com/zimenglan-sysu-512/Focal-Loss, also in makefile/frcnn and happynear/caffe-windows; arXiv:1708.02002). */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { buildHostLoss } from './host-loss.ts';
import { around, type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import { normalizationOf } from './losses.ts';

export const focalLosses: Layers = { FocalLoss: { build: focalLoss, bottoms: [2, 2], isLoss: true } };

/** The smallest normal float32. */
const FLT_MIN = 2 ** -126;

/** focal_loss_layer.cpp: −α (1 − p)^γ ln p, where p is the probability of an item's class. */
function focalLoss(context: LayerContext): Built {
  const written = context.layer.focal_loss_param;
  const p = withDefaults<{ type: string; gamma: number; alpha?: number }>('FocalLossParameter', written);
  const refuse = (field: string, code: 'range' | 'unsupported', text: string): never =>
    context.fail(code, text, positionOf(written, field) ?? 'focal_loss_param');
  const alpha =
    p.alpha ??
    alphaOf(context) ??
    refuse('alpha', 'range', 'alpha must be given: forks of Caffe assume 0.25 or 1');
  if (p.type !== 'ORIGIN') refuse('type', 'unsupported', `type must be ORIGIN, found ${p.type}`);
  if (p.gamma < 0) refuse('gamma', 'range', `gamma must be at least 0, found ${p.gamma}`);
  if (!(alpha > 0)) refuse('alpha', 'range', `alpha must be above 0, found ${alpha}`);
  const [shape, labels] = context.shapes as [Shape, Shape];
  const { axis } = withDefaults<{ axis: number }>('SoftmaxParameter', context.layer.softmax_param);
  const { outer, channels, inner } = around(shape, canonicalAxis(context, axis, shape.length));
  if (elementCount(labels) !== outer * inner)
    context.fail(
      'label-count',
      `scores of ${showShape(shape)} need ${outer * inner} labels, found ${showShape(labels)}`,
    );
  const normalization = normalizationOf(context);
  const ignored = context.layer.loss_param?.ignore_label as number | undefined;
  return buildHostLoss(context, [], 1, ([scores, label]) => {
    const diffs = new Float32Array(scores!.data.length);
    let [sum, count] = [0, 0];
    for (let place = 0; place < outer * inner; place++) {
      const own = Math.trunc(label!.data[place]!);
      if (own === ignored) continue;
      if (!(own >= 0 && own < channels))
        throw new Error(
          `the label of position ${place} is ${label!.data[place]}; it must be a class, from 0 to ${channels - 1}`,
        );
      const first = Math.floor(place / inner) * channels * inner + (place % inner);
      const x = Array.from({ length: channels }, (_, c) => scores!.data[first + c * inner]!);
      const most = Math.max(...x);
      const powers = x.map((value) => Math.exp(value - most));
      const total = powers.reduce((a, b) => a + b);
      const share = powers[own]! / total;
      const log = Math.log(Math.max(share, FLT_MIN));
      const power = alpha * (1 - share) ** p.gamma;
      sum -= power * log;
      count++;
      const slope = power - p.gamma * (power / Math.max(1 - share, 1e-10)) * log * share;
      powers.forEach((each, c) => {
        diffs[first + c * inner] = slope * (each / total - (c === own ? 1 : 0));
      });
    }
    const divisors = { full: outer * inner, valid: count, batchSize: outer, none: 1 };
    const divisor = Math.max(1, divisors[normalization]);
    return { loss: [sum / divisor], diffs: [diffs.map((diff) => diff / divisor)] };
  });
}

/** The default of the fork that the net's other layers belong to. */
const alphaOf = ({ state }: LayerContext): number | undefined =>
  [...(state.types ?? [])].some((type) => type.startsWith('Frcnn')) ? 0.25 : undefined;
