/**
 * The family of "Deep Residual Learning for Image Recognition" (He et al., 2015): table 1 for ImageNet, section 4.2
 * for CIFAR. 50, 101 and 152 are as MSRA published them (names, order, and conv1's bias, which only ResNet-50 has);
 * the others, of which MSRA published no files, take the same names.
 */

import { ArgumentError } from '../base/errors.ts';
import { boolean, either, integer, list, number, oneOf, path, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { type PaperOptions, paperTrainingNet } from './paper-training.ts';
import { residualNet } from './residual-net.ts';

interface Family {
  readonly name: 'imagenet' | 'cifar';
  readonly size: number;
  readonly classes: number;
  /** What the net divides height and width by. */
  readonly reduction: number;
  readonly width: number;
  readonly shortcut: 'projection' | 'identity';
}

const IMAGENET: Family = {
  name: 'imagenet',
  size: 224,
  classes: 1000,
  reduction: 32,
  width: 64,
  shortcut: 'projection',
};
const CIFAR: Family = {
  name: 'cifar',
  size: 32,
  classes: 10,
  reduction: 4,
  width: 16,
  shortcut: 'identity',
};

export type ResnetDepth = 18 | 34 | 50 | 101 | 152 | 20 | 32 | 44 | 56 | 110 | 1202;

interface Net {
  readonly family: Family;
  readonly block: 'basic' | 'bottleneck';
  /** A stage each, from stage 2 on. */
  readonly blocks: readonly number[];
  /** The stages whose blocks are named a, b1, b2 … and not a, b, c … */
  readonly numbered: readonly number[];
}

const NETS: Readonly<Record<ResnetDepth, Net>> = {
  18: { family: IMAGENET, block: 'basic', blocks: [2, 2, 2, 2], numbered: [] },
  34: { family: IMAGENET, block: 'basic', blocks: [3, 4, 6, 3], numbered: [] },
  50: { family: IMAGENET, block: 'bottleneck', blocks: [3, 4, 6, 3], numbered: [] },
  101: { family: IMAGENET, block: 'bottleneck', blocks: [3, 4, 23, 3], numbered: [3, 4] },
  152: { family: IMAGENET, block: 'bottleneck', blocks: [3, 8, 36, 3], numbered: [3, 4] },
  20: { family: CIFAR, block: 'basic', blocks: [3, 3, 3], numbered: [] },
  32: { family: CIFAR, block: 'basic', blocks: [5, 5, 5], numbered: [] },
  44: { family: CIFAR, block: 'basic', blocks: [7, 7, 7], numbered: [] },
  56: { family: CIFAR, block: 'basic', blocks: [9, 9, 9], numbered: [] },
  110: { family: CIFAR, block: 'basic', blocks: [18, 18, 18], numbered: [] },
  1202: { family: CIFAR, block: 'basic', blocks: [200, 200, 200], numbered: [2, 3, 4] },
};

export interface ResnetOptions {
  /** ImageNet: 18, 34 (basic blocks), 50, 101, 152 (bottlenecks). CIFAR: 20, 32, 44, 56, 110, 1202. */
  readonly depth: ResnetDepth;
  /** Outputs of the last layer, `fc<classes>`. Default 1000, CIFAR 10. */
  readonly classes?: number;
  /** v1 has the stride of a bottleneck on its first 1×1 convolution, v1.5 on its 3×3. Basic blocks know only v1. Default v1. */
  readonly version?: 'v1' | 'v1.5';
  /**
   * What a shortcut does where the shape changes. `projection`: 1×1 convolution, BatchNorm, Scale (option B).
   * `identity`: every other pixel and zeros for the new channels, no parameters (option A); basic blocks only.
   * Default as in the paper and as published: CIFAR identity, ImageNet projection.
   */
  readonly shortcut?: 'projection' | 'identity';
  /** Of the input. Default 3. */
  readonly channels?: number;
  /** Height and width of the input in pixels, at least 32 (CIFAR 4). Default 224, CIFAR 32. */
  readonly size?: number;
  /** First dimension of the input. Default 1; with `train` images of one forward pass, the paper's 256, CIFAR 128. */
  readonly batch?: number;
  /** The train_val net instead, as the paper trained it: true, or what differs. Default false. */
  readonly train?: boolean | Omit<PaperOptions, 'batch' | 'size' | 'channels'>;
}

/** Whose data and schedule the paper gives for a depth. */
export function familyOf(depth: ResnetDepth): 'imagenet' | 'cifar' {
  return NETS[depth].family.name;
}

/** Rows of what says which ResNet. */
export const architectureRows = {
  depth: required(oneOf(18, 34, 50, 101, 152, 20, 32, 44, 56, 110, 1202), 'Layers.'),
  classes: optional(integer(1), '1000, CIFAR 10', 'Outputs of the last layer.'),
  version: optional(oneOf('v1', 'v1.5'), 'v1', 'Where a bottleneck has its stride.'),
  shortcut: optional(
    oneOf('projection', 'identity'),
    'as in the paper',
    'What a shortcut does where the shape changes.',
  ),
  channels: optional(integer(1), '3', 'Of the input.'),
  size: optional(integer(1), '224, CIFAR 32', 'Height and width of the input.'),
};

const RESNET = signature('resnet', {
  options: required(
    options<ResnetOptions>({
      ...architectureRows,
      batch: optional(integer(1), '1', 'First dimension of the input.'),
      train: optional(
        either(
          boolean,
          options<Exclude<ResnetOptions['train'], boolean | undefined>>({
            train: optional(string, "as Caffe's examples", 'Source of TRAIN.'),
            test: optional(string, "as Caffe's examples", 'Source of TEST.'),
            mean: optional(either(list(number(), { of: 'numbers' }), path), 'of the data set', 'Subtracted.'),
            testBatch: optional(integer(1), "the paper's", 'Images in one forward pass of TEST.'),
          }),
        ),
        'false',
        'The train_val net instead.',
      ),
    }),
    'Which net.',
  ),
});

/**
 * A deploy net from `data` (batch × channels × size × size) to `prob` (batch × classes); for 50, 101 and 152
 * without further options equal to the published prototxt. With `train` its train_val net: LMDB data layers, fillers,
 * BatchNorm that follows the phase, `loss`, and in TEST `top-1` and `top-5`; `resnetTraining` gives its solver too.
 * @throws ArgumentError for an unknown depth and for options that do not fit it.
 * @example const net = resnet({ depth: 50, classes: 12 });
 */
export function resnet(options: ResnetOptions): NetParameter {
  RESNET.check(options);
  const { depth } = options;
  if (!Object.hasOwn(NETS, depth))
    throw new ArgumentError('depth', `one of ${Object.keys(NETS).join(', ')}`, depth);
  const { family, block, blocks, numbered } = NETS[depth];
  const { classes = family.classes, size = family.size, shortcut = family.shortcut } = options;
  const { version = 'v1', channels = 3, train = false } = options;
  // The batch of a train_val net is its data layers'.
  const { batch = 1 } = options;
  const isBasic = block === 'basic';
  checkWord('version', version, isBasic ? ['v1'] : ['v1', 'v1.5'], depth);
  checkWord('shortcut', shortcut, isBasic ? ['projection', 'identity'] : ['projection'], depth);
  for (const [name, value, minimum] of [
    ['classes', classes, 1],
    ['channels', channels, 1],
    ['batch', batch, 1],
    ['size', size, family.reduction],
  ] as const) {
    if (!Number.isInteger(value) || value < minimum)
      throw new ArgumentError(name, `an integer from ${minimum}`, value);
  }

  const deploy = residualNet({
    name: `ResNet-${depth}`,
    input: [batch, channels, size, size],
    stem:
      family === IMAGENET
        ? { outputs: 64, kernel: 7, bias: depth === 50, pool: 'overhanging' }
        : { outputs: 16, kernel: 3, pool: null },
    block,
    strideAt: version === 'v1' ? 'first' : 'second',
    stages: blocks.map((count, i) => {
      const width = family.width << i;
      return {
        blocks: count,
        width,
        outputs: isBasic ? width : 4 * width,
        isNumbered: numbered.includes(i + 2),
      };
    }),
    shortcut,
    // The published nets average 7×7 without calling it global.
    average:
      family === IMAGENET && size === family.size ? { kernel_size: 7, stride: 1 } : { global_pooling: true },
    classes,
  });
  if (train === false) return deploy;
  return paperTrainingNet(deploy, family.name, {
    ...(train === true ? {} : train),
    batch: options.batch,
    size,
    channels,
  });
}

/** The depth whose blocks these are, and the stages whose blocks MSRA numbers; null for other nets. */
export function knownResnet(
  block: 'basic' | 'bottleneck',
  blocks: readonly number[],
): { depth: number; numbered: readonly number[] } | null {
  const found = Object.entries(NETS).find(
    ([, net]) => net.block === block && String(net.blocks) === String(blocks),
  );
  return found === undefined ? null : { depth: Number(found[0]), numbered: found[1].numbered };
}

function checkWord(argument: string, value: string, allowed: readonly string[], depth: number): void {
  if (allowed.includes(value)) return;
  const expected = allowed.map((word) => `"${word}"`).join(' or ');
  throw new ArgumentError(argument, `${expected} with depth ${depth}`, value);
}
