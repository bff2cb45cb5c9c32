/**
 * What numbers of the forks' layers may be: of each message the fields that have bounds. None may be NaN or infinite: a box of such
 * sizes, or a threshold that nothing is compared with, would go unnoticed until there are no detections.
 */
import type { CodeOf } from '../base/error-codes.ts';
import { forkLayerFields } from '../caffe/fork-schema.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import type { LayerContext } from './layer.ts';

interface Range {
  readonly isIn: (value: number) => boolean;
  /** What is expected, as the end of "must be …". */
  readonly text: string;
}

const above0: Range = { isIn: (value) => value > 0, text: 'above 0' };
const from0: Range = { isIn: (value) => value >= 0, text: 'at least 0' };
const from1: Range = { isIn: (value) => value >= 1, text: 'at least 1' };
const share: Range = { isIn: (value) => value >= 0 && value <= 1, text: 'from 0 to 1' };
const aboveUpTo1: Range = { isIn: (value) => value > 0 && value <= 1, text: 'above 0 and up to 1' };
const upTo1: Range = { isIn: (value) => value <= 1, text: 'up to 1' };
const allOrFrom1: Range = {
  isIn: (value) => value === -1 || value >= 1,
  text: 'at least 1, or -1 for all boxes',
};

type Ranges = { readonly [field: string]: Range | Ranges };

const suppression: Ranges = { nms_threshold: from0, eta: aboveUpTo1, top_k: allOrFrom1 };
const region: Ranges = { spatial_scale: above0, pad_ratio: from0 };
const proposals: Ranges = { iou_thr: from0, field_whr: above0, field_xyr: above0, min_size: from0 };

/** Field of LayerParameter → the error's code, and the ranges of the message's fields. */
const RANGES: Readonly<Record<string, readonly [CodeOf<'graph'>, Ranges]>> = {
  prior_box_param: [
    'prior-box',
    {
      min_size: above0,
      max_size: above0,
      aspect_ratio: above0,
      variance: above0,
      img_size: above0,
      img_h: above0,
      img_w: above0,
      step: above0,
      step_h: above0,
      step_w: above0,
      width: above0,
      height: above0,
      box_width: above0,
      box_height: above0,
    },
  ],
  detection_output_param: [
    'detection-output',
    // What scores a net gives is its own affair, but SSD's are a softmax or sigmoids.
    {
      confidence_threshold: upTo1,
      objectness_score: upTo1,
      keep_top_k: allOrFrom1,
      nms_param: suppression,
    },
  ],
  multibox_loss_param: [
    'multi-box-loss',
    { loc_weight: from0, overlap_threshold: share, neg_overlap: share, neg_pos_ratio: from0 },
  ],
  yolo_detection_output_param: [
    'yolo',
    { confidence_threshold: share, nms_threshold: from0, biases: above0 },
  ],
  yolov3_detection_output_param: [
    'yolo',
    { confidence_threshold: share, nms_threshold: from0, biases: above0, anchors_scale: from1 },
  ],
  proposal_param: [
    'proposal',
    { feat_stride: from1, base_size: from1, ratio: above0, scale: above0, nms_thresh: from0 },
  ],
  box_output_param: ['proposal', { ...proposals, field_h: above0, field_w: above0, downsample_rate: above0 }],
  box_group_output_param: [
    'proposal',
    { ...proposals, box_group_param: { field_h: above0, field_w: above0, stride: above0 } },
  ],
  bbox_reg_param: ['proposal', { bbox_std: above0 }],
  roi_pooling_param: ['regions', region],
  roi_align_param: ['regions', region],
  psroi_pooling_param: ['regions', region],
  roi_mask_pooling_param: ['regions', { ...region, roi_scale: above0, mask_scale: from0 }],
  smooth_l1_loss_param: ['smooth-l1', { sigma: above0 }],
  sparsify_param: ['sparsify', { coef: from0, thre: from0 }],
  norm_param: ['range', { eps: from0 }],
  bn_param: ['range', { eps: from0, momentum: share }],
};

const finite: Range = { isIn: Number.isFinite, text: 'a number' };

/** Refuses a layer with a number that its type cannot compute with. @throws GraphError at the field */
export function checkRanges(context: LayerContext): void {
  for (const [name, param] of Object.entries(context.layer))
    if (Object.hasOwn(forkLayerFields, name) && isMessage(param)) {
      const [code, ranges] = RANGES[name] ?? (['range', {}] as const);
      checkMessage(context, code, param, ranges);
    }
}

function checkMessage(context: LayerContext, code: CodeOf<'graph'>, message: Message, ranges: Ranges): void {
  for (const [field, value] of Object.entries(message)) {
    const range = ranges[field];
    for (const [i, each] of [value].flat().entries()) {
      if (isMessage(each)) checkMessage(context, code, each, isRange(range) ? {} : (range ?? {}));
      if (typeof each !== 'number') continue;
      const { isIn, text } = isRange(range) ? range : finite;
      if (Number.isFinite(each) && isIn(each)) continue;
      const which = Array.isArray(value) && value.length > 1 ? `${field} ${i + 1} of ${value.length}` : field;
      context.fail(code, `${which} must be ${text}, found ${each}`, positionOf(message, field));
    }
  }
}

const isRange = (range: Range | Ranges | undefined): range is Range =>
  range !== undefined && typeof range.isIn === 'function';

const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
