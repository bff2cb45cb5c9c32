/** Dropout. */
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const dropoutLayers: Layers = {
  Dropout: { build: dropout },
};

function dropout(context: LayerContext): Built {
  if (context.state.phase === 'TEST') return { operation: { kind: 'identity' }, tops: [context.shapes[0]!] };
  const { dropout_ratio: ratio } = withDefaults<{ dropout_ratio: number }>(
    'DropoutParameter',
    context.layer.dropout_param,
  );
  if (!(ratio >= 0 && ratio < 1))
    context.fail('dropout-ratio', `dropout_ratio must be at least 0 and below 1, found ${ratio}`);
  return { operation: { kind: 'dropout', ratio }, tops: [context.shapes[0]!] };
}
