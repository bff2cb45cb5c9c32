/**
 * DenseBlock: a block of DenseNet (arXiv:1608.06993) as one layer, of github.com/Tongcheng/caffe and
 * github.com/senlinuc/caffe_ocr. It is divided into the operations for which its GPU code calls cuDNN. Its CPU code
 * divides the statistics by a blob that the GPU code leaves at 0.
 */
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { type Built, checkTop, type LayerContext, type Layers } from './layer.ts';
import { type AffineStep, type ParameterId, unfused } from './operation.ts';
import { planesOf } from './window.ts';

export const denseBlockLayers: Layers = {
  DenseBlock: { build: denseBlock },
};

interface DenseBlockParameter {
  readonly numTransition: number;
  readonly growthRate: number;
  readonly Filter_Filler?: object;
  readonly BN_Scaler_Filler?: object;
  readonly BN_Bias_Filler?: object;
  readonly use_dropout: boolean;
  readonly dropout_amount: number;
  readonly use_BC: boolean;
  readonly moving_average_fraction: number;
}

/** More transitions would become many thousand operations. */
const MOST_TRANSITIONS = 256;
/** CUDNN_BN_MIN_EPSILON of the cuDNN versions for which the layer was written. */
const EPS = 1e-5;

/** The blobs of a normalisation. */
interface Statistics {
  readonly scale: ParameterId;
  readonly shift: ParameterId;
  readonly mean: ParameterId;
  readonly variance: ParameterId;
}

/**
 * DenseBlock_layer.cu: each transition computes further channels from all previous ones: BN, ReLU, (1×1, BN, ReLU,)
 * 3×3.
 */
function denseBlock(context: LayerContext): Built {
  const written = context.layer.denseblock_param;
  const p = withDefaults<DenseBlockParameter>('DenseBlockParameter', written);
  const [items, channels, height, width] = planesOf(context);
  for (const [field, most] of [
    ['numTransition', MOST_TRANSITIONS],
    ['growthRate', 2 ** 20],
  ] as const)
    if (p[field] < 1 || p[field] > most)
      context.fail(
        'num-output',
        `${field} must be from 1 to ${most}, found ${p[field]}`,
        positionOf(written, field) ?? 'denseblock_param',
      );
  if (p.use_dropout && !(p.dropout_amount >= 0 && p.dropout_amount < 1))
    context.fail(
      'dropout-ratio',
      `dropout_amount must be at least 0 and below 1, found ${p.dropout_amount}`,
      positionOf(written, 'dropout_amount'),
    );
  const { numTransition: count, growthRate: growth } = p;
  checkTop(context, [items, channels + count * growth, height, width]);
  const blobs = blobsOf(context, p, channels);
  const isTest = context.state.phase === 'TEST';
  const isGlobal = context.state.frozenBatchNorm || isTest;
  const layer = new Composition(context.shapes);
  const normalised = (x: Part, { scale, shift, mean, variance }: Statistics): Part => {
    const rectified = (part: Part) => layer.one({ kind: 'relu', negativeSlope: 0 }, [part], part.shape);
    if (!isGlobal) {
      const momentum = 1 - p.moving_average_fraction;
      const learning = { scale, shift, mean, variance, eps: EPS, momentum, update: true };
      return rectified(layer.one({ kind: 'bn', ...learning }, [x], x.shape));
    }
    const steps = [
      { kind: 'batchNorm', mean, variance, factor: null, eps: EPS },
      { kind: 'scale', gamma: scale, beta: shift },
    ] as const;
    const affine = (of: Part, step: AffineStep) =>
      layer.one({ kind: 'affine', affine: [step], relu: null }, [of], of.shape);
    return rectified(steps.reduce(affine, x));
  };
  const convolved = (x: Part, weights: ParameterId, outputs: number, size: 1 | 3): Part =>
    layer.one(
      {
        kind: 'convolution',
        weights,
        bias: null,
        kernel: [size, size],
        stride: [1, 1],
        pad: [(size - 1) / 2, (size - 1) / 2],
        dilation: [1, 1],
        group: 1,
        ...unfused,
        affine: [],
      },
      [x],
      [items, outputs, height, width],
    );
  // The fork's filters are flipped (CUDNN_CONVOLUTION). Flipping the maps has the same effect, and all other operations
  // here work on each pixel alone.
  const turned = (x: Part) => layer.one({ kind: 'flip', width: true, height: true }, [x], x.shape);
  let all = turned(layer.bottoms[0]!);
  for (const { first, bottleneck, filter } of blobs) {
    let x = normalised(all, first);
    if (bottleneck !== null)
      x = normalised(convolved(x, bottleneck.filter, 4 * growth, 1), bottleneck.statistics);
    let made = convolved(x, filter, growth, 3);
    if (p.use_dropout && !isTest)
      made = layer.one({ kind: 'dropout', ratio: p.dropout_amount }, [made], made.shape);
    all = layer.one({ kind: 'concat', axis: 1 }, [all, made], [items, all.shape[1]! + growth, height, width]);
  }
  return layer.built([turned(all)]);
}

interface Transition {
  readonly filter: ParameterId;
  readonly first: Statistics;
  readonly bottleneck: { readonly filter: ParameterId; readonly statistics: Statistics } | null;
}

/**
 * In the order of the fork: all filters, then all scales, and so on; then those of bottlenecks; and a counter at the
 * end.
 */
function blobsOf(context: LayerContext, p: DenseBlockParameter, channels: number): Transition[] {
  const { numTransition: count, growthRate: growth, use_BC: hasBottlenecks } = p;
  const each = (make: (transition: number) => ParameterId) =>
    Array.from({ length: count }, (_, i) => make(i));
  const before = (i: number) => channels + i * growth;
  const mutable = !(context.state.frozenBatchNorm || context.state.phase === 'TEST');
  const statistics = (sizeOf: (i: number) => number) => {
    const of = (filler: object | undefined) => each((i) => context.parameter([1, sizeOf(i), 1, 1], filler));
    const running = (value: number) =>
      each((i) =>
        context.parameter([1, sizeOf(i), 1, 1], { type: 'constant', value }, { statistic: true, mutable }),
      );
    return [of(p.BN_Scaler_Filler), of(p.BN_Bias_Filler), running(0), running(1)] as const;
  };
  const at = ([scale, shift, mean, variance]: ReturnType<typeof statistics>, i: number): Statistics => ({
    scale: scale[i]!,
    shift: shift[i]!,
    mean: mean[i]!,
    variance: variance[i]!,
  });
  const filters = each((i) =>
    context.parameter([growth, hasBottlenecks ? 4 * growth : before(i), 3, 3], p.Filter_Filler),
  );
  const first = statistics(before);
  const bottleneck = hasBottlenecks
    ? {
        filters: each((i) => context.parameter([4 * growth, before(i), 1, 1], p.Filter_Filler)),
        statistics: statistics(() => 4 * growth),
      }
    : null;
  context.parameter([1], undefined, { statistic: true });
  return filters.map((filter, i) => ({
    filter,
    first: at(first, i),
    bottleneck:
      bottleneck === null
        ? null
        : { filter: bottleneck.filters[i]!, statistics: at(bottleneck.statistics, i) },
  }));
}
