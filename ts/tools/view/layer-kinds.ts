/** What layer types do, roughly: the colours and the legend of a net's page. */
import { DATA_TYPES } from '../../layers/data.ts';
import { sinkLayers } from '../../layers/sinks.ts';
import type { Kind } from './page-data.ts';

const KINDS: readonly (readonly [Kind, readonly string[]])[] = [
  ['data', ['Input', ...DATA_TYPES]],
  [
    'convolution',
    [
      ...['Convolution', 'ConvolutionDepthwise', 'DepthwiseConvolution', 'HoleConvolution', 'Deconvolution'],
      ...['DeformableConvolution', 'DenseBlock'],
    ],
  ],
  [
    'product',
    [
      ...['InnerProduct', 'Embed', 'LSTM', 'Lstm', 'RNN', 'ConvLSTM', 'MatMul'],
      ...['MarginInnerProduct', 'LargeMarginInnerProduct', 'InnerDistance'],
    ],
  ],
  [
    'pooling',
    [
      ...[
        'Pooling',
        'ROIPooling',
        'ROIMaskPooling',
        'PSROIPooling',
        'ROIAlign',
        'SPP',
        'Pooling3D',
        'PoolingND',
      ],
      ...['ROIWarping', 'DeformablePSROIPooling'],
    ],
  ],
  [
    'normalisation',
    [
      ...['BatchNorm', 'BN', 'CuDNNBatchNorm', 'Scale', 'Bias', 'LRN', 'MVN', 'Normalize', 'Power'],
      ...['NormL2', 'ChannelNorm', 'ChannelScale', 'GRN'],
    ],
  ],
  [
    'activation',
    [
      ...['ReLU', 'PReLU', 'ELU', 'Sigmoid', 'TanH', 'AbsVal', 'BNLL', 'ReLU6', 'Softmax', 'Dropout'],
      ...['VoxelSoftmax', 'HardSigmoid', 'HSigmoid'],
      ...['Clip', 'Exp', 'Log', 'Swish', 'Threshold', 'LSTMUnit', 'Mish', 'HardSwish', 'CReLU', 'Sparsify'],
      ...['NegSquare', 'ExpMax', 'GuidedDropout', 'LabelSpecificAdd', 'CosinAddm'],
      ...['LabelSpecificRescale', 'AdaCosAddmScale', 'ScaleTanH', 'GradientScaler'],
    ],
  ],
  [
    'combination',
    [
      'Eltwise',
      'Add',
      'Mul',
      'Concat',
      'Axpy',
      'Correlation',
      'Correlation1D',
      'ArgMax',
      'Reduction',
      'CTCGreedyDecoder',
      'MaskPooling',
      'MultiStageMeanfield',
    ],
  ],
  [
    'shape',
    [
      'Split',
      'Slice',
      'Flatten',
      'Reshape',
      'Crop',
      'AutoCrop',
      'Pad',
      'Squeeze',
      'Reorg',
      'Permute',
      'Convert',
      'Transpose',
      'Reverse',
      'Tile',
      'Im2col',
      'BatchReindex',
      'Parameter',
      ...Object.keys(sinkLayers),
      'Interp',
      'ResizeBilinear',
      'ResizeNearestNeighbor',
      'Unpooling',
      'Upsample',
      'UpsampleDarknet',
      'Downsample',
      'Resample',
      'MaskResize',
      'DataAugmentation',
      'Warp',
      'FlowWarp',
      'Grid',
      'SpatialTransformer',
      'DepthToSpace',
      'SpaceToDepth',
      'SpaceToBatchND',
      'BatchToSpaceND',
      'ShuffleChannel',
      'Flip',
      'Filter',
      'Gather',
      'Scatter',
      'ContinuationIndicator',
    ],
  ],
  [
    'detection',
    [
      'PriorBox',
      'PriorBoxClustered',
      'DetectionOutput',
      'YoloDetectionOutput',
      'Yolov3DetectionOutput',
      'DetectionEvaluate',
      'EvalDetection',
      'DecodeBBox',
      'BoxOutput',
      'BoxGroupOutput',
      'ScaleRoute',
      'Proposal',
      'ProposalTarget',
      'HardMining',
      'FrcnnOutput',
      'FrcnnProposal',
      'FrcnnAnchorTarget',
      'FrcnnProposalTarget',
    ],
  ],
];

export function kindOf(type: string): Kind {
  const found = KINDS.find(([, types]) => types.includes(type));
  return found?.[0] ?? (/Loss|Accuracy|OHEM|^Yolov3$/.test(type) ? 'loss' : 'unknown');
}
