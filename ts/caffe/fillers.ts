/**
 * Caffe's weight fillers (include/caffe/filler.hpp), and the diagonal one of Freiburg's fork
 * (github.com/lmb-freiburg/flownet2), from a seeded generator: the same seed gives the same bits.
 */

import { mix, seededRandom } from '../base/random.ts';
import { elementCount } from '../base/shape.ts';
import { nearest } from '../base/suggest.ts';

export interface FillerSpec {
  readonly type: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly std: number;
  /** Gaussian: the average number of nonzero weights for each input; -1: all. */
  readonly sparse?: number;
  readonly variance_norm: 'FAN_IN' | 'FAN_OUT' | 'AVERAGE';
  /** Diagonal: the sum of the window from each input to the output with the same index; 1 by default. */
  readonly diag_val?: readonly number[];
}

const TYPES = [
  'constant',
  'uniform',
  'gaussian',
  'xavier',
  'msra',
  'positive_unitball',
  'bilinear',
  'diagonal',
];

/**
 * The filler's field that Caffe refuses for a blob of this shape (the CHECKs of filler.hpp), with the reason;
 * null if it accepts the filler.
 */
export function fillerProblem(
  { type, min, max, std, sparse = -1 }: FillerSpec,
  shape: readonly number[],
): { field: string; text: string } | null {
  if (!TYPES.includes(type)) {
    const near = nearest(type, TYPES);
    return {
      field: 'type',
      text: `filler type "${type}" is unknown${near === undefined ? '' : `; did you mean "${near}"?`} (known: ${TYPES.join(', ')})`,
    };
  }
  if (sparse !== -1 && type !== 'gaussian')
    return { field: 'sparse', text: `sparse belongs only to the gaussian filler, not to "${type}"` };
  if (sparse < -1) return { field: 'sparse', text: `sparse must be at least 0 (or absent), found ${sparse}` };
  if (sparse >= 0 && shape.length === 0)
    return { field: 'sparse', text: 'sparse needs a blob with axes, this one is a scalar' };
  if (type === 'gaussian' && !(std > 0))
    return { field: 'std', text: `std must be above 0, found ${std}; for one value use type: "constant"` };
  if (type === 'uniform' && !(min <= max)) return { field: 'min', text: `min ${min} is above max ${max}` };
  if (type === 'bilinear' && (shape.length !== 4 || shape[2] !== shape[3]))
    return {
      field: 'type',
      text: `the bilinear filler takes 4 axes and a square kernel, this blob is ${shape.join('×') || 'a scalar'}`,
    };
  return null;
}

/**
 * The generator of one blob of a layer. Each blob has its own stream, so its values depend only on the seed and its name,
 * not on other layers or on which of them are computed.
 */
export const fillerRandom = (seed: number, layer: string, index: number): (() => number) =>
  seededRandom(mix(seed >>> 0, ...Buffer.from(layer), index));

const PIECE = 2 ** 15;

/**
 * Values for a blob of `shape` [outputs, inputs, …]. Filler types: constant, uniform, gaussian, xavier, msra,
 * positive_unitball, bilinear, diagonal.
 */
export function fill(filler: FillerSpec, shape: readonly number[], random: () => number): Float32Array {
  const values = new Float32Array(elementCount(shape));
  for (const _ of filling(filler, shape, random, values));
  return values;
}

/**
 * The same in pieces, with a yield after each.
 * @param values The array to fill.
 */
export function* filling(
  filler: FillerSpec,
  shape: readonly number[],
  random: () => number,
  values: Float32Array,
): Generator<void, void> {
  const count = values.length;
  const valueAt = valuesOf(filler, shape, random);
  for (let start = 0; start < count; start += PIECE) {
    const end = Math.min(start + PIECE, count);
    for (let i = start; i < end; i++) values[i] = valueAt(i);
    yield;
  }
  if (filler.type !== 'positive_unitball') return;
  const fanIn = count / (shape[0] ?? 1);
  for (let row = 0; row < count; row += fanIn) {
    const weights = values.subarray(row, row + fanIn);
    const sum = weights.reduce((total, value) => total + value, 0);
    for (let i = 0; i < fanIn; i++) weights[i] = weights[i]! / sum;
    yield;
  }
}

function valuesOf(
  filler: FillerSpec,
  shape: readonly number[],
  random: () => number,
): (index: number) => number {
  const count = elementCount(shape);
  const fanIn = count / (shape[0] ?? 1);
  const fanOut = count / (shape[1] ?? 1);
  const fan = { FAN_IN: fanIn, FAN_OUT: fanOut, AVERAGE: (fanIn + fanOut) / 2 }[filler.variance_norm];
  const uniform = (low: number, high: number) => () => low + (high - low) * random();
  const gaussian = (mean: number, std: number) => () =>
    mean + std * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  switch (filler.type) {
    case 'uniform':
      return uniform(filler.min, filler.max);
    case 'gaussian': {
      const value = gaussian(filler.mean, filler.std);
      const { sparse = -1 } = filler;
      // filler.hpp: a Bernoulli mask of probability sparse / num_outputs.
      return sparse < 0 ? value : () => value() * (random() < sparse / (shape[0] ?? 1) ? 1 : 0);
    }
    case 'xavier':
      return uniform(-Math.sqrt(3 / fan), Math.sqrt(3 / fan));
    case 'msra':
      return gaussian(0, Math.sqrt(2 / fan));
    case 'positive_unitball':
      return uniform(0, 1);
    case 'bilinear': {
      const width = shape.at(-1)!;
      const factor = Math.ceil(width / 2);
      const centre = (2 * factor - 1 - (factor % 2)) / (2 * factor);
      return (i) =>
        (1 - Math.abs((i % width) / factor - centre)) *
        (1 - Math.abs((Math.floor(i / width) % width) / factor - centre));
    }
    case 'diagonal': {
      const [inputs, area] = [shape[1] ?? 1, elementCount(shape.slice(2))];
      const { diag_val: sums = [] } = filler;
      return (i) => {
        const [output, input] = [Math.floor(i / area / inputs), Math.floor(i / area) % inputs];
        return output === input ? (sums[output] ?? 1) / area : 0;
      };
    }
    default:
      return () => filler.value;
  }
}
