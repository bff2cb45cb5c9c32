/** Dropout, and GuidedDropout of the fork for person re-identification (github.com/Cysu/dgd_person_reid, arXiv:1604.07528). */
import { sigmoid } from '../base/numbers.ts';
import { seededRandom } from '../base/random.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const dropoutLayers: Layers = {
  Dropout: { build: dropout },
  GuidedDropout: { build: guidedDropout, bottoms: [2, 2] },
};

function dropout(context: LayerContext): Built {
  const {
    dropout_ratio: ratio,
    scale_train: scalesInTraining,
    sample_weights_test: drawsInTest,
  } = withDefaults<{
    dropout_ratio: number;
    scale_train: boolean;
    sample_weights_test: boolean;
  }>('DropoutParameter', context.layer.dropout_param);
  if (!(ratio >= 0 && ratio < 1))
    context.fail('dropout-ratio', `dropout_ratio must be at least 0 and below 1, found ${ratio}`);
  // dropout_layer.cpp of SegNet's fork: a Bayesian SegNet runs several times with different results (arXiv:1511.02680).
  const isTest = context.state.phase === 'TEST' && !drawsInTest;
  const shape = context.shapes[0]!;
  if (scalesInTraining)
    return { operation: isTest ? { kind: 'identity' } : { kind: 'dropout', ratio }, tops: [shape] };
  // dropout_layer.cpp of Fast R-CNN's fork: it does not scale kept values. In phase TEST it scales all values down instead.
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  const dropped = isTest ? x : layer.one({ kind: 'dropout', ratio }, [x], shape);
  return layer.built([layer.one({ kind: 'power', power: 1, scale: 1 - ratio, shift: 0 }, [dropped], shape)]);
}

const SEED = 11;

/**
 * guided_dropout_layer.cpp: the guidance, a number for each channel of an item, decides which channels are kept: those
 * above guidance_threshold, in both phases; or ("stochastic"), in phase TRAIN, each with the probability
 * σ(sigmoid_scaler · guidance). Kept channels are scaled up according to their number.
 */
function guidedDropout(context: LayerContext): Built {
  const written = context.layer.guided_dropout_param;
  const p = withDefaults<{ type: string; guidance_threshold: number; sigmoid_scaler: number }>(
    'GuidedDropoutParameter',
    written,
  );
  if (p.type !== 'deterministic' && p.type !== 'stochastic')
    context.fail(
      'dropout-ratio',
      `type must be "deterministic" or "stochastic", found "${p.type}"`,
      positionOf(written, 'type'),
    );
  const [shape, guidance] = context.shapes as [Shape, Shape];
  const [items = 1, channels = 1] = shape;
  if (shape.length < 2 || guidance[0] !== items || elementCount(guidance) !== items * channels)
    context.fail(
      'shape',
      `needs a number for each channel of each item, ${items}×${channels}, found ${showShape(guidance)} for ${showShape(shape)}`,
    );
  const isStochastic = p.type === 'stochastic';
  const layer = new Composition(context.shapes);
  const [x, given] = layer.bottoms as [Part, Part];
  if (isStochastic && context.state.phase === 'TEST') return layer.built([x]);
  const draw = seededRandom(SEED);
  const share = (value: number) =>
    isStochastic ? sigmoid(value * p.sigmoid_scaler) : Number(value > p.guidance_threshold);
  const kept = hostFunction(context, [guidance], [[items * channels]], {
    forward: ([given]) => {
      const shares = given!.data.map(share);
      const factors = shares.map((each) => Number(isStochastic ? draw() <= each : each > 0));
      for (let first = 0; first < factors.length; first += channels) {
        const sum = shares.subarray(first, first + channels).reduce((a, b) => a + b, 0);
        if (sum > 0) for (let i = first; i < first + channels; i++) factors[i]! *= channels / sum;
      }
      return [factors];
    },
  });
  const factors = layer.one(kept, [given], [items * channels], [false]);
  const made = layer.one(
    {
      kind: 'scale',
      operand: 'scale',
      scale: null,
      bias: null,
      outer: 1,
      channels: items * channels,
      inner: elementCount(shape) / (items * channels),
    },
    [x, factors],
    shape,
  );
  return layer.built([made]);
}
