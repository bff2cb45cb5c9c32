/** The `recipe/1` weights and inputs of golden/recipe/recipe.md: reproducible numbers for full-size nets. */
import { elementCount } from '../../base/shape.ts';
import { blobFromFloats } from '../../caffe/blob.ts';
import type { WeightsFile } from '../../caffe/caffemodel.ts';
import type { Graph, Node } from '../../graph/graph.ts';

const { fround } = Math;

function fmix32(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function uniform(seed: number, layer: number, blob: number): (i: number) => number {
  const key = fmix32((seed + Math.imul(0x9e3779b9, layer + 1) + Math.imul(0x85ebca6b, blob + 1)) | 0);
  return (i) => (fmix32(Math.imul(i, 0x9e3779b1) ^ key) >>> 8) * 2 ** -24;
}

/** An input of shape N×C×H×W: 32×32 patches with noise. */
export function recipeInput(shape: readonly [number, number, number, number], seed: number): Float32Array {
  const [n, c, h, w] = shape;
  const [rows, columns] = [Math.ceil(h / 32), Math.ceil(w / 32)];
  const coarse = uniform(seed, 65535, 0);
  const fine = uniform(seed, 65535, 1);
  const data = new Float32Array(n * c * h * w);
  for (let plane = 0, i = 0; plane < n * c; plane++) {
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++, i++) {
        const patch = fround((coarse((plane * rows + (y >> 5)) * columns + (x >> 5)) - 0.5) * 192);
        data[i] = patch + fround((fine(i) - 0.5) * 64);
      }
    }
  }
  return data;
}

/** The weights of every layer with parameters, in prototxt order. No pass may have changed the graph. */
export function recipeWeights(graph: Graph, seed: number): WeightsFile {
  const types = new Map(graph.nodes.map((node: Node) => [node.name, node.type]));
  const names = [...new Set(graph.parameters.map(({ layer }) => layer))];
  let batchNorms = 0;
  let convolutions = 0;
  const layers = names.map((name, layer) => {
    const type = types.get(name)!;
    const factor = type === 'BatchNorm' && batchNorms++ % 3 === 2 ? fround(999.98) : 1;
    const gain = type === 'Convolution' && convolutions++ === 0 ? 1 / 64 : 1;
    const blobs = graph.parameters
      .filter((parameter) => parameter.layer === name)
      .map(({ shape, index }) => {
        const count = elementCount(shape);
        const values = new Float32Array(count);
        const u = uniform(seed, layer, index);
        const fanIn = count / shape[0]!;
        const [scale, offset, times] = spread(type, name, index, fanIn, gain, factor);
        for (let i = 0; i < count; i++)
          values[i] = fround(fround(fround((u(i) - 0.5) * scale) + offset) * times);
        if (type === 'BatchNorm' && index === 2) values[0] = factor;
        return blobFromFloats(shape, values);
      });
    return { name, type, blobs };
  });
  return { file: 'recipe', name: graph.name, layers };
}

function spread(
  type: string,
  name: string,
  blob: number,
  fanIn: number,
  gain: number,
  factor: number,
): [number, number, number] {
  if (type === 'Convolution') return blob === 0 ? [fround(Math.sqrt(24 / fanIn) * gain), 0, 1] : [0.5, 0, 1];
  if (type === 'InnerProduct')
    return blob === 0 ? [fround(Math.sqrt(24 / fanIn) * 2), 0, 1] : [fround(0.2), 0, 1];
  if (type === 'BatchNorm') return blob === 0 ? [fround(0.4), 0, factor] : [1, 1, factor];
  if (blob === 1) return [fround(0.2), 0, 1];
  return name.endsWith('branch2c')
    ? [0.125, 0.1875, 1]
    : name.endsWith('branch1')
      ? [0.25, 0.5625, 1]
      : [0.5, 1, 1];
}
