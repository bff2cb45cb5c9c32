/** The files that the engines load: nets with the recipe's weights, as Caffe's files, as ONNX and for torch-engine.py. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Blob, toFloat32 } from '../caffe/blob.ts';
import { printPrototxt } from '../caffe/print.ts';
import { writeCaffemodel } from '../caffe/write-caffemodel.ts';
import { onnxChunks } from '../convert/onnx-write.ts';
import { toOnnx } from '../convert/to-onnx.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { Graph } from '../graph/graph.ts';
import { summarise } from '../graph/summary.ts';
import { recipeInput, recipeWeights } from '../parity/recipe.ts';
import { runPasses } from '../passes/index.ts';
import type { BenchNet } from './nets.ts';

const SEED = 20151210;

/** Multiply-accumulates of one run: as the net is written, and after resnode's rewrites. */
export interface Arithmetic {
  readonly written: number;
  readonly rewritten: number;
}

/**
 * Writes into `folder` for a net NAME: NAME.prototxt, NAME.caffemodel, NAME.graph.json and NAME.weights.f32, and for each
 * batch size N NAME-N.onnx and NAME-N.f32, the input.
 * @returns The arithmetic of each batch size.
 */
export function prepare(
  { name, net, input }: BenchNet,
  batches: readonly number[],
  folder: string,
): Arithmetic[] {
  const file = (suffix: string) => join(folder, `${name}${suffix}`);
  const full = graphFromCaffe(net);
  const weights = recipeWeights(full, SEED);
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
    const graph = graphFromCaffe(net, { batch });
    // As written: ONNX Runtime folds BatchNormalization into convolutions itself.
    writeFileSync(file(`-${batch}.onnx`), Buffer.concat([...onnxChunks(toOnnx(graph, blobOf(graph)))]));
    writeFileSync(file(`-${batch}.f32`), new Uint8Array(recipeInput([batch, ...input], SEED).buffer));
    return { written: summarise(graph).macs, rewritten: summarise(runPasses(graph)).macs };
  });
}

// The graph as it is: nodes with their operations; a parameter is its place in the file of floats.
function writeForTorch(graph: Graph, source: (id: number) => Blob, file: (suffix: string) => string): void {
  let offset = 0;
  const chunks: Uint8Array[] = [];
  const parameters = graph.parameters.map(({ shape }, id) => {
    const values = toFloat32(source(id));
    chunks.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    offset += values.length;
    return { shape, offset: offset - values.length, count: values.length };
  });
  writeFileSync(file('.weights.f32'), Buffer.concat(chunks));
  const nodes = graph.nodes.map(({ operation, inputs, outputs }) => ({ operation, inputs, outputs }));
  writeFileSync(
    file('.graph.json'),
    JSON.stringify({ parameters, nodes, inputs: graph.inputs, outputs: graph.outputs }),
  );
}
