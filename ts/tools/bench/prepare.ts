/**
 * Writes the files that the engines load: nets with the recipe's weights (for training, the fillers'), as Caffe's files, as
 * ONNX and for torch-engine.py.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '../../base/random.ts';
import { type Blob, blobFromFloats, toFloat32 } from '../../caffe/blob.ts';
import type { WeightsFile } from '../../caffe/caffemodel.ts';
import { fill } from '../../caffe/fillers.ts';
import { printPrototxt } from '../../caffe/print.ts';
import { writeCaffemodel } from '../../caffe/write-caffemodel.ts';
import { onnxChunks } from '../../convert/onnx-write.ts';
import { toOnnx } from '../../convert/to-onnx.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import type { Graph } from '../../graph/graph.ts';
import { summarise } from '../../graph/summary.ts';
import { runPasses } from '../../passes/index.ts';
import { recipeInput, recipeWeights } from '../parity/recipe.ts';
import type { BenchNet } from './nets.ts';

const SEED = 20151210;

/** Multiply-accumulates of one run: as the net is written, and after resnode's rewrites (there are none for training). */
export interface Arithmetic {
  readonly written: number;
  readonly rewritten: number;
}

/**
 * For a net NAME, writes NAME.prototxt, NAME.caffemodel, NAME.graph.json and NAME.weights.f32 into `folder`. For each batch
 * size N it writes the input NAME-N.f32, and NAME-N.onnx or, for training, NAME-N.labels.f32.
 * @param net In TRAIN phase, from `asTraining`.
 * @returns The arithmetic of each batch size.
 */
export function prepare(
  { name, net, input }: BenchNet,
  batches: readonly number[],
  folder: string,
  phase: 'TRAIN' | 'TEST',
): Arithmetic[] {
  const file = (suffix: string) => join(folder, `${name}${suffix}`);
  const full = graphFromCaffe(net, { phase });
  const weights = phase === 'TRAIN' ? initialWeights(full) : recipeWeights(full, SEED);
  const blobs = new Map(
    weights.layers.flatMap(({ name: layer, blobs: list }) =>
      list.map((blob, i) => [`${layer}/${i}`, blob] as const),
    ),
  );
  const blobOf = (graph: Graph) => (id: number) =>
    blobs.get(`${graph.parameters[id]!.layer}/${graph.parameters[id]!.index}`)!;
  writeFileSync(file('.prototxt'), printPrototxt(net));
  writeCaffemodel(file('.caffemodel'), weights);
  writeForTorch(full, blobOf(full), file);
  return batches.map((batch) => {
    const graph = graphFromCaffe(net, { phase, batch });
    writeFileSync(file(`-${batch}.f32`), new Uint8Array(recipeInput([batch, ...input], SEED).buffer));
    if (phase === 'TRAIN') {
      writeFileSync(file(`-${batch}.labels.f32`), new Uint8Array(labels(graph, batch).buffer));
      return { written: stepMacs(graph), rewritten: stepMacs(graph) };
    }
    // As written, because ONNX Runtime folds BatchNormalization into convolutions itself.
    writeFileSync(file(`-${batch}.onnx`), Buffer.concat([...onnxChunks(toOnnx(graph, blobOf(graph)))]));
    return { written: summarise(graph).macs, rewritten: summarise(runPasses(graph)).macs };
  });
}

/**
 * Weights from the start of a training. From the recipe's weights, steps are so steep that rounding decides the next losses.
 */
export function initialWeights({ name, parameters }: Graph): WeightsFile {
  const random = seededRandom(SEED);
  const blobs = new Map<string, Blob[]>();
  for (const { layer, shape, filler } of parameters)
    blobs.set(layer, [...(blobs.get(layer) ?? []), blobFromFloats(shape, fill(filler, shape, random))]);
  return {
    file: 'fillers',
    name,
    layers: [...blobs].map(([layer, list]) => ({ name: layer, type: '', blobs: list })),
  };
}

// Forward plus twice as much backward, for data and for weights. The gradient of the image is not computed.
function stepMacs(graph: Graph): number {
  const { layers, macs } = summarise(graph);
  return 3 * macs - layers.find((layer) => layer.macs > 0)!.macs;
}

function labels(graph: Graph, batch: number): Float32Array {
  const loss = graph.nodes.find(({ operation }) => operation.kind === 'softmaxLoss')!;
  const [, classes] = graph.values[loss.inputs[0]!]!.shape as [number, number];
  return Float32Array.from({ length: batch }, (_, i) => (7 * i) % classes);
}

// The graph with its operations. A parameter is a position in the file of floats.
function writeForTorch(graph: Graph, source: (id: number) => Blob, file: (suffix: string) => string): void {
  let offset = 0;
  const chunks: Uint8Array[] = [];
  const parameters = graph.parameters.map(({ shape, lrMult, decayMult }, id) => {
    const values = toFloat32(source(id));
    chunks.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    offset += values.length;
    return { shape, lrMult, decayMult, offset: offset - values.length, count: values.length };
  });
  writeFileSync(file('.weights.f32'), Buffer.concat(chunks));
  const nodes = graph.nodes.map(({ operation, inputs, outputs }) => ({ operation, inputs, outputs }));
  writeFileSync(
    file('.graph.json'),
    JSON.stringify({ parameters, nodes, inputs: graph.inputs, outputs: graph.outputs }),
  );
}
