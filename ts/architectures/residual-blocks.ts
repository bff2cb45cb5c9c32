/** The blocks of residual networks in Caffe's layers, named as MSRA names them; BatchNorm uses its statistics (deploy). */
import type { LayerParameter } from '../caffe/net-parameter.ts';

/** One block: two branches that are added. */
export interface Block {
  /** Stage and block, e.g. `3a`: the layers are res3a_branch1, res3a_branch2a, … and the sum is res3a. */
  readonly name: string;
  readonly bottom: string;
  /** Channels of the 3×3 convolutions. */
  readonly width: number;
  /** Channels of the sum. Default: 4 × width, of basic blocks width. */
  readonly outputs?: number;
  /** Of a bottleneck's 3×3 convolution (ResNeXt). Default 1. */
  readonly groups?: number;
  /** 2 halves height and width. */
  readonly stride: number;
  /** How the shortcut takes the new shape; null where the shape stays and the shortcut is the bottom itself. */
  readonly shortcut: Shortcut | null;
  /** Convolutions have biases. Default false. */
  readonly bias?: boolean;
  /** BatchNorm's. Default Caffe's 1e-5. */
  readonly eps?: number;
}

/**
 * `projection`: 1×1 convolution (option B). `identity`: no parameters (option A), zeros after the channels that there
 * are; `centred-identity` with half of the zeros before them, as akamaster/pytorch_resnet_cifar10 pads.
 */
export type Shortcut = 'projection' | 'identity' | 'centred-identity';

/** 1×1, 3×3, 1×1 to 4 × width. @param strideAt Which of the three has the stride: v1's first, or v1.5's second. */
export function bottleneck(block: Block, strideAt: 'first' | 'second'): LayerParameter[] {
  const { name, bottom, width, outputs = 4 * width, groups, stride } = block;
  const [first, second] = strideAt === 'first' ? [stride, 1] : [1, stride];
  return residual(block, outputs, [
    ...branch(block, '2a', bottom, { outputs: width, kernel: 1, stride: first }),
    activated(name, '2a'),
    ...branch(block, '2b', `res${name}_branch2a`, { outputs: width, kernel: 3, stride: second, groups }),
    activated(name, '2b'),
    ...branch(block, '2c', `res${name}_branch2b`, { outputs, kernel: 1, stride: 1 }),
  ]);
}

/** 3×3, 3×3; the first has the stride. */
export function basic(block: Block): LayerParameter[] {
  const { name, bottom, width, stride } = block;
  return residual(block, width, [
    ...branch(block, '2a', bottom, { outputs: width, kernel: 3, stride }),
    activated(name, '2a'),
    ...branch(block, '2b', `res${name}_branch2a`, { outputs: width, kernel: 3, stride: 1 }),
  ]);
}

function residual(block: Block, outputs: number, branch2: LayerParameter[]): LayerParameter[] {
  const { name, bottom, stride, shortcut } = block;
  const branch1 = {
    projection: () => branch(block, '1', bottom, { outputs, kernel: 1, stride }),
    identity: () => paddedIdentity(`res${name}_branch1`, bottom, stride, { centred: false }),
    'centred-identity': () => paddedIdentity(`res${name}_branch1`, bottom, stride, { centred: true }),
    none: () => [],
  }[shortcut ?? 'none']();
  return [
    ...branch1,
    ...branch2,
    {
      name: `res${name}`,
      type: 'Eltwise',
      bottom: [shortcut === null ? bottom : `res${name}_branch1`, branch2.at(-1)!.top![0]!],
      top: [`res${name}`],
    },
    relu(`res${name}`, `res${name}_relu`),
  ];
}

// Option A of the paper: every other pixel, and as many channels of zeros again; no parameters.
function paddedIdentity(
  name: string,
  bottom: string,
  stride: number,
  { centred }: { readonly centred: boolean },
): LayerParameter[] {
  const [pool, zeros] = [`${name}_pool`, `${name}_zeros`];
  const halves = [`${zeros}_before`, `${zeros}_after`] as const;
  return [
    {
      name: pool,
      type: 'Pooling',
      bottom: [bottom],
      top: [pool],
      // Rounded up, as is Caffe's default, a last window would start beyond the edge of an even size.
      pooling_param: { pool: 'MAX', kernel_size: 1, stride, round_mode: 'FLOOR' },
    },
    { name: zeros, type: 'Power', bottom: [pool], top: [zeros], power_param: { scale: 0 } },
    ...(centred ? [{ name: `${zeros}_slice`, type: 'Slice', bottom: [zeros], top: [...halves] }] : []),
    { name, type: 'Concat', bottom: centred ? [halves[0], pool, halves[1]] : [pool, zeros], top: [name] },
  ];
}

interface Convolution {
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly groups?: number | undefined;
  readonly bias?: boolean | undefined;
  /** Of BatchNorm. */
  readonly eps?: number | undefined;
}

function branch(
  { name, bias, eps }: Block,
  which: string,
  bottom: string,
  shape: Convolution,
): LayerParameter[] {
  const suffix = `${name}_branch${which}`;
  return convolution(`res${suffix}`, suffix, bottom, { ...shape, bias, eps });
}

function activated(block: string, which: string): LayerParameter {
  return relu(`res${block}_branch${which}`, `res${block}_branch${which}_relu`);
}

/** Convolution (padded to keep its size at stride 1), BatchNorm and Scale, in place. @param suffix Of bn and scale. */
export function convolution(
  name: string,
  suffix: string,
  bottom: string,
  { outputs, kernel, stride, groups = 1, bias = false, eps }: Convolution,
): LayerParameter[] {
  const inPlace = { bottom: [name], top: [name] };
  return [
    {
      name,
      type: 'Convolution',
      bottom: [bottom],
      top: [name],
      convolution_param: {
        num_output: outputs,
        pad: [(kernel - 1) / 2],
        kernel_size: [kernel],
        stride: [stride],
        ...(groups === 1 ? {} : { group: groups }),
        ...(bias ? {} : { bias_term: false }),
      },
    },
    {
      name: `bn${suffix}`,
      type: 'BatchNorm',
      ...inPlace,
      batch_norm_param: { use_global_stats: true, ...(eps === undefined ? {} : { eps: Math.fround(eps) }) },
    },
    { name: `scale${suffix}`, type: 'Scale', ...inPlace, scale_param: { bias_term: true } },
  ];
}

/** ReLU in place. */
export function relu(blob: string, name: string): LayerParameter {
  return { name, type: 'ReLU', bottom: [blob], top: [blob] };
}
