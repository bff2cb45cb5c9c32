/** BatchNorm. */
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { AffineStep } from './operation.ts';

export const batchNormLayers: Layers = {
  BatchNorm: { build: batchNorm },
};

/**
 * batch_norm_layer.cpp: an explicit use_global_stats takes precedence over the phase, and resnode's frozenBatchNorm over
 * both.
 */
function batchNorm(context: LayerContext): Built {
  const p = withDefaults<{
    use_global_stats?: boolean;
    moving_average_fraction: number;
    eps: number;
    add_eps_before_sqrt: boolean;
  }>('BatchNormParameter', context.layer.batch_norm_param);
  const written: Message = context.layer.batch_norm_param ?? {};
  const other = ['frozen', 'momentum'].find((field) => written[field] !== undefined);
  if (other !== undefined)
    context.fail(
      'bn',
      `${other} belongs to CuDNNBatchNorm, a layer of GENet's fork; BatchNorm has use_global_stats and moving_average_fraction`,
      positionOf(written, other),
    );
  const shape = context.shapes[0]!;
  const specs = context.layer.param ?? [];
  if (specs.some((spec) => (spec.lr_mult ?? 1) !== 0)) {
    context.fail(
      'batch-norm-lr',
      `BatchNorm's blobs are statistics and do not learn: give three param { lr_mult: 0 }, or none`,
      'param',
    );
  }
  const { phase, frozenBatchNorm } = context.state;
  const global = frozenBatchNorm || (p.use_global_stats ?? phase === 'TEST');
  if (!global && !p.add_eps_before_sqrt)
    context.fail(
      'unsupported',
      'add_eps_before_sqrt: false is supported only with global statistics; write use_global_stats: true, or remove it for training',
      positionOf(context.layer.batch_norm_param, 'add_eps_before_sqrt'),
    );
  const channels = shape[1] ?? 1;
  const epsOnDeviation = p.add_eps_before_sqrt ? {} : ({ epsOnDeviation: true } as const);
  const zero = { type: 'constant', value: 0 };
  const [mean, variance, factor] = [[channels], [channels], [1]].map((dims) =>
    context.parameter(dims, zero, { statistic: true, mutable: !global }),
  ) as [number, number, number];
  return {
    operation: global
      ? {
          kind: 'affine',
          affine: [{ kind: 'batchNorm', mean, variance, factor, eps: p.eps, ...epsOnDeviation }],
          relu: null,
        }
      : {
          kind: 'batchNorm',
          mean,
          variance,
          factor,
          eps: p.eps,
          movingAverageFraction: p.moving_average_fraction,
        },
    tops: [shape],
  };
}

/** The divisor of BatchNorm with global statistics. */
export const deviationOf = (
  { eps, epsOnDeviation }: Pick<Extract<AffineStep, { kind: 'batchNorm' }>, 'eps' | 'epsOnDeviation'>,
  variance: number,
): number => (epsOnDeviation ? Math.sqrt(variance) + eps : Math.sqrt(variance + eps));
