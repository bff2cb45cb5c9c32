/**
 * DetectionOutput: boxes with classes and scores. SSD's (github.com/weiliu89/caffe, branch ssd), and RefineDet's, whose
 * boxes are refined twice (github.com/sfzhang15/RefineDet; arXiv:1711.06897). With one bottom it is YOLO's.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { centredDetections } from './centred-detections.ts';
import { Composition, type Part } from './compose.ts';
import { joinedMaps } from './joined-maps.ts';
import { ANY, type Built, type LayerContext, type Layers } from './layer.ts';
import type { Operation } from './operation.ts';
import { type RefinedSizes, refinedBoxes, scoresOfObjects } from './refined-boxes.ts';

export const detectionOutputLayers: Layers = {
  DetectionOutput: { build: detectionOutput, bottoms: ANY },
};

interface DetectionOutputParameter {
  readonly num_classes?: number;
  readonly share_location: boolean;
  readonly background_label_id: number;
  readonly nms_param?: object;
  readonly code_type: keyof typeof CODES;
  readonly keep_top_k: number;
  readonly variance_encoded_in_target: boolean;
  readonly confidence_threshold?: number;
  readonly objectness_score: number;
  readonly clip: boolean;
  readonly no_permute: boolean;
  readonly nbottom: number;
}

export const CODES = { CORNER: 'corner', CENTER_SIZE: 'centerSize', CORNER_SIZE: 'cornerSize' } as const;
/** Larger than every float. */
const NO_THRESHOLD = -3.4028234663852886e38;

/** detection_output_layer.cpp */
function detectionOutput(context: LayerContext): Built {
  if (context.shapes.length === 1) return centredDetections(context);
  if (context.shapes.length === 2)
    context.fail(
      'bottom-count',
      'takes locations, scores and priors, or the one map of YOLO, found 2 bottoms',
    );
  const param = context.layer.detection_output_param;
  const p = withDefaults<DetectionOutputParameter>('DetectionOutputParameter', param);
  const nms = withDefaults<{ nms_threshold: number; top_k?: number; eta: number; soft_nms: boolean }>(
    'NonMaximumSuppressionParameter',
    p.nms_param,
  );
  const classes = p.num_classes ?? 0;
  const background = p.background_label_id;
  if (classes < 1)
    context.fail('detection-output', 'num_classes must be given and at least 1', 'detection_output_param');
  if (background >= classes || background < -1)
    context.fail(
      'detection-output',
      `background_label_id must be a class, from 0 to ${classes - 1}, or -1 for none, found ${background}`,
      positionOf(param, 'background_label_id'),
    );
  if (background === -1 && p.share_location)
    context.fail(
      'detection-output',
      'background_label_id: -1 requires share_location: false; otherwise SSD looks for the locations of class -1, and ends',
      positionOf(param, 'background_label_id'),
    );
  if (nms.soft_nms)
    context.fail(
      'unsupported',
      "soft_nms: true of DeepDetect's fork, which lowers scores, is not supported; remove it to get SSD's suppression",
      positionOf(p.nms_param, 'soft_nms'),
    );
  if (!p.no_permute && context.shapes.length > 5)
    context.fail('bottom-count', `takes 3 to 5 bottoms, found ${context.shapes.length}`);
  const layer = new Composition(context.shapes);
  const [locs, confs, priorBoxes, objects, moves] = (
    p.no_permute ? joinedMaps(context, layer, p) : layer.bottoms
  ) as [Part, Part, Part, Part?, Part?];
  const [locations, scores, priors] = [locs, confs, priorBoxes].map(({ shape }) => elementCount(shape)) as [
    number,
    number,
    number,
  ];
  const images = locs.shape[0] ?? 1;
  const boxes = priors / 8;
  const sets = p.share_location ? 1 : classes;
  if (!Number.isInteger(boxes) || locations !== images * boxes * sets * 4)
    context.fail(
      'detection-output',
      `${boxes} priors need ${images}×${boxes * sets * 4} locations, the first bottom is ${showShape(locs.shape)}`,
    );
  if (scores !== images * boxes * classes)
    context.fail(
      'detection-output',
      `${boxes} priors of ${classes} classes need ${images}×${boxes * classes} scores, the second bottom is ${showShape(confs.shape)}`,
    );
  const topK = nms.top_k === undefined || nms.top_k < 0 ? null : nms.top_k;
  const keepTopK = p.keep_top_k < 0 ? null : p.keep_top_k;
  const found = (classes - (background >= 0 ? 1 : 0)) * Math.min(topK ?? boxes, boxes);
  const most = Math.max(1, Math.min(keepTopK ?? found, found));
  const operation: Operation = {
    kind: 'detectionOutput',
    classes,
    background,
    shareLocation: p.share_location,
    code: CODES[p.code_type],
    varianceInTarget: p.variance_encoded_in_target,
    clip: p.clip,
    scoreThreshold: p.confidence_threshold ?? NO_THRESHOLD,
    nmsThreshold: nms.nms_threshold,
    eta: nms.eta,
    topK,
    keepTopK,
  };
  const top = [1, 1, images * most, 7];
  const sizes = { images, boxes, classes };
  if (objects === undefined || showsPicture(context, sizes))
    return { ...layer.built([layer.one(operation, [locs, confs, priorBoxes], top)]), rows: 0 };
  checkRefined(context, p, sizes);
  const kept = scoresOfObjects(layer, confs, objects, p.objectness_score, sizes);
  if (moves === undefined)
    return { ...layer.built([layer.one(operation, [locs, kept, priorBoxes], top)]), rows: 0 };
  const corners = refinedBoxes(layer, [moves, locs], priorBoxes, p.variance_encoded_in_target, sizes);
  const origin = layer.one({ kind: 'power', power: 1, scale: 0, shift: 0 }, [priorBoxes], priorBoxes.shape);
  const asTheyAre = { ...operation, code: 'corner', varianceInTarget: true } as const;
  return { ...layer.built([layer.one(asTheyAre, [corners, kept, origin], top)]), rows: 0 };
}

/** Whether the fourth bottom is the image that SSD's `visualize` shows. Otherwise it has RefineDet's objectness scores. */
function showsPicture(context: LayerContext, { images, boxes }: RefinedSizes): boolean {
  const [, , , fourth, moves] = context.shapes as [Shape, Shape, Shape, Shape, Shape?];
  if (moves !== undefined || context.layer.detection_output_param?.objectness_score !== undefined)
    return false;
  if (elementCount(fourth) === images * boxes * 2) return false;
  const isPicture = fourth.length === 4 && (fourth[1] === 1 || fourth[1] === 3);
  return (
    isPicture ||
    context.fail(
      'detection-output',
      `the fourth bottom is neither an image, N×3×H×W, for SSD's visualize, nor RefineDet's scores of being an object, ${images}×${boxes * 2}: found ${showShape(fourth)}; give one of them, or three bottoms`,
    )
  );
}

function checkRefined(
  context: LayerContext,
  p: DetectionOutputParameter,
  { images, boxes }: RefinedSizes,
): void {
  const [, , , objects, moves] = context.shapes as [Shape, Shape, Shape, Shape, Shape?];
  const at = (field: string) => positionOf(context.layer.detection_output_param, field);
  if (elementCount(objects) !== images * boxes * 2)
    context.fail(
      'detection-output',
      `${boxes} priors need ${images}×${boxes * 2} scores of being an object (RefineDet's fourth bottom), found ${showShape(objects)}`,
    );
  if (p.background_label_id !== 0)
    context.fail(
      'detection-output',
      `background_label_id must be 0 in RefineDet's DetectionOutput, found ${p.background_label_id}`,
      at('background_label_id'),
    );
  if (moves === undefined) return;
  if (elementCount(moves) !== images * boxes * 4)
    context.fail(
      'detection-output',
      `${boxes} priors need ${images}×${boxes * 4} locations that refine them (RefineDet's fifth bottom), found ${showShape(moves)}`,
    );
  if (!p.share_location || p.code_type !== 'CENTER_SIZE')
    context.fail(
      'detection-output',
      "with five bottoms this is RefineDet's DetectionOutput, which is supported with share_location: true and code_type: CENTER_SIZE, as in its nets",
      at(p.share_location ? 'code_type' : 'share_location'),
    );
}
