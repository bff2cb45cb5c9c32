/** Depths: the number of layers with weights of a net, and the blocks of each stage that give this number. */
import { ArgumentError } from '../base/errors.ts';
import { type BlockKind, type DataSet, FAMILIES, type FamilyName } from './families.ts';

export interface Layout {
  readonly data: DataSet;
  readonly block: BlockKind;
  /** The number of blocks of each stage. */
  readonly blocks: readonly number[];
  /** The stages, from 2, whose blocks are named a, b1, b2 … instead of a, b, c … */
  readonly numbered: readonly number[];
}

/** Table 1 of the first paper, and 200 of the second. MSRA numbers the blocks of stages 3 and 4 from 101 on. */
const IMAGENET: Readonly<Record<number, Omit<Layout, 'data'>>> = {
  18: { block: 'basic', blocks: [2, 2, 2, 2], numbered: [] },
  34: { block: 'basic', blocks: [3, 4, 6, 3], numbered: [] },
  50: { block: 'bottleneck', blocks: [3, 4, 6, 3], numbered: [] },
  101: { block: 'bottleneck', blocks: [3, 4, 23, 3], numbered: [3, 4] },
  152: { block: 'bottleneck', blocks: [3, 8, 36, 3], numbered: [3, 4] },
  200: { block: 'bottleneck', blocks: [3, 24, 36, 3], numbered: [3, 4] },
};

/** CIFAR has three stages of n blocks: `perBlock` · 3n + `rest` layers; wide nets also count their three projections. */
interface Rule {
  readonly block: BlockKind;
  readonly step: 6 | 9;
  readonly rest: 2 | 4;
}

/** Depths of the second paper's bottlenecks that also equal 6n+2. */
const BOTTLENECKS = [164];
const DEEPEST = 10_000;

export interface LayoutChoice {
  readonly depth: number;
  readonly block?: BlockKind | undefined;
  readonly data?: DataSet | undefined;
}

/** @throws ArgumentError `depth` that names the nearest possible depths */
export function layoutOf(family: FamilyName, { depth, block, data }: LayoutChoice): Layout {
  const imagenet = imagenetDepths(family, block);
  if (data !== 'cifar' && imagenet.includes(depth)) return { data: 'imagenet', ...IMAGENET[depth]! };
  const rules = data === 'imagenet' ? [] : cifarRules(family, block);
  const fitting = rules.filter((rule) => blocksPerStage(rule, depth) !== null);
  const chosen =
    fitting.find((rule) => rule.block === 'bottleneck' && BOTTLENECKS.includes(depth)) ?? fitting[0];
  if (chosen !== undefined && depth <= DEEPEST) {
    const blocks = Array<number>(3).fill(blocksPerStage(chosen, depth)!);
    return { data: 'cifar', block: chosen.block, blocks, numbered: numberedOf(blocks) };
  }
  throw impossible(family, { depth, block, data }, data === 'cifar' ? [] : imagenet, rules);
}

/** The stages with so many blocks that letters do not suffice. */
export const numberedOf = (blocks: readonly number[]): number[] =>
  blocks.flatMap((count, i) => (count > 26 ? [i + 2] : []));

/** The number of layers with weights on the longest path: stem, blocks, classifier. */
export const depthOf = (block: BlockKind, blocks: readonly number[]): number =>
  2 + (block === 'basic' ? 2 : 3) * blocks.reduce((sum, count) => sum + count, 0);

/** The depth that has these blocks, and the stages whose blocks MSRA numbers; null for other nets. */
export function knownResnet(
  block: BlockKind,
  blocks: readonly number[],
): { depth: number; numbered: readonly number[] } | null {
  const found = Object.entries(IMAGENET).find(
    ([, net]) => net.block === block && String(net.blocks) === String(blocks),
  );
  if (found !== undefined) return { depth: Number(found[0]), numbered: found[1].numbered };
  const isCifar = blocks.length === 3 && blocks.every((count) => count === blocks[0] && count > 0);
  if (!isCifar) return null;
  return { depth: depthOf(block, blocks), numbered: numberedOf(blocks) };
}

function imagenetDepths(family: FamilyName, block: BlockKind | undefined): number[] {
  const { blocks } = FAMILIES[family].imagenet;
  return Object.entries(IMAGENET)
    .filter(([, net]) => blocks.includes(net.block) && (block === undefined || block === net.block))
    .map(([depth]) => Number(depth));
}

function cifarRules(family: FamilyName, block: BlockKind | undefined): Rule[] {
  const rest = family === 'wrn' ? 4 : 2;
  return FAMILIES[family].cifar.blocks
    .filter((each) => block === undefined || block === each)
    .map((each) => ({ block: each, step: each === 'basic' ? 6 : 9, rest }));
}

function blocksPerStage({ step, rest }: Rule, depth: number): number | null {
  const count = (depth - rest) / step;
  return Number.isInteger(count) && count >= 1 ? count : null;
}

function impossible(
  family: FamilyName,
  { depth, block, data }: LayoutChoice,
  imagenet: readonly number[],
  rules: readonly Rule[],
): ArgumentError {
  const near = (rule: Rule): number[] => {
    const count = (Math.min(depth, DEEPEST) - rule.rest) / rule.step;
    return [Math.floor(count), Math.ceil(count)]
      .map((each) => Math.max(1, each) * rule.step + rule.rest)
      .filter((each) => each <= DEEPEST);
  };
  const far = (each: number) => Math.abs(each - depth);
  const candidates = [...new Set([...imagenet, ...rules.flatMap(near)])]
    .filter((each) => each !== depth)
    .sort((a, b) => far(a) - far(b) || a - b);
  const some = [
    ...(imagenet.length === 0 ? [] : [`${words(imagenet)} (ImageNet)`]),
    ...rules.map(
      ({ step, rest, block: each }) =>
        `${step}n+${rest} with ${each === 'basic' ? 'basic blocks' : 'bottlenecks'} (CIFAR)`,
    ),
  ];
  const choice = [
    ...(block === undefined ? [] : [`block ${block}`]),
    ...(data === undefined ? [] : [`data ${data}`]),
  ];
  return new ArgumentError(
    'depth',
    some.length === 0
      ? `a depth that ${family} has (none fits ${choice.join(' and ')})`
      : `${some.join(', ')}${choice.length === 0 ? '' : `, with ${choice.join(' and ')}`}`,
    depth,
    candidates.length === 0
      ? undefined
      : `the nearest that ${family} has: ${words(candidates.slice(0, 3), 'and')}`,
  );
}

function words(numbers: readonly number[], last = 'or'): string {
  return numbers.length < 2 ? numbers.join() : `${numbers.slice(0, -1).join(', ')} ${last} ${numbers.at(-1)}`;
}
