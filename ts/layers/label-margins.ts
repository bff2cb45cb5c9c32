/**
 * Layers that reduce the score of an item's own class during training: LabelSpecificAdd of AM-Softmax and CosFace
 * (github.com/happynear/caffe-windows, arXiv:1801.05599) and CosinAddm of ArcFace (github.com/xialuxi/arcface-caffe,
 * arXiv:1801.07698).
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import { hostFunction } from './host-function.ts';
import { classesOf } from './labels.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const labelMargins: Layers = {
  LabelSpecificAdd: { build: labelSpecificAdd, bottoms: [2, 2], tops: [1, 2] },
  CosinAddm: { build: cosineAdd, bottoms: [2, 2] },
};

/** The changed score of an item's own class, and the slope that multiplies its diff. */
type Change = (score: number) => readonly [changed: number, slope: number];

/** @param next Returns the change of a forward pass, and the value of the second top. */
function changeOwn(
  context: LayerContext,
  next: () => { readonly change: Change; readonly said: number },
  changeOf: (said: number) => Change,
): Built {
  const [scores, labels] = context.shapes as [Shape, Shape];
  const items = scores[0] ?? 1;
  const classes = elementCount(scores) / items;
  if (elementCount(labels) !== items)
    context.fail('shape', `needs a label for each of ${items} items, found ${showShape(labels)}`);
  const own = (which: Float32Array) =>
    Array.from(classesOf(which, classes), (found, item) => item * classes + found);
  const operation = hostFunction(context, context.shapes, [scores, [1]], {
    forward: ([of, which]) => {
      const { change, said } = next();
      const made = of!.data.slice();
      for (const at of own(which!.data)) made[at] = change(made[at]!)[0];
      return [made, Float32Array.of(said)];
    },
    backward: ({ bottoms: [of, which], tops: [, said], topDiffs: [diff] }) => {
      const change = changeOf(said!.data[0]!);
      const made = diff!.data.slice();
      for (const at of own(which!.data)) made[at]! *= change(of!.data[at]!)[1];
      return [made, null];
    },
  });
  const layer = new Composition(context.shapes);
  const made = layer.add(operation, layer.bottoms, [scores, [1]], [true, false]);
  return layer.built(made.slice(0, context.topCount));
}

interface AddParameter {
  readonly bias: number;
  readonly bias_base: number;
  readonly bias_gamma: number;
  readonly bias_power: number;
  readonly bias_min: number;
  readonly bias_max: number;
  readonly iteration: number;
}

/**
 * label_specific_add.cpp: adds `bias` to scores above −bias, and passes the diff unchanged. With bias_base the bias
 * changes with every forward pass. In phase TEST, scores do not change.
 */
function labelSpecificAdd(context: LayerContext): Built {
  const written = context.layer.label_specific_add_param;
  const p = withDefaults<AddParameter>('LabelSpecificAddParameter', written);
  const isLearning = context.state.phase === 'TRAIN';
  let { iteration } = p;
  const biasOf = () => {
    if (written?.bias_base === undefined) return p.bias;
    const bias = p.bias_base + (1 + p.bias_gamma * iteration) ** p.bias_power - 1;
    return Math.min(Math.max(bias, p.bias_min), p.bias_max);
  };
  const adding =
    (bias: number): Change =>
    (score) => [isLearning && score > -bias ? score + bias : score, 1];
  return changeOwn(
    context,
    () => {
      const bias = isLearning ? biasOf() : p.bias;
      if (isLearning) iteration++;
      return { change: adding(bias), said: bias };
    },
    adding,
  );
}

/** cosin_add_m_layer.cpp: cos(θ + m). Beyond π − m, where that grows again, cos θ − m·sin m. */
function cosineAdd(context: LayerContext): Built {
  const { m } = withDefaults<{ m: number }>('CosinAddmParameter', context.layer.cosin_add_m_param);
  const [sine, cosine, threshold] = [Math.sin(m), Math.cos(m), Math.cos(Math.PI - m)];
  const adding: Change = (score) => {
    if (score <= threshold) return [score - m * Math.sin(Math.PI - m), 1];
    const c = Math.min(score, 1);
    const s = Math.sqrt(1 - c * c);
    return [c * cosine - s * sine, s === 0 ? 1 : cosine + (sine * c) / s];
  };
  return changeOwn(
    context,
    () => ({ change: adding, said: m }),
    () => adding,
  );
}
