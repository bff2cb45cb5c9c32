/**
 * The valid ranges of layers' numbers: for each message, the fields with bounds. In a fork's message no number may be NaN or
 * infinite, because a box of such a size or a threshold that nothing compares with would go unnoticed until there are no
 * detections. In BVLC's messages none may be NaN, with which Caffe would compute.
 */
import type { CodeOf } from '../base/error-codes.ts';
import { forkLayerFields } from '../caffe/fork-schema.ts';
import { showNumber } from '../caffe/json.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import type { LayerContext } from './layer.ts';

interface Range {
  readonly isIn: (value: number) => boolean;
  /** The expectation, as the end of "must be …". */
  readonly text: string;
  readonly mayBeInfinite?: boolean;
}

const finite: Range = { isIn: Number.isFinite, text: 'a finite number' };
/** Infinite values are allowed, as in Caffe: they remove a bound of Clip. */
const number: Range = { isIn: (value) => !Number.isNaN(value), text: 'a number', mayBeInfinite: true };

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
const proposals: Ranges = { iou_thr: from0, field_whr: from1, field_xyr: above0, min_size: from0 };

const yoloScales: Ranges = {
  object_scale: from0,
  class_scale: from0,
  noobject_scale: from0,
  coord_scale: from0,
  thresh: from0,
  biases: above0,
};

const fields: Ranges = {
  lambda: from0,
  field_h: above0,
  field_w: above0,
  field_whr: from1,
  field_xyr: above0,
};

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
    // Any scores are possible, but SSD's are a softmax or sigmoids.
    {
      confidence_threshold: upTo1,
      objectness_score: upTo1,
      keep_top_k: allOrFrom1,
      nms_param: suppression,
    },
  ],
  detection_evaluate_param: ['detection-output', { num_classes: from1, overlap_threshold: above0 }],
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
  region_loss_param: ['yolo', { ...yoloScales }],
  yolov3_param: ['yolo', { ...yoloScales, label_smooth_eps: share, iou_thresh: from0 }],
  eval_detection_param: ['yolo', { threshold: from0, biases: above0 }],
  proposal_param: [
    'proposal',
    { feat_stride: from1, base_size: from1, ratio: above0, scale: above0, nms_thresh: from0 },
  ],
  box_output_param: ['proposal', { ...proposals, field_h: above0, field_w: above0, downsample_rate: above0 }],
  box_group_output_param: [
    'proposal',
    { ...proposals, box_group_param: { field_h: above0, field_w: above0, stride: above0 } },
  ],
  detection_loss_param: ['proposal', { ...fields, downsample_rate: above0 }],
  detection_accuracy_param: ['proposal', { ...fields, downsample_rate: above0 }],
  detection_group_loss_param: ['proposal', { ...fields, stride: above0 }],
  detection_group_accuracy_param: ['proposal', { ...fields, stride: above0 }],
  proposal_target_param: ['proposal', { fg_fraction: share, num_img_per_batch: from1 }],
  frcnn_output_param: ['proposal', { iou_thr: from0 }],
  bbox_reg_param: ['proposal', { bbox_std: above0 }],
  scale_route_param: ['proposal', { low_scale: above0, high_scale: above0 }],
  roi_pooling_param: ['regions', region],
  roi_align_param: ['regions', region],
  psroi_pooling_param: ['regions', region],
  roi_mask_pooling_param: ['regions', { ...region, roi_scale: above0, mask_scale: from0 }],
  smooth_l1_loss_param: ['smooth-l1', { sigma: above0 }],
  sparsify_param: ['sparsify', { coef: from0, thre: from0 }],
  swish_param: ['range', { beta: finite }],
  loss_param: ['range', { pre_fixed_normalizer: finite }],
  norm_param: ['range', { eps: from0 }],
  bn_param: ['range', { eps: from0, momentum: share }],
  // An addition to a variance, whose root is computed.
  batch_norm_param: ['range', { eps: from0, moving_average_fraction: finite }],
  mvn_param: ['range', { eps: from0 }],
  transform_param: ['range', { scale: finite, mean_value: finite }],
  param: ['range', { lr_mult: finite, decay_mult: finite }],
};

/**
 * Refuses a layer with a number that its type cannot use.
 * @throws GraphError at the field
 */
export function checkRanges(context: LayerContext): void {
  const { loss_weight } = context.layer;
  if (loss_weight !== undefined)
    checkField(context, 'range', context.layer as Message, 'loss_weight', finite);
  for (const [name, params] of Object.entries(context.layer)) {
    if (name === 'blobs') continue;
    const [code, ranges] = RANGES[name] ?? (['range', {}] as const);
    const others = Object.hasOwn(forkLayerFields, name) ? finite : number;
    for (const param of [params].flat())
      if (isMessage(param)) checkMessage(context, code, param, ranges, others);
  }
}

/** @param others The valid range of fields without an entry. */
function checkMessage(
  context: LayerContext,
  code: CodeOf<'graph'>,
  message: Message,
  ranges: Ranges,
  others: Range,
): void {
  for (const [field, value] of Object.entries(message)) {
    const range = ranges[field];
    const within = field.endsWith('filler') ? finite : others;
    for (const each of [value].flat())
      if (isMessage(each)) checkMessage(context, code, each, isRange(range) ? {} : (range ?? {}), within);
    checkField(context, code, message, field, isRange(range) ? range : others);
  }
}

function checkField(
  context: LayerContext,
  code: CodeOf<'graph'>,
  message: Message,
  field: string,
  { isIn, text, mayBeInfinite = false }: Range,
): void {
  const values = [message[field]].flat();
  for (const [i, each] of values.entries()) {
    if (typeof each !== 'number' || (isIn(each) && (mayBeInfinite || Number.isFinite(each)))) continue;
    const which = values.length > 1 ? `${field} ${i + 1} of ${values.length}` : field;
    const expected = isIn(each) ? `finite and ${text}` : text;
    context.fail(code, `${which} must be ${expected}, found ${showNumber(each)}`, positionOf(message, field));
  }
}

const isRange = (range: Range | Ranges | undefined): range is Range =>
  range !== undefined && typeof range.isIn === 'function';

const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
