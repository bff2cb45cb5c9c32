/**
 * SmoothL1Loss (SSD's with two bottoms; MSRA's older one with three; Fast R-CNN's, github.com/rbgirshick/caffe-fast-rcnn,
 * with four) and R-FCN's online hard example mining (github.com/daijifeng001/caffe-rfcn): losses per region, and
 * BoxAnnotatorOHEM, which keeps the regions with the largest losses.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { lossNormalization } from './losses.ts';

export const detectionLosses: Layers = {
  SmoothL1Loss: { build: smoothL1Loss, bottoms: [2, 4], tops: [1, 2], isLoss: true },
  SmoothL1LossOHEM: { build: smoothL1LossOhem, bottoms: [2, 4], tops: [1, 2], isLoss: true },
  BoxAnnotatorOHEM: { build: boxAnnotator, bottoms: [4, 4], tops: [2, 2] },
};

function read(context: LayerContext) {
  const { sigma } = withDefaults<{ sigma: number }>(
    'SmoothL1LossParameter',
    context.layer.smooth_l1_loss_param,
  );
  const shape = context.shapes[0]!;
  for (const other of context.shapes)
    if (elementCount(other) !== elementCount(shape))
      context.fail('shape', `inputs differ: ${showShape(shape)} and ${showShape(other)}`);
  const outer = shape[0] ?? 1;
  const inner = elementCount(shape.slice(2));
  return { sigma, outer, inner, channels: elementCount(shape) / (outer * inner) };
}

/** The loss, and in R-FCN's fork the loss of each region, which always has four axes. */
function topsOf(context: LayerContext): Shape[] {
  if (context.topCount < 2) return [[]];
  const [items = 1, , height = 1, width = 1, ...more] = context.shapes[0]!;
  if (more.length > 0)
    context.fail('dimensions', `takes up to 4 axes, found ${showShape(context.shapes[0]!)}`);
  return [[], [items, 1, height, width]];
}

/**
 * smooth_L1_loss_layer.cpp: divides by the number of items. MSRA's older one, with three bottoms, divides by the number of
 * positions.
 */
function smoothL1Loss(context: LayerContext): Built {
  const sizes = read(context);
  const divisor = context.shapes.length === 3 ? sizes.outer * sizes.inner : sizes.outer;
  return { operation: { kind: 'smoothL1Loss', divisor, ...sizes }, tops: topsOf(context) };
}

/** smooth_L1_loss_ohem_layer.cpp: loss_param selects the divisor. */
function smoothL1LossOhem(context: LayerContext): Built {
  const sizes = read(context);
  const { outer, inner } = sizes;
  const { normalization, fixed } = lossNormalization(context);
  const divisor = { full: outer * inner, valid: outer * inner, batchSize: outer, none: 1 }[normalization];
  return {
    operation: { kind: 'smoothL1Loss', ...sizes, divisor: fixed ?? divisor },
    tops: topsOf(context),
  };
}

/** box_annotator_ohem_layer.cpp. */
function boxAnnotator(context: LayerContext): Built {
  const p = withDefaults<{ roi_per_img?: number; ignore_label: number }>(
    'BoxAnnotatorOHEMParameter',
    context.layer.box_annotator_ohem_param,
  );
  const [regions, losses, labels, weights] = context.shapes as [Shape, Shape, Shape, Shape];
  const count = regions[0] ?? 0;
  if (p.roi_per_img === undefined || p.roi_per_img < 1)
    context.fail('regions', 'roi_per_img must be given and at least 1', 'box_annotator_ohem_param');
  if (
    elementCount(regions) !== count * 5 ||
    elementCount(losses) !== count ||
    elementCount(labels) !== count ||
    weights[0] !== count
  )
    context.fail(
      'shape',
      `takes regions (R×5), their losses and labels (R each) and weights (R×…), found ${context.shapes.map(showShape).join(', ')}`,
    );
  const channels = elementCount(weights) / count;
  return {
    operation: {
      kind: 'boxAnnotatorOhem',
      perImage: p.roi_per_img,
      ignoreLabel: p.ignore_label,
      channels,
    },
    tops: [
      [count, 1, 1, 1],
      [count, channels, 1, 1],
    ],
  };
}
