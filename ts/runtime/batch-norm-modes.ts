/** Which statistics the BatchNorm layers of a net use: what most mistakes in training are about. */
import type { NetParameter } from '../caffe/net-parameter.ts';

export interface BatchNormMode {
  readonly layer: string;
  /** `batch`: each batch's own, which also move the stored ones; `global`: the stored ones. */
  readonly statistics: 'batch' | 'global';
  /** What decided it: the phase, use_global_stats, or frozenBatchNorm. */
  readonly reason: string;
}

/** Tells it for each BatchNorm of a filtered net (batch_norm_layer.cpp: an explicit use_global_stats beats the phase). */
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
