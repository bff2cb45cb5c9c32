/** The files that the engines load: one net with the recipe's weights, as Caffe's files and as ONNX, and its inputs. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { graphFromCaffe, printPrototxt, resnet, runPasses, summarise, writeCaffemodel } from '../ts/index.ts';
import { recipeInput, recipeWeights } from '../ts/parity/recipe.ts';
import { toOnnx } from './onnx.ts';

const SEED = 20151210;

/** Multiply-accumulates of one run: as the net is written, and after resnode's rewrites. */
export interface Arithmetic {
  readonly written: number;
  readonly rewritten: number;
}

/**
 * Writes net.prototxt, net.caffemodel and, for each batch size, net<N>.onnx and input<N>.f32 into `folder`.
 * @returns The arithmetic of each batch size.
 */
export function prepare(depth: 50 | 101 | 152, batches: readonly number[], folder: string): Arithmetic[] {
  const net = resnet({ depth });
  const full = graphFromCaffe(net);
  const weights = recipeWeights(full, SEED);
  const blobs = new Map(
    weights.layers.flatMap(({ name, blobs: list }) => list.map((blob, i) => [`${name}/${i}`, blob] as const)),
  );
  writeFileSync(join(folder, 'net.prototxt'), printPrototxt(net));
  writeCaffemodel(join(folder, 'net.caffemodel'), weights);
  return batches.map((batch) => {
    const graph = graphFromCaffe(net, { batch });
    const source = (id: number) => blobs.get(`${full.parameters[id]!.layer}/${full.parameters[id]!.index}`)!;
    writeFileSync(join(folder, `net${batch}.onnx`), toOnnx(graph, source));
    writeFileSync(
      join(folder, `input${batch}.f32`),
      new Uint8Array(recipeInput([batch, 3, 224, 224], SEED).buffer),
    );
    return { written: summarise(graph).macs, rewritten: summarise(runPasses(graph)).macs };
  });
}
