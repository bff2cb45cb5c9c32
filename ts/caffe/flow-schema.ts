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

export const flowFields: Readonly<Record<string, FieldDefinition>> = {
  flow_warp_param: [TEXT_ONLY + 49, 'message:FlowWarpParameter'],
  resample_param: [TEXT_ONLY + 50, 'message:ResampleParameter'],
  downsample_param: [TEXT_ONLY + 51, 'message:DownsampleParameter'],
  expmax_param: [TEXT_ONLY + 52, 'message:ExpMaxParameter'],
  st_param: [TEXT_ONLY + 53, 'message:SpatialTransformerParameter'],
};

export const flowMessages: Messages = {
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
