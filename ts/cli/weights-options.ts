/** What commands that take --weights share: what becomes of layers that the file does not fit. */
import type { Command } from 'commander';
import type { MatchOptions } from '../caffe/match-weights.ts';
import { flag } from './flag.ts';

export interface WeightsFlags {
  partialWeights?: boolean;
  reshapeWeights?: boolean;
}

/** Adds --partial-weights and --reshape-weights. */
export function weightsOptions(command: Command): Command {
  return command
    .addOption(flag('device.load', 'partialWeights', '--partial-weights'))
    .addOption(flag('device.load', 'reshapeWeights', '--reshape-weights'));
}

/** The same as load options. */
export const matchOf = ({ partialWeights, reshapeWeights }: WeightsFlags): MatchOptions => ({
  ...(partialWeights === undefined ? {} : { partialWeights }),
  ...(reshapeWeights === undefined ? {} : { reshapeWeights }),
});
