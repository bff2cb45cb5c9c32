/** Which statistics the BatchNorm layers of a net use; most mistakes in training are about this. */
import type { Warning } from '../base/warn.ts';
import { type Blob, toFloat32 } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';

export interface BatchNormMode {
  readonly layer: string;
  /** `batch`: those of each batch, which also update the stored ones; `global`: the stored ones. */
  readonly statistics: 'batch' | 'global';
  /** What decided it: the phase, use_global_stats, or frozenBatchNorm. */
  readonly reason: string;
}

/** The mode of each BatchNorm of a filtered net (batch_norm_layer.cpp: an explicit use_global_stats overrides the phase). */
export function batchNormModes(
  net: NetParameter,
  {
    phase: given = net.state?.phase ?? 'TRAIN',
    frozenBatchNorm = false,
  }: { phase?: 'TRAIN' | 'TEST'; frozenBatchNorm?: boolean },
): BatchNormMode[] {
  return (net.layer ?? [])
    .filter(({ type }) => type === 'BatchNorm')
    .map(({ name: layer = '', phase = given, batch_norm_param }) => {
      if (frozenBatchNorm) return { layer, statistics: 'global', reason: 'every BatchNorm is frozen' };
      const written = batch_norm_param?.use_global_stats as boolean | undefined;
      return {
        layer,
        statistics: (written ?? phase === 'TEST') ? 'global' : 'batch',
        reason: written === undefined ? `phase ${phase}` : `use_global_stats: ${written}`,
      };
    });
}

/**
 * Finds BatchNorm layers that use stored statistics although none were ever stored: mean and variance are 0, and the layer
 * multiplies by 1/√eps.
 */
export function emptyStatistics(
  net: NetParameter,
  weights: WeightsFile | null,
  state: { readonly phase?: 'TRAIN' | 'TEST'; readonly frozenBatchNorm?: boolean },
): Warning[] {
  const sources = new Map(weights?.layers.map((layer) => [layer.name, layer.blobs]));
  const empty = batchNormModes(net, state)
    .filter(({ statistics }) => statistics === 'global')
    .filter(({ layer }) => areEmptyStatistics(sources.get(layer) ?? []));
  if (empty.length === 0) return [];
  const names = empty.map(({ layer }) => `"${layer}"`).join(', ');
  return [
    {
      code: 'net/empty-statistics',
      message: `BatchNorm ${names} uses stored statistics (${empty[0]!.reason}), and these are 0: its output is its input times 1/√eps; use trained weights, or set use_global_stats: false`,
    },
  ];
}

/**
 * Whether the blobs of a BatchNorm (mean, variance and factor) are empty: a factor of 0 makes mean and variance 0, whatever
 * they contain (batch_norm_layer.cpp).
 */
function areEmptyStatistics(blobs: readonly Pick<Blob, 'dtype' | 'bytes'>[]): boolean {
  const [mean, variance, factor] = blobs.map(toFloat32);
  const isZero = (values: Float32Array | undefined) => (values ?? []).every((value) => value === 0);
  return isZero(factor) || (isZero(mean) && isZero(variance));
}
