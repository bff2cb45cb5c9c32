/** A residual net of any width, from stem to softmax, and the names of its convolutions: what `resnet` and conversion share. */
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import { type Block, basic, bottleneck, convolution, relu, type Shortcut } from './residual-blocks.ts';

/** 7×7 with stride 2 and a pooling, or 3×3 with stride 1 (CIFAR). */
export interface Stem {
  readonly outputs: number;
  readonly kernel: 7 | 3;
  readonly bias?: boolean;
  /**
   * 3×3 with stride 2. `overhanging`: Caffe's, without pad, the last window hangs over the edge. `padded`: by 1 on all
   * sides, rounded down, as all others do. `unpadded`: no pad, rounded down.
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
  /** Blocks are named a, b1, b2 … and not a, b, c … */
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
  /** Of a bottleneck: the first 1×1 convolution (v1) or the 3×3 (v1.5). */
  readonly strideAt: 'first' | 'second';
  /** The first keeps the size, each other halves it. */
  readonly stages: readonly Stage[];
  /** Where the shape changes. */
  readonly shortcut: Shortcut;
  /** Whether the convolutions of the blocks have biases. Default false. */
  readonly bias?: boolean;
  /** BatchNorm's. Default Caffe's 1e-5. */
  readonly eps?: number;
  /** pool5's window. */
  readonly average: object;
  /** Outputs of `fc<classes>`; null: the net ends in `pool5`. */
  readonly classes: number | null;
}

/** A convolution with its BatchNorm and Scale, which every net of the family consists of. */
export interface Convolution {
  readonly layer: string;
  readonly batchNorm: string;
  readonly scale: string;
  /** null: the stem; otherwise the stage and block, from 0, and the branch as MSRA names it. */
  readonly place: { readonly stage: number; readonly block: number; readonly branch: Branch } | null;
  /** Outputs, inputs of a group, height, width. */
  readonly shape: readonly [number, number, number, number];
  readonly hasBias: boolean;
}

export type Branch = '1' | '2a' | '2b' | '2c';

/** The layers from `data` to `prob` (or `pool5`). */
export function residualNet(plan: ResidualNet): NetParameter {
  const { input, hasInputScale = false, stem, stages, bias = false, eps, average, classes } = plan;
  const scaled = hasInputScale ? 'data_scale' : 'data';
  const layers: LayerParameter[] = [
    { name: 'input', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [...input] }] } },
    ...(hasInputScale ? [{ name: scaled, type: 'Scale', bottom: ['data'], top: [scaled] }] : []),
    ...convolution('conv1', '_conv1', scaled, {
      outputs: stem.outputs,
      kernel: stem.kernel,
      stride: stem.kernel === 7 ? 2 : 1,
      bias: stem.bias,
      eps,
    }),
    relu('conv1', 'conv1_relu'),
    ...pool1(stem.pool),
  ];
  let bottom = layers.at(-1)!.top![0]!;
  for (const { stage, index, name, isNewShape } of blocksOf(plan)) {
    const { width, outputs, groups } = stages[stage]!;
    const block: Block = {
      name,
      bottom,
      width,
      outputs,
      stride: index === 0 && stage > 0 ? 2 : 1,
      shortcut: isNewShape ? plan.shortcut : null,
      bias,
      ...(groups === undefined ? {} : { groups }),
      ...(eps === undefined ? {} : { eps }),
    };
    layers.push(...(plan.block === 'basic' ? basic(block) : bottleneck(block, plan.strideAt)));
    bottom = `res${name}`;
  }
  return { name: plan.name, layer: [...layers, ...head(bottom, average, classes)] };
}

/** Every convolution of the net, in the order of its layers. */
export function convolutionsOf(plan: ResidualNet): Convolution[] {
  const { stem, input, stages, bias = false } = plan;
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
  for (const { stage, index, name, inputs, isNewShape } of blocksOf(plan)) {
    const { width, outputs, groups = 1 } = stages[stage]!;
    const add = (branch: Branch, out: number, into: number, kernel: number) => {
      const suffix = `${name}_branch${branch}`;
      found.push({
        layer: `res${suffix}`,
        batchNorm: `bn${suffix}`,
        scale: `scale${suffix}`,
        place: { stage, block: index, branch },
        shape: [out, into, kernel, kernel],
        hasBias: bias,
      });
    };
    if (isNewShape && plan.shortcut === 'projection') add('1', outputs, inputs, 1);
    if (plan.block === 'basic') {
      add('2a', width, inputs, 3);
      add('2b', width, width, 3);
    } else {
      add('2a', width, inputs, 1);
      add('2b', width, width / groups, 3);
      add('2c', outputs, width, 1);
    }
  }
  return found;
}

function blocksOf({ stem, stages }: ResidualNet) {
  let inputs = stem.outputs;
  return stages.flatMap(({ blocks, outputs, isNumbered }, stage) =>
    Array.from({ length: blocks }, (_, index) => {
      const block = {
        stage,
        index,
        name: `${stage + 2}${blockName(index, isNumbered)}`,
        inputs,
        isNewShape: (index === 0 && stage > 0) || inputs !== outputs,
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
    {
      name: fc,
      type: 'InnerProduct',
      bottom: ['pool5'],
      top: [fc],
      inner_product_param: { num_output: classes },
    },
    { name: 'prob', type: 'Softmax', bottom: [fc], top: ['prob'] },
  ];
}
