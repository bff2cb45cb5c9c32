/** Every layer type that is built, beside Input, Silence and the data layers: one file for each type or close family. */
import type { CodeOf } from '../base/error-codes.ts';
import { nearest } from '../base/suggest.ts';
import { forkOfLayerType } from '../caffe/fork-fields.ts';
import { explainV1Name } from '../caffe/layer-forms.ts';
import { activationLayers } from './activations.ts';
import { batchNormLayers } from './batch-norm.ts';
import { concatLayers } from './concat.ts';
import { convolutionLayers } from './convolution.ts';
import { cropLayers } from './crop.ts';
import { dropoutLayers } from './dropout.ts';
import { eltwiseLayers } from './eltwise.ts';
import { embedLayers } from './embed.ts';
import { innerProductLayers } from './inner-product.ts';
import type { Layers } from './layer.ts';
import { lossLayers } from './losses.ts';
import { lrnLayers } from './lrn.ts';
import { poolingLayers } from './pooling.ts';
import { recurrentLayers } from './recurrent.ts';
import { reductionLayers } from './reductions.ts';
import { reshapeLayers } from './reshape.ts';
import { scaleLayers } from './scale.ts';
import { softmaxLayers } from './softmax.ts';

export const layerRules: Layers = {
  ...activationLayers,
  ...batchNormLayers,
  ...concatLayers,
  ...convolutionLayers,
  ...cropLayers,
  ...dropoutLayers,
  ...eltwiseLayers,
  ...embedLayers,
  ...innerProductLayers,
  ...lossLayers,
  ...lrnLayers,
  ...poolingLayers,
  ...recurrentLayers,
  ...reductionLayers,
  ...reshapeLayers,
  ...scaleLayers,
  ...softmaxLayers,
};

/** The layer types that can be built, beside Input, Silence and the data layers. */
export const supportedLayerTypes: readonly string[] = Object.keys(layerRules).sort();
// The rest of what BVLC's layer factory lists, which is not run here.
const OTHER_BVLC_TYPES: readonly string[] =
  `ArgMax BNLL BatchReindex Clip ContrastiveLoss Crop Deconvolution Embed
  Exp Filter HDF5Output HingeLoss Im2col InfogainLoss LSTM LSTMUnit Log MVN MultinomialLogisticLoss Parameter Python
  RNN Reduction SPP SigmoidCrossEntropyLoss Swish Threshold Tile`.split(/\s+/);

/**
 * The code and the sentence for a layer type that has no rule.
 * @param supported The types that have a rule.
 */
export function explainLayerType(
  type: string,
  supported: readonly string[],
): { code: CodeOf<'graph'>; text: string } {
  const list = `(supported: Input, ${supported.join(', ')})`;
  const fork = forkOfLayerType(type);
  if (fork !== undefined)
    return { code: 'fork-type', text: `layer type "${type}" is not in BVLC's Caffe: ${fork} ${list}` };
  if (OTHER_BVLC_TYPES.includes(type))
    return { code: 'unsupported-type', text: `layer type "${type}" of BVLC's Caffe is not run here ${list}` };
  const slip = explainV1Name(type);
  if (slip !== undefined) return { code: 'unknown-type', text: `layer type ${slip}` };
  const near = nearest(type, supported);
  const hint = near === undefined ? '' : `; did you mean "${near}"?`;
  return { code: 'unknown-type', text: `layer type "${type}" is not supported${hint} ${list}` };
}
