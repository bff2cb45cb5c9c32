/** Dropout. */
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const dropoutLayers: Layers = {
  Dropout: { build: dropout },
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
