/** Softmax. */
import { withDefaults } from '../caffe/net-parameter.ts';
import { around, type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';

export const softmaxLayers: Layers = {
  Softmax: { build: softmax },
  // C3D's (facebook/C3D), over the channels of each voxel.
  VoxelSoftmax: { build: softmax },
};

function softmax(context: LayerContext): Built {
  const shape = context.shapes[0]!;
  const p = withDefaults<{ axis: number }>('SoftmaxParameter', context.layer.softmax_param);
  return {
    operation: { kind: 'softmax', ...around(shape, canonicalAxis(context, p.axis, shape.length)) },
    tops: [shape],
  };
}
