/** Caffe's weight fillers (include/caffe/filler.hpp), from a seeded generator: same seed, same bits. */
export interface FillerSpec {
  readonly type: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly std: number;
  readonly variance_norm: 'FAN_IN' | 'FAN_OUT' | 'AVERAGE';
}

/** A uniform generator on [0, 1) (splitmix32). @param seed Any integer. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let hash = state;
    hash = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
    return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Values for a blob of `shape` [outputs, inputs, …]. Filler types: constant, uniform, gaussian, xavier, msra, positive_unitball, bilinear. */
export function fill(filler: FillerSpec, shape: readonly number[], random: () => number): Float32Array {
  const count = shape.reduce((product, dim) => product * dim, 1);
  const values = new Float32Array(count);
  const fanIn = count / (shape[0] ?? 1);
  const fanOut = count / (shape[1] ?? 1);
  const fan = { FAN_IN: fanIn, FAN_OUT: fanOut, AVERAGE: (fanIn + fanOut) / 2 }[filler.variance_norm];
  const uniform = (low: number, high: number) => values.map(() => low + (high - low) * random());
  const gaussian = (mean: number, std: number) =>
    values.map(() => mean + std * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
  switch (filler.type) {
    case 'uniform':
      return uniform(filler.min, filler.max);
    case 'gaussian':
      return gaussian(filler.mean, filler.std);
    case 'xavier':
      return uniform(-Math.sqrt(3 / fan), Math.sqrt(3 / fan));
    case 'msra':
      return gaussian(0, Math.sqrt(2 / fan));
    case 'positive_unitball': {
      const positive = uniform(0, 1);
      for (let row = 0; row < count; row += fanIn) {
        const end = row + fanIn;
        const sum = positive.subarray(row, end).reduce((total, value) => total + value, 0);
        for (let i = row; i < end; i++) positive[i] = positive[i]! / sum;
      }
      return positive;
    }
    case 'bilinear': {
      const width = shape.at(-1)!;
      const factor = Math.ceil(width / 2);
      const centre = (2 * factor - 1 - (factor % 2)) / (2 * factor);
      return values.map(
        (_, i) =>
          (1 - Math.abs((i % width) / factor - centre)) *
          (1 - Math.abs((Math.floor(i / width) % width) / factor - centre)),
      );
    }
    default:
      return values.fill(filler.value);
  }
}
