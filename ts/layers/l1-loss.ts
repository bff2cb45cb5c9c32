/**
 * L1Loss: of Freiburg's fork (github.com/lmb-freiburg/flownet2, l1loss_layer.cu), which leaves out values that are not
 * numbers, and of NVIDIA's (github.com/NVIDIA/caffe), which has none of its parameters.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { buildHostLoss } from './host-loss.ts';
import { around, type Built, type LayerContext, type Layers } from './layer.ts';

export const l1Losses: Layers = { L1Loss: { build: l1Loss, bottoms: [1, 2], isLoss: true } };

interface L1LossParameter {
  readonly l2_per_location: boolean;
  readonly l2_prescale_by_channels: boolean;
  readonly normalize_by_num_entries: boolean;
  readonly epsilon: number;
  readonly plateau: number;
}

function l1Loss(context: LayerContext): Built {
  const written = context.layer.l1_loss_param;
  const p = withDefaults<L1LossParameter>('L1LossParameter', written);
  const [shape, other] = context.shapes as [Shape, Shape?];
  if (other !== undefined && elementCount(other) !== elementCount(shape))
    context.fail('shape', `inputs differ: ${showShape(shape)} and ${showShape(other)}`);
  if (p.l2_per_location && shape.length < 2)
    context.fail('dimensions', `l2_per_location needs channels, N×C, found ${showShape(shape)}`);
  const items = shape[0] ?? 1;
  const { outer, channels, inner } = around(shape, shape.length < 2 ? 0 : 1);
  // Freiburg's sign of 0 is −1.
  const signOf = (d: number) => (d > 0 ? 1 : d < 0 || written !== undefined ? -1 : 0);
  return buildHostLoss(context, [], context.shapes.length, ([a, b]) => {
    const d = Float64Array.from(a!.data, (value, i) => value - (b?.data[i] ?? 0));
    const numbers = d.reduce((count, value) => count + (Number.isNaN(value) ? 0 : 1), 0);
    const divisor = Math.max(p.normalize_by_num_entries ? numbers / channels : items, Number.MIN_VALUE);
    const slopes = new Float32Array(d.length);
    let sum = 0;
    if (p.l2_per_location) {
      const weight = p.l2_prescale_by_channels ? 1 / channels : 1;
      for (let place = 0; place < outer * inner; place++) {
        const first = Math.floor(place / inner) * channels * inner + (place % inner);
        let square = 0;
        for (let c = 0; c < channels; c++) square += weight * (d[first + c * inner]! || 0) ** 2;
        const isFlat = p.plateau > 0 && square < p.plateau ** 2;
        const length = Math.sqrt((isFlat ? 0 : square) + p.epsilon);
        sum += length;
        if (isFlat) continue;
        for (let c = 0; c < channels; c++)
          slopes[first + c * inner] = (weight * (d[first + c * inner]! || 0)) / length / divisor;
      }
    } else
      d.forEach((value, i) => {
        if (Number.isNaN(value) || Math.abs(value) < p.plateau) return;
        sum += Math.abs(value);
        slopes[i] = signOf(value) / divisor;
      });
    return {
      loss: [sum / divisor],
      diffs: [slopes, slopes.map((slope) => -slope)].slice(0, context.shapes.length),
    };
  });
}
