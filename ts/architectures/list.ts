/** The table of architectures as it is shown. */
import { NAMED_NETS } from './families.ts';
import { PAPER } from './paper-training.ts';
import { planOf } from './resnet.ts';

/** A net that a paper names. */
export interface ArchitectureRow {
  /** For `resnet({ name })` and `resnode generate`. */
  readonly name: string;
  /** Whose input size, classes and schedule are its defaults. */
  readonly data: 'imagenet' | 'cifar';
  readonly block: 'basic' | 'bottleneck';
  /** Of each stage. */
  readonly blocks: readonly number[];
  /** Parameters in millions as its paper gives them; null: it does not. */
  readonly millions: number | null;
  readonly paper: string;
  /** Where the schedule is written. */
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
