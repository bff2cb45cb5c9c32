/** Every layer type that is built, beside Input, Silence and the data layers: one file for each type or close family. */
import { activationLayers } from './activations.ts';
import { batchNormLayers } from './batch-norm.ts';
import { concatLayers } from './concat.ts';
import { convolutionLayers } from './convolution.ts';
import { dropoutLayers } from './dropout.ts';
import { eltwiseLayers } from './eltwise.ts';
import { innerProductLayers } from './inner-product.ts';
import type { Layers } from './layer.ts';
import { lossLayers } from './losses.ts';
import { lrnLayers } from './lrn.ts';
import { poolingLayers } from './pooling.ts';
import { reshapeLayers } from './reshape.ts';
import { scaleLayers } from './scale.ts';
import { softmaxLayers } from './softmax.ts';

export const layerRules: Layers = {
  ...activationLayers,
  ...batchNormLayers,
  ...concatLayers,
  ...convolutionLayers,
  ...dropoutLayers,
  ...eltwiseLayers,
  ...innerProductLayers,
  ...lossLayers,
  ...lrnLayers,
  ...poolingLayers,
  ...reshapeLayers,
  ...scaleLayers,
  ...softmaxLayers,
};

/** The layer types that can be built, beside Input, Silence and the data layers. */
export const supportedLayerTypes: readonly string[] = Object.keys(layerRules).sort();
