/**
 * The supported extensions of caffe.proto in forks of Caffe, in the form of schema.ts: messages, enums, and the fields
 * of LayerParameter. Each names its fork. If forks have the same message with different fields, it has all of them
 * here.
 *
 * Forks use the same numbers for different fields (147 has five meanings). The number here is that of the fork from
 * which a layer comes if BVLC does not use it, otherwise another fork's. `forkFieldOf` knows all numbers, by layer
 * type.
 */

import { faceEnums, faceFields, faceMessages } from './face-schema.ts';
import { type FieldDefinition, type Messages, TEXT_ONLY } from './field-definition.ts';
import { flowEnums, flowFields, flowMessages } from './flow-schema.ts';
import { regionFields, regionMessages } from './region-schema.ts';
import { segmentEnums, segmentFields, segmentMessages } from './segment-schema.ts';
import { yoloLossEnums, yoloLossMessages } from './yolo-schema.ts';

export const forkEnums: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'PriorBoxParameter.CodeType': { CORNER: 1, CENTER_SIZE: 2, CORNER_SIZE: 3 },
  'EmitConstraint.EmitType': { CENTER: 0, MIN_OVERLAP: 1 },
  'ResizeParameter.Resize_mode': { WARP: 1, FIT_SMALL_SIZE: 2, FIT_LARGE_SIZE_AND_PAD: 3 },
  'ResizeParameter.Pad_mode': { CONSTANT: 1, MIRRORED: 2, REPEAT_NEAREST: 3 },
  'ResizeParameter.Interp_mode': { LINEAR: 1, AREA: 2, NEAREST: 3, CUBIC: 4, LANCZOS4: 5 },
  'AnnotatedDatum.AnnotationType': { BBOX: 0 },
  'MultiBoxLossParameter.LocLossType': { L2: 0, SMOOTH_L1: 1 },
  'MultiBoxLossParameter.ConfLossType': { SOFTMAX: 0, LOGISTIC: 1 },
  'MultiBoxLossParameter.MatchType': { BIPARTITE: 0, PER_PREDICTION: 1 },
  'MultiBoxLossParameter.MiningType': { NONE: 0, MAX_NEGATIVE: 1, HARD_EXAMPLE: 2 },
  'BNParameter.BNMode': { LEARN: 0, INFERENCE: 1 },
  'BNParameter.Engine': { DEFAULT: 0, CAFFE: 1, CUDNN: 2 },
  'ReLU6Parameter.Engine': { DEFAULT: 0, CAFFE: 1, CUDNN: 2 },
  'ImageDataParameter.LabelType': { NONE: 0, IMAGE: 1, PIXEL: 2 },
  ...yoloLossEnums,
  ...faceEnums,
  ...flowEnums,
  ...segmentEnums,
  'UnPoolingParameter.UnPoolMethod': { MAX: 0 },
  'CorrelationParameter.CorrelationType': { MULTIPLY: 0, SUBTRACT: 1 },
};

/** Fields that yjxiong/caffe repeats for each axis, and the message into which a list of them is read. */
export const listedFields: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  PoolingParameter: { kernel_size: 'kernel_shape', stride: 'stride_shape', pad: 'pad_shape' },
};

/** The forks' additions to enums and messages of BVLC's. */
export const forkAdditions = {
  // daijifeng001/caffe-rfcn
  normalizationMode: { PRE_FIXED: TEXT_ONLY },
  // alexgkendall/caffe-segnet and ENet's: 3 and 4 there, but BVLC uses 3 for normalization
  loss: {
    pre_fixed_normalizer: [TEXT_ONLY, 'float', 1],
    weight_by_label_freqs: [TEXT_ONLY + 1, 'bool', false],
    class_weighting: [TEXT_ONLY + 2, '*float'],
  },
  // rbgirshick/caffe-fast-rcnn, and alexgkendall/caffe-segnet's sample_weights_test
  dropout: { scale_train: [TEXT_ONLY, 'bool', true], sample_weights_test: [2, 'bool', false] },
  // DeepLab's and SegStereo's; the upgrade turns it into dilation (fork-windows.ts)
  convolution: {
    hole: [TEXT_ONLY, 'uint32'],
    hole_h: [TEXT_ONLY + 1, 'uint32'],
    hole_w: [TEXT_ONLY + 2, 'uint32'],
    // facebook/C3D, chuckcho/video-caffe (volumes.ts)
    kernel_depth: [TEXT_ONLY + 3, 'uint32'],
    temporal_stride: [TEXT_ONLY + 4, 'uint32'],
    temporal_pad: [TEXT_ONLY + 5, 'uint32'],
    filter_group: [TEXT_ONLY + 6, 'uint32'],
    kernel_shape: [TEXT_ONLY + 7, 'message:BlobShape'],
    stride_shape: [TEXT_ONLY + 8, 'message:BlobShape'],
    pad_shape: [TEXT_ONLY + 9, 'message:BlobShape'],
  },
  // V1 fields of facebook/C3D, HyeonwooNoh/DeconvNet and crfasrnn; BVLC uses their numbers for other fields
  v1Types: {
    BN: TEXT_ONLY,
    CONVOLUTION3D: TEXT_ONLY + 1,
    CROP: TEXT_ONLY + 2,
    DECONVOLUTION3D: TEXT_ONLY + 3,
    IMAGE_SEG_DATA: TEXT_ONLY + 4,
    POOLING3D: TEXT_ONLY + 5,
    VIDEO_DATA: TEXT_ONLY + 6,
    VIDEO_SEGMENTATION_DATA: TEXT_ONLY + 7,
    VIDEO_WITH_VOXEL_TRUTH_DATA: TEXT_ONLY + 8,
    VOLUME_DATA: TEXT_ONLY + 9,
    VOXEL_CUSTOM_LOSS: TEXT_ONLY + 10,
    VOXEL_SOFTMAX: TEXT_ONLY + 11,
    VOXEL_SOFTMAX_LOSS: TEXT_ONLY + 12,
    WINDOW_SEG_DATA: TEXT_ONLY + 13,
    UNPOOLING: TEXT_ONLY + 14,
    MULTI_STAGE_MEANFIELD: TEXT_ONLY + 15,
    MAT_WRITE: TEXT_ONLY + 16,
    ELTWISE_ACCURACY: TEXT_ONLY + 17,
    SELECT_SEG_BINARY: TEXT_ONLY + 18,
    WINDOW_CLS_DATA: TEXT_ONLY + 19,
    WINDOW_INST_SEG_DATA: TEXT_ONLY + 20,
    WINDOW_SEG_BINARY: TEXT_ONLY + 21,
  },
  // HyeonwooNoh/caffe (DeconvNet)
  v1Fields: {
    bn_param: [TEXT_ONLY, 'message:BNParameter'],
    unpooling_param: [TEXT_ONLY + 1, 'message:UnPoolingParameter'],
    // torrvision/crfasrnn
    multi_stage_meanfield_param: [TEXT_ONLY + 2, 'message:MultiStageMeanfieldParameter'],
    // DeepLab
    mat_write_param: [TEXT_ONLY + 3, 'message:MatWriteParameter'],
    // HyeonwooNoh/caffe
    eltwise_accuracy_param: [TEXT_ONLY + 4, 'message:AccuracyParameter'],
  },
  pooling: {
    kernel_depth: [TEXT_ONLY + 3, 'uint32'],
    temporal_stride: [TEXT_ONLY + 4, 'uint32'],
    temporal_pad: [TEXT_ONLY + 5, 'uint32'],
    kernel_shape: [TEXT_ONLY + 7, 'message:BlobShape'],
    stride_shape: [TEXT_ONLY + 8, 'message:BlobShape'],
    pad_shape: [TEXT_ONLY + 9, 'message:BlobShape'],
  },
  // foss-for-synopsys-dwc-arc-processors/synopsys-caffe
  // wenwei202/caffe: a factor of the solver's force_decay, which is refused there and has no effect unless it is
  // written
  paramSpec: { force_mult: [TEXT_ONLY, 'float', 0] },
  batchNorm: {
    add_eps_before_sqrt: [TEXT_ONLY, 'bool', true],
    // hujie-frank/GENet, implus/SKNet: 1 and 2 there, which BVLC has for others
    frozen: [TEXT_ONLY + 1, 'bool'],
    momentum: [TEXT_ONLY + 2, 'float'],
  },
  poolMethod: { AVE_EXC_PAD: TEXT_ONLY, AVE_TF: TEXT_ONLY + 1 },
  // happynear/caffe-windows
  innerProduct: { normalize: [7, 'bool', false] },
  // lmb-freiburg/flownet2; its number is that of BVLC's variance_norm
  filler: { diag_val: [TEXT_ONLY, '*float'] },
  // deeplab-v2, hszhao/PSPNet
  imageData: {
    ignore_label: [15, 'int32', 255],
    label_type: [16, 'enum:ImageDataParameter.LabelType', 'IMAGE'],
  },
  reshape: { pixelshuffler: [4, 'int32', 1] },
  relu: { relu6: [TEXT_ONLY, 'bool', false] },
} as const satisfies Record<string, Readonly<Record<string, number | FieldDefinition>>>;

export const forkLayerFields: Readonly<Record<string, FieldDefinition>> = {
  // weiliu89/caffe, branch ssd
  annotated_data_param: [200, 'message:AnnotatedDataParameter'],
  multibox_loss_param: [201, 'message:MultiBoxLossParameter'],
  permute_param: [202, 'message:PermuteParameter'],
  prior_box_param: [203, 'message:PriorBoxParameter'],
  detection_output_param: [204, 'message:DetectionOutputParameter'],
  detection_evaluate_param: [205, 'message:DetectionEvaluateParameter'],
  norm_param: [206, 'message:NormalizeParameter'],
  // chuanqi305/ssd
  relu6_param: [208, 'message:ReLU6Parameter'],
  // rbgirshick/caffe-fast-rcnn, daijifeng001/caffe-rfcn, chuanqi305/caffe-fast-rcnn
  roi_pooling_param: [8266711, 'message:ROIPoolingParameter'],
  smooth_l1_loss_param: [8266712, 'message:SmoothL1LossParameter'],
  roi_align_param: [8266713, 'message:ROIAlignParameter'],
  box_annotator_ohem_param: [10000, 'message:BoxAnnotatorOHEMParameter'],
  psroi_pooling_param: [10001, 'message:PSROIPoolingParameter'],
  // hszhao/PSPNet, alexgkendall/caffe-segnet; interp_param and upsample_param by Synopsys's numbers
  bn_param: [152, 'message:BNParameter'],
  interp_param: [163, 'message:InterpParameter'],
  upsample_param: [177, 'message:UpsampleParameter'],
  // HyeonwooNoh/caffe
  unpooling_param: [TEXT_ONLY + 39, 'message:UnPoolingParameter'],
  // farmingyard/ShuffleNet
  shuffle_channel_param: [164, 'message:ShuffleChannelParameter'],
  // OpenCV's reader
  proposal_param: [212, 'message:ProposalParameter'],
  // foss-for-synopsys-dwc-arc-processors/synopsys-caffe
  matmul_param: [TEXT_ONLY + 46, 'message:MatMulParameter'],
  squeeze_param: [241, 'message:SqueezeParameter'],
  pad_param: [224, 'message:PadParameter'],
  resize_nearest_neighbor_param: [210, 'message:ResizeNearestNeighborParameter'],
  resize_bilinear_param: [TEXT_ONLY, 'message:ResizeBilinearParameter'],
  upsample_darknet_param: [TEXT_ONLY + 11, 'message:UpsampleDarknetParameter'],
  depth_to_space_param: [TEXT_ONLY + 12, 'message:DepthToSpaceParameter'],
  space_to_depth_param: [223, 'message:SpaceToDepthParameter'],
  batch_to_space_nd_param: [235, 'message:BatchToSpaceNDParameter'],
  space_to_batch_nd_param: [236, 'message:SpaceToBatchNDParameter'],
  // deeplab-v2, hszhao/PSPNet
  seg_accuracy_param: [TEXT_ONLY + 1, 'message:SegAccuracyParameter'],
  // eric612/MobileNet-YOLO
  region_loss_param: [600, 'message:RegionLossParameter'],
  yolov3_param: [603, 'message:Yolov3Parameter'],
  // intel/caffe, whose region_loss_param is 209
  eval_detection_param: [301, 'message:EvalDetectionParameter'],
  yolo_detection_output_param: [601, 'message:YoloDetectionOutputParameter'],
  yolov3_detection_output_param: [602, 'message:Yolov3DetectionOutputParameter'],
  // intel/caffe, synopsys-caffe (197)
  reorg_param: [197, 'message:ReorgParameter'],
  // Deformable R-FCN
  deformable_psroi_pooling_param: [TEXT_ONLY + 74, 'message:DeformablePSROIPoolingParameter'],
  // HyeonwooNoh/caffe; fork-names.ts turns it into accuracy_param
  eltwise_accuracy_param: [TEXT_ONLY + 70, 'message:AccuracyParameter'],
  // synopsys-caffe; inisis/caffe
  hard_sigmoid_param: [TEXT_ONLY + 71, 'message:HardSigmoidParameter'],
  hardsigmoid_param: [TEXT_ONLY + 72, 'message:HardSigmoidParameter'],
  // opencv/training_toolbox_caffe
  grn_param: [TEXT_ONLY + 73, 'message:GRNParameter'],
  // yulequan/HeartSeg; volumes.ts turns it into pooling_param
  pooling_nd_param: [TEXT_ONLY + 77, 'message:PoolingParameter'],
  // agethen's ConvLSTM (DengPingFan/DAVSOD), where lstm_conv_param has the fields of a convolution and may be given twice
  lstm_conv_param: [TEXT_ONLY + 75, 'message:ConvolutionParameter'],
  lstm_debug_param: [TEXT_ONLY + 76, 'message:LSTMDebugParameter'],
  // happynear/caffe-windows
  flip_param: [TEXT_ONLY + 2, 'message:FlipParameter'],
  // wenwei202/caffe
  sparsify_param: [TEXT_ONLY + 3, 'message:SparsifyParameter'],
  ...faceFields,
  ...flowFields,
  ...segmentFields,
  // beniz/caffe, intel/caffe
  continuation_indicator_param: [TEXT_ONLY + 4, 'message:ContinuationIndicatorParameter'],
  // lmb-freiburg/flownet2 (150), yangguorun/SegStereo (151)
  correlation_param: [TEXT_ONLY + 7, 'message:CorrelationParameter'],
  // zhaoweicai/mscnn, zhaoweicai/cascade-rcnn
  ...regionFields,
  // senlinuc/caffe_ocr, Cysu/dgd_person_reid
  denseblock_param: [TEXT_ONLY + 47, 'message:DenseBlockParameter'],
  guided_dropout_param: [TEXT_ONLY + 48, 'message:GuidedDropoutParameter'],
  // unsky/Deformable-ConvNets-caffe
  deformable_convolution_param: [TEXT_ONLY + 54, 'message:DeformableConvolutionParameter'],
  // facebook/C3D
  convolution3d_param: [6661, 'message:Convolution3DParameter'],
  pooling3d_param: [6662, 'message:Pooling3DParameter'],
  // junhyukoh/caffe-lstm, tianzhi0549/CTPN, senlinuc/caffe_ocr
  transpose_param: [TEXT_ONLY + 33, 'message:TransposeParameter'],
  reverse_param: [TEXT_ONLY + 34, 'message:ReverseParameter'],
  lstm_param: [TEXT_ONLY + 35, 'message:LSTMParameter'],
  // yalecyu/crnn.caffe, beniz/caffe; senlinuc/caffe_ocr
  ctc_loss_param: [TEXT_ONLY + 36, 'message:CTCLossParameter'],
  labelsequence_accuracy_param: [TEXT_ONLY + 37, 'message:LabelsequenceAccuracyParameter'],
  ctc_decoder_param: [TEXT_ONLY + 38, 'message:CTCDecoderParameter'],
  // craftGBD/caffe-GBD
  roi_mask_pooling_param: [TEXT_ONLY + 5, 'message:ROIMaskPoolingParameter'],
};

/** TransformationParameter: SSD's fields, for AnnotatedData, and DeepLab's. */
export const forkTransformFields: Readonly<Record<string, FieldDefinition>> = {
  // MobileNet-YOLO repeats it.
  resize_param: [8, '*message:ResizeParameter'],
  noise_param: [9, 'message:NoiseParameter'],
  emit_constraint: [10, 'message:EmitConstraint'],
  crop_h: [11, 'uint32', 0],
  crop_w: [12, 'uint32', 0],
  distort_param: [13, 'message:DistortionParameter'],
  expand_param: [14, 'message:ExpansionParameter'],
  // deeplab-v2, for ImageSegData
  scale_factors: [TEXT_ONLY, '*float'],
  crop_width: [TEXT_ONLY + 1, 'uint32', 0],
  crop_height: [TEXT_ONLY + 2, 'uint32', 0],
};

export const forkMessages: Messages = {
  Convolution3DParameter: {
    num_output: [1, 'uint32'],
    bias_term: [2, 'bool', true],
    pad: [3, 'uint32', 0],
    kernel_size: [4, 'uint32'],
    group: [5, 'uint32', 1],
    kernel_depth: [6, 'uint32'],
    stride: [7, 'uint32', 1],
    temporal_stride: [8, 'uint32', 1],
    weight_filler: [9, 'message:FillerParameter'],
    bias_filler: [10, 'message:FillerParameter'],
    filter_group: [11, 'uint32', 1],
    temporal_pad: [12, 'uint32', 0],
  },
  DeformableConvolutionParameter: {
    num_output: [1, 'uint32'],
    bias_term: [2, 'bool', true],
    pad: [3, '*uint32'],
    kernel_size: [4, '*uint32'],
    stride: [6, '*uint32'],
    dilation: [18, '*uint32'],
    pad_h: [9, 'uint32', 0],
    pad_w: [10, 'uint32', 0],
    kernel_h: [11, 'uint32'],
    kernel_w: [12, 'uint32'],
    stride_h: [13, 'uint32'],
    stride_w: [14, 'uint32'],
    group: [5, 'uint32', 1],
    weight_filler: [7, 'message:FillerParameter'],
    bias_filler: [8, 'message:FillerParameter'],
    engine: [15, 'enum:ConvolutionParameter.Engine', 'DEFAULT'],
    axis: [16, 'int32', 1],
    force_nd_im2col: [17, 'bool', false],
    deformable_group: [TEXT_ONLY, 'uint32'],
  },
  DenseBlockParameter: {
    numTransition: [1, 'int32', 40],
    initChannel: [2, 'int32', 16],
    growthRate: [3, 'int32', 12],
    pad_h: [4, 'int32', 1],
    pad_w: [5, 'int32', 1],
    conv_verticalStride: [6, 'int32', 1],
    conv_horizentalStride: [7, 'int32', 1],
    filter_H: [8, 'int32', 3],
    filter_W: [9, 'int32', 3],
    Filter_Filler: [10, 'message:FillerParameter'],
    BN_Scaler_Filler: [11, 'message:FillerParameter'],
    BN_Bias_Filler: [12, 'message:FillerParameter'],
    gpuIdx: [15, 'int32', 0],
    use_dropout: [16, 'bool', false],
    dropout_amount: [17, 'float', 0],
    use_BC: [18, 'bool', false],
    BC_ultra_space_efficient: [19, 'bool', false],
    workspace_MB: [20, 'int32', 8],
    moving_average_fraction: [21, 'float', 0.1],
  },
  GuidedDropoutParameter: {
    type: [1, 'string', 'deterministic'],
    guidance_threshold: [2, 'float', 0],
    sigmoid_scaler: [3, 'float', 1],
  },
  TransposeParameter: { dim: [1, '*int32'] },
  ReverseParameter: { axis: [1, 'int32', 0] },
  LSTMParameter: {
    num_output: [1, 'uint32'],
    clipping_threshold: [2, 'float', 0],
    weight_filler: [3, 'message:FillerParameter'],
    bias_filler: [4, 'message:FillerParameter'],
    batch_size: [5, 'uint32', 1],
  },
  // crnn.caffe's; in caffe_ocr they have other numbers
  CTCLossParameter: {
    alphabet_size: [1, 'uint32', 0],
    time_step: [3, 'uint32', 0],
    blank_label: [4, 'int32', 0],
    blank_index: [TEXT_ONLY, 'int32', 0],
  },
  LabelsequenceAccuracyParameter: { blank_label: [1, 'int32', 0] },
  CTCDecoderParameter: { blank_index: [1, 'int32', 0], ctc_merge_repeated: [2, 'bool', true] },
  DeformablePSROIPoolingParameter: {
    spatial_scale: [1, 'float'],
    output_dim: [2, 'int32'],
    group_size: [3, 'int32'],
    part_size: [TEXT_ONLY, 'int32', 0],
    sample_per_part: [TEXT_ONLY + 1, 'int32', 1],
    trans_std: [TEXT_ONLY + 2, 'float', 0],
    no_trans: [TEXT_ONLY + 3, 'bool', false],
  },
  HardSigmoidParameter: { alpha: [1, 'float', 0.2], beta: [2, 'float', 0.5] },
  GRNParameter: { bias: [1, 'float', 1e-7], dummy_backward: [2, 'bool', false] },
  Pooling3DParameter: {
    pool: [1, 'enum:PoolingParameter.PoolMethod', 'MAX'],
    kernel_size: [2, 'uint32'],
    stride: [3, 'uint32', 1],
    pad: [4, 'uint32', 0],
    kernel_depth: [5, 'uint32'],
    temporal_stride: [6, 'uint32', 1],
    // ZhaofanQiu/pseudo-3d-residual-networks; the numbers are other fields in C3D
    kernel_h: [TEXT_ONLY, 'uint32'],
    kernel_w: [TEXT_ONLY + 1, 'uint32'],
    kernel_l: [TEXT_ONLY + 2, 'uint32'],
    stride_h: [TEXT_ONLY + 3, 'uint32'],
    stride_w: [TEXT_ONLY + 4, 'uint32'],
    stride_l: [TEXT_ONLY + 5, 'uint32', 1],
    pad_h: [TEXT_ONLY + 6, 'uint32', 0],
    pad_w: [TEXT_ONLY + 7, 'uint32', 0],
    pad_l: [TEXT_ONLY + 8, 'uint32', 0],
    global_pooling: [TEXT_ONLY + 9, 'bool', false],
  },
  ...yoloLossMessages,
  ...regionMessages,
  ...faceMessages,
  ...flowMessages,
  ...segmentMessages,
  AnnotatedDataParameter: {
    batch_sampler: [1, '*message:BatchSampler'],
    label_map_file: [2, 'string'],
    anno_type: [3, 'enum:AnnotatedDatum.AnnotationType'],
    // eric612/MobileNet-YOLO
    yolo_data_type: [TEXT_ONLY, 'int32', 0],
  },
  BatchSampler: {
    use_original_image: [1, 'bool', true],
    sampler: [2, 'message:Sampler'],
    sample_constraint: [3, 'message:SampleConstraint'],
    max_sample: [4, 'uint32'],
    max_trials: [5, 'uint32', 100],
  },
  Sampler: {
    min_scale: [1, 'float', 1],
    max_scale: [2, 'float', 1],
    min_aspect_ratio: [3, 'float', 1],
    max_aspect_ratio: [4, 'float', 1],
  },
  SampleConstraint: {
    min_jaccard_overlap: [1, 'float'],
    max_jaccard_overlap: [2, 'float'],
    min_sample_coverage: [3, 'float'],
    max_sample_coverage: [4, 'float'],
    min_object_coverage: [5, 'float'],
    max_object_coverage: [6, 'float'],
  },
  EmitConstraint: {
    emit_type: [1, 'enum:EmitConstraint.EmitType', 'CENTER'],
    emit_overlap: [2, 'float'],
  },
  ResizeParameter: {
    prob: [1, 'float', 1],
    resize_mode: [2, 'enum:ResizeParameter.Resize_mode', 'WARP'],
    height: [3, 'uint32', 0],
    width: [4, 'uint32', 0],
    pad_mode: [5, 'enum:ResizeParameter.Pad_mode', 'CONSTANT'],
    pad_value: [6, '*float'],
    interp_mode: [7, '*enum:ResizeParameter.Interp_mode'],
    height_scale: [8, 'uint32', 0],
    width_scale: [9, 'uint32', 0],
  },
  DetectionEvaluateParameter: {
    num_classes: [1, 'uint32'],
    background_label_id: [2, 'uint32', 0],
    overlap_threshold: [3, 'float', 0.5],
    evaluate_difficult_gt: [4, 'bool', true],
    name_size_file: [5, 'string'],
    resize_param: [6, 'message:ResizeParameter'],
  },
  NoiseParameter: {
    prob: [1, 'float', 0],
    hist_eq: [2, 'bool', false],
    inverse: [3, 'bool', false],
    decolorize: [4, 'bool', false],
    gauss_blur: [5, 'bool', false],
    jpeg: [6, 'float', -1],
    posterize: [7, 'bool', false],
    erode: [8, 'bool', false],
    saltpepper: [9, 'bool', false],
    saltpepper_param: [10, 'message:SaltPepperParameter'],
    clahe: [11, 'bool', false],
    convert_to_hsv: [12, 'bool', false],
    convert_to_lab: [13, 'bool', false],
  },
  SaltPepperParameter: { fraction: [1, 'float', 0], value: [2, '*float'] },
  DistortionParameter: {
    brightness_prob: [1, 'float', 0],
    brightness_delta: [2, 'float', 0],
    contrast_prob: [3, 'float', 0],
    contrast_lower: [4, 'float', 0],
    contrast_upper: [5, 'float', 0],
    hue_prob: [6, 'float', 0],
    hue_delta: [7, 'float', 0],
    saturation_prob: [8, 'float', 0],
    saturation_lower: [9, 'float', 0],
    saturation_upper: [10, 'float', 0],
    random_order_prob: [11, 'float', 0],
  },
  ExpansionParameter: {
    prob: [1, 'float', 1],
    max_expand_ratio: [2, 'float', 1],
  },
  LabelMap: { item: [1, '*message:LabelMapItem'] },
  LabelMapItem: { name: [1, 'string'], label: [2, 'int32'], display_name: [3, 'string'] },
  // HyeonwooNoh/caffe
  UnPoolingParameter: {
    unpool: [TEXT_ONLY, 'enum:UnPoolingParameter.UnPoolMethod', 'MAX'],
    kernel_size: [TEXT_ONLY + 1, 'uint32', 1],
    stride: [TEXT_ONLY + 2, 'uint32', 1],
    pad: [TEXT_ONLY + 3, 'uint32', 0],
    unpool_size: [TEXT_ONLY + 4, 'uint32'],
  },
  UpsampleDarknetParameter: { stride: [1, 'int32', 1] },
  DepthToSpaceParameter: { block_size: [1, 'int32'], data_format: [2, 'string', 'NHWC'] },
  SpaceToDepthParameter: { block_size: [1, 'int32'], data_format: [2, 'string', 'NHWC'] },
  SpaceToBatchNDParameter: { block_shape: [1, '*uint32'], paddings: [2, '*uint32'] },
  BatchToSpaceNDParameter: { block_shape: [1, '*uint32'], crops: [2, '*uint32'] },
  PermuteParameter: { order: [1, '*uint32'] },
  NormalizeParameter: {
    across_spatial: [1, 'bool', true],
    scale_filler: [2, 'message:FillerParameter'],
    channel_shared: [3, 'bool', true],
    eps: [4, 'float', 1e-10],
  },
  PriorBoxParameter: {
    min_size: [1, '*float'],
    max_size: [2, '*float'],
    aspect_ratio: [3, '*float'],
    flip: [4, 'bool', true],
    clip: [5, 'bool', false],
    variance: [6, '*float'],
    img_size: [7, 'uint32'],
    img_h: [8, 'uint32'],
    img_w: [9, 'uint32'],
    step: [10, 'float'],
    step_h: [11, 'float'],
    step_w: [12, 'float'],
    offset: [13, 'float', 0.5],
    // OpenCV's reader; synopsys-caffe
    width: [TEXT_ONLY, '*float'],
    height: [TEXT_ONLY + 1, '*float'],
    box_width: [15, '*float'],
    box_height: [16, '*float'],
    tf: [17, 'bool', false],
    yx_order: [18, 'bool', false],
    keras: [19, 'bool', false],
    faceboxes: [TEXT_ONLY + 2, 'bool', false],
    // MhLiao/TextBoxes_plusplus
    denser_prior_boxes: [TEXT_ONLY + 3, 'bool', false],
    // zihaozhang9/FaceBoxes, OpenVINO
    fixed_size: [TEXT_ONLY + 4, '*float'],
    fixed_ratio: [TEXT_ONLY + 5, '*float'],
    density: [TEXT_ONLY + 6, '*float'],
  },
  DetectionOutputParameter: {
    num_classes: [1, 'uint32'],
    share_location: [2, 'bool', true],
    background_label_id: [3, 'int32', 0],
    nms_param: [4, 'message:NonMaximumSuppressionParameter'],
    save_output_param: [5, 'message:SaveOutputParameter'],
    code_type: [6, 'enum:PriorBoxParameter.CodeType', 'CORNER'],
    keep_top_k: [7, 'int32', -1],
    variance_encoded_in_target: [8, 'bool', false],
    confidence_threshold: [9, 'float'],
    visualize: [10, 'bool', false],
    visualize_threshold: [11, 'float'],
    save_file: [12, 'string'],
    // sfzhang15/RefineDet
    objectness_score: [24, 'float', 0.01],
    // foss-for-synopsys-dwc-arc-processors/synopsys-caffe
    no_permute: [32, 'bool', false],
    nbottom: [33, 'int32', 6],
    clip: [1000, 'bool', false],
    // gklz1982/caffe-yolov2, quhezheng/caffe_yolo_v2: YOLO's, whose defaults differ from SSD's
    side: [TEXT_ONLY, 'uint32'],
    classes: [TEXT_ONLY + 1, 'uint32'],
    num_box: [TEXT_ONLY + 2, 'uint32'],
    coords: [TEXT_ONLY + 3, 'uint32'],
    nms_threshold: [TEXT_ONLY + 4, 'float'],
    biases: [TEXT_ONLY + 5, '*float'],
    label_map_file: [TEXT_ONLY + 6, 'string'],
  },
  MultiBoxLossParameter: {
    loc_loss_type: [1, 'enum:MultiBoxLossParameter.LocLossType', 'SMOOTH_L1'],
    conf_loss_type: [2, 'enum:MultiBoxLossParameter.ConfLossType', 'SOFTMAX'],
    loc_weight: [3, 'float', 1],
    num_classes: [4, 'uint32'],
    share_location: [5, 'bool', true],
    match_type: [6, 'enum:MultiBoxLossParameter.MatchType', 'PER_PREDICTION'],
    overlap_threshold: [7, 'float', 0.5],
    use_prior_for_matching: [8, 'bool', true],
    background_label_id: [9, 'uint32', 0],
    use_difficult_gt: [10, 'bool', true],
    do_neg_mining: [11, 'bool'],
    neg_pos_ratio: [12, 'float', 3],
    neg_overlap: [13, 'float', 0.5],
    code_type: [14, 'enum:PriorBoxParameter.CodeType', 'CORNER'],
    encode_variance_in_target: [16, 'bool', false],
    map_object_to_agnostic: [17, 'bool', false],
    ignore_cross_boundary_bbox: [18, 'bool', false],
    bp_inside: [19, 'bool', false],
    mining_type: [20, 'enum:MultiBoxLossParameter.MiningType', 'MAX_NEGATIVE'],
    nms_param: [21, 'message:NonMaximumSuppressionParameter'],
    sample_size: [22, 'int32', 64],
    use_prior_for_nms: [23, 'bool', false],
    // sfzhang15/RefineDet
    objectness_score: [24, 'float', 0.01],
  },
  NonMaximumSuppressionParameter: {
    nms_threshold: [1, 'float', 0.3],
    top_k: [2, 'int32'],
    eta: [3, 'float', 1],
    // beniz/caffe
    soft_nms: [TEXT_ONLY, 'bool', false],
    theta: [TEXT_ONLY + 1, 'float'],
  },
  SaveOutputParameter: {
    output_directory: [1, 'string'],
    output_name_prefix: [2, 'string'],
    output_format: [3, 'string'],
    label_map_file: [4, 'string'],
    name_size_file: [5, 'string'],
    num_test_image: [6, 'uint32'],
  },
  ReLU6Parameter: { engine: [2, 'enum:ReLU6Parameter.Engine', 'DEFAULT'] },
  ROIPoolingParameter: {
    pooled_h: [1, 'uint32', 0],
    pooled_w: [2, 'uint32', 0],
    spatial_scale: [3, 'float', 1],
    // zhaoweicai/mscnn
    pad_ratio: [4, 'float', 0],
  },
  ROIAlignParameter: {
    pooled_h: [1, 'uint32', 0],
    pooled_w: [2, 'uint32', 0],
    spatial_scale: [3, 'float', 1],
    // Some fork has number 4 for each of these fields.
    sampling_ratio: [4, 'int32'],
    aligned: [TEXT_ONLY, 'bool'],
  },
  PSROIPoolingParameter: {
    spatial_scale: [1, 'float'],
    output_dim: [2, 'int32'],
    group_size: [3, 'int32'],
  },
  SmoothL1LossParameter: { sigma: [1, 'float', 1] },
  BoxAnnotatorOHEMParameter: {
    roi_per_img: [1, 'uint32'],
    ignore_label: [2, 'int32', -1],
  },
  BNParameter: {
    slope_filler: [1, 'message:FillerParameter'],
    bias_filler: [2, 'message:FillerParameter'],
    momentum: [3, 'float', 0.9],
    eps: [4, 'float', 1e-5],
    frozen: [5, 'bool', false],
    engine: [6, 'enum:BNParameter.Engine', 'DEFAULT'],
    scale_filler: [7, 'message:FillerParameter'],
    shift_filler: [8, 'message:FillerParameter'],
    bn_mode: [9, 'enum:BNParameter.BNMode', 'LEARN'],
    // foss-for-synopsys-dwc-arc-processors/synopsys-caffe: selects one of the two layers
    icnet: [10, 'bool'],
    moving_average: [TEXT_ONLY, 'bool', false],
    decay: [TEXT_ONLY + 1, 'float'],
    var_eps: [TEXT_ONLY + 2, 'float', 1e-9],
  },
  /** SegNet's numbers of its BNParameter. */
  SegNetBNParameter: {
    scale_filler: [1, 'message:FillerParameter'],
    shift_filler: [2, 'message:FillerParameter'],
    bn_mode: [3, 'enum:BNParameter.BNMode', 'LEARN'],
  },
  LSTMDebugParameter: {
    expose: [1, '*string'],
    disable_hadamard: [2, 'bool', false],
    axis_hadamard: [3, 'uint32', 3],
    num_axes_hadamard: [4, 'uint32', 2],
    ignore_x: [5, 'bool', false],
  },
  InterpParameter: {
    height: [1, 'int32', 0],
    width: [2, 'int32', 0],
    zoom_factor: [3, 'int32', 1],
    shrink_factor: [4, 'int32', 1],
    pad_beg: [5, 'int32', 0],
    pad_end: [6, 'int32', 0],
    // soeaver's nets
    use_blob_size: [TEXT_ONLY, 'bool', false],
  },
  UpsampleParameter: {
    scale: [1, 'uint32'],
    scale_h: [2, 'uint32'],
    scale_w: [3, 'uint32'],
    pad_out_h: [4, 'bool', false],
    pad_out_w: [5, 'bool', false],
    upsample_h: [6, 'uint32'],
    upsample_w: [7, 'uint32'],
  },
  ShuffleChannelParameter: { group: [1, 'uint32', 1] },
  ResizeBilinearParameter: {
    align_corners: [TEXT_ONLY, 'bool', false],
    half_pixel_centers: [TEXT_ONLY + 1, 'bool', false],
    pytorch_half_pixel: [TEXT_ONLY + 2, 'bool', false],
    data_format: [TEXT_ONLY + 3, 'string', 'NCHW'],
    output_height: [TEXT_ONLY + 4, 'int32'],
    output_width: [TEXT_ONLY + 5, 'int32'],
    scale_height: [TEXT_ONLY + 6, 'float', 1],
    scale_width: [TEXT_ONLY + 7, 'float', 1],
  },
  ResizeNearestNeighborParameter: {
    align_corners: [1, 'bool', false],
    output_height: [2, 'int32'],
    output_width: [3, 'int32'],
    data_format: [4, 'string', 'NHWC'],
    scale_height: [5, 'float', 1],
    scale_width: [6, 'float', 1],
    half_pixel_centers: [7, 'bool', false],
    half_pixel_onnx: [8, 'bool', false],
  },
  SegAccuracyParameter: {
    ignore_label: [TEXT_ONLY, '*int32'],
    output_label: [TEXT_ONLY + 1, '*int32'],
    reset: [TEXT_ONLY + 2, 'bool', true],
  },
  ReorgParameter: { stride: [1, 'uint32'], reverse: [2, 'bool', false] },
  YoloDetectionOutputParameter: {
    side: [1, 'uint32', 13],
    num_classes: [2, 'uint32', 20],
    num_box: [3, 'uint32', 5],
    coords: [4, 'uint32', 4],
    confidence_threshold: [5, 'float', 0.01],
    nms_threshold: [6, 'float', 0.45],
    biases: [7, '*float'],
    label_map_file: [8, 'string'],
  },
  Yolov3DetectionOutputParameter: {
    num_classes: [1, 'uint32', 20],
    num_box: [2, 'uint32', 3],
    confidence_threshold: [3, 'float', 0.01],
    nms_threshold: [4, 'float', 0.45],
    biases: [5, '*float'],
    anchors_scale: [6, '*uint32'],
    mask_group_num: [7, 'uint32', 2],
    mask: [8, '*uint32'],
    gaussian_box: [9, 'bool', false],
  },
  MatMulParameter: { transpose_a: [1, 'bool', false], transpose_b: [2, 'bool', false] },
  SqueezeParameter: { axis: [1, '*int32'] },
  PadParameter: { paddings: [1, '*uint32'], constant_values: [2, 'float', 0] },
  FlipParameter: {
    flip_width: [TEXT_ONLY, 'bool', true],
    flip_height: [TEXT_ONLY + 1, 'bool', false],
  },
  CorrelationParameter: {
    pad: [2, 'uint32', 0],
    kernel_size: [3, 'uint32'],
    max_displacement: [4, 'uint32'],
    stride_1: [5, 'uint32', 1],
    stride_2: [6, 'uint32', 1],
    do_abs: [7, 'bool', false],
    single_direction: [8, 'int32', 0],
    correlation_type: [15, 'enum:CorrelationParameter.CorrelationType', 'MULTIPLY'],
  },
  SparsifyParameter: {
    coef: [TEXT_ONLY, 'float', 0],
    thre: [TEXT_ONLY + 1, 'float', 0],
    display: [TEXT_ONLY + 2, 'bool', false],
  },
  ContinuationIndicatorParameter: {
    time_step: [1, 'uint32', 0],
    batch_size: [2, 'uint32', 0],
    axis: [TEXT_ONLY, 'int32', 0],
  },
  ROIMaskPoolingParameter: {
    pooled_h: [1, 'uint32', 0],
    pooled_w: [2, 'uint32', 0],
    spatial_scale: [3, 'float', 1],
    half_part: [4, 'int32', 0],
    roi_scale: [5, 'float', 1],
    mask_scale: [6, 'float', 0],
    spatial_shift: [TEXT_ONLY, 'float', 0],
  },
  ProposalParameter: {
    feat_stride: [1, 'uint32', 16],
    base_size: [2, 'uint32', 16],
    min_size: [3, 'uint32', 16],
    ratio: [4, '*float'],
    scale: [5, '*float'],
    pre_nms_topn: [6, 'uint32', 6000],
    post_nms_topn: [7, 'uint32', 300],
    nms_thresh: [8, 'float', 0.7],
  },
};

/** Layer type → its field, and all numbers that forks give it. */
const NUMBERS: Readonly<Record<string, readonly [field: string, numbers: readonly number[]]>> = {
  Permute: ['permute_param', [148, 202]],
  Normalize: ['norm_param', [149, 206]],
  PriorBox: ['prior_box_param', [150, 203]],
  DetectionOutput: ['detection_output_param', [147, 204]],
  ROIPooling: ['roi_pooling_param', [147, 154, 8266711]],
  PSROIPooling: ['psroi_pooling_param', [148, 153, 10001, 10002]],
  ROIAlign: ['roi_align_param', [154, 247, 8266713]],
  SmoothL1Loss: ['smooth_l1_loss_param', [148, 149, 150, 8266712]],
  SmoothL1LossOHEM: ['smooth_l1_loss_param', [148, 149, 150, 8266712]],
  BoxAnnotatorOHEM: ['box_annotator_ohem_param', [151, 152, 10000]],
  BN: ['bn_param', [45, 152]],
  Interp: ['interp_param', [143, 163]],
  Upsample: ['upsample_param', [137, 147, 149, 150, 177]],
  ReLU6: ['relu6_param', [208, 211]],
  Reorg: ['reorg_param', [149, 159, 197]],
  ShuffleChannel: ['shuffle_channel_param', [164, 166]],
  Proposal: ['proposal_param', [201, 212]],
  Transpose: ['transpose_param', [142, 8266710]],
  Reverse: ['reverse_param', [143, 160]],
  Lstm: ['lstm_param', [140, 201, 8266711]],
  CtcLoss: ['ctc_loss_param', [200]],
  LabelsequenceAccuracy: ['labelsequence_accuracy_param', [203]],
  CTCGreedyDecoder: ['ctc_decoder_param', [158]],
};

/**
 * The field of a number in a binary LayerParameter, in the fork of the layer's type; undefined if the number has BVLC's
 * meaning or none.
 */
export function forkFieldOf(
  layerType: string,
  number: number,
): { readonly name: string; readonly definition: string } | undefined {
  const known = Object.hasOwn(NUMBERS, layerType) ? NUMBERS[layerType] : undefined;
  if (!known?.[1].includes(number)) return undefined;
  const [name] = known;
  const isSegnets = name === 'bn_param' && number === SEGNET_BN;
  return { name, definition: isSegnets ? 'message:SegNetBNParameter' : forkLayerFields[name]![1] };
}

const SEGNET_BN = 45;
