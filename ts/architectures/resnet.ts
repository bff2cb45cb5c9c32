/**
 * Builds residual networks by family and depth from the table in families.ts. ImageNet's ResNet-50, 101 and 152 equal MSRA's
 * published files (names, order, and conv1's bias, which only ResNet-50 has). The others, for which MSRA published no files,
 * use the same names.
 */

import { ArgumentError } from '../base/errors.ts';
import {
  boolean,
  either,
  integer,
  type Kind,
  kind,
  list,
  number,
  oneOf,
  path,
  string,
} from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { depthOf, type Layout, layoutOf, numberedOf } from './depths.ts';
import {
  type BlockKind,
  type DataSet,
  FAMILIES,
  FAMILY_NAMES,
  type FamilyName,
  readName,
  type Setting,
} from './families.ts';
import { type PaperOptions, paperTrainingNet, type TrainingName } from './paper-training.ts';
import { type ResidualNet, residualNet, type Stem } from './residual-net.ts';

export interface ResnetOptions {
  /** Family, depth and width as one name: `resnet-110`, `wrn-28-10`, `resnext-50-32x4d`. Default: given separately. */
  readonly name?: string;
  /** Default resnet. `plain` has no shortcuts, `preresnet` is pre-activation, `wrn` is wide; there are three more. */
  readonly family?: FamilyName;
  /**
   * ImageNet: 18, 34, 50, 101, 152, 200. CIFAR: 6n+2 with basic blocks, 9n+2 with bottlenecks, 6n+4 for wide nets. Default:
   * from `name` or `blocks`.
   */
  readonly depth?: number;
  /** The number of blocks of each stage instead of a depth, e.g. [2, 2, 2, 2]. */
  readonly blocks?: readonly number[];
  /**
   * Basic: two 3×3 convolutions. Bottleneck: 1×1, 3×3 and 1×1. Default: the block that the depth requires; if both fit,
   * basic, except for 164.
   */
  readonly block?: BlockKind;
  /**
   * The data set whose stem, widths and schedule the net takes. Default: imagenet if it has the depth; with `blocks`, cifar
   * for up to three stages.
   */
  readonly data?: DataSet;
  /** The number of outputs of the last layer, `fc<classes>`. Default 1000, CIFAR 10. */
  readonly classes?: number;
  /**
   * The convolution of a bottleneck that has the stride: v1 the first 1×1, v1.5 the 3×3. Default: as the family's authors.
   */
  readonly version?: 'v1' | 'v1.5';
  /**
   * Option A, B or C of the paper. `identity`: every second pixel and zeros for the new channels, without parameters (A).
   * `projection`: a 1×1 convolution where the shape changes (B). `all-projections`: one in every block (C). Default: as in
   * the family's paper, identity for CIFAR's basic blocks and projection for all others.
   */
  readonly shortcut?: 'identity' | 'projection' | 'all-projections' | 'A' | 'B' | 'C';
  /**
   * `7x7` with stride 2 and a pooling; `deep` has three 3×3 convolutions instead (ResNet-C); `3x3` with stride 1, for small
   * images. Default 7x7, CIFAR 3x3.
   */
  readonly stem?: '7x7' | 'deep' | '3x3';
  /** For `wrn`: the factor by which blocks are wider. Default 10, ImageNet 2. */
  readonly widen?: number;
  /** For `resnext` and `se-resnext`: the groups of the 3×3 convolutions (cardinality). Default 8, ImageNet 32. */
  readonly groups?: number;
  /** The channels of a group in the first stage. Default 64, ImageNet 4. */
  readonly groupWidth?: number;
  /**
   * Squeeze-and-Excitation's reduction in each block: the number of channels that become one. Default: 16 for `se-…`;
   * otherwise there is none.
   */
  readonly squeeze?: number;
  /** For pre-activation nets: the share of values that a Dropout in each block drops. Default: there is no Dropout. */
  readonly dropout?: number;
  /** The channels of the input. Default 3. */
  readonly channels?: number;
  /**
   * The height and width of the input in pixels, at least the factor by which the net reduces them: 32, CIFAR 4. Default
   * 224, CIFAR 32.
   */
  readonly size?: number;
  /** The first dimension of the input. Default 1; with `train`, the paper's number of images in one forward pass. */
  readonly batch?: number;
  /** Makes the train_val net as in the paper's training: true, or the options that differ. Default false. */
  readonly train?: boolean | Omit<PaperOptions, 'batch' | 'size' | 'channels'>;
}

const name: Kind<string> = kind(
  'a name such as resnet-110',
  (value) => typeof value === 'string' && value !== '',
);

/** Rows that identify a net. */
export const architectureRows = {
  name: optional(
    name,
    'family and depth',
    'Family, depth and width as one name: resnet-110, wrn-28-10, resnext-50-32x4d.',
  ),
  family: optional(oneOf(...FAMILY_NAMES), 'resnet', 'The family: a row of the table of architectures.'),
  depth: optional(
    integer(1),
    'as name or blocks say',
    'The number of layers: ImageNet 18, 34, 50, 101, 152, 200; CIFAR 6n+2 with basic blocks, 9n+2 with bottlenecks, 6n+4 for wide nets.',
  ),
  blocks: optional(
    list(integer(1, 1000), { of: 'positive integers', atLeast: 1 }),
    'as the depth says',
    'The number of blocks of each stage, instead of a depth.',
  ),
  block: optional(
    oneOf('basic', 'bottleneck'),
    'as the depth requires',
    'The block: basic has two convolutions, bottleneck three.',
  ),
  data: optional(
    oneOf('imagenet', 'cifar'),
    'imagenet where it has the depth',
    'The data set whose stem, widths and schedule the net takes.',
  ),
  classes: optional(integer(1), '1000, CIFAR 10', 'The number of outputs of the last layer.'),
  version: optional(
    oneOf('v1', 'v1.5'),
    "the family's",
    'Which convolution of a bottleneck has its stride: v1 the first 1×1, v1.5 the 3×3.',
  ),
  shortcut: optional(
    oneOf('identity', 'projection', 'all-projections', 'A', 'B', 'C'),
    'as in the paper',
    'Shortcuts: where the shape changes, zeros for new channels (A) or a 1×1 convolution (B); or a 1×1 convolution in every block (C).',
  ),
  stem: optional(
    oneOf('7x7', 'deep', '3x3'),
    '7x7, CIFAR 3x3',
    'The first convolution; deep replaces it with three 3×3 convolutions.',
  ),
  widen: optional(integer(1, 64), '10, ImageNet 2', 'For wrn: the factor by which blocks are wider.'),
  groups: optional(integer(1, 1024), '8, ImageNet 32', 'For resnext and se-resnext: the cardinality.'),
  groupWidth: optional(
    integer(1, 1024),
    '64, ImageNet 4',
    'For resnext and se-resnext: the channels of a group in the first stage.',
  ),
  squeeze: optional(
    integer(1, 4096),
    '16 for se-resnet and se-resnext',
    "Squeeze-and-Excitation's reduction: how many channels become one.",
  ),
  dropout: optional(
    number({ above: 0, to: 0.95 }),
    'none',
    'For pre-activation blocks: the share of values that Dropout drops.',
  ),
  channels: optional(integer(1), '3', 'The number of channels of the input.'),
  size: optional(integer(1), '224, CIFAR 32', 'The height and width of the input.'),
};

/** Rows of what the data layers of a train_val net read. */
export const sourceRows = {
  train: optional(string, "as Caffe's examples", 'The source of phase TRAIN.'),
  test: optional(string, "as Caffe's examples", 'The source of phase TEST.'),
  mean: optional(
    either(list(number(), { of: 'numbers' }), path),
    'of the data set',
    'The mean that is subtracted.',
  ),
  testBatch: optional(integer(1), "the paper's", 'The number of images in one forward pass of phase TEST.'),
};

const RESNET = signature('resnet', {
  options: required(
    options<ResnetOptions>({
      ...architectureRows,
      batch: optional(integer(1), '1', 'The first dimension of the input.'),
      train: optional(
        either(
          boolean,
          options<Exclude<ResnetOptions['train'], boolean | undefined>>({
            ...sourceRows,
          }),
        ),
        'false',
        'Makes the train_val net instead of the deploy net.',
      ),
    }),
    'Which net to make.',
  ),
});

/**
 * Makes a deploy net from `data` (batch × channels × size × size) to `prob` (batch × classes), only with layers of BVLC
 * Caffe. For 50, 101 and 152 without further options it equals the published prototxt. With `train` it makes the train_val
 * net: LMDB data layers, fillers, BatchNorm that follows the phase, `loss`, and in TEST `top-1` and `top-5`;
 * `resnetTraining` also returns the solver.
 * @throws ArgumentError for an impossible depth (with the nearest possible ones), and for options that do not fit it
 * @example const net = resnet({ depth: 50, classes: 12 });
 * @example const wide = resnet({ name: 'wrn-28-10', classes: 100, dropout: 0.3 });
 */
export function resnet(options: ResnetOptions): NetParameter {
  RESNET.check(options);
  const { plan, training } = planOf(options);
  const deploy = residualNet(plan);
  const { train = false } = options;
  if (train === false) return deploy;
  const [, channels, , size] = plan.input;
  return paperTrainingNet(deploy, training, {
    ...(train === true ? {} : train),
    // The batch of a train_val net is set in its data layers.
    batch: options.batch,
    size,
    channels,
  });
}

/** A net of the table: its plan, its paper's training, and its name. */
export interface PlannedNet {
  readonly plan: ResidualNet;
  readonly training: TrainingName;
  readonly data: DataSet;
  readonly depth: number;
  /** The name for files: `resnet110`, `wrn28-10`. */
  readonly slug: string;
  readonly paper: string;
}

/** @throws ArgumentError as resnet */
export function planOf(options: ResnetOptions): PlannedNet {
  const { family, depth: named, widen, groups, groupWidth } = partsOf(options);
  const layout = chosenLayout(family, named, options);
  const { title, paper, ...settings } = FAMILIES[family];
  const setting: Setting = settings[layout.data];
  const { block, blocks } = layout;
  checkFits(family, setting, layout, options);
  const depth = named ?? depthOf(block, blocks) + (family === 'wrn' && layout.data === 'cifar' ? 2 : 0);
  const stem = options.stem ?? (layout.data === 'imagenet' ? '7x7' : '3x3');
  // Nets with a small first layer are trained like those for CIFAR.
  const data = stem === '3x3' ? 'cifar' : layout.data;
  const reduction = (stem === '3x3' ? 1 : 4) * 2 ** (blocks.length - 1);
  const { classes = data === 'imagenet' ? 1000 : 10, size = data === 'imagenet' ? 224 : 32 } = options;
  const { channels = 3, batch = 1 } = options;
  if (size < reduction) throw new ArgumentError('size', `an integer from ${reduction}`, size);
  const wide = widen ?? setting.widen ?? 1;
  const cardinality = groups ?? setting.groups ?? 1;
  const ofGroup = groupWidth ?? setting.groupWidth;
  const shortcut =
    options.shortcut === undefined ? setting.shortcut[block] : OPTIONS_OF_SHORTCUTS[options.shortcut];
  const squeeze = options.squeeze ?? setting.squeeze;
  const stages = blocks.map((count, i) => {
    const base = (layout.data === 'imagenet' ? 64 : 16) << i;
    // ResNeXt's first stage has 256 outputs on both data sets.
    const outputs = block === 'basic' ? base * wide : ofGroup === undefined ? 4 * base : 256 << i;
    const width = ofGroup === undefined ? base * wide : (cardinality * ofGroup) << i;
    return {
      blocks: count,
      width,
      outputs,
      ...(cardinality === 1 ? {} : { groups: cardinality }),
      isNumbered: layout.numbered.includes(i + 2),
    };
  });
  const suffix = family === 'wrn' ? `-${wide}` : ofGroup === undefined ? '' : `-${cardinality}x${ofGroup}d`;
  const plan: ResidualNet = {
    name: `${title}-${depth}${suffix}`,
    input: [batch, channels, size, size],
    stem: stemOf(stem, setting.stem, family === 'resnet' && depth === 50),
    block,
    order: setting.order,
    strideAt: (options.version ?? setting.version) === 'v1' ? 'first' : 'second',
    stages,
    shortcut: shortcut === 'identity' ? 'identity' : 'projection',
    projectsAll: shortcut === 'all-projections',
    ...(squeeze === undefined ? {} : { squeeze }),
    ...(options.dropout === undefined ? {} : { dropout: options.dropout }),
    // The published nets average 7×7 without global_pooling.
    average:
      stem !== '3x3' && blocks.length === 4 && size === 224
        ? { kernel_size: 7, stride: 1 }
        : { global_pooling: true },
    classes,
  };
  checkIdentity(plan);
  return {
    plan,
    training: trainingOf(FAMILIES[family][data].training, family, depth),
    data,
    depth,
    slug: `${family}${depth}${suffix}`,
    paper,
  };
}

const OPTIONS_OF_SHORTCUTS = {
  A: 'identity',
  B: 'projection',
  C: 'all-projections',
  identity: 'identity',
  projection: 'projection',
  'all-projections': 'all-projections',
} as const;

/** Section 4.2 of the first paper: nets of 110 layers and more need a warm-up. */
const trainingOf = (training: TrainingName, family: FamilyName, depth: number): TrainingName =>
  training === 'cifar' && depth >= 110 && family !== 'plain' ? 'cifar-warm' : training;

function stemOf(stem: '7x7' | 'deep' | '3x3', outputs: number, bias: boolean): Stem {
  if (stem === '3x3') return { outputs, kernel: 3, pool: null };
  return {
    outputs,
    kernel: 7,
    bias: bias && stem === '7x7',
    pool: 'overhanging',
    ...(stem === 'deep' ? { isDeep: true } : {}),
  };
}

/** The parts of the name, or the options, but not both. */
function partsOf(options: ResnetOptions) {
  const { name, family = 'resnet', depth, widen, groups, groupWidth } = options;
  if (name === undefined) return { family, depth, widen, groups, groupWidth };
  const parts = readName(name);
  for (const each of ['family', 'depth', 'widen', 'groups', 'groupWidth'] as const)
    if (options[each] !== undefined && parts[each] !== undefined)
      throw new ArgumentError(
        each,
        `an option that the name "${name}" does not fix`,
        options[each],
        `the name says ${parts[each]}`,
      );
  return {
    family: parts.family,
    depth: parts.depth ?? depth,
    widen: parts.widen ?? widen,
    groups: parts.groups ?? groups,
    groupWidth: parts.groupWidth ?? groupWidth,
  };
}

function chosenLayout(family: FamilyName, depth: number | undefined, options: ResnetOptions): Layout {
  const { blocks, block, data } = options;
  if (blocks === undefined) {
    if (depth === undefined)
      throw new ArgumentError(
        'depth',
        'layers (or a name such as resnet-110, or blocks, the blocks of each stage)',
        depth,
      );
    return layoutOf(family, { depth, block, data });
  }
  if (depth !== undefined) throw new ArgumentError('blocks', 'either blocks or a depth', 'both');
  if (blocks.length > 6) throw new ArgumentError('blocks', 'one to six stages', blocks);
  const set = data ?? (blocks.length <= 3 ? 'cifar' : 'imagenet');
  const possible = FAMILIES[family][set].blocks;
  const chosen = block ?? possible[0]!;
  if (!possible.includes(chosen))
    throw new ArgumentError('block', `${possible.join(' or ')} with ${family}`, chosen);
  return { data: set, block: chosen, blocks, numbered: numberedOf(blocks) };
}

/** @throws ArgumentError for an option that does not apply to this net */
function checkFits(family: FamilyName, setting: Setting, { block }: Layout, options: ResnetOptions): void {
  const { version, shortcut, widen, groups, groupWidth, squeeze, dropout } = options;
  const refuse = (argument: string, expected: string, actual: unknown): never => {
    throw new ArgumentError(argument, expected, actual);
  };
  if (version === 'v1.5' && block === 'basic')
    refuse('version', '"v1" with basic blocks, which have no other version', version);
  if (setting.order === 'plain' && shortcut !== undefined)
    refuse('shortcut', 'none with plain, which has no shortcuts', shortcut);
  if (setting.order === 'plain' && squeeze !== undefined) refuse('squeeze', 'none with plain', squeeze);
  if (family !== 'wrn' && widen !== undefined) refuse('widen', 'none, since only wrn has it', widen);
  if (setting.groups === undefined && groups !== undefined)
    refuse('groups', 'none, since only resnext and se-resnext have it', groups);
  if (setting.groups === undefined && groupWidth !== undefined)
    refuse('groupWidth', 'none, since only resnext and se-resnext have it', groupWidth);
  if (setting.order !== 'pre' && dropout !== undefined)
    refuse('dropout', 'none, since only pre-activation nets have it (preresnet, wrn on CIFAR)', dropout);
}

/** Option A adds zeros in multiples of the inputs. */
function checkIdentity({ stem, stages, shortcut, projectsAll, order }: ResidualNet): void {
  if (shortcut !== 'identity' || projectsAll || order === 'plain') return;
  let inputs = stem.outputs;
  for (const { outputs } of stages) {
    if (outputs % inputs !== 0)
      throw new ArgumentError(
        'shortcut',
        `"projection", as ${inputs} channels become ${outputs}, which is not a multiple`,
        'identity',
      );
    inputs = outputs;
  }
}
