/** Random weights for nets of any size, repeated from a small pool. */
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import type { Graph } from '../../ts/graph/graph.ts';

/** Uniform random values from −1 to 1 (Marsaglia, "Xorshift RNGs"). */
const pool = new Float32Array(65536);
for (let i = 0, state = 2463534242; i < pool.length; i++) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  pool[i] = state / 2 ** 31;
}

/** Values around `middle`, repeated if more are needed than the pool has. */
export function randomValues(count: number, spread: number, middle: number, from: number): Float32Array {
  const all = new Float32Array(count);
  const drawn = Math.min(count, pool.length);
  for (let i = 0; i < drawn; i++) all[i] = middle + spread * pool[(i + 7919 * from) % pool.length]!;
  for (let at = drawn; at < count; at += drawn) all.copyWithin(at, 0, drawn);
  return all;
}

/** Weights that keep activations bounded (LeCun et al., "Efficient BackProp", section 4.6). */
export function randomWeights(graph: Graph): WeightsFile {
  const types = new Map(graph.nodes.map(({ name, type }) => [name, type]));
  const layers = [...new Set(graph.parameters.map(({ layer }) => layer))].map((name, position) => ({
    name,
    type: types.get(name)!,
    blobs: graph.parameters
      .filter(({ layer }) => layer === name)
      .map(({ shape, index }) => {
        const count = elementCount(shape);
        const isFilter = shape.length > 1 && count > shape[0]! && !/BN|BatchNorm/.test(types.get(name)!);
        const spread = isFilter ? Math.sqrt(3 / (count / shape[0]!)) : 0.1;
        const isFactor = types.get(name) === 'BatchNorm' && index === 2;
        // BatchNorm's second blob, and the fourth of PSPNet's BN.
        const isVariance = index === ({ BatchNorm: 1, BN: 3 } as Record<string, number>)[types.get(name)!];
        const middle = isFilter || (index % 2 === 1 && !isVariance) ? 0 : 1;
        const isMean = types.get(name) === 'BatchNorm' && index === 0;
        return blobFromFloats(
          [...shape],
          randomValues(count, isFactor ? 0 : spread, isMean ? 0 : middle, position + 1),
        );
      }),
  }));
  return { file: 'random', name: graph.name, layers };
}
