/** ResNets with torchvision's names: its own, timm's, and similar CIFAR ResNets. */

import { knownResnet } from '../../architectures/depths.ts';
import type { Branch, Convolution, ResidualNet, Stage } from '../../architectures/residual-net.ts';
import { WeightsError } from '../../base/errors.ts';
import type { Preprocess } from '../../images/preprocess.ts';
import type { Network } from '../network.ts';
import type { SourceTensors } from '../source-tensor.ts';
import { inputShape, resnetNetwork } from './resnet-network.ts';
import { namedAsTorchvision } from './torch-names.ts';

// The preprocessing of torchvision's and timm's ResNets: RGB from 0 to 1, minus this mean, divided by this deviation.
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

/**
 * Recognises a ResNet of any width and number of blocks by names and shapes: torchvision's resnet, wide_resnet and
 * resnext, timm's of the same structure, transformers' ResNet, and akamaster's and kuangliu's for CIFAR. Bottlenecks
 * have their stride on the 3×3 convolution (v1.5), and pool1 is padded by 1. Three channels are interpreted as RGB
 * 0–255 minus the mean, and a Scale layer in the net divides by 255 and the deviation. A state dict contains none of
 * this. Differences without a tensor of their own (another stride or dilation, timm's resnetaa and resnetblur) are not
 * visible here: export such a net as ONNX.
 * @throws WeightsError that names the tensor that does not fit
 */
export function torchResnet(
  all: SourceTensors,
  options: { file: string; inputShapes: Readonly<Record<string, readonly number[]>> },
): Network & { preprocess?: Preprocess; notes: readonly string[] } {
  const { file, inputShapes } = options;
  const { tensors, fileName } = namedAsTorchvision(all, file);
  const recognised = new Recogniser(tensors, file, fileName);
  const stem = tensors.get('conv1.weight')!.shape;
  const [width = 0, channels = 0, kernel] = stem;
  if (stem.length !== 4 || (kernel !== 7 && kernel !== 3))
    recognised.fail(
      `"conv1.weight" is ${stem.join('×')}, expected a convolution of 7×7, or 3×3 for small images`,
    );
  const isLarge = kernel === 7;
  const stages = recognised.stages();
  const isRgb = channels === 3;
  const classifier = tensors.has('linear.weight') ? 'linear' : 'fc';
  const known = knownResnet(
    recognised.block,
    stages.map(({ blocks }) => blocks),
  );
  const plan: ResidualNet = {
    name: `${familyOf(stages)}${known === null ? '' : `-${known.depth}`}`,
    input: inputShape(inputShapes, channels, isLarge ? 224 : 32),
    hasInputScale: isRgb,
    stem: {
      outputs: width,
      kernel: isLarge ? 7 : 3,
      bias: tensors.has('conv1.bias'),
      pool: isLarge ? 'padded' : null,
    },
    block: recognised.block,
    strideAt: 'second',
    stages: stages.map((stage, i) => ({
      ...stage,
      isNumbered: known === null ? stage.blocks > 26 : known.numbered.includes(i + 2),
    })),
    shortcut: isLarge ? 'projection' : recognised.shortcut(stages, width),
    bias: tensors.has('layer1.0.conv1.bias'),
    average: { global_pooling: true },
    classes: tensors.get(`${classifier}.weight`)?.shape[0] ?? null,
  };
  const network = resnetNetwork({
    file,
    tensors,
    plan,
    namesOf: (convolution) => namesOf(convolution, recognised.projection),
    classifier: { weight: `${classifier}.weight`, bias: `${classifier}.bias` },
    inputScale: isRgb ? DEVIATION.map((deviation) => 1 / (255 * deviation)) : null,
    isIgnored: (name) => name.endsWith('.num_batches_tracked') || COUNTER.test(name),
    fileName,
  });
  const counters = [...tensors.keys()].filter((name) => COUNTER.test(name)).length;
  const notes =
    counters === 0
      ? []
      : [`${counters} counters of thop (total_ops, total_params) are not weights and were skipped`];
  return isRgb ? { ...network, notes, preprocess: preprocess(plan) } : { ...network, notes };
}

// https://github.com/ultralytics/thop registers them as buffers of each module.
const COUNTER = /(?:^|\.)total_(?:ops|params)$/;

function familyOf(stages: readonly Omit<Stage, 'isNumbered'>[]): string {
  if (stages.some(({ groups = 1 }) => groups > 1)) return 'ResNeXt';
  const isWide = stages.some(({ width, outputs }) => width !== outputs && 4 * width !== outputs);
  return isWide ? 'Wide ResNet' : 'ResNet';
}

function preprocess({ input: [, , height, width], stem }: ResidualNet): Preprocess {
  return {
    resize: stem.kernel === 7 ? { shorterSide: Math.round(Math.min(height, width) / 0.875) } : null,
    crop: { width, height },
    mean: MEAN.map((value) => Number((255 * value).toFixed(3))),
    order: 'RGB',
  };
}

class Recogniser {
  readonly block: 'basic' | 'bottleneck';
  /** The names of a shortcut's convolution and BatchNorm. */
  readonly projection: 'downsample' | 'shortcut';
  readonly #tensors: SourceTensors;
  readonly #file: string;
  readonly #fileName: (name: string) => string;

  constructor(tensors: SourceTensors, file: string, fileName: (name: string) => string) {
    this.#tensors = tensors;
    this.#file = file;
    this.#fileName = fileName;
    const has = (pattern: RegExp) => [...tensors.keys()].some((name) => pattern.test(name));
    this.block = tensors.has('layer1.0.conv3.weight') ? 'bottleneck' : 'basic';
    this.projection = has(/^layer\d+\.\d+\.shortcut\./) ? 'shortcut' : 'downsample';
  }

  fail(message: string): never {
    throw new WeightsError('convert/resnet', { file: this.#file }, message);
  }

  /**
   * akamaster's shortcut for CIFAR has no parameters: it adds zeros before and after, half of the new channels each.
   */
  shortcut(stages: readonly Omit<Stage, 'isNumbered'>[], width: number): ResidualNet['shortcut'] {
    const hasSome = [...this.#tensors.keys()].some((name) =>
      /^layer\d+\.\d+\.(?:shortcut|downsample)\./.test(name),
    );
    const channels = [width, ...stages.map(({ outputs }) => outputs)];
    const doubles = channels.every((outputs, i) => i < 2 || outputs === 2 * channels[i - 1]!);
    const isPlain = this.block === 'basic' && channels[0] === channels[1] && width % 2 === 0;
    return !hasSome && doubles && isPlain ? 'centred-identity' : 'projection';
  }

  stages(): Omit<Stage, 'isNumbered'>[] {
    // Counts by the highest number, so that the missing tensor of an incomplete block is named later.
    const counts: number[] = [];
    for (const name of this.#tensors.keys()) {
      const [, stage, block] = /^layer([1-9])\.(\d{1,4})\./.exec(name) ?? [];
      if (stage !== undefined)
        counts[Number(stage) - 1] = Math.max(counts[Number(stage) - 1] ?? 0, Number(block) + 1);
    }
    for (let i = 0; i < counts.length; i++) counts[i] ??= 1;
    return counts.map((blocks, i) => {
      const shape = (convolution: string): readonly number[] =>
        this.#tensors.get(`layer${i + 1}.0.${convolution}.weight`)?.shape ?? [];
      for (const convolution of this.block === 'bottleneck'
        ? ['conv1', 'conv2', 'conv3']
        : ['conv1', 'conv2'])
        if (shape(convolution).length !== 4)
          this.fail(
            `"${this.#fileName(`layer${i + 1}.0.${convolution}.weight`)}" is missing, or is not the kernel of a convolution`,
          );
      const width = shape('conv1')[0];
      const outputs = this.block === 'bottleneck' ? shape('conv3')[0] : width;
      const inputs = shape('conv2')[1];
      if (width === undefined || outputs === undefined || inputs === undefined)
        return this.fail(`stage layer${i + 1} has no complete first block`);
      const groups = this.block === 'bottleneck' ? width / inputs : 1;
      if (!Number.isInteger(groups))
        this.fail(
          `"layer${i + 1}.0.conv2.weight" takes ${inputs} of ${width} channels, which do not form equal groups`,
        );
      return { blocks, width, outputs, ...(groups === 1 ? {} : { groups }) };
    });
  }
}

const CONVOLUTIONS: Readonly<Record<Exclude<Branch, '1'>, number>> = { '2a': 1, '2b': 2, '2c': 3 };

function namesOf({ place }: Convolution, projection: string) {
  const [kernel, norm] = torchNames(place, projection);
  return {
    kernel: `${kernel}.weight`,
    bias: `${kernel}.bias`,
    gamma: `${norm}.weight`,
    beta: `${norm}.bias`,
    mean: `${norm}.running_mean`,
    variance: `${norm}.running_var`,
  };
}

function torchNames(place: Convolution['place'], projection: string): readonly [string, string] {
  if (place === null) return ['conv1', 'bn1'];
  const block = `layer${place.stage + 1}.${place.block}`;
  if (place.branch === '1') return [`${block}.${projection}.0`, `${block}.${projection}.1`];
  const number = CONVOLUTIONS[place.branch];
  return [`${block}.conv${number}`, `${block}.bn${number}`];
}
