/**
 * Extensions of nets for mobile devices: ShuffleChannel (github.com/farmingyard/ShuffleNet), Axpy
 * (github.com/hujie-frank/SENet), ReLU6 (github.com/chuanqi305/ssd), CReLU (arXiv:1603.05201), Mish, HardSwish and
 * HardSigmoid (synopsys-caffe, inisis/caffe), HSigmoid (aovoc/caffe). All but Mish and HardSwish are rewritten as layers of
 * BVLC's; depthwise convolutions are in convolution.ts.
 */
import { elementCount, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { isInPlace, same } from './activations.ts';
import { Composition, type Part } from './compose.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';

export const mobileLayers: Layers = {
  ShuffleChannel: { build: shuffleChannel },
  Axpy: { build: axpy, bottoms: [3, 3] },
  ReLU6: { build: relu6 },
  CReLU: { build: crelu },
  Mish: { build: same({ kind: 'mish' }) },
  HardSwish: { build: same({ kind: 'hardSwish' }) },
  HardSigmoid: { build: hardSigmoid },
  HSigmoid: { build: hSigmoid },
};

/** shuffle_channel_layer.cpp: channels in groups × C/groups, transposed. */
function shuffleChannel(context: LayerContext): Built {
  const { group } = withDefaults<{ group: number }>(
    'ShuffleChannelParameter',
    context.layer.shuffle_channel_param,
  );
  const shape = context.shapes[0]!;
  const channels = shape[1] ?? 1;
  if (group < 1 || channels % group !== 0)
    context.fail(
      'group',
      `the bottom has ${channels} channels, which group ${group} does not divide`,
      positionOf(context.layer.shuffle_channel_param, 'group'),
    );
  const layer = new Composition(context.shapes);
  const grouped = layer.reshape(layer.bottoms[0]!, [
    shape[0]!,
    group,
    channels / group,
    elementCount(shape.slice(2)),
  ]);
  return layer.built([layer.reshape(layer.permute(grouped, [0, 2, 1, 3]), shape)]);
}

/** axpy_layer.cpp: a·x + y, where a has one value for each item and channel. */
function axpy(context: LayerContext): Built {
  const [a, x, y] = context.shapes as [readonly number[], readonly number[], readonly number[]];
  if (showShape(x) !== showShape(y))
    context.fail(
      'shape',
      `the second and the third bottom must have equal shapes, found ${showShape(x)} and ${showShape(y)}`,
    );
  if (a[0] !== x[0] || a[1] !== x[1] || a.slice(2).some((size) => size !== 1))
    context.fail(
      'shape',
      `the first bottom has a value for each item and channel of the second: expected ${showShape([...x.slice(0, 2), 1, 1])}, found ${showShape(a)}`,
    );
  const layer = new Composition(context.shapes);
  const [factor, scaled, added] = layer.bottoms as [
    (typeof layer.bottoms)[0],
    (typeof layer.bottoms)[0],
    (typeof layer.bottoms)[0],
  ];
  const product = layer.one(
    {
      kind: 'scale',
      operand: 'scale',
      scale: null,
      bias: null,
      outer: 1,
      channels: elementCount(a),
      inner: elementCount(x.slice(2)),
    },
    [scaled, layer.reshape(factor, [elementCount(a)])],
    x,
  );
  return layer.built([layer.sum([product, added])]);
}

/** relu6_layer.cpp: no diff passes at exactly 0 and 6. */
function relu6(context: LayerContext): Built {
  return same({ kind: 'clip', min: 0, max: 6, passesBounds: false, inPlace: isInPlace(context) })(context);
}

/** The ReLU of x and of −x, concatenated along the channels. */
function crelu(context: LayerContext): Built {
  const { negative_slope: negativeSlope } = withDefaults<{ negative_slope: number }>(
    'ReLUParameter',
    context.layer.relu_param,
  );
  const shape = context.shapes[0]!;
  const axis = canonicalAxis(context, 1, shape.length);
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [(typeof layer.bottoms)[0]];
  const negative = layer.one({ kind: 'power', power: 1, scale: -1, shift: 0 }, [x], shape);
  const parts = [x, negative].map((part) => layer.one({ kind: 'relu', negativeSlope }, [part], shape));
  const top = shape.map((size, i) => (i === axis ? 2 * size : size));
  return layer.built([layer.one({ kind: 'concat', axis }, parts, top)]);
}

/** hard_sigmoid_layer.cpp: alpha·x + beta, clipped to 0 and 1, where no diff passes. The forks name its parameters differently. */
function hardSigmoid(context: LayerContext): Built {
  const { hard_sigmoid_param, hardsigmoid_param } = context.layer;
  const p = withDefaults<{ alpha: number; beta: number }>(
    'HardSigmoidParameter',
    hard_sigmoid_param ?? hardsigmoid_param,
  );
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  const line = layer.one({ kind: 'power', power: 1, scale: p.alpha, shift: p.beta }, [x], x.shape);
  return layer.built([
    layer.one({ kind: 'clip', min: 0, max: 1, passesBounds: false, inPlace: false }, [line], x.shape),
  ]);
}

/** hsigmoid_layer.cpp: ReLU6(x + 3) / 6, as in MobileNet v3 (arXiv:1905.02244, section 5.2). */
function hSigmoid(context: LayerContext): Built {
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  const moved = layer.one({ kind: 'power', power: 1, scale: 1, shift: 3 }, [x], x.shape);
  const clip = { kind: 'clip', min: 0, max: 6, passesBounds: false, inPlace: false } as const;
  const clipped = layer.one(clip, [moved], x.shape);
  return layer.built([layer.one({ kind: 'power', power: 1, scale: 1 / 6, shift: 0 }, [clipped], x.shape)]);
}
