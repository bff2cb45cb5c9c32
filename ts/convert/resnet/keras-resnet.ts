/** Keras's ResNet50, 101 and 152 (v1, ported from MSRA's), with the layer names of both generations of Keras Applications. */

import { knownResnet } from '../../architectures/depths.ts';
import type { Branch, Convolution, ResidualNet } from '../../architectures/residual-net.ts';
import { WeightsError } from '../../base/errors.ts';
import { signature } from '../../base/options.ts';
import type { Preprocess } from '../../images/preprocess.ts';
import { type KerasWeights, readKerasWeights } from '../keras/keras-weights.ts';
import { type Network, readerParameters } from '../network.ts';
import { inputShape, resnetNetwork } from './resnet-network.ts';

interface Generation {
  /** BatchNormalization's epsilon in the code that uses these names. */
  readonly epsilon: number;
  readonly stem: readonly [convolution: string, norm: string];
  readonly block: (
    stage: number,
    block: number,
    branch: Branch,
  ) => readonly [convolution: string, norm: string];
}

const NUMBERS: Readonly<Record<Branch, number>> = { '1': 0, '2a': 1, '2b': 2, '2c': 3 };

const GENERATIONS: readonly Generation[] = [
  // keras_applications/resnet_common.py
  {
    epsilon: 1.001e-5,
    stem: ['conv1_conv', 'conv1_bn'],
    block: (stage, block, branch) => {
      const name = `conv${stage + 2}_block${block + 1}_${NUMBERS[branch]}`;
      return [`${name}_conv`, `${name}_bn`];
    },
  },
  // keras_applications/resnet50.py, which leaves epsilon at Keras's default
  {
    epsilon: 1e-3,
    stem: ['conv1', 'bn_conv1'],
    block: (stage, block, branch) => {
      const name = `${stage + 2}${String.fromCharCode(97 + block)}_branch${branch}`;
      return [`res${name}`, `bn${name}`];
    },
  },
];

const READ_KERAS_RESNET = signature('readKerasResnet', readerParameters);

/**
 * Reads weights (or a whole model) of ResNet50, 101 or 152 in Keras's .h5, of any width. The net is Keras's: the first
 * 1×1 convolution has the stride, all convolutions have biases, pool1 is padded by 1, and the input is BGR from 0 to
 * 255 minus the mean. A whole model states its epsilon and whether pool1 is padded. If its layers have other names, it may be
 * any functional or sequential net of supported layers, which its model_config describes.
 * @throws WeightsError that names the layer that does not fit
 */
export async function readKerasResnet(
  file: string,
  options: { inputShapes?: Readonly<Record<string, readonly number[]>> } = {},
): Promise<Network & { preprocess?: Preprocess }> {
  READ_KERAS_RESNET.check(file, options);
  const { inputShapes = {} } = options;
  const weights = await readKerasWeights(file);
  const { tensors } = weights;
  const generation = GENERATIONS.find(({ stem: [convolution] }) => tensors.has(`${convolution}/kernel`));
  if (generation === undefined && weights.modelConfig !== null) {
    const { kerasNet } = await import('../keras/keras-net.ts');
    return kerasNet(weights.modelConfig, tensors, file, inputShapes);
  }
  if (generation === undefined)
    throw new WeightsError(
      'convert/resnet',
      { file },
      `its layers are not named as a ResNet of Keras Applications (conv1_conv, conv2_block1_1_conv, … or conv1, res2a_branch2a, …) but ${weights.layerNames.slice(0, 3).join(', ')}`,
    );
  const plan = planOf(weights, generation, inputShapes, file);
  const classifier = classifierOf(weights);
  const network = resnetNetwork({
    file,
    tensors,
    plan,
    namesOf: ({ place }: Convolution) => {
      const [convolution, norm] =
        place === null ? generation.stem : generation.block(place.stage, place.block, place.branch);
      return {
        kernel: `${convolution}/kernel`,
        bias: `${convolution}/bias`,
        gamma: `${norm}/gamma`,
        beta: `${norm}/beta`,
        mean: `${norm}/mean`,
        variance: `${norm}/variance`,
      };
    },
    classifier: { weight: `${classifier}/kernel`, bias: `${classifier}/bias` },
    inputScale: null,
    isIgnored: () => false,
  });
  const [, , height, width] = plan.input;
  const preprocess: Preprocess = {
    resize: { shorterSide: Math.round(Math.min(height, width) / 0.875) },
    crop: { width, height },
    mean: [103.939, 116.779, 123.68],
    order: 'BGR',
  };
  return { ...network, preprocess };
}

function planOf(
  weights: KerasWeights,
  { epsilon, stem, block }: Generation,
  inputShapes: Readonly<Record<string, readonly number[]>>,
  file: string,
): ResidualNet {
  const { tensors, config } = weights;
  const has = (layer: string) => tensors.has(`${layer}/kernel`);
  const outputsOf = (layer: string) => tensors.get(`${layer}/kernel`)?.shape[0] ?? 0;
  const count = (isThere: (index: number) => boolean): number => {
    let found = 0;
    while (isThere(found)) found++;
    return found;
  };
  const blocks = Array.from({ length: count((stage) => has(block(stage, 0, '2a')[0])) }, (_, stage) =>
    count((index) => has(block(stage, index, '2a')[0])),
  );
  const known = knownResnet('bottleneck', blocks);
  const epsilons = new Set(config?.epsilons);
  if (epsilons.size > 1)
    throw new WeightsError(
      'convert/resnet',
      { file },
      `its BatchNormalization layers have several epsilons (${[...epsilons].join(', ')}); a ResNet of Keras Applications has one`,
    );
  const [first] = stem;
  const channels = tensors.get(`${first}/kernel`)!.shape[1] ?? 3;
  return {
    name: known === null ? 'ResNet' : `ResNet-${known.depth}`,
    input: inputShape(inputShapes, channels, 224),
    stem: {
      outputs: outputsOf(first),
      kernel: 7,
      bias: tensors.has(`${first}/bias`),
      pool: config === null || config.layerNames.includes('pool1_pad') ? 'padded' : 'unpadded',
    },
    block: 'bottleneck',
    strideAt: 'first',
    stages: blocks.map((number, stage) => ({
      blocks: number,
      width: outputsOf(block(stage, 0, '2a')[0]),
      outputs: outputsOf(block(stage, 0, '2c')[0]),
      isNumbered: known?.numbered.includes(stage + 2) ?? number > 26,
    })),
    shortcut: 'projection',
    bias: tensors.has(`${block(0, 0, '2a')[0]}/bias`),
    eps: [...epsilons][0] ?? epsilon,
    average: { global_pooling: true },
    classes: tensors.get(`${classifierOf(weights)}/kernel`)?.shape[0] ?? null,
  };
}

/** The dense layer's name, which depends on the version of Keras: fc1000, predictions or probs. */
function classifierOf({ tensors }: KerasWeights): string {
  const kernel = [...tensors].find(([name, { shape }]) => name.endsWith('/kernel') && shape.length === 2);
  return kernel === undefined ? 'predictions' : kernel[0].slice(0, -'/kernel'.length);
}
