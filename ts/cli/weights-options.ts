/** Options of commands with --weights: what happens to layers that the file does not fit. */
import type { Command } from 'commander';
import type { MatchOptions } from '../caffe/match-weights.ts';
import { flag, group } from './flag.ts';
import { NET } from './options.ts';

export interface WeightsFlags {
  partialWeights?: boolean;
  reshapeWeights?: boolean;
}

/** Adds --partial-weights and --reshape-weights. */
export function weightsOptions(command: Command): Command {
  return group(
    command,
    NET,
    flag('device.load', 'partialWeights', '--partial-weights'),
    flag('device.load', 'reshapeWeights', '--reshape-weights'),
  );
}

/** The same as load options. */
export const matchOf = ({ partialWeights, reshapeWeights }: WeightsFlags): MatchOptions => ({
  ...(partialWeights === undefined ? {} : { partialWeights }),
  ...(reshapeWeights === undefined ? {} : { reshapeWeights }),
});
