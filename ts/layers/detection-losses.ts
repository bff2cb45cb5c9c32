/**
 * SmoothL1Loss (SSD's with two bottoms; Fast R-CNN's, github.com/rbgirshick/caffe-fast-rcnn, with weights too) and
 * SmoothL1LossOHEM (R-FCN, github.com/daijifeng001/caffe-rfcn), which also gives the loss of each region.
 */
import { elementCount, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const detectionLosses: Layers = {
  SmoothL1Loss: { build: smoothL1Loss, bottoms: [2, 4], isLoss: true },
  SmoothL1LossOHEM: { build: smoothL1LossOhem, bottoms: [2, 4], tops: [1, 2], isLoss: true },
};

function read(context: LayerContext) {
  const { sigma } = withDefaults<{ sigma: number }>(
    'SmoothL1LossParameter',
    context.layer.smooth_l1_loss_param,
  );
  const shape = context.shapes[0]!;
  if (context.shapes.length === 3)
    context.fail('bottom-count', 'takes 2 bottoms, or 4 with inside and outside weights, found 3');
  if (!(sigma > 0))
    context.fail(
      'smooth-l1',
      `sigma must be above 0, found ${sigma}`,
      positionOf(context.layer.smooth_l1_loss_param, 'sigma'),
    );
  for (const other of context.shapes)
    if (elementCount(other) !== elementCount(shape))
      context.fail('shape', `inputs differ: ${showShape(shape)} and ${showShape(other)}`);
  const outer = shape[0] ?? 1;
  const inner = elementCount(shape.slice(2));
  return { sigma, outer, inner, channels: elementCount(shape) / (outer * inner) };
}

/** smooth_L1_loss_layer.cpp: divided by the number of items. */
function smoothL1Loss(context: LayerContext): Built {
  const sizes = read(context);
  return { operation: { kind: 'smoothL1Loss', divisor: sizes.outer, ...sizes }, tops: [[]] };
}

/** smooth_L1_loss_ohem_layer.cpp: loss_param says what it is divided by. */
function smoothL1LossOhem(context: LayerContext): Built {
  const sizes = read(context);
  const { outer, inner } = sizes;
  const p = withDefaults<{ normalization: 'FULL' | 'VALID' | 'BATCH_SIZE' | 'NONE'; normalize?: boolean }>(
    'LossParameter',
    context.layer.loss_param,
  );
  const divisor = { FULL: outer * inner, VALID: outer * inner, BATCH_SIZE: outer, NONE: 1 }[p.normalization];
  return {
    operation: { kind: 'smoothL1Loss', ...sizes, divisor },
    tops: context.topCount > 1 ? [[], [outer, 1, ...context.shapes[0]!.slice(2)]] : [[]],
  };
}
