/** The peer's form of a net, as bytes. */

import type { BlobOf } from '../ts/convert/layer-writer.ts';
import { onnxChunks } from '../ts/convert/onnx-write.ts';
import { toOnnx as describe } from '../ts/convert/to-onnx.ts';
import type { Graph } from '../ts/graph/graph.ts';

/** As written: ONNX Runtime folds BatchNormalization into convolutions itself. */
export function toOnnx(graph: Graph, source: BlobOf): Uint8Array {
  return Buffer.concat([...onnxChunks(describe(graph, source))]);
}
