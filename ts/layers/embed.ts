/** Embed and Parameter: learnable blobs that are read by index, or used as a blob of the net. */
import { withDefaults } from '../caffe/net-parameter.ts';
import { dimsOf } from './data.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const embedLayers: Layers = {
  Embed: { build: embed },
  Parameter: { build: parameter, bottoms: [0, 0] },
};

/** embed_layer.cpp */
function embed(context: LayerContext): Built {
  const p = withDefaults<{
    num_output?: number;
    input_dim?: number;
    bias_term: boolean;
    weight_filler?: object;
    bias_filler?: object;
  }>('EmbedParameter', context.layer.embed_param);
  const { num_output: numOutput = 0, input_dim: inputDim = 0 } = p;
  if (numOutput < 1) context.fail('num-output', 'num_output must be given and at least 1', 'embed_param');
  if (inputDim < 1) context.fail('input-dim', 'input_dim must be given and at least 1', 'embed_param');
  const weights = context.parameter([inputDim, numOutput], p.weight_filler);
  const bias = p.bias_term ? context.parameter([numOutput], p.bias_filler) : null;
  return {
    operation: { kind: 'embed', weights, bias, inputDim, numOutput },
    tops: [[...context.shapes[0]!, numOutput]],
  };
}

/** parameter_layer.hpp: without a filler, which opencv/training_toolbox_caffe adds, it starts with zeros. */
function parameter(context: LayerContext): Built {
  const { shape, filler } = withDefaults<{ shape?: { dim?: number[] }; filler?: object }>(
    'ParameterParameter',
    context.layer.parameter_param,
  );
  const dims = dimsOf(shape);
  if (dims.some((dim) => dim < 1))
    context.fail('shape', `dimensions must be at least 1, found ${dims.join('×')}`, 'parameter_param');
  return { operation: { kind: 'parameter', blob: context.parameter(dims, filler) }, tops: [dims] };
}
