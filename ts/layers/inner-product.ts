/** InnerProduct. */
import { elementCount } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';

export const innerProductLayers: Layers = {
  InnerProduct: { build: innerProduct },
};

/** inner_product_layer.cpp */
function innerProduct(context: LayerContext): Built {
  const p = withDefaults<{
    num_output?: number;
    bias_term: boolean;
    axis: number;
    transpose: boolean;
    weight_filler?: object;
    bias_filler?: object;
  }>('InnerProductParameter', context.layer.inner_product_param);
  const shape = context.shapes[0]!;
  const axis = canonicalAxis(context, p.axis, shape.length);
  const outputs = p.num_output ?? 0;
  if (outputs < 1) context.fail('num-output', 'num_output must be given and at least 1');
  const depth = elementCount(shape.slice(axis));
  const weights = context.parameter(p.transpose ? [depth, outputs] : [outputs, depth], p.weight_filler);
  const bias = p.bias_term ? context.parameter([outputs], p.bias_filler) : null;
  return {
    operation: {
      kind: 'innerProduct',
      weights,
      bias,
      axis,
      numOutput: outputs,
      transpose: p.transpose,
      relu: null,
    },
    tops: [[...shape.slice(0, axis), outputs]],
  };
}
