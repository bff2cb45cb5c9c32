/**
 * Regions of interest: ROIPooling (Fast R-CNN, github.com/rbgirshick/caffe-fast-rcnn), PSROIPooling (R-FCN,
 * github.com/daijifeng001/caffe-rfcn), ROIAlign (Cascade R-CNN,
 * github.com/zhaoweicai/cascade-rcnn), and Faster R-CNN's proposals
 * (github.com/rbgirshick/py-faster-rcnn), which are a Python layer there and Proposal in other forks.
 */
import { roundHalfEven } from '../base/round.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { planesOf } from './window.ts';

export const regionLayers: Layers = {
  ROIPooling: { build: roiPooling, bottoms: [2, 2] },
  PSROIPooling: { build: psRoiPooling, bottoms: [2, 2] },
  ROIAlign: { build: roiAlign, bottoms: [2, 2] },
  Proposal: { build: proposalLayer, bottoms: [3, 3], tops: [1, 2] },
};

/** How many regions there are: rows of an image's index and four sides. */
function regionsOf(context: LayerContext): number {
  const regions = context.shapes[1]!;
  const count = regions[0] ?? 0;
  if (elementCount(regions) !== count * 5)
    context.fail(
      'shape',
      `the second bottom must be regions, R×5 (image, x1, y1, x2, y2), found ${showShape(regions)}`,
    );
  return count;
}

interface Pooled {
  readonly pooled_h: number;
  readonly pooled_w: number;
  readonly spatial_scale: number;
}

function pooledOf(context: LayerContext, type: string, field: `${string}_param`): Pooled {
  const p = withDefaults<Pooled>(type, context.layer[field]);
  for (const name of ['pooled_h', 'pooled_w'] as const)
    if (p[name] < 1) context.fail('regions', `${name} must be given and at least 1`, field);
  return p;
}

/** roi_pooling_layer.cpp */
function roiPooling(context: LayerContext): Built {
  const [, channels] = planesOf(context);
  const p = pooledOf(context, 'ROIPoolingParameter', 'roi_pooling_param');
  return {
    operation: { kind: 'roiPooling', spatialScale: p.spatial_scale },
    tops: [[regionsOf(context), channels, p.pooled_h, p.pooled_w]],
  };
}

/** psroi_pooling_layer.cpp */
function psRoiPooling(context: LayerContext): Built {
  const [, channels] = planesOf(context);
  const p = withDefaults<{ spatial_scale?: number; output_dim?: number; group_size?: number }>(
    'PSROIPoolingParameter',
    context.layer.psroi_pooling_param,
  );
  const { output_dim: outputs = 0, group_size: group = 0, spatial_scale: scale } = p;
  if (outputs < 1 || group < 1 || scale === undefined)
    context.fail(
      'regions',
      'spatial_scale, output_dim and group_size must be given, the last two at least 1',
      'psroi_pooling_param',
    );
  if (channels !== outputs * group * group)
    context.fail(
      'shape',
      `output_dim ${outputs} with group_size ${group} needs ${outputs * group * group} channels, the bottom has ${channels}`,
    );
  return {
    operation: { kind: 'psRoiPooling', spatialScale: scale, group },
    tops: [[regionsOf(context), outputs, group, group]],
  };
}

/** Cascade R-CNN's, which reads roi_pooling_param; Mask R-CNN's reads roi_align_param and is another function. */
function roiAlign(context: LayerContext): Built {
  const [, channels] = planesOf(context);
  if (context.layer.roi_align_param !== undefined)
    context.fail(
      'unsupported',
      "this ROIAlign, with roi_align_param, is Mask R-CNN's, which is not run here; Cascade R-CNN's takes roi_pooling_param and computes something else",
      'roi_align_param',
    );
  const p = pooledOf(context, 'ROIPoolingParameter', 'roi_pooling_param');
  return {
    operation: { kind: 'roiAlign', spatialScale: p.spatial_scale },
    tops: [[regionsOf(context), channels, p.pooled_h + 1, p.pooled_w + 1]],
  };
}

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

/** lib/fast_rcnn/config.py: what is kept before and behind the suppression, by phase. */
const LIMITS = {
  TRAIN: { beforeNms: 12000, afterNms: 2000 },
  TEST: { beforeNms: 6000, afterNms: 300 },
} as const;

/** Whether a Python layer is py-faster-rcnn's of proposals. */
export const isProposalLayer = (param: Message | undefined): boolean =>
  param?.layer === 'ProposalLayer' && /(^|\.)proposal_layer$/.test(String(param?.module ?? ''));

/** lib/rpn/proposal_layer.py. `param_str` is YAML; what it can say here is a number and a list of numbers. */
export function pythonProposal(context: LayerContext): Built {
  const { param_str: text = '' }: { param_str?: string } = context.layer.python_param ?? {};
  const at = positionOf(context.layer.python_param, 'param_str');
  const value = (name: string) =>
    new RegExp(`['"]?\\b${name}['"]?\\s*:\\s*(?:!!python/tuple\\s*)?([\\[(][^\\])]*[\\])]|[-+.\\w]+)`).exec(
      text,
    )?.[1];
  const numbers = (written: string) => (written.match(/[-+]?[\d.]+(?:e[-+]?\d+)?/gi) ?? []).map(Number);
  const stride = numbers(value('feat_stride') ?? '')[0];
  if (stride === undefined || !(stride > 0))
    context.fail(
      'proposal',
      `param_str must give feat_stride, such as "'feat_stride': 16"`,
      at ?? 'python_param',
    );
  const list = (name: string, missing: readonly number[]) => {
    const written = value(name);
    const found = written === undefined ? missing : numbers(written);
    if (found.length === 0 || found.some((each) => !(each > 0)))
      context.fail('proposal', `${name} of param_str must be numbers above 0, found ${written}`, at);
    return found;
  };
  // The configuration's names may stand beside them, since the net itself does not say these limits.
  const config = (name: string, missing: number) => numbers(value(name) ?? '')[0] ?? missing;
  const limits = LIMITS[context.state.phase];
  return proposal(context, {
    stride,
    base: 16,
    ratios: list('ratios', RATIOS),
    scales: list('scales', SCALES),
    minSize: config('RPN_MIN_SIZE', 16),
    beforeNms: config('RPN_PRE_NMS_TOP_N', limits.beforeNms),
    afterNms: config('RPN_POST_NMS_TOP_N', limits.afterNms),
    nmsThreshold: config('RPN_NMS_THRESH', 0.7),
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
      `${count} anchors (${p.ratios.length} ratios × ${p.scales.length} scales) need scores of 1×${2 * count}×H×W and deltas of 1×${4 * count}×H×W, found ${showShape(scores)} and ${showShape(deltas)}`,
    );
  if (elementCount(image) < 3)
    context.fail(
      'shape',
      `the third bottom must be the image's height, width and scale, found ${showShape(image)}`,
    );
  if (count > 64) context.fail('proposal', `has ${count} anchors, 64 at most are run`);
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

/** lib/rpn/generate_anchors.py: a square of `base` pixels in every ratio, rounded, in every scale, around its centre. */
function anchorsOf({ base, ratios, scales }: Proposing): [number, number, number, number][] {
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
