/** The blocks of residual networks, with MSRA's names: each is a list of layers and the blob of its result. */
import type { LayerParameter } from '../caffe/net-parameter.ts';
import {
  bareConvolution,
  type ConvolutionShape,
  convolution,
  dropout,
  normalised,
  paddedIdentity,
  relu,
  squeezeExcitation,
} from './residual-parts.ts';

export type Branch = '1' | '2a' | '2b' | '2c';

/**
 * `projection`: a 1×1 convolution (option B). `identity`: no parameters (option A), with zeros after the existing channels;
 * `centred-identity` puts half of the zeros before them, as akamaster/pytorch_resnet_cifar10 does.
 */
export type Shortcut = 'projection' | 'identity' | 'centred-identity';

/** One block: two branches that are added. */
export interface Block {
  /** The stage and block, e.g. `3a`: the layers are res3a_branch1, res3a_branch2a, … and the sum is res3a. */
  readonly name: string;
  readonly bottom: string;
  /** 3×3 and 3×3; or 1×1, 3×3 and 1×1. */
  readonly kind: 'basic' | 'bottleneck';
  /** The channels of the bottom. */
  readonly inputs: number;
  /** The channels of the 3×3 convolutions. */
  readonly width: number;
  /** The channels of the sum; for a basic block its width. */
  readonly outputs: number;
  /** The groups of a bottleneck's 3×3 convolution (ResNeXt). Default 1. */
  readonly groups?: number | undefined;
  /** A stride of 2 halves height and width. */
  readonly stride: number;
  /** The convolution of a bottleneck that has the stride: v1's first, or v1.5's second. */
  readonly strideAt: 'first' | 'second';
  /** How the shortcut takes the new shape; null if it is the bottom itself. */
  readonly shortcut: Shortcut | null;
  /** Whether convolutions have biases. Default false. */
  readonly bias?: boolean | undefined;
  /** The eps of BatchNorm. Default Caffe's 1e-5. */
  readonly eps?: number | undefined;
  /** The channels between the inner products of Squeeze-and-Excitation. Default: there is none. */
  readonly squeeze?: number | undefined;
  /**
   * The share of values that a Dropout before the last convolution of a pre-activation block drops. Default: there is no
   * Dropout.
   */
  readonly dropout?: number | undefined;
}

export interface BuiltBlock {
  readonly layers: readonly LayerParameter[];
  readonly top: string;
}

/** The convolutions of a block in order, for building nets and for conversion. */
export function convolutionsOfBlock(
  block: Pick<Block, 'kind' | 'inputs' | 'width' | 'outputs' | 'groups' | 'stride' | 'strideAt'>,
): (ConvolutionShape & { readonly branch: Branch; readonly inputs: number })[] {
  const { kind, inputs, width, outputs, groups, stride } = block;
  if (kind === 'basic')
    return [
      { branch: '2a', inputs, outputs: width, kernel: 3, stride },
      { branch: '2b', inputs: width, outputs: width, kernel: 3, stride: 1 },
    ];
  const [first, second] = block.strideAt === 'first' ? [stride, 1] : [1, stride];
  return [
    { branch: '2a', inputs, outputs: width, kernel: 1, stride: first },
    { branch: '2b', inputs: width, outputs: width, kernel: 3, stride: second, groups },
    { branch: '2c', inputs: width, outputs, kernel: 1, stride: 1 },
  ];
}

/** He et al. 2015: BatchNorm after each convolution, ReLU between them and after the sum. */
export function postActivated(block: Block): BuiltBlock {
  const { name, bottom, stride, bias, eps, outputs } = block;
  const convolutions = convolutionsOfBlock(block);
  let last = bottom;
  const branch2 = convolutions.flatMap((shape, i) => {
    const suffix = `${name}_branch${shape.branch}`;
    const layers = convolution(`res${suffix}`, suffix, last, { ...shape, bias, eps });
    last = `res${suffix}`;
    return i === convolutions.length - 1 ? layers : [...layers, relu(last, `${last}_relu`)];
  });
  const projection = () =>
    convolution(`res${name}_branch1`, `${name}_branch1`, bottom, { outputs, kernel: 1, stride, bias, eps });
  return {
    layers: [...sum(block, bottom, projection, branch2, last), relu(`res${name}`, `res${name}_relu`)],
    top: `res${name}`,
  };
}

/** Where the first BatchNorm and ReLU of a pre-activation block are. */
export type FirstActivation =
  /** Before both branches: where the shape changes, and in a net's first block. */
  | 'shared'
  /** Only in the residual branch. */
  | 'branch'
  /** Nowhere: the bottom is already activated. */
  | 'none';

/** He et al. 2016 (arXiv 1603.05027): BatchNorm and ReLU before each convolution, nothing after the sum. */
export function preActivated(block: Block, first: FirstActivation): BuiltBlock {
  const { name, bottom, stride, bias, eps, outputs } = block;
  const activated = first === 'none' ? bottom : `res${name}_pre`;
  const activation = (suffix: string, blob: string, top: string) => [
    ...normalised(suffix, blob, { top, eps }),
    relu(top, `res${suffix}_relu`),
  ];
  const convolutions = convolutionsOfBlock(block);
  let last = activated;
  const branch2 = convolutions.flatMap((shape, i) => {
    const suffix = `${name}_branch${shape.branch}`;
    const before = i === 0 ? [] : activation(suffix, last, last);
    const dropped =
      block.dropout !== undefined && i === convolutions.length - 1
        ? [dropout(`drop${name}`, last, block.dropout)]
        : [];
    const layers = [...before, ...dropped, bareConvolution(`res${suffix}`, last, { ...shape, bias })];
    last = `res${suffix}`;
    return layers;
  });
  const source = first === 'branch' ? bottom : activated;
  const projection = () => [
    bareConvolution(`res${name}_branch1`, source, { outputs, kernel: 1, stride, bias }),
  ];
  return {
    layers: [
      ...(first === 'none' ? [] : activation(`${name}_branch2a`, bottom, activated)),
      ...sum(block, source, projection, branch2, last),
    ],
    top: `res${name}`,
  };
}

/** The same convolutions in sequence, without a shortcut (He et al. 2015, section 3.3). */
export function withoutShortcut({ name, bottom, bias, eps, ...block }: Block): BuiltBlock {
  let last = bottom;
  const layers = convolutionsOfBlock(block).flatMap((shape, i) => {
    const suffix = `${name}_${i + 1}`;
    const made = convolution(`conv${suffix}`, suffix, last, { ...shape, bias, eps });
    last = `conv${suffix}`;
    return [...made, relu(last, `${last}_relu`)];
  });
  return { layers, top: last };
}

/**
 * Both branches and their sum.
 * @param source The bottom of the shortcut.
 */
function sum(
  { name, shortcut, stride, inputs, outputs, squeeze }: Block,
  source: string,
  projection: () => LayerParameter[],
  branch2: readonly LayerParameter[],
  last: string,
): LayerParameter[] {
  const branch1 = `res${name}_branch1`;
  const identity = (centred: boolean) =>
    paddedIdentity(branch1, source, { stride, times: outputs / inputs, centred });
  const shortcutLayers = {
    projection,
    identity: () => identity(false),
    'centred-identity': () => identity(true),
    none: () => [],
  }[shortcut ?? 'none']();
  const excited =
    squeeze === undefined ? [] : squeezeExcitation(`res${name}_se`, last, { channels: outputs, squeeze });
  return [
    ...shortcutLayers,
    ...branch2,
    ...excited,
    {
      name: `res${name}`,
      type: 'Eltwise',
      bottom: [shortcut === null ? source : branch1, squeeze === undefined ? last : `res${name}_se`],
      top: [`res${name}`],
    },
  ];
}
