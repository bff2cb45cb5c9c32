/** The table of architectures for display. */
import { NAMED_NETS } from './families.ts';
import { PAPER } from './paper-training.ts';
import { planOf } from './resnet.ts';

/** A net that a paper names. */
export interface ArchitectureRow {
  /** The name for `resnet({ name })` and `resnode generate`. */
  readonly name: string;
  /** The data set whose input size, classes and schedule are the net's defaults. */
  readonly data: 'imagenet' | 'cifar';
  readonly block: 'basic' | 'bottleneck';
  /** The blocks of each stage. */
  readonly blocks: readonly number[];
  /** The parameters in millions if its paper gives them, otherwise null. */
  readonly millions: number | null;
  readonly paper: string;
  /** Where the paper gives the schedule. */
  readonly schedule: string;
}

/**
 * The nets that papers name; other depths and widths follow the same rules (docs/architectures.md).
 * @example for (const { name, paper } of architectures()) console.log(name, paper);
 */
export function architectures(): ArchitectureRow[] {
  return NAMED_NETS.map(({ name, millions }) => {
    const { plan, training, data, paper } = planOf({ name });
    const { block, stages } = plan;
    const blocks = stages.map((stage) => stage.blocks);
    return { name, data, block, blocks, millions, paper, schedule: PAPER[training].source };
  });
}
