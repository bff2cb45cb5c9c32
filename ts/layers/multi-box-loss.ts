/**
 * MultiBoxLoss of SSD (github.com/weiliu89/caffe, branch ssd: multibox_loss_layer.cpp; arXiv:1512.02325, section 2.2),
 * and of RefineDet (github.com/sfzhang15/RefineDet; arXiv:1711.06897, sections 3.1 and 3.3), whose priors were moved
 * before and whose negatives must look like objects.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { CODES } from './detection-output.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { normalizationOf } from './losses.ts';
import type { Operation } from './operation.ts';
import { refinedBoxes } from './refined-boxes.ts';

export const multiBoxLayers: Layers = {
  MultiBoxLoss: { build: multiBoxLoss, bottoms: [4, 6], isLoss: true },
};

interface MultiBoxLossParameter {
  readonly loc_loss_type: 'SMOOTH_L1' | 'L2';
  readonly conf_loss_type: 'SOFTMAX' | 'LOGISTIC';
  readonly loc_weight: number;
  readonly num_classes?: number;
  readonly share_location: boolean;
  readonly match_type: 'BIPARTITE' | 'PER_PREDICTION';
  readonly overlap_threshold: number;
  readonly use_prior_for_matching: boolean;
  readonly background_label_id: number;
  readonly use_difficult_gt: boolean;
  readonly do_neg_mining?: boolean;
  readonly neg_pos_ratio: number;
  readonly neg_overlap: number;
  readonly code_type: keyof typeof CODES;
  readonly encode_variance_in_target: boolean;
  readonly map_object_to_agnostic: boolean;
  readonly ignore_cross_boundary_bbox: boolean;
  readonly bp_inside: boolean;
  readonly mining_type: keyof typeof MININGS;
  readonly nms_param?: Message;
  readonly sample_size: number;
  readonly use_prior_for_nms: boolean;
  readonly objectness_score: number;
}

const MININGS = { NONE: 'none', MAX_NEGATIVE: 'maxNegative', HARD_EXAMPLE: 'hardExample' } as const;

function multiBoxLoss(context: LayerContext): Built {
  const param = context.layer.multibox_loss_param ?? {};
  const p = withDefaults<MultiBoxLossParameter>('MultiBoxLossParameter', param);
  const refuse = (field: string, message: string): never =>
    context.fail('multi-box-loss', message, positionOf(param, field) ?? 'multibox_loss_param');
  const classes = p.num_classes ?? 0;
  // SSD stores it in an int.
  const background = p.background_label_id | 0;
  const isMining = p.mining_type !== 'NONE';
  if (classes < 1) refuse('num_classes', 'num_classes must be given and at least 1');
  if (p.do_neg_mining !== undefined && p.do_neg_mining !== isMining)
    refuse(
      'do_neg_mining',
      `do_neg_mining: ${p.do_neg_mining} contradicts mining_type: ${p.mining_type}; write mining_type alone (${isMining ? 'NONE for none' : 'MAX_NEGATIVE for hard negatives'})`,
    );
  if (isMining && !p.share_location)
    refuse(
      'share_location',
      `mining_type: ${p.mining_type} needs share_location: true; or write mining_type: NONE`,
    );
  if ((p.conf_loss_type === 'SOFTMAX' || isMining) && !(background >= 0 && background < classes))
    refuse(
      'background_label_id',
      `background_label_id must be a class, from 0 to ${classes - 1}, found ${p.background_label_id}`,
    );
  const agnosticClasses = background >= 0 ? 2 : 1;
  if (p.map_object_to_agnostic && (classes !== agnosticClasses || background + 1 >= classes))
    refuse(
      'map_object_to_agnostic',
      `map_object_to_agnostic leaves background ${background} and class ${background + 1}: num_classes must be ${agnosticClasses}, found ${classes}`,
    );
  if (p.mining_type === 'HARD_EXAMPLE' && p.sample_size < 1)
    refuse('sample_size', `sample_size must be at least 1, found ${p.sample_size}`);
  checkShapes(context, classes, p.share_location);
  if (context.shapes.length > 4) checkRefined(context, p, refuse);
  const [toLocations = true, toScores = true] = context.layer.propagate_down ?? [];
  const operation: Operation = {
    kind: 'multiBoxLoss',
    classes,
    background,
    shareLocation: p.share_location,
    agnostic: p.map_object_to_agnostic,
    code: CODES[p.code_type],
    varianceInTarget: p.encode_variance_in_target,
    locLoss: p.loc_loss_type === 'L2' ? 'l2' : 'smoothL1',
    confLoss: p.conf_loss_type === 'LOGISTIC' ? 'logistic' : 'softmax',
    // In SSD a bottom without a diff does not contribute to the loss either.
    locWeight: toLocations ? p.loc_weight : 0,
    confWeight: toScores ? 1 : 0,
    perPrediction: p.match_type === 'PER_PREDICTION',
    overlapThreshold: p.overlap_threshold,
    priorsMatch: p.use_prior_for_matching,
    ignoresCrossing: p.ignore_cross_boundary_bbox,
    insideOnly: p.bp_inside,
    usesDifficult: p.use_difficult_gt,
    mining: MININGS[p.mining_type],
    negativesPerMatch: p.neg_pos_ratio,
    negativeOverlap: p.neg_overlap,
    sampleSize: Math.max(1, p.sample_size),
    leastObject: p.objectness_score,
    ...suppression(context, p),
    nmsByPriors: p.use_prior_for_nms,
    normalization: normalizationOf(context),
  };
  const layer = new Composition(context.shapes);
  const [locations, scores, , boxes, objects] = layer.bottoms as [Part, Part, Part, Part, Part?];
  const bottoms = [locations, scores, priorsOfLoss(layer, p), boxes, ...(objects ? [objects] : [])];
  return layer.built([layer.one(operation, bottoms, [])]);
}

/** The priors, [1, 2, 4·P]; if the sixth bottom moves them, those of each image, [N, 2, 4·P]. */
function priorsOfLoss(layer: Composition, p: MultiBoxLossParameter): Part {
  const [{ shape }, , priors, , , moves] = layer.bottoms as [Part, Part, Part, Part, Part?, Part?];
  const images = shape[0]!;
  const boxes = elementCount(priors.shape) / 8;
  const all = layer.reshape(priors, [1, 2, 4 * boxes]);
  if (moves === undefined) return all;
  const sizes = { images, boxes, classes: p.num_classes! };
  const corners = refinedBoxes(layer, [moves], all, p.encode_variance_in_target, sizes);
  const one = [1, 1, 4 * boxes];
  const [, variances] = layer.add({ kind: 'slice', axis: 1 }, [all], [one, one]) as [Part, Part];
  return layer.one(
    { kind: 'concat', axis: 1 },
    [layer.reshape(corners, [images, 1, 4 * boxes]), layer.repeat(variances, 0, images)],
    [images, 2, 4 * boxes],
  );
}

/**
 * What RefineDet's code leaves undefined: with its bottoms, some parts of it use the priors as they were before they
 * were moved.
 */
function checkRefined(
  context: LayerContext,
  p: MultiBoxLossParameter,
  refuse: (field: string, message: string) => never,
): void {
  const [, , priors, , objects, moves] = context.shapes as [Shape, Shape, Shape, Shape, Shape, Shape?];
  const images = context.shapes[0]![0]!;
  const boxes = elementCount(priors) / 8;
  if (elementCount(objects) !== images * boxes * 2)
    context.fail(
      'multi-box-loss',
      `${boxes} priors need ${images}×${boxes * 2} scores of being an object (RefineDet's fifth bottom), found ${showShape(objects)}`,
    );
  if (p.nms_param !== undefined)
    refuse(
      'nms_param',
      'nms_param is not supported with scores of being an object (a fifth bottom); remove it',
    );
  if (moves === undefined) return;
  if (elementCount(moves) !== images * boxes * 4)
    context.fail(
      'multi-box-loss',
      `${boxes} priors need ${images}×${boxes * 4} locations that move them (RefineDet's sixth bottom), found ${showShape(moves)}`,
    );
  for (const [field, wanted] of [
    ['code_type', 'CENTER_SIZE'],
    ['share_location', true],
    ['use_prior_for_matching', true],
  ] as const)
    if (p[field] !== wanted)
      refuse(field, `${field} must be ${wanted} if a sixth bottom moves the priors, found ${p[field]}`);
  if (p.mining_type === 'HARD_EXAMPLE')
    refuse(
      'mining_type',
      'mining_type must be MAX_NEGATIVE or NONE if a sixth bottom moves the priors, found HARD_EXAMPLE',
    );
}

/** Non-maximum suppression among the mined boxes. There is none without nms_param or with a threshold of 0. */
function suppression(
  context: LayerContext,
  { nms_param, mining_type }: MultiBoxLossParameter,
): { nmsThreshold: number | null; nmsTopK: number | null } {
  const nms = withDefaults<{ nms_threshold: number; top_k?: number }>(
    'NonMaximumSuppressionParameter',
    nms_param,
  );
  if (nms_param === undefined || mining_type === 'NONE' || !(nms.nms_threshold > 0))
    return { nmsThreshold: null, nmsTopK: null };
  if (nms.top_k === undefined)
    context.fail(
      'multi-box-loss',
      'nms_param without top_k makes SSD compare 0 boxes, so nothing is mined; write top_k, -1 for all',
      positionOf(nms_param) ?? 'multibox_loss_param',
    );
  return { nmsThreshold: nms.nms_threshold, nmsTopK: nms.top_k! < 0 ? null : nms.top_k! };
}

function checkShapes(context: LayerContext, classes: number, shareLocation: boolean): void {
  const [locations, scores, priors, boxes] = context.shapes.map((shape) => elementCount(shape)) as [
    number,
    number,
    number,
    number,
  ];
  const refuse = (message: string) => context.fail('multi-box-loss', message);
  const images = context.shapes[0]![0] ?? 1;
  const count = priors / 8;
  const sets = shareLocation ? 1 : classes;
  const shown = context.shapes.map(showShape);
  if (!Number.isInteger(count) || locations !== images * count * sets * 4)
    refuse(
      `${count} priors need ${images}×${count * sets * 4} locations, the first bottom is ${shown[0]}; concatenate the locations, scores and priors of all feature maps in the same order`,
    );
  if (scores !== images * count * classes)
    refuse(
      `${count} priors of ${classes} classes need ${images}×${count * classes} scores, the second bottom is ${shown[1]}; each prior has num_classes of them, including the background's`,
    );
  if (boxes === 0 || context.shapes[3]!.at(-1) !== 8)
    refuse(
      `the fourth bottom must be boxes in the form of AnnotatedData, 1×1×N×8 (image, class, instance, x1, y1, x2, y2, difficult), found ${shown[3]}`,
    );
}
