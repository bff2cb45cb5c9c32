/**
 * A residual net of any width, from stem to softmax, and the names of its convolutions; `resnet` and conversion share it.
 */
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import {
  type Block,
  type Branch,
  type BuiltBlock,
  convolutionsOfBlock,
  type FirstActivation,
  postActivated,
  preActivated,
  type Shortcut,
  withoutShortcut,
} from './residual-blocks.ts';
import { bareConvolution, convolution, innerProduct, normalised, relu } from './residual-parts.ts';

export type { Branch } from './residual-blocks.ts';

/** 7×7 with stride 2 and a pooling, or 3×3 with stride 1 (CIFAR). */
export interface Stem {
  readonly outputs: number;
  readonly kernel: 7 | 3;
  /**
   * Three 3×3 convolutions instead of the 7×7 one: the first has the stride, and the first two have half the width (Bag of
   * Tricks, arXiv 1812.01187, ResNet-C). Default false.
   */
  readonly isDeep?: boolean;
  readonly bias?: boolean;
  /**
   * A 3×3 pooling with stride 2. `overhanging`: Caffe's, without pad; the last window extends beyond the edge. `padded`: by
   * 1 on all sides, rounded down, as in all other frameworks. `unpadded`: no pad, rounded down.
   */
  readonly pool: 'overhanging' | 'padded' | 'unpadded' | null;
}

export interface Stage {
  readonly blocks: number;
  /** Channels of the 3×3 convolutions. */
  readonly width: number;
  /** Channels of a block's sum. */
  readonly outputs: number;
  /** Default 1. */
  readonly groups?: number;
  /** Whether blocks are named a, b1, b2 … instead of a, b, c … */
  readonly isNumbered: boolean;
}

export interface ResidualNet {
  readonly name: string;
  /** Batch, channels, height, width. */
  readonly input: readonly [number, number, number, number];
  /** Whether a Scale layer `data_scale` multiplies each channel of the input. Default false. */
  readonly hasInputScale?: boolean;
  readonly stem: Stem;
  readonly block: 'basic' | 'bottleneck';
  /**
   * `post`: BatchNorm and ReLU follow convolutions. `pre`: they precede them. `plain`: like `post`, without shortcuts.
   * Default post.
   */
  readonly order?: 'post' | 'pre' | 'plain';
  /** The convolution of a bottleneck that has the stride: the first 1×1 (v1) or the 3×3 (v1.5). */
  readonly strideAt: 'first' | 'second';
  /** The first stage keeps the size, and each further one halves it. */
  readonly stages: readonly Stage[];
  /** The shortcut where the shape changes. */
  readonly shortcut: Shortcut;
  /** Whether every shortcut is a projection (option C). Default false. */
  readonly projectsAll?: boolean;
  /** Squeeze-and-Excitation's reduction: the number of channels that become one. Default: there is none. */
  readonly squeeze?: number;
  /** The share of values that a Dropout in each block of order `pre` drops. Default: there is no Dropout. */
  readonly dropout?: number;
  /** Whether the convolutions of the blocks have biases. Default false. */
  readonly bias?: boolean;
  /** The eps of BatchNorm. Default Caffe's 1e-5. */
  readonly eps?: number;
  /** The window of pool5. */
  readonly average: object;
  /** Outputs of `fc<classes>`; null: the net ends in `pool5`. */
  readonly classes: number | null;
}

/** A convolution with its BatchNorm and Scale, which every net of the family consists of. */
export interface Convolution {
  readonly layer: string;
  readonly batchNorm: string;
  readonly scale: string;
  /** null for the stem; otherwise the stage and block, from 0, and MSRA's name of the branch. */
  readonly place: { readonly stage: number; readonly block: number; readonly branch: Branch } | null;
  /** Outputs, inputs of a group, height, width. */
  readonly shape: readonly [number, number, number, number];
  readonly hasBias: boolean;
}

/** The layers from `data` to `prob` (or `pool5`). */
export function residualNet(plan: ResidualNet): NetParameter {
  const { input, hasInputScale = false, stem, order = 'post', eps, average, classes } = plan;
  const scaled = hasInputScale ? 'data_scale' : 'data';
  const layers: LayerParameter[] = [
    { name: 'input', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [...input] }] } },
    ...(hasInputScale ? [{ name: scaled, type: 'Scale', bottom: ['data'], top: [scaled] }] : []),
    ...stemLayers(plan, scaled),
    ...pool1(stem.pool),
  ];
  let bottom = layers.at(-1)!.top![0]!;
  for (const block of blocksOf(plan)) {
    const built = builtBlock(plan, { ...block, bottom });
    layers.push(...built.layers);
    bottom = built.top;
  }
  if (order === 'pre') layers.push(...normalised('_last', bottom, { eps }), relu(bottom, 'relu_last'));
  return { name: plan.name, layer: [...layers, ...head(bottom, average, classes)] };
}

function builtBlock({ order = 'post', stem }: ResidualNet, block: PlannedBlock & Block): BuiltBlock {
  if (order === 'post') return postActivated(block);
  if (order === 'plain') return withoutShortcut(block);
  // 1603.05027, section 5 and appendix: the output of conv1 is activated before it is split into the two paths.
  const isFirst = block.stage === 0 && block.index === 0;
  const first: FirstActivation =
    isFirst && isActivated(stem) ? 'none' : isFirst || block.isNewShape ? 'shared' : 'branch';
  return preActivated(block, first);
}

/** Whether BatchNorm and ReLU follow the stem of a net, also in order `pre`. */
const isActivated = ({ pool, isDeep = false }: Stem): boolean => pool !== null || isDeep;

/** `conv1`, with BatchNorm and ReLU unless the first block has them. */
function stemLayers({ stem, order = 'post', eps }: ResidualNet, bottom: string): LayerParameter[] {
  const { outputs, kernel, bias, isDeep = false } = stem;
  const stride = kernel === 7 ? 2 : 1;
  if (order === 'pre' && !isActivated(stem))
    return [bareConvolution('conv1', bottom, { outputs, kernel, stride, bias })];
  const activated = (
    name: string,
    below: string,
    shape: { outputs: number; kernel: number; stride: number },
  ) => [...convolution(name, `_${name}`, below, { ...shape, bias, eps }), relu(name, `${name}_relu`)];
  if (!isDeep) return activated('conv1', bottom, { outputs, kernel, stride });
  const half = Math.max(1, outputs / 2);
  return [
    ...activated('conv1_1', bottom, { outputs: half, kernel: 3, stride }),
    ...activated('conv1_2', 'conv1_1', { outputs: half, kernel: 3, stride: 1 }),
    ...activated('conv1', 'conv1_2', { outputs, kernel: 3, stride: 1 }),
  ];
}

/** Every convolution of a net of order `post` with its BatchNorm and Scale, in the order of its layers. */
export function convolutionsOf(plan: ResidualNet): Convolution[] {
  const { stem, input, bias = false } = plan;
  const found: Convolution[] = [
    {
      layer: 'conv1',
      batchNorm: 'bn_conv1',
      scale: 'scale_conv1',
      place: null,
      shape: [stem.outputs, input[1], stem.kernel, stem.kernel],
      hasBias: stem.bias ?? false,
    },
  ];
  for (const block of blocksOf(plan)) {
    const add = (branch: Branch, out: number, into: number, kernel: number) => {
      const suffix = `${block.name}_branch${branch}`;
      found.push({
        layer: `res${suffix}`,
        batchNorm: `bn${suffix}`,
        scale: `scale${suffix}`,
        place: { stage: block.stage, block: block.index, branch },
        shape: [out, into, kernel, kernel],
        hasBias: bias,
      });
    };
    if (block.shortcut === 'projection') add('1', block.outputs, block.inputs, 1);
    for (const { branch, outputs, inputs, kernel, groups = 1 } of convolutionsOfBlock(block))
      add(branch, outputs, inputs / groups, kernel);
  }
  return found;
}

interface PlannedBlock extends Omit<Block, 'bottom'> {
  readonly stage: number;
  readonly index: number;
  readonly isNewShape: boolean;
}

function blocksOf(plan: ResidualNet): PlannedBlock[] {
  const { stem, stages, block: kind, strideAt, bias, eps, squeeze, dropout } = plan;
  let inputs = stem.outputs;
  return stages.flatMap(({ blocks, width, outputs, groups, isNumbered }, stage) =>
    Array.from({ length: blocks }, (_, index): PlannedBlock => {
      const isNewShape = (index === 0 && stage > 0) || inputs !== outputs;
      const block = {
        stage,
        index,
        name: `${stage + 2}${blockName(index, isNumbered)}`,
        kind,
        inputs,
        width,
        outputs,
        groups,
        stride: index === 0 && stage > 0 ? 2 : 1,
        strideAt,
        shortcut: plan.projectsAll ? ('projection' as const) : isNewShape ? plan.shortcut : null,
        bias,
        eps,
        squeeze: squeeze === undefined ? undefined : Math.max(1, Math.round(outputs / squeeze)),
        dropout,
        isNewShape,
      };
      inputs = outputs;
      return block;
    }),
  );
}

function blockName(index: number, isNumbered: boolean): string {
  if (!isNumbered) return String.fromCharCode(97 + index);
  return index === 0 ? 'a' : `b${index}`;
}

function pool1(pool: Stem['pool']): LayerParameter[] {
  if (pool === null) return [];
  const window = {
    overhanging: {},
    padded: { pad: 1, round_mode: 'FLOOR' },
    unpadded: { round_mode: 'FLOOR' },
  }[pool];
  return [
    {
      name: 'pool1',
      type: 'Pooling',
      bottom: ['conv1'],
      top: ['pool1'],
      pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2, ...window },
    },
  ];
}

function head(bottom: string, average: object, classes: number | null): LayerParameter[] {
  const pool: LayerParameter = {
    name: 'pool5',
    type: 'Pooling',
    bottom: [bottom],
    top: ['pool5'],
    pooling_param: { pool: 'AVE', ...average },
  };
  if (classes === null) return [pool];
  const fc = `fc${classes}`;
  return [
    pool,
    innerProduct(fc, 'pool5', classes),
    { name: 'prob', type: 'Softmax', bottom: [fc], top: ['prob'] },
  ];
}
