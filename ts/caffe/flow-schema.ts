/**
 * Extensions of caffe.proto in forks for optical flow and for spatial transformers: lmb-freiburg/flownet2 (whose
 * numbers the messages have), twhui/LiteFlowNet, daerduoCarey/SpatialTransformerLayer. Their numbers in LayerParameter
 * belong to other fields in other forks.
 */
import { type FieldDefinition, type Messages, TEXT_ONLY } from './field-definition.ts';

export const flowEnums: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'FlowWarpParameter.FillParameter': { ZERO: 1, NOT_A_NUMBER: 2 },
  'ResampleParameter.ResampleType': { NEAREST: 1, LINEAR: 2, CUBIC: 3, AREA: 4 },
};

/** Of AugmentationParameter: the fields that draw random numbers. */
export const augmentationFields = [
  ...['mirror', 'translate', 'rotate', 'zoom', 'squeeze', 'translate_x', 'translate_y'],
  ...['gamma', 'brightness', 'contrast', 'color'],
  ...[
    'lmult_pow',
    'lmult_mult',
    'lmult_add',
    'sat_pow',
    'sat_mult',
    'sat_add',
    'col_pow',
    'col_mult',
    'col_add',
  ],
  ...['ladd_pow', 'ladd_mult', 'ladd_add', 'col_rotate'],
  ...['fog_amount', 'fog_size', 'motion_blur_angle', 'motion_blur_size'],
  ...['shadow_angle', 'shadow_distance', 'shadow_strength', 'noise'],
] as const;

export const flowFields: Readonly<Record<string, FieldDefinition>> = {
  flow_warp_param: [TEXT_ONLY + 49, 'message:FlowWarpParameter'],
  resample_param: [TEXT_ONLY + 50, 'message:ResampleParameter'],
  downsample_param: [TEXT_ONLY + 51, 'message:DownsampleParameter'],
  expmax_param: [TEXT_ONLY + 52, 'message:ExpMaxParameter'],
  st_param: [TEXT_ONLY + 53, 'message:SpatialTransformerParameter'],
  augmentation_param: [TEXT_ONLY + 55, 'message:AugmentationParameter'],
  coeff_schedule_param: [TEXT_ONLY + 56, 'message:CoeffScheduleParameter'],
  l1_loss_param: [TEXT_ONLY + 57, 'message:L1LossParameter'],
  writer_param: [TEXT_ONLY + 66, 'message:WriterParameter'],
};

export const flowMessages: Messages = {
  AugmentationParameter: {
    crop_width: [33, 'uint32'],
    crop_height: [34, 'uint32'],
    write_augmented: [2, 'string', ''],
    max_multiplier: [3, 'float', 255],
    augment_during_test: [4, 'bool', false],
    recompute_mean: [5, 'uint32', 0],
    write_mean: [6, 'string', ''],
    mean_per_pixel: [7, 'bool', true],
    mean: [18, '*float'],
    mode: [8, 'string', 'add'],
    bottomwidth: [80, 'uint32', 0],
    bottomheight: [81, 'uint32', 0],
    num: [82, 'uint32', 0],
    chromatic_eigvec: [83, '*float'],
    ...Object.fromEntries(
      augmentationFields.map((name, i): [string, FieldDefinition] => [
        name,
        [TEXT_ONLY + i, 'message:RandomGeneratorParameter'],
      ]),
    ),
  },
  RandomGeneratorParameter: {
    rand_type: [1, 'string', 'uniform'],
    exp: [2, 'bool', false],
    mean: [4, 'float', 0],
    spread: [5, 'float', 0],
    prob: [6, 'float', 1],
    apply_schedule: [7, 'bool', true],
    discretize: [8, 'bool', false],
    multiplier: [9, 'float', 1],
  },
  WriterParameter: {
    file: [1, 'string', ''],
    folder: [2, 'string', ''],
    prefix: [3, 'string', ''],
    suffix: [4, 'string', ''],
    normalize: [5, 'bool', false],
    scale: [6, 'float', 1],
  },
  CoeffScheduleParameter: {
    half_life: [1, 'float', 1],
    initial_coeff: [2, 'float', 1],
    final_coeff: [3, 'float', 1],
  },
  L1LossParameter: {
    l2_per_location: [1, 'bool', false],
    l2_prescale_by_channels: [2, 'bool', false],
    normalize_by_num_entries: [3, 'bool', false],
    epsilon: [4, 'float', 1e-2],
    plateau: [3001, 'float', 0],
  },
  FlowWarpParameter: { fill_value: [1, 'enum:FlowWarpParameter.FillParameter', 'ZERO'] },
  ResampleParameter: {
    width: [1, 'uint32'],
    height: [2, 'uint32'],
    type: [3, 'enum:ResampleParameter.ResampleType', 'LINEAR'],
    antialias: [4, 'bool', true],
    factor: [5, 'float', 1],
  },
  DownsampleParameter: { top_height: [1, 'uint32', 0], top_width: [2, 'uint32', 0] },
  ExpMaxParameter: {
    base: [1, 'float', -1],
    scale: [2, 'float', 1],
    shift: [3, 'float', 0],
  },
  SpatialTransformerParameter: {
    transform_type: [TEXT_ONLY, 'string', 'affine'],
    sampler_type: [TEXT_ONLY + 1, 'string', 'bilinear'],
    output_H: [TEXT_ONLY + 2, 'int32'],
    output_W: [TEXT_ONLY + 3, 'int32'],
    to_compute_dU: [TEXT_ONLY + 4, 'bool', true],
    theta_1_1: [TEXT_ONLY + 5, 'double'],
    theta_1_2: [TEXT_ONLY + 6, 'double'],
    theta_1_3: [TEXT_ONLY + 7, 'double'],
    theta_2_1: [TEXT_ONLY + 8, 'double'],
    theta_2_2: [TEXT_ONLY + 9, 'double'],
    theta_2_3: [TEXT_ONLY + 10, 'double'],
  },
};
