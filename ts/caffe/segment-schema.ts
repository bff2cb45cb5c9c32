/**
 * What forks for the segmentation of instances and for random fields add to caffe.proto: daijifeng001/caffe-mnc,
 * deeplab-v2 and
 * torrvision/crfasrnn (whose numbers the messages have). Their numbers in LayerParameter are other fields' in other
 * forks.
 */
import { type FieldDefinition, type Messages, TEXT_ONLY } from './field-definition.ts';

export const segmentEnums: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'MultiStageMeanfieldParameter.Mode': { POTTS: 0 },
};

export const segmentFields: Readonly<Record<string, FieldDefinition>> = {
  multi_stage_meanfield_param: [TEXT_ONLY + 63, 'message:MultiStageMeanfieldParameter'],
  roi_warping_param: [TEXT_ONLY + 64, 'message:ROIWarpingParameter'],
  mask_resize_param: [TEXT_ONLY + 65, 'message:MaskResizeParameter'],
  mat_write_param: [TEXT_ONLY + 67, 'message:MatWriteParameter'],
};

export const segmentMessages: Messages = {
  MultiStageMeanfieldParameter: {
    compatibility_mode: [1, 'enum:MultiStageMeanfieldParameter.Mode', 'POTTS'],
    threshold: [2, 'float', 0],
    theta_alpha: [3, 'float', 10],
    theta_beta: [4, 'float', 10],
    theta_gamma: [5, 'float', 10],
    num_iterations: [6, 'uint32', 1],
    spatial_filter_weight: [7, 'float', 0],
    bilateral_filter_weight: [8, 'float', 10],
    forced_spatial_filter_weight: [9, 'float', 0],
    forced_bilateral_filter_weight: [10, 'float', 0],
  },
  ROIWarpingParameter: {
    pooled_h: [1, 'uint32', 0],
    pooled_w: [2, 'uint32', 0],
    spatial_scale: [3, 'float', 1],
  },
  MatWriteParameter: {
    prefix: [1, 'string', ''],
    source: [2, 'string', ''],
    strip: [3, 'int32', 0],
    period: [4, 'int32', 1],
  },
  MaskResizeParameter: { output_height: [1, 'int32', 0], output_width: [2, 'int32', 0] },
};
