/** Rules about detectors: anchors and regions compared with the strides of their maps, classes, hard examples. */
import { elementCount } from '../../base/shape.ts';
import { positionOf } from '../../caffe/message.ts';
import type { LayerParameter } from '../../caffe/net-parameter.ts';
import { coordinateMaps } from '../../graph/coordinate-map.ts';
import { isSegnetBn } from '../../layers/bn.ts';
import { readPythonParam } from '../../layers/python-param.ts';
import { type Found, type LintNet, type LintSolver, type LintState, nameOf, type Rule } from './rule.ts';

/** The layers of a type, with the image positions of their first bottom. */
function* layersOf({ states }: LintNet, types: readonly string[]) {
  for (const state of states) {
    const matching = state.layers.filter(({ type = '' }) => types.includes(type));
    if (matching.length === 0) continue;
    const maps = coordinateMaps(state.graph);
    for (const layer of matching) {
      const id = state.graph.blobs.get(layer.bottom?.[0] ?? '');
      yield { layer, state, map: id === undefined ? null : maps[id]! };
    }
  }
}

const isNear = (a: number, b: number, share: number) => Math.abs(a - b) <= share * Math.max(a, b);
const shown = (value: number) => Math.round(value * 100) / 100;

/** A step is the stride of the map, or the image's size divided by the map's. */
function* priorSteps(net: LintNet): Iterable<Found> {
  for (const { layer, state, map } of layersOf(net, ['PriorBox'])) {
    const p = layer.prior_box_param as Record<string, number | undefined> | undefined;
    const [feature, image] = (layer.bottom ?? []).map((blob) => state.shapeOf(blob));
    for (const [axis, name] of [
      [0, 'step_h'],
      [1, 'step_w'],
    ] as const) {
      const field = p?.step === undefined ? name : 'step';
      const step = p?.[field];
      if (!step || feature?.length !== 4 || image?.length !== 4) continue;
      const share = image[2 + axis]! / feature[2 + axis]!;
      const fits = isNear(step, share, 0.15) || (map !== null && isNear(step, map.stride[axis], 0.15));
      if (fits) continue;
      yield {
        position: positionOf(layer.prior_box_param, field),
        message: `${nameOf(layer)} has a step of ${step} pixels between cells, but its map of ${feature[2 + axis]} cells over ${image[2 + axis]} pixels has ${shown(share)}${map === null ? '' : ` (the layers' stride is ${shown(map.stride[axis])})`}`,
        fix: `write ${field}: ${shown(map?.stride[axis] ?? share)}, or remove it`,
      };
      break;
    }
  }
}

function* priorSizes(net: LintNet): Iterable<Found> {
  for (const { layer, state } of layersOf(net, ['PriorBox'])) {
    const image = state.shapeOf(layer.bottom?.[1] ?? '');
    const p = layer.prior_box_param as { min_size?: readonly number[] } | undefined;
    const small = p?.min_size?.find((size) => size < 1);
    const side = image?.length === 4 ? Math.max(image[2]!, image[3]!) : undefined;
    const large = side === undefined ? undefined : p?.min_size?.find((size) => size > side);
    const position = positionOf(layer.prior_box_param, 'min_size');
    if (small !== undefined)
      yield {
        position,
        message: `${nameOf(layer)} has min_size ${small}: sizes are whole pixels, so its boxes have no area`,
        fix: 'write sizes in pixels of the image',
      };
    else if (large !== undefined)
      yield {
        position,
        message: `${nameOf(layer)} has min_size ${large}, larger than the image (${image!.slice(2).join('×')}): every box extends outside it`,
        fix: 'write sizes in pixels of the image that the net takes',
      };
  }
}

/** feat_stride of proposal_param, or of py-faster-rcnn's param_str. */
function strideOf(layer: LayerParameter): number | undefined {
  if (layer.type === 'Proposal') return (layer.proposal_param?.feat_stride as number | undefined) ?? 16;
  return readPythonParam(layer, () => undefined as never).number('feat_stride');
}

function* proposalStrides(net: LintNet): Iterable<Found> {
  for (const { layer, map } of layersOf(net, ['Proposal', 'Python'])) {
    const stride = strideOf(layer);
    if (stride === undefined || map === null || map.stride.some((each) => isNear(each, stride, 0.01)))
      continue;
    yield {
      position: positionOf(layer.proposal_param ?? layer.python_param ?? layer),
      message: `${nameOf(layer)} places its anchors ${stride} pixels apart, but its map has a stride of ${map.stride.map(shown).join('×')}`,
      fix: `write feat_stride: ${shown(map.stride[0])}`,
    };
  }
}

const REGION_PARAMS = {
  ROIPooling: 'roi_pooling_param',
  PSROIPooling: 'psroi_pooling_param',
  ROIAlign: 'roi_align_param',
  ROIMaskPooling: 'roi_mask_pooling_param',
} as const;

function* regionScales(net: LintNet): Iterable<Found> {
  for (const { layer, map } of layersOf(net, Object.keys(REGION_PARAMS))) {
    const field = REGION_PARAMS[layer.type as keyof typeof REGION_PARAMS];
    const p = layer[field] ?? layer.roi_pooling_param;
    const scale = (p?.spatial_scale as number | undefined) ?? 1;
    if (map === null || map.stride.some((each) => isNear(1 / each, scale, 0.02))) continue;
    yield {
      position: positionOf(p, 'spatial_scale'),
      message: `${nameOf(layer)} scales regions by ${scale}, but its map has a stride of ${map.stride.map(shown).join('×')}`,
      fix: `write spatial_scale: ${1 / map.stride[0]}`,
    };
  }
}

/** Each prior has as many scores as the layer has classes. */
function* classes(net: LintNet): Iterable<Found> {
  for (const { layer, state } of layersOf(net, ['DetectionOutput', 'MultiBoxLoss'])) {
    const p = layer.detection_output_param ?? layer.multibox_loss_param;
    // Its bottoms are maps (ts/layers/joined-maps.ts), which building the net checks.
    if (p?.no_permute) continue;
    const stated = p?.num_classes as number | undefined;
    const [, scores, priors] = (layer.bottom ?? []).map((blob) => state.shapeOf(blob));
    if (stated === undefined || scores === undefined || priors === undefined) continue;
    const found = elementCount(scores) / ((scores[0] ?? 1) * (elementCount(priors) / 8));
    if (found === stated) continue;
    yield {
      position: positionOf(p, 'num_classes'),
      message: `${nameOf(layer)} has num_classes ${stated}, but "${layer.bottom![1]}" has ${shown(found)} scores for each of ${elementCount(priors) / 8} priors`,
      ...(Number.isInteger(found) ? { fix: `write num_classes: ${found}, or change the scores` } : {}),
    };
  }
}

/** SegNet's BN without bn_mode: INFERENCE. */
const isSegnetLearning = (layer: LayerParameter): boolean =>
  layer.type === 'BN' && isSegnetBn(layer) && layer.bn_param?.bn_mode !== 'INFERENCE';

function* batchStatistics({ states }: LintNet): Iterable<Found> {
  for (const { phase, layers } of states.filter((state: LintState) => !state.trains))
    for (const layer of layers)
      if (phase === 'TEST' && isSegnetLearning(layer))
        yield {
          position: positionOf(layer.bn_param ?? layer),
          message: `${nameOf(layer)} uses the statistics of the batch in phase TEST, too: its result for an image depends on the other images`,
        };
}

const OHEM = /OHEM$/;

function* hardExamples({ solver, trainLayers }: LintSolver): Iterable<Found> {
  const size = solver.iter_size ?? 1;
  const hard = (trainLayers() ?? []).find(({ type = '' }) => OHEM.test(type));
  if (size > 1 && hard !== undefined)
    yield {
      position: positionOf(solver, 'iter_size'),
      message: `iter_size ${size} with ${nameOf(hard)}: hard examples are chosen within each of the ${size} passes, not among all`,
    };
}

export const detectionRules: readonly Rule[] = [
  {
    name: 'prior-step',
    level: 'warning',
    on: 'net',
    finds: 'a PriorBox whose step is neither the stride of its map nor the image divided by its cells',
    why: "prior_box_layer.cpp centres a cell's boxes at (cell + offset) · step.",
    fix: 'remove step, so that it becomes the image divided by the cells',
    check: priorSteps,
  },
  {
    name: 'prior-size',
    level: 'warning',
    on: 'net',
    finds: 'a PriorBox with a min_size below a pixel, or larger than the image',
    why: 'prior_box_layer.cpp stores sizes as whole pixels of the image (int min_size_).',
    fix: 'write sizes in pixels',
    check: priorSizes,
  },
  {
    name: 'proposal-stride',
    level: 'warning',
    on: 'net',
    finds: "a proposal layer whose feat_stride is not its map's stride",
    why: 'proposal_layer.py places anchors feat_stride pixels apart; the default in the caffe.proto of the forks is 16.',
    fix: 'write the stride of the map',
    check: proposalStrides,
  },
  {
    name: 'region-scale',
    level: 'warning',
    on: 'net',
    finds: "a ROIPooling, PSROIPooling or ROIAlign whose spatial_scale is not one over its map's stride",
    why: 'roi_pooling_layer.cpp multiplies regions, in pixels, by spatial_scale to find them in the map.',
    fix: 'write one over the stride of the map',
    check: regionScales,
  },
  {
    name: 'detection-classes',
    level: 'error',
    on: 'net',
    finds: 'num_classes of a DetectionOutput or MultiBoxLoss that does not match the scores',
    why: 'detection_output_layer.cpp (Reshape) and multibox_loss_layer.cpp compare the number of scores with priors · num_classes.',
    fix: 'write the number of classes, including the background',
    check: classes,
  },
  {
    name: 'bn-batch-statistics',
    level: 'warning',
    on: 'net',
    finds: "SegNet's BN without bn_mode: INFERENCE in phase TEST",
    why: 'bn_layer.cpp of caffe-segnet has no running statistics: INFERENCE needs the statistics of compute_bn_statistics.py.',
    fix: 'compute the statistics and write bn_mode: INFERENCE',
    check: batchStatistics,
  },
  {
    name: 'iter-size-hard-examples',
    level: 'warning',
    on: 'solver',
    finds: 'iter_size above 1 for a net that selects hard examples (OHEM)',
    why: 'solver.cpp (Step) adds up iter_size passes; box_annotator_ohem_layer.cpp sorts the losses of one.',
    fix: 'use the memory for a larger batch, or accept that each pass selects its own',
    check: hardExamples,
  },
];
