/** CenterLoss moves the features of a class towards a centre that is learned with them (Wen et al., ECCV 2016). */
import { elementCount, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import { classesOf } from './labels.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';

export const centerLosses: Layers = {
  CenterLoss: { build: centerLoss, bottoms: [2, 2], isLoss: true },
};

interface CenterLossParameter {
  readonly num_output?: number;
  readonly center_filler?: object;
  readonly axis: number;
  readonly distance_type: string;
}

/**
 * center_loss_layer.cpp of github.com/ydwen/caffe-face, and its distance_type of github.com/happynear/caffe-windows:
 * half the mean of |x − centre|², or the mean of Σ |x − centre|. The diff of a centre is the sum of its differences
 * from its items, divided by their number plus one, whatever the loss weight (equation 4). For L1, the diff of the
 * features is the signs, as in the fork.
 */
function centerLoss(context: LayerContext): Built {
  const written = context.layer.center_loss_param;
  const p = withDefaults<CenterLossParameter>('CenterLossParameter', written);
  const at = (field: string) => positionOf(written, field) ?? 'center_loss_param';
  const [shape, labels] = context.shapes as [readonly number[], readonly number[]];
  const axis = canonicalAxis(context, p.axis, shape.length);
  const [items, length] = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))];
  const classes = p.num_output ?? 0;
  if (classes < 1)
    context.fail('num-output', 'num_output, the classes, must be given and at least 1', at('num_output'));
  if (p.distance_type !== 'L1' && p.distance_type !== 'L2')
    context.fail(
      'unsupported',
      `distance_type must be "L1" or "L2", found "${p.distance_type}"`,
      at('distance_type'),
    );
  if (axis !== 1 || elementCount(labels) !== items)
    context.fail(
      'shape',
      `needs axis 1 and a label for each of the ${shape[0]} items, found axis ${axis} and labels ${showShape(labels)}`,
    );
  const isSquare = p.distance_type === 'L2';
  const layer = new Composition(context.shapes);
  const blob = context.parameter([classes, length], p.center_filler);
  const centers = layer.one({ kind: 'parameter', blob }, [], [classes, length]);
  const [x, label] = layer.bottoms as [Part, Part];
  const steps = (values: Float32Array, centres: Float32Array, of: Int32Array) =>
    values.map((value, i) => value - centres[of[Math.floor(i / length)]! * length + (i % length)]!);
  const loss = hostFunction(context, [x.shape, centers.shape, label.shape], [[]], {
    forward: ([of, centres, which]) => {
      const off = steps(of!.data, centres!.data, classesOf(which!.data, classes));
      const sum = off.reduce((total, step) => total + (isSquare ? (step * step) / 2 : Math.abs(step)), 0);
      return [Float32Array.of(sum / items)];
    },
    backward: ({ bottoms: [of, centres, which], topDiffs: [scale] }) => {
      const found = classesOf(which!.data, classes);
      const off = steps(of!.data, centres!.data, found);
      const slopes = isSquare ? off : off.map(Math.sign);
      const counts = new Int32Array(classes);
      for (const each of found) counts[each]!++;
      const moved = new Float32Array(classes * length);
      slopes.forEach((slope, i) => {
        const each = found[Math.floor(i / length)]!;
        moved[each * length + (i % length)]! -= slope / (counts[each]! + 1);
      });
      return [slopes.map((slope) => (slope * scale!.data[0]!) / items), moved, null];
    },
  });
  return layer.built([layer.one(loss, [x, centers, label], [], [true, true, false])]);
}
