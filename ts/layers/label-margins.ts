/**
 * Layers that reduce the score of an item's own class during training: LabelSpecificAdd of AM-Softmax and CosFace
 * (github.com/happynear/caffe-windows, arXiv:1801.05599), LabelSpecificRescale of NormFace (the same fork,
 * arXiv:1704.06369), CosinAddm of ArcFace (github.com/xialuxi/arcface-caffe, arXiv:1801.07698) and AdaCosAddmScale of
 * AdaCos (the same fork, arXiv:1905.00292).
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import { hostFunction } from './host-function.ts';
import { classesOf } from './labels.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const labelMargins: Layers = {
  LabelSpecificAdd: { build: labelSpecificAdd, bottoms: [2, 2], tops: [1, 2] },
  LabelSpecificRescale: { build: labelSpecificRescale, bottoms: [2, 2] },
  CosinAddm: { build: cosineAdd, bottoms: [2, 2] },
  AdaCosAddmScale: { build: adaptiveCosine, bottoms: [2, 2] },
};

/** The changed score of an item's own class, and the slope that multiplies its diff. */
type Change = (score: number) => readonly [changed: number, slope: number];

/** @param next Returns the change of a forward pass, and the value of the second top. */
function changeOwn(
  context: LayerContext,
  next: () => { readonly change: Change; readonly value: number },
  changeOf: (value: number) => Change,
): Built {
  const { scores, own } = labelled(context);
  const operation = hostFunction(context, context.shapes, [scores, [1]], {
    forward: ([of, which]) => {
      const { change, value: said } = next();
      const made = of!.data.slice();
      for (const at of own(which!.data)) made[at] = change(made[at]!)[0];
      return [made, Float32Array.of(said)];
    },
    backward: ({ bottoms: [of, which], tops: [, stored], topDiffs: [diff] }) => {
      const change = changeOf(stored!.data[0]!);
      const made = diff!.data.slice();
      for (const at of own(which!.data)) made[at]! *= change(of!.data[at]!)[1];
      return [made, null];
    },
  });
  const layer = new Composition(context.shapes);
  const made = layer.add(operation, layer.bottoms, [scores, [1]], [true, false]);
  return layer.built(made.slice(0, context.topCount));
}

/** The scores' shape, and where the score of each item's own class is. */
function labelled(context: LayerContext) {
  const [scores, labels] = context.shapes as [Shape, Shape];
  const items = scores[0] ?? 1;
  const classes = elementCount(scores) / items;
  if (elementCount(labels) !== items)
    context.fail('shape', `needs a label for each of ${items} items, found ${showShape(labels)}`);
  const own = (which: Float32Array) =>
    Array.from(classesOf(which, classes), (found, item) => item * classes + found);
  return { scores, items, classes, own };
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
  let iteration = p.iteration + context.state.passesBefore;
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
      return { change: adding(bias), value: bias };
    },
    adding,
  );
}

interface RescaleParameter {
  readonly positive_weight: number;
  readonly negative_weight: number;
  readonly rescale_test: boolean;
}

/** label_specific_rescale_layer.cpp: a factor for the score of an item's own class, another for the others. */
function labelSpecificRescale(context: LayerContext): Built {
  const written = context.layer.label_specific_rescale_param;
  const p = withDefaults<RescaleParameter>('LabelSpecificRescaleParameter', written);
  const unknown = (['for_ip', 'positive_weight_base', 'bias_fix', 'power_on_positive'] as const).find(
    (field) => written?.[field] !== undefined,
  );
  if (unknown !== undefined)
    context.fail(
      'unsupported',
      `${unknown} is not supported, only positive_weight, negative_weight and rescale_test; remove it`,
      positionOf(written, unknown),
    );
  const { scores, own } = labelled(context);
  const layer = new Composition(context.shapes);
  if (context.state.phase === 'TEST' && !p.rescale_test) return layer.built([layer.bottoms[0]!]);
  const scaled = (values: Float32Array, which: Float32Array) => {
    const made = values.map((value) => value * p.negative_weight);
    for (const at of own(which)) made[at] = values[at]! * p.positive_weight;
    return made;
  };
  const operation = hostFunction(context, context.shapes, [scores], {
    forward: ([of, which]) => [scaled(of!.data, which!.data)],
    backward: ({ bottoms: [, which], topDiffs: [diff] }) => [scaled(diff!.data, which!.data), null],
  });
  return layer.built([layer.one(operation, layer.bottoms, scores, [true, false])]);
}

/** cosin_add_m_layer.cpp: cos(θ + m). Beyond π − m, where that grows again, cos θ − m·sin m. */
function cosineAdd(context: LayerContext): Built {
  const { m } = withDefaults<{ m: number }>('CosinAddmParameter', context.layer.cosin_add_m_param);
  const adding = addedMargin(m);
  return changeOwn(
    context,
    () => ({ change: adding, value: m }),
    () => adding,
  );
}

/**
 * adacos_add_m_scale_layer.cpp: the same, and all scores times a scale: the logarithm of the other classes' mean Σ
 * e^(the last scale · cos θ), over the cosine of the mean angle (of all scores, as the code computes it), which is π/4
 * at most. Diffs take the scale as a constant.
 */
function adaptiveCosine(context: LayerContext): Built {
  const written = context.layer.adacos_add_m_scale_param;
  const p = withDefaults<{ m: number; num_classes?: number }>('AdaCosAddmScaleParameter', written);
  const { scores, items, own } = labelled(context);
  if ((p.num_classes ?? 0) < 2)
    context.fail(
      'num-output',
      'num_classes must be given and at least 2',
      positionOf(written, 'num_classes') ?? 'adacos_add_m_scale_param',
    );
  const change = addedMargin(p.m);
  let scale = Math.SQRT2 * Math.log(p.num_classes! - 1);
  const operation = hostFunction(context, context.shapes, [scores, [1]], {
    forward: ([of, which]) => {
      const ofLabels = own(which!.data);
      // A cosine may be rounded to above 1. Its angle would be NaN, and so would every later scale.
      const angles =
        of!.data.reduce((sum, cosine) => sum + Math.acos(Math.max(-1, Math.min(1, cosine))), 0) /
        of!.data.length;
      const isOwn = new Set(ofLabels);
      const others = of!.data.reduce(
        (sum, cosine, i) => sum + Math.exp(isOwn.has(i) ? 0 : scale * cosine),
        0,
      );
      scale = Math.log(others / items) / Math.cos(Math.min(angles, Math.PI / 4));
      const made = of!.data.map((cosine) => scale * cosine);
      for (const at of ofLabels) made[at] = scale * change(of!.data[at]!)[0];
      return [made, Float32Array.of(scale)];
    },
    backward: ({ bottoms: [of, which], tops: [, by], topDiffs: [diff] }) => {
      const made = diff!.data.map((down) => by!.data[0]! * down);
      for (const at of own(which!.data)) made[at]! *= change(of!.data[at]!)[1];
      return [made, null];
    },
  });
  const layer = new Composition(context.shapes);
  return layer.built(layer.add(operation, layer.bottoms, [scores, [1]], [true, false]).slice(0, 1));
}

/** @param m The margin, an angle. */
function addedMargin(m: number): Change {
  const [sine, cosine, threshold] = [Math.sin(m), Math.cos(m), Math.cos(Math.PI - m)];
  return (score) => {
    if (score <= threshold) return [score - m * Math.sin(Math.PI - m), 1];
    const c = Math.min(score, 1);
    const s = Math.sqrt(1 - c * c);
    return [c * cosine - s * sine, s === 0 ? 1 : cosine + (sine * c) / s];
  };
}
