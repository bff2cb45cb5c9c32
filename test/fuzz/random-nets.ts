/** Compares a reference with other sides on random nets. A net that differs is shrunk before it is reported. */
import { Random } from './random.ts';
import { prototxtOf, type RandomNet, redrawn } from './random-net.ts';

/** A side's results, by name. */
export type Results = ReadonlyMap<string, Float32Array>;

export interface Side {
  readonly name: string;
  readonly run: (net: RandomNet) => Promise<Results>;
}

export interface Comparison {
  readonly make: (random: Random) => RandomNet;
  /** The side whose results are correct. */
  readonly reference: Side;
  readonly sides: readonly Side[];
  /** Relative to the largest value of each result. */
  readonly bound: number;
  /**
   * A result with a smaller magnitude counts as this large, because a result that is 0 up to rounding has no scale.
   * Default 1e-3.
   */
  readonly least?: (expected: Results) => number;
  /**
   * Results have kinks (a ReLU's diff at 0), so a difference counts only if it persists with other inputs. Default
   * false.
   */
  readonly hasKinks?: boolean;
}

export interface Figures {
  readonly seed: number;
  nets: number;
  results: number;
  /** Nets that differed at kinks only. */
  kinks: number;
  worst: number;
  /**
   * A text per net and side that differ: the seed, the net's number, what differs and by how much, the smallest
   * prototxt.
   */
  readonly differences: string[];
}

/** More would add little, and shrinking each takes time. */
const MOST_DIFFERENCES = 3;

/** Nets `from` to `to` − 1 of a seed; stops at the third difference. */
export async function compareNets(
  comparison: Comparison,
  seed: number,
  from: number,
  to: number,
): Promise<Figures> {
  const figures: Figures = { seed, nets: 0, results: 0, kinks: 0, worst: 0, differences: [] };
  for (let number = from; number < to; number++) {
    const random = new Random(seed * 1_000_003 + number);
    const net = comparison.make(random);
    const other = redrawn(net, random);
    const expected = await comparison.reference.run(net);
    figures.nets++;
    for (const side of comparison.sides) {
      if (figures.differences.length === MOST_DIFFERENCES) return figures;
      const found = await differenceOn(comparison, side, net, expected);
      figures.results += expected.size;
      if (found.what === null) figures.worst = Math.max(figures.worst, found.relative);
      else if (await isKink(comparison, side, other)) figures.kinks++;
      else {
        const small = await shrink(net, async (smaller) => {
          const right = await comparison.reference.run(smaller).catch(() => null);
          if (right === null) return false;
          if ((await differenceOn(comparison, side, smaller, right)).what === null) return false;
          return !(await isKink(comparison, side, redrawn(smaller, random)));
        });
        figures.differences.push(
          `seed ${seed}, net ${number}, ${side.name}: ${found.what}; the least that differs, asked for ${small.asked.join(', ') || 'nothing'}:\n${prototxtOf(small)}`,
        );
      }
    }
  }
  return figures;
}

/** One line for people and tests. */
export const describeFigures = ({ seed, nets, results, kinks, worst, differences }: Figures): string =>
  `seed ${seed}, ${nets} nets, ${results} results, worst ${worst.toExponential(1)} of the largest value, ${kinks} on kinks alone, ${differences.length} differences`;

async function isKink(comparison: Comparison, side: Side, other: RandomNet): Promise<boolean> {
  if (comparison.hasKinks !== true) return false;
  const expected = await comparison.reference.run(other);
  return (await differenceOn(comparison, side, other, expected)).what === null;
}

/** The first result that differs or fails; null: none. */
async function differenceOn(
  { bound, least = () => 1e-3 }: Comparison,
  side: Side,
  net: RandomNet,
  expected: Results,
): Promise<{ what: string | null; relative: number }> {
  const actual = await side.run(net).catch((error: Error) => error);
  if (actual instanceof Error) return { what: `fails: ${actual.message}`, relative: Number.NaN };
  let worst = 0;
  const floor = least(expected);
  for (const [name, values] of expected) {
    const relative = relativeDifference(actual.get(name), values, floor);
    if (!(relative <= bound)) return { what: `"${name}" by ${relative.toExponential(1)}`, relative };
    worst = Math.max(worst, relative);
  }
  return { what: null, relative: worst };
}

/** NaN if only one side's value is NaN or absent. */
function relativeDifference(actual: Float32Array | undefined, expected: Float32Array, least: number): number {
  if (actual?.length !== expected.length) return Number.NaN;
  let [most, difference] = [least, 0];
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [actual[i]!, expected[i]!];
    if (Object.is(a, b) || a === b) continue;
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.NaN;
    difference = Math.max(difference, Math.abs(a - b));
    most = Math.max(most, Math.abs(b));
  }
  return difference / most;
}

/** While the net still differs, drops requested outputs and layers, whose readers then read the layers' inputs. */
async function shrink(net: RandomNet, differs: (net: RandomNet) => Promise<boolean>): Promise<RandomNet> {
  let small = net;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    const smaller = [
      ...small.asked.map((name) => ({ ...small, asked: small.asked.filter((each) => each !== name) })),
      ...small.layers.map((_, i) => withoutLayer(small, small.layers.length - 1 - i)),
    ];
    for (const candidate of smaller)
      if (await differs(candidate)) {
        [small, isSmaller] = [candidate, true];
        break;
      }
  }
  return small;
}

function withoutLayer(net: RandomNet, index: number): RandomNet {
  const gone = net.layers[index]!;
  const renamed = (name: string) => (gone.tops.includes(name) ? gone.bottoms[0]! : name);
  return {
    ...net,
    layers: net.layers
      .filter((layer) => layer !== gone)
      .map((layer, i) => (i < index ? layer : { ...layer, bottoms: layer.bottoms.map(renamed) })),
    asked: net.asked.filter((name) => !name.endsWith(`@${gone.name}`)),
  };
}
