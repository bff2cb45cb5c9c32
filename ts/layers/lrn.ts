/** LRN: local response normalisation. */
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { fourDimensions } from './window.ts';

export const lrnLayers: Layers = {
  LRN: { build: lrn },
};

/** lrn_layer.cpp */
function lrn(context: LayerContext): Built {
  const p = withDefaults<{ local_size: number; alpha: number; beta: number; k: number; norm_region: string }>(
    'LRNParameter',
    context.layer.lrn_param,
  );
  const shape = fourDimensions(context);
  if (p.local_size % 2 !== 1) context.fail('local-size', `local_size must be odd, found ${p.local_size}`);
  const region = p.norm_region === 'ACROSS_CHANNELS' ? 'across' : 'within';
  return {
    operation: { kind: 'lrn', region, size: p.local_size, alpha: p.alpha, beta: p.beta, k: p.k },
    tops: [shape],
  };
}
