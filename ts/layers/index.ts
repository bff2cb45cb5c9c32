/** Every layer type that can be built, except Input, Silence and the data layers: one file for each type or close family. */
import type { LayerParameter } from '../caffe/net-parameter.ts';
import { activationLayers } from './activations.ts';
import { annealedLayers } from './annealed.ts';
import { balancedLosses } from './balanced-loss.ts';
import { batchNormLayers } from './batch-norm.ts';
import { blockLayers } from './blocks.ts';
import { bnLayers } from './bn.ts';
import { broadcastLayers } from './broadcast.ts';
import { centerLosses } from './center-loss.ts';
import { concatLayers } from './concat.ts';
import { convLstmLayers } from './conv-lstm.ts';
import { convolutionLayers } from './convolution.ts';
import { correlationLayers } from './correlation.ts';
import { cropLayers } from './crop.ts';
import { ctcLayers } from './ctc.ts';
import { augmentationLayers } from './data-augmentation.ts';
import { deformableLayers } from './deformable-convolution.ts';
import { deformablePoolingLayers } from './deformable-pooling.ts';
import { denseBlockLayers } from './dense-block.ts';
import { detectionLayers } from './detection.ts';
import { detectionEvaluateLayers } from './detection-evaluate.ts';
import { detectionLosses } from './detection-losses.ts';
import { detectionOutputLayers } from './detection-output.ts';
import { frcnnTargets } from './detection-targets.ts';
import { dropoutLayers } from './dropout.ts';
import { eltwiseLayers } from './eltwise.ts';
import { embedLayers } from './embed.ts';
import { evalDetectionLayers } from './eval-detection.ts';
import { fieldAccuracies } from './field-accuracy.ts';
import { fieldLosses } from './field-losses.ts';
import { filterLayers } from './filter.ts';
import { focalLosses } from './focal-loss.ts';
import { frcnnOutputLayers } from './frcnn-output.ts';
import { buildJavaScript } from './host-function.ts';
import { distanceLayers } from './inner-distance.ts';
import { innerProductLayers } from './inner-product.ts';
import { instanceMaskLayers } from './instance-masks.ts';
import { javaScriptLayerOf } from './javascript.ts';
import { l1Losses } from './l1-loss.ts';
import { labelMargins } from './label-margins.ts';
import type { Count, LayerRule, Layers } from './layer.ts';
import { lossLayers } from './losses.ts';
import { lrnLayers } from './lrn.ts';
import { marginProducts } from './margin-products.ts';
import { matrixLayers } from './matrix-product.ts';
import { meanFieldLayers } from './mean-field.ts';
import { mobileLayers } from './mobile.ts';
import { multiBoxLayers } from './multi-box-loss.ts';
import { poolingLayers } from './pooling.ts';
import { priorLayers } from './prior-box.ts';
import { proposalLayers } from './proposal.ts';
import { publicModuleRule } from './public-modules.ts';
import { recurrentLayers } from './recurrent.ts';
import { reductionLayers } from './reductions.ts';
import { regionProposalLayers } from './region-proposals.ts';
import { stageLayers } from './region-stages.ts';
import { regionTargetLayers } from './region-targets.ts';
import { resampleLayers } from './resample.ts';
import { reshapeLayers } from './reshape.ts';
import { resizeLayers } from './resize.ts';
import { regionLayers } from './roi.ts';
import { scaleLayers } from './scale.ts';
import { scaleRouteLayers } from './scale-route.ts';
import { segmentationLayers } from './segmentation.ts';
import { sequenceLayers } from './sequences.ts';
import { softmaxLayers } from './softmax.ts';
import { unitLengthLayers } from './unit-length.ts';
import { volumePoolingLayers } from './volume-pooling.ts';
import { warpLayers } from './warp.ts';
import { yoloLayers } from './yolo.ts';
import { yoloLosses } from './yolo-losses.ts';

export const layerRules: Layers = {
  ...activationLayers,
  ...frcnnTargets,
  ...l1Losses,
  ...instanceMaskLayers,
  ...distanceLayers,
  ...annealedLayers,
  ...augmentationLayers,
  ...balancedLosses,
  ...batchNormLayers,
  ...bnLayers,
  ...blockLayers,
  ...broadcastLayers,
  ...concatLayers,
  ...convLstmLayers,
  ...convolutionLayers,
  ...correlationLayers,
  ...cropLayers,
  ...ctcLayers,
  ...deformableLayers,
  ...deformablePoolingLayers,
  ...denseBlockLayers,
  ...detectionEvaluateLayers,
  ...detectionLayers,
  ...detectionLosses,
  ...detectionOutputLayers,
  ...dropoutLayers,
  ...eltwiseLayers,
  ...embedLayers,
  ...evalDetectionLayers,
  ...fieldAccuracies,
  ...fieldLosses,
  ...filterLayers,
  ...focalLosses,
  ...frcnnOutputLayers,
  ...innerProductLayers,
  ...stageLayers,
  ...lossLayers,
  ...lrnLayers,
  ...meanFieldLayers,
  ...mobileLayers,
  ...multiBoxLayers,
  ...poolingLayers,
  ...priorLayers,
  ...proposalLayers,
  ...recurrentLayers,
  ...reductionLayers,
  ...regionLayers,
  ...regionProposalLayers,
  ...regionTargetLayers,
  ...resampleLayers,
  ...reshapeLayers,
  ...resizeLayers,
  ...scaleLayers,
  ...scaleRouteLayers,
  ...segmentationLayers,
  ...sequenceLayers,
  ...softmaxLayers,
  ...centerLosses,
  ...labelMargins,
  ...marginProducts,
  ...matrixLayers,
  ...unitLengthLayers,
  ...volumePoolingLayers,
  ...warpLayers,
  ...yoloLayers,
  ...yoloLosses,
};

/** The rule of a layer, by its type or, for Python's, by its module; undefined if there is none. */
export function ruleOf(layer: LayerParameter): LayerRule | undefined {
  const { type = '' } = layer;
  if (type === 'Python') return pythonRule(layer);
  return Object.hasOwn(layerRules, type) ? layerRules[type] : undefined;
}

const MANY: Count = [0, Number.POSITIVE_INFINITY];

/** The replacement of a Python layer: a registered function, or else the rule of a known public module. */
function pythonRule(layer: LayerParameter): LayerRule | undefined {
  const own = javaScriptLayerOf(layer);
  if (own?.forward !== undefined || (own !== undefined && (layer.bottom ?? []).length > 0))
    return { build: (context) => buildJavaScript(own, context), bottoms: MANY, tops: MANY };
  return own === undefined ? publicModuleRule(layer) : undefined;
}

/**
 * Whether a layer's first top counts in the net's loss, by its rule (including OHEM losses) or, for unknown types, by the
 * name.
 */
export const isLossType = (type = ''): boolean =>
  type.endsWith('Loss') || (Object.hasOwn(layerRules, type) && layerRules[type]!.isLoss === true);

/** The layer types that can be built, except Input, Silence and the data layers. */
export const supportedLayerTypes: readonly string[] = Object.keys(layerRules).sort();
