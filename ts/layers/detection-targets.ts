/**
 * The targets for training Faster R-CNN (arXiv:1506.01497, sections 3.1.2 and 3.2;
 * github.com/rbgirshick/py-faster-rcnn, lib/rpn: anchor_target_layer.py, proposal_target_layer.py with the
 * configuration of its end-to-end training). They are Python layers there, and functions on the host here. Boxes are
 * x1, y1, x2, y2, both ends included. Rows of ground truth are these and a class; rows of class 0 are ignored.
 *
 * The net does not contain the configuration, but param_str may override it by name. If fewer regions are found than a
 * batch has rows, Caffe makes the batch smaller. Here the regions are repeated in turn, so the mean of a loss is still
 * over the regions that were found.
 */
import { anchorTargets, SSH } from './anchor-targets.ts';
import { buildJavaScript } from './host-function.ts';
import { pythonNames } from './javascript.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { STRIDE } from './proposal.ts';
import { proposalTargets } from './proposal-targets.ts';

/** The classes of PASCAL VOC and the background. */
const CLASSES = 21;

export function buildTargets(context: LayerContext): Built {
  const isOfAnchors = pythonNames(context.layer).layer === 'AnchorTargetLayer';
  return buildJavaScript(isOfAnchors ? anchorTargets(context) : proposalTargets(context), context);
}

/** SSH/layers/anchor_target_layer.py of mahyarnajibi/SSH: a fifth bottom, the scores, selects hard examples. */
export const sshTargets = (context: LayerContext): Built =>
  buildJavaScript(anchorTargets(context, undefined, SSH), context);

/** The same as layers of makefile/frcnn (frcnn_anchor_target_layer.cpp, frcnn_proposal_target_layer.cpp). */
export const frcnnTargets: Layers = {
  FrcnnAnchorTarget: {
    build: (context) => buildJavaScript(anchorTargets(context, STRIDE), context),
    bottoms: [3, 4],
    tops: [4, 4],
  },
  FrcnnProposalTarget: {
    build: (context) => buildJavaScript(proposalTargets(context, CLASSES), context),
    bottoms: [2, 2],
    tops: [5, 5],
  },
};
