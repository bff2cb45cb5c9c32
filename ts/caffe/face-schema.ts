/**
 * Extensions of caffe.proto in forks for face recognition, hashing and domain adaptation: wy1iu/sphereface and
 * LargeMargin_Softmax_Loss, ydwen/caffe-face, happynear/caffe-windows (whose numbers the messages have),
 * xialuxi/arcface-caffe, thuml/HashNet and ddtm/caffe.
 */
import { type FieldDefinition, type Messages, TEXT_ONLY } from './field-definition.ts';

export const faceEnums: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'FocalLossParameter.Type': { ORIGIN: 0, LINEAR: 1, ONEADDP: 2 },
  'MarginInnerProductParameter.MarginType': { SINGLE: 0, DOUBLE: 1, TRIPLE: 2, QUADRUPLE: 3 },
};

export const faceFields: Readonly<Record<string, FieldDefinition>> = {
  center_loss_param: [TEXT_ONLY + 45, 'message:CenterLossParameter'],
  normalize_param: [TEXT_ONLY + 6, 'message:HappynearNormalizeParameter'],
  largemargin_inner_product_param: [TEXT_ONLY + 40, 'message:MarginInnerProductParameter'],
  margin_inner_product_param: [TEXT_ONLY + 41, 'message:MarginInnerProductParameter'],
  channel_scale_param: [TEXT_ONLY + 42, 'message:ChannelScaleParameter'],
  label_specific_add_param: [TEXT_ONLY + 43, 'message:LabelSpecificAddParameter'],
  cosin_add_m_param: [TEXT_ONLY + 44, 'message:CosinAddmParameter'],
  adacos_add_m_scale_param: [TEXT_ONLY + 58, 'message:AdaCosAddmScaleParameter'],
  label_specific_rescale_param: [TEXT_ONLY + 59, 'message:LabelSpecificRescaleParameter'],
  inner_distance_param: [TEXT_ONLY + 60, 'message:InnerDistanceParameter'],
  focal_loss_param: [TEXT_ONLY + 68, 'message:FocalLossParameter'],
  scale_tanh_param: [TEXT_ONLY + 61, 'message:ScaleTanHParameter'],
  gradient_scaler_param: [TEXT_ONLY + 62, 'message:GradientScalerParameter'],
};

export const faceMessages: Messages = {
  CenterLossParameter: {
    num_output: [1, 'uint32'],
    center_filler: [2, 'message:FillerParameter'],
    axis: [3, 'int32', 1],
    distance_type: [29, 'string', 'L2'],
  },
  HappynearNormalizeParameter: {
    normalize_type: [1, 'string', 'L2'],
    fix_gradient: [2, 'bool', false],
    bp_norm: [3, 'bool', false],
  },
  MarginInnerProductParameter: {
    num_output: [1, 'uint32'],
    type: [2, 'enum:MarginInnerProductParameter.MarginType', 'SINGLE'],
    weight_filler: [3, 'message:FillerParameter'],
    axis: [4, 'int32', 1],
    base: [5, 'float', 1],
    gamma: [6, 'float', 0],
    power: [7, 'float', 1],
    iteration: [8, 'int32', 0],
    lambda_min: [9, 'float', 0],
  },
  ChannelScaleParameter: {
    do_forward: [1, 'bool', true],
    do_backward_feature: [2, 'bool', true],
    do_backward_scale: [3, 'bool', true],
    global_scale: [4, 'bool', false],
    max_global_scale: [5, 'float', 1000],
    min_global_scale: [6, 'float', 0],
    init_global_scale: [7, 'float', 1],
  },
  LabelSpecificAddParameter: {
    bias: [1, 'float', 0],
    transform_test: [2, 'bool', false],
    bias_base: [3, 'float', 0],
    bias_gamma: [4, 'float', 0],
    bias_power: [5, 'float', 1],
    bias_min: [6, 'float', 0],
    bias_max: [7, 'float', 0],
    iteration: [8, 'uint32', 0],
  },
  CosinAddmParameter: { m: [1, 'float', 0.5], transform_test: [2, 'bool', false] },
  AdaCosAddmScaleParameter: {
    m: [1, 'float', 0.5],
    num_classes: [2, 'uint32'],
    transform_test: [3, 'bool', false],
  },
  LabelSpecificRescaleParameter: {
    positive_weight: [1, 'float', 1],
    negative_weight: [2, 'float', 1],
    positive_lower_bound: [3, 'float', 0],
    negative_upper_bound: [4, 'float', 0],
    rescale_test: [5, 'bool', false],
    for_ip: [6, 'bool', false],
    positive_weight_base: [7, 'float', 0],
    gamma: [8, 'float', 0],
    power: [9, 'float', 1],
    positive_weight_min: [10, 'float', 0],
    positive_weight_max: [11, 'float', 0],
    iteration: [12, 'uint32', 0],
    bias_fix: [13, 'bool', false],
    power_on_positive: [14, 'bool', false],
  },
  InnerDistanceParameter: {
    num_output: [1, 'uint32'],
    bias_term: [2, 'bool', true],
    weight_filler: [3, 'message:FillerParameter'],
    bias_filler: [4, 'message:FillerParameter'],
    axis: [5, 'int32', 1],
    transpose: [6, 'bool', false],
    distance_type: [7, 'string', 'L2'],
    normalize: [8, 'bool', false],
  },
  // zimenglan-sysu-512/Focal-Loss; the forks' alpha has different defaults
  FocalLossParameter: {
    type: [1, 'enum:FocalLossParameter.Type', 'ORIGIN'],
    gamma: [2, 'float', 2],
    alpha: [3, 'float'],
    beta: [4, 'float', 1],
  },
  // thuml/HashNet
  ScaleTanHParameter: {
    init_scale: [1, 'float', 1],
    step_size: [2, 'uint32', 200],
    gamma: [3, 'float', 1],
    power: [4, 'float', 0],
  },
  // ddtm/caffe, whose numbers are not known
  GradientScalerParameter: {
    lower_bound: [TEXT_ONLY, 'float', 0],
    upper_bound: [TEXT_ONLY + 1, 'float', 1],
    alpha: [TEXT_ONLY + 2, 'float', 10],
    max_iter: [TEXT_ONLY + 3, 'float', 1],
  },
};
