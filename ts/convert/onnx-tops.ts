/** Compares every layer with ONNX Runtime, by our own export with all blobs as outputs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ResnodeError, WeightsError } from '../base/errors.ts';
import { callback } from '../base/kinds.ts';
import { internal, required, signature } from '../base/options.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { layerTops, type NetToRun, netToRun, type TopsSource } from '../tools/parity/against/tops.ts';
import { blobsOf } from './network.ts';
import { onnxRuntime } from './onnx-files.ts';
import { onnxChunks } from './onnx-write.ts';
import { toOnnx } from './to-onnx.ts';

const ONNX_TOPS = signature('onnxTops', {
  network: required(netToRun, 'The net to run, with its weights.'),
  open: internal(callback<typeof onnxRuntime>()),
});

/**
 * Opens the net in ONNX Runtime. Its file is in the folder for temporary files until `dispose`.
 * @param open Finds ONNX Runtime; tests replace it.
 * @internal
 * @throws ResnodeError `parity/onnxruntime` if onnxruntime-node is not installed; GraphError `convert/onnx` for a layer
 * that ONNX cannot express; WeightsError
 */
export async function onnxTops(
  network: NetToRun,
  open: typeof onnxRuntime = onnxRuntime,
): Promise<TopsSource> {
  ONNX_TOPS.check(network, open);
  const { net, weights, inputShapes } = network;
  if (weights === null)
    throw new WeightsError('convert/missing', {}, 'ONNX needs weights; give the net its caffemodel');
  const written = graphFromCaffe(net, inputShapes === undefined ? {} : { inputShapes });
  const tops = layerTops(written);
  const graph = { ...written, outputs: tops.map(({ value }) => value) };
  const model = toOnnx(graph, blobsOf(graph, weights));
  const folder = mkdtempSync(join(tmpdir(), 'resnode-parity-'));
  const dispose = () => rmSync(folder, { recursive: true, force: true });
  try {
    const file = join(folder, 'net.onnx');
    writeFileAtomically(file, onnxChunks(model));
    const runtime = await open(file);
    if (runtime === null)
      throw new ResnodeError(
        'parity/onnxruntime',
        'ONNX Runtime is not installed; install it beside resnode: npm install onnxruntime-node',
      );
    return {
      by: runtime.by,
      run: async (inputs) => {
        const results = await runtime.run(inputs);
        return new Map(
          tops.map(({ name, value }, i) => [
            name,
            { shape: graph.values[value]!.shape, data: results[model.outputs[i]!.name]! },
          ]),
        );
      },
      dispose: () => {
        runtime.dispose();
        dispose();
      },
    };
  } catch (error) {
    dispose();
    throw error;
  }
}
