/**
 * BN, a name that two layers share. SegNet's (github.com/alexgkendall/caffe-segnet, also in ENet's fork) has two blobs,
 * scale and shift, and uses either the statistics of the batch, in any phase, or none. PSPNet's (github.com/hszhao/PSPNet,
 * from yjxiong's fork) has four: slope, bias and running statistics. An older form of the latter, which calls them scale and
 * shift, has `moving_average: true` (github.com/yangguorun/SegStereo). Synopsys's fork has both: `icnet: true` selects
 * PSPNet's. CuDNNBatchNorm (github.com/hujie-frank/GENet, also of SKNet) is PSPNet's with fields in batch_norm_param.
 */
import { showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const bnLayers: Layers = {
  BN: { build: bn },
  CuDNNBatchNorm: { build: cudnnBatchNorm },
};

/** Fields that only one of the two layers has. */
const SEGNET = ['scale_filler', 'shift_filler', 'bn_mode'] as const;
const PSPNET = ['slope_filler', 'bias_filler', 'momentum', 'eps', 'frozen'] as const;

interface BnParameter {
  readonly scale_filler?: object | undefined;
  readonly shift_filler?: object | undefined;
  readonly slope_filler?: object | undefined;
  readonly bias_filler?: object | undefined;
  readonly bn_mode: 'LEARN' | 'INFERENCE';
  readonly momentum: number;
  readonly eps: number;
  readonly frozen: boolean;
  readonly moving_average: boolean;
  readonly decay?: number;
  readonly var_eps: number;
}

const ONE = { type: 'constant', value: 1 };

const wordsOf = (written: Message) =>
  [SEGNET, PSPNET].map((words) => words.find((word) => written[word] !== undefined));

/** The fields in the prototxt decide. Without any, four `param` mean PSPNet's. */
export function isSegnetBn({ bn_param: written = {}, param = [] }: LayerParameter): boolean {
  const [segnet, pspnet] = wordsOf(written);
  if (written.moving_average === true) return false;
  if (written.icnet !== undefined) return written.icnet === false;
  return segnet !== undefined || (pspnet === undefined && param.length < 3);
}

function bn(context: LayerContext): Built {
  const shape = context.shapes[0]!;
  if (shape.length < 2)
    context.fail('dimensions', `expected a bottom of at least 2 dimensions, found ${showShape(shape)}`);
  const written: Message = context.layer.bn_param ?? {};
  const [segnet, pspnet] = wordsOf(written);
  if (segnet !== undefined && pspnet !== undefined)
    context.fail(
      'bn',
      `${segnet} belongs to SegNet's BN, ${pspnet} to PSPNet's; keep the fields of one`,
      positionOf(written, pspnet),
    );
  const p = withDefaults<BnParameter>('BNParameter', written);
  if (p.moving_average)
    return pspnetBn(context, {
      ...p,
      slope_filler: p.scale_filler,
      bias_filler: p.shift_filler,
      eps: p.var_eps,
      momentum: 1 - (p.decay ?? 1 - p.momentum),
    });
  return isSegnetBn(context.layer) ? segnetBn(context, p) : pspnetBn(context, p);
}

/** The smallest eps that cuDNN takes (CUDNN_BN_MIN_EPSILON). */
const CUDNN_LEAST_EPS = 1e-5;

/** cudnn_batch_norm_layer.cpp. */
function cudnnBatchNorm(context: LayerContext): Built {
  const written: Message = context.layer.batch_norm_param ?? {};
  const other = ['use_global_stats', 'moving_average_fraction', 'scale_bias', 'add_eps_before_sqrt'].find(
    (field) => written[field] !== undefined,
  );
  if (other !== undefined)
    context.fail(
      'bn',
      `${other} belongs to BatchNorm; CuDNNBatchNorm has frozen, momentum, eps, scale_filler and bias_filler`,
      positionOf(written, other),
    );
  const { frozen, momentum, eps, scale_filler, bias_filler } = withDefaults<{
    frozen?: boolean;
    momentum?: number;
    eps: number;
    scale_filler?: object;
    bias_filler?: object;
  }>('BatchNormParameter', written);
  return pspnetBn(context, {
    slope_filler: scale_filler,
    bias_filler,
    momentum: momentum ?? 0.999,
    eps: Math.max(eps, CUDNN_LEAST_EPS),
    frozen: frozen ?? false,
  });
}

/** A blob with one value per channel, in the shape of both forks. */
const blobShape = (context: LayerContext) => [1, context.shapes[0]![1]!, 1, 1];

/** bn_layer.cpp of SegNet. */
function segnetBn(context: LayerContext, p: BnParameter): Built {
  const gamma = context.parameter(blobShape(context), p.scale_filler ?? ONE);
  const beta = context.parameter(blobShape(context), p.shift_filler);
  const shape = context.shapes[0]!;
  return {
    operation:
      p.bn_mode === 'INFERENCE'
        ? { kind: 'affine', affine: [{ kind: 'scale', gamma, beta }], relu: null }
        : {
            kind: 'bn',
            scale: gamma,
            shift: beta,
            mean: null,
            variance: null,
            eps: 1e-9,
            momentum: 0,
            update: false,
          },
    tops: [shape],
  };
}

type PspnetBn = Pick<BnParameter, 'slope_filler' | 'bias_filler' | 'momentum' | 'eps' | 'frozen'>;

/** bn_layer.cpp of PSPNet: uses the stored statistics in phase TEST, or if it is frozen. Then no blob learns. */
function pspnetBn(context: LayerContext, p: PspnetBn): Built {
  const isGlobal = p.frozen || context.state.frozenBatchNorm || context.state.phase === 'TEST';
  const shape = context.shapes[0]!;
  const learns = { statistic: p.frozen };
  const gamma = context.parameter(blobShape(context), p.slope_filler ?? ONE, learns);
  const beta = context.parameter(blobShape(context), p.bias_filler, learns);
  const [mean, variance] = [undefined, isGlobal ? ONE : undefined].map((filler) =>
    context.parameter(blobShape(context), filler, { statistic: true, mutable: !isGlobal }),
  ) as [number, number];
  if (!isGlobal)
    return {
      operation: {
        kind: 'bn',
        scale: gamma,
        shift: beta,
        mean,
        variance,
        eps: p.eps,
        momentum: p.momentum,
        update: true,
      },
      tops: [shape],
    };
  const layer = new Composition(context.shapes);
  const normalised = layer.one(
    {
      kind: 'affine',
      affine: [{ kind: 'batchNorm', mean, variance, factor: null, eps: p.eps }],
      relu: null,
    },
    [layer.bottoms[0]!],
    shape,
  );
  const scaled = layer.one(
    { kind: 'affine', affine: [{ kind: 'scale', gamma, beta }], relu: null },
    [normalised],
    shape,
  );
  return layer.built([scaled]);
}
