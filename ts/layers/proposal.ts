/**
 * Faster R-CNN's proposals (github.com/rbgirshick/py-faster-rcnn). There they are a Python layer; in other forks,
 * Proposal, or FrcnnProposal (github.com/makefile/frcnn).
 */
import { roundHalfEven } from '../base/numbers.ts';
import { type Shape, showShape } from '../base/shape.ts';
import { warn } from '../base/warn.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { type PythonParam, readPythonParam } from './python-param.ts';
import { checkImage } from './region-rows.ts';

export const proposalLayers: Layers = {
  FrcnnProposal: { build: frcnnProposal, bottoms: [3, 3], tops: [1, 2] },
  Proposal: { build: proposalLayer, bottoms: [3, 3], tops: [1, 2] },
};

interface Proposing {
  readonly stride: number;
  readonly base: number;
  readonly ratios: readonly number[];
  readonly scales: readonly number[];
  readonly minSize: number;
  readonly beforeNms: number;
  readonly afterNms: number;
  readonly nmsThreshold: number;
}

/** Proposal with proposal_param, as OpenCV reads it. */
function proposalLayer(context: LayerContext): Built {
  const p = withDefaults<{
    feat_stride: number;
    base_size: number;
    min_size: number;
    ratio?: number[];
    scale?: number[];
    pre_nms_topn: number;
    post_nms_topn: number;
    nms_thresh: number;
  }>('ProposalParameter', context.layer.proposal_param);
  return proposal(context, {
    stride: p.feat_stride,
    base: p.base_size,
    ratios: p.ratio ?? RATIOS,
    scales: p.scale ?? SCALES,
    minSize: p.min_size,
    beforeNms: p.pre_nms_topn,
    afterNms: p.post_nms_topn,
    nmsThreshold: p.nms_thresh,
  });
}

const RATIOS = [0.5, 1, 2];
const SCALES = [8, 16, 32];

/** lib/fast_rcnn/config.py: the numbers of boxes before and after suppression, by phase. */
const LIMITS = {
  TRAIN: { beforeNms: 12000, afterNms: 2000 },
  TEST: { beforeNms: 6000, afterNms: 300 },
} as const;

/** The base, the ratios and the scales of anchors. */
export const anchorsIn = ({ numbers }: PythonParam) => ({
  base: 16,
  ratios: numbers('ratios') ?? RATIOS,
  scales: numbers('scales') ?? SCALES,
});

/**
 * lib/rpn/proposal_layer.py. Its configuration may be given in param_str, since the net does not contain these limits.
 */
export function pythonProposal(context: LayerContext): Built {
  const param = readPythonParam(context.layer, (text, at) => context.fail('proposal', text, at));
  return configuredProposal(context, param, param.positive('feat_stride'));
}

/** SSH/configs/default_config.yml: an IoU is never above 1, so nothing is suppressed in phase TEST. */
const SSH_LIMITS = {
  TRAIN: { minSize: 4, beforeNms: 1000, afterNms: 300, nmsThreshold: 0.3 },
  TEST: { minSize: 0, beforeNms: 1000, afterNms: 1000, nmsThreshold: 1 },
} as const;

/**
 * SSH/layers/proposal_layer.py of mahyarnajibi/SSH (arXiv:1708.03979): in phase TEST the best boxes of a module, which are
 * suppressed together with those of the other modules, outside the net.
 */
export function sshProposal(context: LayerContext): Built {
  const param = readPythonParam(context.layer, (text, at) => context.fail('proposal', text, at));
  const limits = SSH_LIMITS[context.state.phase];
  const isTest = context.state.phase === 'TEST';
  const beforeNms = param.number(isTest ? 'N_DETS_PER_MODULE' : 'ANCHOR_N_PRE_NMS') ?? limits.beforeNms;
  return proposal(context, {
    ...anchorsIn(param),
    stride: param.positive('feat_stride'),
    base: param.number('base_size') ?? 16,
    minSize: param.number('ANCHOR_MIN_SIZE') ?? limits.minSize,
    beforeNms,
    afterNms: isTest ? beforeNms : (param.number('ANCHOR_N_POST_NMS') ?? limits.afterNms),
    nmsThreshold: isTest ? limits.nmsThreshold : (param.number('NMS_THRESH') ?? limits.nmsThreshold),
  });
}

/**
 * frcnn_proposal_layer.cpp, whose settings are in a JSON file beside the net: py-faster-rcnn's, or those of
 * python_param's param_str.
 */
function frcnnProposal(context: LayerContext): Built {
  const param = frcnnSettings(context);
  return configuredProposal(context, param, param.number('feat_stride') ?? STRIDE);
}

/** The distance of anchors in makefile/frcnn's configurations. */
export const STRIDE = 16;

/**
 * The settings of a layer of makefile/frcnn: those of its param_str, and py-faster-rcnn's for all others, with a warning if
 * it has none.
 */
export function frcnnSettings(context: LayerContext): PythonParam {
  const { layer } = context;
  if (layer.python_param?.param_str === undefined)
    warn(
      'graph/assumed-settings',
      `layer "${layer.name ?? ''}" (${layer.type}): its settings are in a JSON file that the net does not name; py-faster-rcnn's are assumed (python_param { param_str: "'feat_stride': 16, 'ratios': [0.5, 1, 2], 'scales': [8, 16, 32], 'num_classes': 21" } sets others)`,
    );
  return readPythonParam(layer, (text, at) => context.fail('proposal', text, at));
}

function configuredProposal(context: LayerContext, param: PythonParam, stride: number): Built {
  const limits = LIMITS[context.state.phase];
  return proposal(context, {
    stride,
    ...anchorsIn(param),
    minSize: param.number('RPN_MIN_SIZE') ?? 16,
    beforeNms: param.number('RPN_PRE_NMS_TOP_N') ?? limits.beforeNms,
    afterNms: param.number('RPN_POST_NMS_TOP_N') ?? limits.afterNms,
    nmsThreshold: param.number('RPN_NMS_THRESH') ?? 0.7,
  });
}

function proposal(context: LayerContext, p: Proposing): Built {
  const [scores, deltas, image] = context.shapes as [Shape, Shape, Shape];
  const anchors = anchorsOf(p);
  const count = anchors.length;
  const [n, , height, width] = scores;
  const fits =
    scores.length === 4 &&
    deltas.length === 4 &&
    n === 1 &&
    scores[1] === 2 * count &&
    showShape(deltas) === showShape([1, 4 * count, height!, width!]);
  if (!fits)
    context.fail(
      'shape',
      `${count} anchors (${p.ratios.length} ratios × ${p.scales.length} scales) need scores of 1×${2 * count}×H×W and deltas of 1×${4 * count}×H×W, found ${showShape(scores)} and ${showShape(deltas)}${context.layer.type === 'FrcnnProposal' ? "; give the ratios and scales of the JSON file in python_param's param_str" : ''}`,
    );
  checkImage(context, image, 'the third bottom');
  if (count > 64) context.fail('proposal', `has ${count} anchors, at most 64 are supported`);
  if (p.beforeNms < 1 || p.afterNms < 1)
    context.fail('proposal', 'pre_nms_topn and post_nms_topn must be at least 1', 'proposal_param');
  const most = Math.min(p.afterNms, p.beforeNms, count * height! * width!);
  return {
    operation: {
      kind: 'proposal',
      anchors: anchors.flat(),
      stride: p.stride,
      minSize: p.minSize,
      beforeNms: p.beforeNms,
      nmsThreshold: p.nmsThreshold,
    },
    tops:
      context.topCount > 1
        ? [
            [most, 5],
            [most, 1],
          ]
        : [[most, 5]],
    rows: 0,
  };
}

/**
 * lib/rpn/generate_anchors.py: a square of `base` pixels in every ratio, rounded, in every scale, around its centre.
 */
export function anchorsOf({
  base,
  ratios,
  scales,
}: Pick<Proposing, 'base' | 'ratios' | 'scales'>): [number, number, number, number][] {
  const centre = (base - 1) / 2;
  const around = (width: number, height: number): [number, number, number, number] => [
    centre - (width - 1) / 2,
    centre - (height - 1) / 2,
    centre + (width - 1) / 2,
    centre + (height - 1) / 2,
  ];
  return ratios.flatMap((ratio) => {
    const width = roundHalfEven(Math.sqrt((base * base) / ratio));
    const height = roundHalfEven(width * ratio);
    return scales.map((scale) => around(width * scale, height * scale));
  });
}
