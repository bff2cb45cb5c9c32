/** What commands that take --weights share: what becomes of layers that the file does not fit. */
import type { Command } from 'commander';
import type { MatchOptions } from '../caffe/match-weights.ts';

export interface WeightsFlags {
  partialWeights?: boolean;
  reshapeWeights?: boolean;
}

/** Adds --partial-weights and --reshape-weights. */
export function weightsOptions(command: Command): Command {
  return command
    .option(
      '--partial-weights',
      'layers that the weights lack keep their fillers (default: they are an error)',
    )
    .option(
      '--reshape-weights',
      "let a 1×1 Convolution take an InnerProduct's weights of as many values, and the reverse",
    );
}

/** The same as load options. */
export const matchOf = ({ partialWeights, reshapeWeights }: WeightsFlags): MatchOptions => ({
  ...(partialWeights === undefined ? {} : { partialWeights }),
  ...(reshapeWeights === undefined ? {} : { reshapeWeights }),
});
