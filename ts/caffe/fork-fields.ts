/**
 * The names that forks of Caffe add to BVLC's caffe.proto and layer types, so that an error for a word that BVLC's
 * Caffe does not know can name its fork. They come from each fork's caffe.proto and layer registrations.
 *
 * A name is listed under the fork that introduced it; other forks may have adopted it. If two forks use one name for
 * different things (`bn_param`), it is listed under both.
 */

/** Message (or enum) of caffe.proto → the names that a fork adds to it, separated by spaces. */
type Names = Readonly<Record<string, string>>;

interface Fork {
  readonly name: string;
  /**
   * Fields that tune speed, memory, logging, number format or the distribution of work. A net without them has the same
   * meaning.
   */
  readonly tuning?: Names;
  /** Fields that change the computation or the training of a net. */
  readonly meaning?: Names;
  readonly enumValues?: Names;
  readonly layerTypes?: string;
}

const FORKS: readonly Fork[] = [
  {
    name: "NVIDIA's fork of Caffe (nvcaffe)",
    tuning: {
      NetParameter: `default_forward_type default_backward_type default_forward_math default_backward_math
        default_conv_algos_override default_cudnn_math_override global_grad_scale global_grad_scale_adaptive
        reduce_buckets eltwise_mem_sharing`,
      LayerParameter: 'forward_type backward_type forward_math backward_math cudnn_math_override debug',
      SolverParameter:
        'solver_data_type store_blobs_in_old_format test_and_snapshot_last_epochs per_parameter_reduce',
      TransformationParameter: 'forward_packing use_gpu_transform display',
      BatchNormParameter: 'engine',
      ConvolutionParameter: 'cudnn_convolution_algo_seeker conv_algos_override',
      DataParameter: 'threads parser_threads cache precache',
      DropoutParameter: 'engine',
      ImageDataParameter: 'threads cache precache dataset_share_per_node',
    },
    meaning: {
      LayerParameter: 'trt_param detectnet_groundtruth_param detectnet_augmentation_param',
      SolverParameter: `rampup_interval rampup_lr min_lr momentum_policy max_momentum momentum_power larc
        larc_policy larc_eta larc_turbo local_lr_auto local_gw_ratio weight_decay_policy weight_decay_power
        max_weight_decay`,
      TransformationParameter: `img_rand_resize_lower img_rand_resize_upper rand_resize_ratio_lower
        rand_resize_ratio_upper vertical_stretch_lower vertical_stretch_upper horizontal_stretch_lower
        horizontal_stretch_upper interpolation_algo_down interpolation_algo_up allow_upscale random_seed
        num_labels`,
      DataParameter: 'shuffle',
      DropoutParameter: 'random_seed',
      ELUParameter: 'lambda',
      ImageDataParameter: 'short_side',
      LossParameter: 'label_smoothing',
      PoolingParameter: 'torch_pooling',
    },
    enumValues: { 'SolverParameter.SolverType': 'SAG' },
    layerTypes: 'DetectNetTransformation L1Loss TRT',
  },
  {
    name: "Intel's fork of Caffe (intel/caffe)",
    tuning: {
      NetParameter: 'bn_stats_batch_size compile_net_state engine multinode',
      LayerParameter: 'engine multinode mn_activation_param mn_grad_compress_param quantization_param',
      SolverParameter: 'engine disabled_update',
      BatchNormParameter: 'engine filler stats_batch_size',
      ConcatParameter: 'engine per_fla_fuse',
      ConvolutionParameter: 'conv_algorithm',
      EltwiseParameter: 'engine',
      InnerProductParameter: 'engine',
    },
    meaning: {
      FillerParameter: 'scale',
      LayerParameter: 'split_param spatial_dropout_param reorg_param region_loss_param eval_detection_param',
      SolverParameter:
        'stagelr stageiter warmup_iter warmup_start_lr local_lr_auto local_gw_ratio test_offset',
      TransformationParameter: 'random_resize_param random_aspect_ratio_param flow bgr2rgb pad',
      BatchNormParameter: 'use_weight_bias bias_term relu',
      ConvolutionParameter: 'relu negative_slope coeff fusion_type',
      DataParameter: 'side shuffle',
      ImageDataParameter: 'min_height min_width',
      InnerProductParameter: 'relu negative_slope',
      LossParameter: 'label_smoothing',
      PoolingParameter: 'pad_3d kernel_size_3d stride_3d avg_include_pad axis',
      ReLUParameter: 'fuse',
      ReshapeParameter: 'pixelshuffler',
    },
    enumValues: {
      'ConvolutionParameter.Engine': 'MKL2017 MKLDNN',
      'LRNParameter.Engine': 'MKL2017 MKLDNN',
      'PoolingParameter.Engine': 'MKL2017 MKLDNN',
      'ReLUParameter.Engine': 'MKL2017 MKLDNN',
    },
    layerTypes: `BoxData EvalDetection MKLBatchNorm MnActivation RegionLoss Reorg SpatialDropout`,
  },
  {
    name: "SSD's fork of Caffe (weiliu89/caffe, branch ssd)",
    meaning: {
      LayerParameter: `annotated_data_param detection_output_param multibox_loss_param
        norm_param permute_param prior_box_param video_data_param`,
      SolverParameter: 'plateau_winsize',
      TransformationParameter:
        'crop_h crop_w resize_param noise_param distort_param expand_param emit_constraint',
    },
    layerTypes: `AnnotatedData DetectionEvaluate DetectionOutput MultiBoxLoss Normalize Permute PriorBox
      VideoData`,
  },
  {
    name: 'the R-CNN fork of Caffe (rbgirshick/caffe-fast-rcnn)',
    meaning: {
      LayerParameter: 'roi_pooling_param smooth_l1_loss_param',
      DropoutParameter: 'scale_train',
    },
    layerTypes: 'ROIPooling SmoothL1Loss',
  },
  {
    name: 'the R-FCN fork of Caffe (Microsoft/caffe, daijifeng001/caffe-rfcn)',
    meaning: {
      LayerParameter: 'psroi_pooling_param box_annotator_ohem_param mil_data_param mil_param',
      LossParameter: 'pre_fixed_normalizer',
    },
    enumValues: { 'LossParameter.NormalizationMode': 'PRE_FIXED' },
    layerTypes: 'BoxAnnotatorOHEM PSROIPooling SmoothL1LossOHEM SoftmaxWithLossOHEM',
  },
  {
    name: "SegNet's fork of Caffe (alexgkendall/caffe-segnet, also in ENet's)",
    meaning: {
      LayerParameter: 'bn_param dense_image_data_param upsample_param',
      ImageDataParameter: 'label_divide_factor',
    },
    layerTypes: 'BN DenseImageData Upsample',
  },
  {
    name: "DeepLab's fork of Caffe (deeplab-v2, also in PSPNet's)",
    meaning: {
      LayerParameter: `adaptive_bias_channel_param bias_channel_param dense_crf_param domain_transform_param
        interp_param mat_read_param mat_write_param seg_accuracy_param unique_label_param`,
      TransformationParameter: 'scale_factors crop_width crop_height',
      BatchNormParameter: 'update_global_stats',
      ImageDataParameter: 'ignore_label label_type',
    },
    layerTypes: `AdaptiveBiasChannel BiasChannel DenseCRF DomainTransform DomainTransformForwardOnly ImageSegData
      Interp MatRead MatWrite SegAccuracy SpatialProduct UniqueLabel`,
  },
  {
    name: "yjxiong's fork of Caffe (also in PSPNet's and GBD-Net's)",
    tuning: { NetParameter: 'mem_param', SolverParameter: 'group_id richness' },
    meaning: {
      LayerParameter: 'bn_param seg_data_param batch_reduction_param',
      TransformationParameter: `fix_crop more_fix_crop multi_scale scale_ratios max_distort is_flow
        original_image stride upper_size upper_height upper_width`,
      ConvolutionParameter: 'dilation_h dilation_w',
      ReductionParameter: 'k',
    },
    enumValues: { 'EltwiseParameter.EltwiseOp': 'STOCHASTIC_SUM', 'ReductionParameter.ReductionOp': 'TOPK' },
    layerTypes: 'BN SyncBN BatchReduction Gather Scatter SegData',
  },
  {
    name: "GBD-Net's fork of Caffe (craftGBD/caffe-GBD)",
    meaning: {
      LayerParameter: `extract_param frcnn_train_data_param frcnn_data_param roi_mask_pooling_param
        transform_type aug_transform_param`,
    },
    layerTypes: 'Extract FrcnnData FrcnnTrainData ROIMaskPooling',
  },
  {
    name: "happynear's fork of Caffe (caffe-windows)",
    tuning: { ConvolutionParameter: 'cudnn_convolution_algo_seeker' },
    meaning: {
      FillerParameter: 'alpha',
      SolverParameter: 'clamp_weights_lower clamp_weights_upper clip_weights',
      LayerParameter: `local_param insanity_param triplet_loss_param eltwise_affine_param sub_region_param
        noise_param hotspot_param predict_box_param fcn_data_param center_loss_param flip_param
        inner_distance_param normalize_param general_contrastive_loss_param soft_contrastive_loss_param
        general_triplet_loss_param soft_truncation_param proposal_param pairwise_param smoothl1_param
        batch_contrastive_loss_param truncation_param nca_param largemargin_inner_product_param
        label_specific_rescale_param infimum_loss_param ordinal_regression_loss_param resize_param
        margin_inner_product_param feature_decay_loss_param confidence_penalty_loss_param focal_loss_param
        label_specific_margin_param channel_scale_param label_specific_affine_param
        label_specific_hard_margin_param label_specific_add_param`,
      TransformationParameter: 'center_crop erase_ratio scale_min scale_max aspect_min aspect_max',
      AccuracyParameter: 'min_is_better',
      BatchNormParameter: 'disable_mean disable_variance',
      DropoutParameter: 'sqrt_scale',
      ImageDataParameter: `face_transform max_shear_ratio max_aspect_ratio max_rotate_angle min_random_scale
        max_random_scale max_random_shift face_mirror face_point_num balance_class balance_by label_cut_start
        label_cut_end`,
      InnerProductParameter: 'normalize',
      MemoryDataParameter: 'transpose',
      ParameterParameter: 'blob_filler',
      ScaleParameter: 'min_value max_value',
      SoftmaxParameter: `hard_ratio class_weight hard_mining_label cutting_point normalize_type
        label_smooth_factor`,
    },
    layerTypes: `Arccos BatchContrastiveLoss CenterLoss ChannelScale ConfidencePenaltyLoss CorrelationLoss Cosine
      FCNAccuracy Flip FocalLoss GeneralContrastiveLoss GeneralTripletLoss GlobalLSEMargin Gram Hotspot
      InnerDistance Insanity LabelSpecificAdd LargeMarginInnerProduct Local MarginInnerProduct MovingNormalize
      MultiLabelImageData NCALoss Noise Normalize Pairwise PredictBox Proposal Resize Slope SoftContrastiveLoss
      SoftTruncation SubRegion TripletLoss Truncation`,
  },
  {
    name: "eric612's fork of Caffe (MobileNet-YOLO)",
    meaning: {
      LayerParameter: `yolov3_param yolo_seg_param segmentation_evaluate_param yolo_detection_output_param
        yolov3_detection_output_param relu6_param upsample_param reorg_param region_loss_param`,
      TransformationParameter: 'enable_classf_aug cvt_bgr2rgb',
      AnnotatedDataParameter:
        'yolo_data_jitter train_diffcult single_class seg_scales seg_resize_width seg_resize_height',
    },
    layerTypes: `AssistedExcitation DepthwiseConvolution GaussianYolov3 LaneData ReLU6 SegmentationEvaluate
      Upsample YoloDetectionOutput YoloSeg Yolov3 Yolov3DetectionOutput`,
  },
  {
    name: "Freiburg's fork of Caffe (FlowNet2, DispNet)",
    layerTypes: `ChannelNorm Correlation Correlation1D DataAugmentation Downsample FlowAugmentation FlowWarp
      GenerateAugmentationParameters LpqLoss Resample`,
  },
  {
    name: "DeepDetect's fork of Caffe (beniz/caffe)",
    tuning: { ConvolutionParameter: 'cudnn_flavor' },
    meaning: {
      LayerParameter: `shuffle_channel_param ctc_loss_param continuation_indicator_param reverse_param
        labelsequence_accuracy_param dice_coef_loss_param`,
      SolverParameter: `lr_dropout decoupled_wd_t0 decoupled_wd_mult amsgrad rectified gc adabelief lr_mult p_mult
        period lookahead lookahead_steps lookahead_alpha`,
      TransformationParameter: 'geometry_param rotate untransformed_top',
      NoiseParameter: 'all_effects',
      DistortionParameter: 'prob all_effects brightness contrast saturation hue random_order',
      SoftmaxParameter: 'scaling_temperature',
    },
    layerTypes: `BroadcastMul ContinuationIndicator CrossEntropyLoss CtcLoss DiceCoefLoss LabelsequenceAccuracy
      MultiBoxFocalLoss Reverse ShuffleChannel SoftmaxWithInfogainLoss SparseData SparseInnerProduct`,
  },
  {
    name: "Synopsys's fork of Caffe (synopsys-caffe)",
    meaning: {
      LayerParameter: `resize_bilinear_param resize_nearest_neighbor_param roi_align_param shuffle_channel_param
        proposal_param xlu_param coeff_schedule_param augmentation_param correlation_param
        l1_loss_param writer_param reader_param mean_param resample_param flow_warp_param black_augmentation_param
        gather_param matmul_param mul_param`,
      ConvolutionParameter: 'pad_type',
      DetectionOutputParameter: `ratio_permute ratio0 ratio1 ratio2 ratio3 ratio4 ratio5 arm_conf_no_concat
        arm_loc_no_concat tflite_detection tflite_use_regular_nms`,
      MVNParameter: 'add_eps_before_sqrt',
      NormalizeParameter: 'add_eps_before_sqrt',
      PriorBoxParameter: 'faceboxes',
      TransformationParameter: 'caffe_yolo',
      PoolingParameter: 'pad_type output_shift_instead_division',
      ReLUParameter: 'relu6 maximum minimum',
    },
    enumValues: { 'PoolingParameter.PoolMethod': 'AVE_EXC_PAD AVE_TF' },
    layerTypes: `Add BatchToSpaceND DepthToSpace HardSwish ICNetSubgraph MatMul Mish Mul Pooling3D ROIAlign
      ResizeBilinear ResizeNearestNeighbor SpaceToBatchND SpaceToDepth UpsampleDarknet`,
  },
  {
    name: "Cascade R-CNN's fork of Caffe (zhaoweicai/cascade-rcnn)",
    meaning: {
      LayerParameter: `bbox_reg_param box_group_output_param detection_data_param eval_data_param
        frcnn_output_param hard_mining_param decode_bbox_param proposal_target_param
        detection_group_loss_param detection_group_accuracy_param`,
    },
    layerTypes: `BboxAccuracy BoxGroupOutput DetectionData DetectionGroupAccuracy DetectionGroupLoss EvalData
      FrcnnOutput HardMining ScaleRoute`,
  },
  {
    name: "MS-CNN's fork of Caffe (zhaoweicai/mscnn)",
    meaning: {
      LayerParameter: `bbox_reg_param box_output_param decode_bbox_param detection_accuracy_param
        detection_loss_param image_gt_data_param proposal_target_param`,
    },
    layerTypes: `BboxAccuracy BoxOutput DecodeBBox DetectionAccuracy DetectionLoss ImageGtData ProposalTarget`,
  },
  {
    name: "chuanqi305's forks of Caffe (caffe-fast-rcnn, ssd)",
    meaning: { LayerParameter: 'roi_align_param relu6_param' },
    layerTypes: 'ROIAlign ReLU6',
  },
  {
    name: 'the R-FCN fork of Caffe for several GPUs (bharatsingh430/py-R-FCN-multiGPU)',
    meaning: { LayerParameter: 'inner_product_blob_param' },
  },
  { name: "PerfXLab's fork of Caffe (PerfXLab/caffe)", meaning: { LayerParameter: 'focus_param' } },
  {
    name: "ShuffleNet's fork of Caffe (farmingyard/ShuffleNet)",
    meaning: { LayerParameter: 'shuffle_channel_param' },
    layerTypes: 'ShuffleChannel',
  },
  {
    name: "C3D's fork of Caffe (facebook/C3D)",
    meaning: { LayerParameter: 'video_data_param convolution3d_param pooling3d_param' },
    layerTypes: 'Convolution3D Deconvolution3D Pooling3D VideoData VoxelSoftmax VoxelSoftmaxLoss',
  },
  {
    name: 'video-caffe (chuckcho/video-caffe)',
    meaning: { LayerParameter: 'video_data_param' },
    layerTypes: 'NdConvolution NdPooling VideoData',
  },
  {
    name: 'the fork of Caffe for person re-identification (Cysu/dgd_person_reid)',
    tuning: { NetParameter: 'richness' },
  },
  { name: "SENet's fork of Caffe (hujie-frank/SENet)", layerTypes: 'Axpy' },
  {
    name: 'forks of Caffe with a layer for depthwise convolution',
    layerTypes: 'ConvolutionDepthwise DepthwiseConvolution',
  },
  {
    name: "wenwei202's fork of Caffe (structured sparsity)",
    tuning: { LayerParameter: 'display' },
    meaning: {
      LayerParameter: 'sparsify_param symmetric_rectify_param',
      ParamSpec: 'force_regularize',
      SolverParameter: 'force_direction force_decay_type force_decay force_type force_iter',
    },
    layerTypes: 'Sparsify SymmetricRectify',
  },
  {
    name: "FSINet's fork of Caffe (zhouyu-hust/FSINet)",
    meaning: { ImageDataParameter: 'data_type', LayerParameter: 'attention_loss_param' },
    layerTypes: 'ClassBalancedSigmoidCrossEntropyAttentionLoss ImageLabelmapData OrientationSmoothL1Loss',
  },
];

const has = (names: string | undefined, word: string) => names?.split(/\s+/).includes(word) ?? false;

// A V1 layer of a fork has the same parameter messages as a V2 one.
const hasField = (fields: Names | undefined, message: string, field: string) =>
  has(fields?.[message === 'V1LayerParameter' ? 'LayerParameter' : message], field);

const owners = (isOwner: (fork: Fork) => boolean): string | undefined => {
  const names = FORKS.filter(isOwner).map(({ name }) => name);
  return names.length === 0 ? undefined : `it belongs to ${names.join(' or ')}`;
};

/**
 * The forks of an unknown field and the advice, as the end of an error's sentence; undefined if no fork is known for
 * it.
 * @param message The message's name in caffe.proto, e.g. `LayerParameter`.
 */
export function forkOfField(message: string, field: string): string | undefined {
  const owner = owners(
    ({ tuning, meaning }) => hasField(tuning, message, field) || hasField(meaning, message, field),
  );
  if (owner === undefined) return undefined;
  if (isTuningField(message, field))
    return `${owner} and tunes speed, memory, number format, logging or how work is divided; remove it`;
  const type = layerOfField(message, field);
  return type === undefined
    ? `${owner} and changes what is computed; remove it to have BVLC's semantics instead`
    : `${owner} and is for its ${type}, which BVLC does not have; express its computation in other layers`;
}

/** The layer type, existing only in forks, that a parameter field belongs to: mul_param belongs to Mul. */
function layerOfField(message: string, field: string): string | undefined {
  if (!/^(V1)?LayerParameter$/.test(message)) return undefined;
  const name = field.replace(/_param$/, '').replaceAll('_', '');
  return FORKS.flatMap(({ layerTypes = '' }) => layerTypes.split(/\s+/)).find(
    (type) => type !== '' && type.toLowerCase() === name,
  );
}

/** Whether a net has the same meaning without an unknown field. */
export function isTuningField(message: string, field: string): boolean {
  return FORKS.some(({ tuning }) => hasField(tuning, message, field));
}

/** Whether an enum's unknown values only tune: forks add engines, which do, and methods, which do not. */
export const isTuningEnumValue = (type: string): boolean => type.endsWith('.Engine');

/** The forks of a field or an enum value, for a sentence. */
export function ownersOf(type: string, name: string): string {
  const isField = ({ tuning, meaning }: Fork) =>
    hasField(tuning, type, name) || hasField(meaning, type, name);
  return FORKS.filter((fork) => isField(fork) || has(fork.enumValues?.[type], name))
    .map((fork) => fork.name)
    .join(' or ');
}

/**
 * The forks of an unknown enum value.
 * @param type The enum's name in the schema, e.g. `PoolingParameter.PoolMethod`.
 */
export function forkOfEnumValue(type: string, value: string): string | undefined {
  return owners(({ enumValues }) => has(enumValues?.[type], value));
}

/**
 * The forks of a layer type.
 * @param type E.g. `PriorBox`.
 */
export function forkOfLayerType(type: string): string | undefined {
  return owners(({ layerTypes }) => has(layerTypes, type));
}
