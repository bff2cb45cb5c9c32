/** Layer types by what they do: the page's colours. */
import { DATA_TYPES } from '../../layers/data.ts';
import type { Kind } from './page-data.ts';

const KINDS: readonly (readonly [Kind, readonly string[]])[] = [
  ['data', ['Input', ...DATA_TYPES]],
  ['convolution', ['Convolution', 'ConvolutionDepthwise', 'DepthwiseConvolution', 'Deconvolution']],
  ['product', ['InnerProduct', 'Embed', 'LSTM', 'RNN']],
  ['pooling', ['Pooling', 'ROIPooling', 'PSROIPooling', 'SPP']],
  ['normalisation', ['BatchNorm', 'BN', 'Scale', 'Bias', 'LRN', 'MVN', 'Normalize', 'Power']],
  [
    'activation',
    ['ReLU', 'PReLU', 'ELU', 'Sigmoid', 'TanH', 'AbsVal', 'BNLL', 'ReLU6', 'Softmax', 'Dropout'],
  ],
  ['combination', ['Eltwise', 'Concat', 'Axpy']],
  ['shape', ['Split', 'Slice', 'Flatten', 'Reshape', 'Crop', 'Permute', 'Tile', 'Silence']],
];

export function kindOf(type: string): Kind {
  const found = KINDS.find(([, types]) => types.includes(type));
  return found?.[0] ?? (/Loss|Accuracy/.test(type) ? 'loss' : 'unknown');
}
