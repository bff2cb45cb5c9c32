/** Python layers of known public modules, by module and class. Their code is not needed. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { warn } from '../base/warn.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { clusterDetections, clusterTruth } from './detect-net.ts';
import { buildTargets, sshTargets } from './detection-targets.ts';
import { maskLayer, stageBridge } from './instance-masks.ts';
import { pythonNames } from './javascript.ts';
import { ANY, type Built, type LayerContext, type LayerRule } from './layer.ts';
import { pythonProposal, sshProposal } from './proposal.ts';
import { pyramidLevels, pyramidProposal } from './pyramid-proposals.ts';
import { readPythonParam } from './python-param.ts';
import { textProposal } from './text-proposals.ts';

/** By `module.Layer`. A module may be inside a package; the longest name counts. */
const RULES: Readonly<Record<string, LayerRule>> = {
  // github.com/rbgirshick/py-faster-rcnn, lib/rpn
  'proposal_layer.ProposalLayer': {
    build: (context) => (context.shapes.length > 3 ? pyramidProposal(context) : pythonProposal(context)),
    bottoms: [3, 11],
    tops: [1, 2],
  },
  // github.com/unsky/FPN
  'as_rois.As_roisLayer': { build: pyramidLevels, tops: [5, 5] },
  'as_rois_mrcnn.As_rois_MergeRcnnLayer': { build: pyramidLevels, tops: [5, 5] },
  'anchor_target_layer.AnchorTargetLayer': { build: buildTargets, bottoms: [3, 4], tops: [4, 4] },
  'proposal_target_layer.ProposalTargetLayer': { build: buildTargets, bottoms: [2, 2], tops: [5, 6] },
  // github.com/mahyarnajibi/SSH
  'SSH.layers.proposal_layer.ProposalLayer': { build: sshProposal, bottoms: [3, 3], tops: [1, 2] },
  'SSH.layers.anchor_target_layer.AnchorTargetLayer': { build: sshTargets, bottoms: [3, 5], tops: [4, 4] },
  // github.com/tianzhi0549/CTPN
  'text_proposal_layer.ProposalLayer': { build: textProposal, bottoms: [3, 3], tops: [2, 2] },
  // github.com/NVIDIA/caffe, python/caffe/layers/detectnet
  'detectnet.clustering.ClusterDetections': { build: clusterDetections, bottoms: [2, 2], tops: ANY },
  'detectnet.clustering.ClusterGroundtruth': { build: clusterTruth, bottoms: [2, 2], tops: ANY },
  // github.com/daijifeng001/MNC
  'mask_layer.MaskLayer': { build: maskLayer, bottoms: [1, 3], tops: [1, 2] },
  'stage_bridge_layer.StageBridgeLayer': { build: stageBridge, bottoms: [4, 7], tops: [1, 8] },
  // github.com/BVLC/caffe, examples/pycaffe/layers
  'pyloss.EuclideanLossLayer': { build: pythonEuclideanLoss, bottoms: [2, 2] },
  // github.com/TimoSaemann/ENet
  'spatial_dropout.SpatialDropoutLayer': { build: spatialDropout },
};

/** The rule of a Python layer of a public module; undefined if it is unknown. */
export function publicModuleRule(layer: LayerParameter): LayerRule | undefined {
  const names = pythonNames(layer);
  const path = [...names.module.split('.'), names.layer];
  const name = path
    .map((_, i) => path.slice(i).join('.'))
    .slice(0, -1)
    .find((each) => Object.hasOwn(RULES, each));
  return name === undefined ? undefined : RULES[name];
}

/** pyloss.py: EuclideanLoss. Its gradient ignores loss_weight. */
function pythonEuclideanLoss(context: LayerContext): Built {
  const [a, b] = context.shapes as [Shape, Shape];
  if (elementCount(a) !== elementCount(b))
    context.fail('shape', `inputs differ: ${showShape(a)} and ${showShape(b)}`);
  const { loss_weight: weights = [] } = context.layer;
  if (weights.some((weight) => weight !== 0 && weight !== 1))
    context.fail(
      'loss-weight',
      `the module's gradient assumes loss_weight: 1, found ${weights.join(', ')}; a layer of type "EuclideanLoss" supports other weights`,
      'loss_weight',
    );
  const layer = new Composition(context.shapes);
  return layer.built([layer.reshape(layer.one({ kind: 'euclideanLoss' }, layer.bottoms, []), [1])]);
}

/**
 * spatial_dropout.py drops whole channels depending on the phase in param_str, not on the net's phase. In phase TEST it also
 * multiplies by 1 / (1 − p).
 */
function spatialDropout(context: LayerContext): Built {
  const fail = (text: string) => context.fail('dropout-ratio', text, 'python_param');
  const param = readPythonParam(context.layer, fail);
  const ratio = param.number('p');
  const shape = context.shapes[0]!;
  if (ratio === undefined || !(ratio > 0 && ratio < 1))
    return fail('p of param_str must be above 0 and below 1');
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  if (param.word('phase') !== 'TRAIN')
    return layer.built([
      layer.one({ kind: 'power', power: 1, scale: 1 / (1 - ratio), shift: 0 }, [x], shape),
    ]);
  if (shape.length !== 4) context.fail('dimensions', 'needs a bottom of N×C×H×W');
  const [n, channels] = shape as [number, number];
  const places: Shape = [n, channels, 1, 1];
  const cut = layer.one({ kind: 'crop', offset: [0, 0, 0, 0] }, [x], places, [false]);
  const ones = layer.one({ kind: 'power', power: 1, scale: 0, shift: 1 }, [cut], places, [false]);
  const kept = layer.one({ kind: 'dropout', ratio }, [ones], places, [false]);
  const inner = shape[2]! * shape[3]!;
  return layer.built([
    layer.one(
      { kind: 'scale', operand: 'scale', scale: null, bias: null, outer: 1, channels: n * channels, inner },
      [x, layer.reshape(kept, [n * channels])],
      shape,
      [true, false],
    ),
  ]);
}

/** The inputs of py-faster-rcnn's end-to-end training: lib/fast_rcnn/config.py (SCALES, MAX_SIZE), one image. */
const IMAGE: Shape = [1, 3, 600, 1000];
const ROI_DATA: Readonly<Record<string, Shape>> = {
  data: IMAGE,
  im_info: [1, 3],
  gt_boxes: [1, 5],
  rois: [128, 5],
  labels: [128, 1, 1, 1],
};

/** Whether a layer reads the data of a public module, whose shapes are in a configuration outside the net. */
export function isPublicDataLayer(layer: LayerParameter): boolean {
  const names = pythonNames(layer);
  return (
    layer.type === 'FrcnnRoiData' ||
    (layer.type === 'Python' && `${names.module}.${names.layer}` === 'roi_data_layer.layer.RoIDataLayer')
  );
}

/**
 * The shapes of the tops of a public module's data layer; null if they are unknown.
 * @param given Shapes of tops by name, which take precedence.
 */
export function publicDataShapes(
  layer: LayerParameter,
  given: (name: string) => Shape | undefined,
): readonly Shape[] | null {
  if (!isPublicDataLayer(layer)) return null;
  const classes = readPythonParam(layer, () => undefined as never).number('num_classes') ?? 1;
  const tops = layer.top ?? [];
  const shapes = tops.map(
    (top) =>
      given(top) ?? (Object.hasOwn(ROI_DATA, top) ? ROI_DATA[top] : undefined) ?? [128, 4 * classes, 1, 1],
  );
  if (tops.some((top) => given(top) === undefined))
    warn(
      'graph/assumed-shapes',
      `layer "${layer.name ?? ''}" (${pythonNames(layer).layer || layer.type}): assumed to be ${tops.map((top, i) => `${top} ${shapes[i]!.join('×')}`).join(', ')}, from py-faster-rcnn's configuration (--input-shape sets others)`,
    );
  return shapes;
}
