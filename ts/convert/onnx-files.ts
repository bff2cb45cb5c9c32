/** .onnx files on disk, and ONNX Runtime to check them. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { WeightsError } from '../base/errors.ts';
import { path, shapes } from '../base/kinds.ts';
import { fields, optional, options, required, signature } from '../base/options.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { weightsFile } from '../caffe/caffemodel.ts';
import { netParameter } from '../caffe/net-parameter.ts';
import { bytesField } from '../caffe/wire.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { Runner } from './check.ts';
import { fromOnnx } from './from-onnx.ts';
import { mapFile } from './map-file.ts';
import { blobsOf, type Network, outputsOfFile, readerParameters } from './network.ts';
import { readOnnx } from './onnx-proto.ts';
import { onnxChunks } from './onnx-write.ts';
import { toOnnx } from './to-onnx.ts';

const READ_ONNX_FILE = signature('readOnnxFile', {
  file: readerParameters.file,
  options: optional(
    options<{ inputShapes?: Readonly<Record<string, readonly number[]>>; outputs?: readonly string[] }>({
      inputShapes: optional(shapes, 'as the file says', 'The shapes of inputs, by blob name.'),
      outputs: outputsOfFile,
    }),
    'none',
    'The shapes of inputs.',
  ),
});

/**
 * Reads a net and its weights, which stay views of the mapped file.
 * @param options.outputs Values of the model that become the net's outputs, in place of the model's.
 * @returns `outputs`: the outputs that the file names. If a layer reads one of them too, request it when you load the net.
 * @throws WeightsError
 */
export function readOnnxFile(
  file: string,
  options: {
    inputShapes?: Readonly<Record<string, readonly number[]>>;
    outputs?: readonly string[] | undefined;
  } = {},
): Network & { readonly outputs: readonly string[] } {
  READ_ONNX_FILE.check(file, options);
  const model = readOnnx(mapFile(file, 'onnx'), { file, external: externalData(file) });
  const { inputShapes = {}, outputs } = options;
  return fromOnnx(model, { file, inputShapes, ...(outputs === undefined ? {} : { outputs }) });
}

const WRITE_ONNX_FILE = signature('writeOnnxFile', {
  file: required(path, 'The path of the file to write.'),
  network: required(
    fields<Network>('{ net, weights }', {
      net: required(netParameter, 'The net.'),
      weights: required(weightsFile, 'The weights of the net.'),
    }),
    'A net and its weights.',
  ),
});

/**
 * Writes a net as .onnx. The file is complete or unchanged.
 * @throws GraphError if ONNX cannot express a layer; WeightsError
 */
export function writeOnnxFile(file: string, network: Network): void {
  WRITE_ONNX_FILE.check(file, network);
  const { net, weights } = network;
  const graph = graphFromCaffe(net);
  writeFileAtomically(file, onnxChunks(toOnnx(graph, blobsOf(graph, weights))));
}

// https://onnx.ai/onnx/repo-docs/ExternalData.html: the path is relative to the model's folder and must not leave it.
function externalData(file: string) {
  const mapped = new Map<string, Uint8Array>();
  return (location: string, offset: number, length: number | null): Uint8Array => {
    const fail = (text: string, cause?: unknown): never => {
      throw new WeightsError('onnx/external', { file }, text, { cause });
    };
    const path = normalize(location);
    if (location === '' || isAbsolute(path) || path.split(/[\\/]/).includes('..'))
      fail(`its weights are in "${location}", outside the folder of the model`);
    const place = join(dirname(file), path);
    if (leadsOut(place, file))
      fail(
        `its weights are in "${location}", a link that leads out of the folder of the model; copy the file there`,
      );
    let bytes: Uint8Array;
    try {
      bytes = mapped.get(path) ?? mapFile(place);
      mapped.set(path, bytes);
    } catch (error) {
      return fail(`its weights are in "${location}", which cannot be read; keep it beside the model`, error);
    }
    const end = length === null ? bytes.length : offset + length;
    if (!(offset >= 0 && offset <= end && end <= bytes.length))
      fail(`"${location}" has ${bytes.length} bytes, but the model reads ${offset} to ${end}`);
    return bytes.subarray(offset, end);
  };
}

// Links are resolved first. If the model itself is a link, as in Hugging Face's cache, its weights may be in the folder of
// the link's target.
function leadsOut(place: string, file: string): boolean {
  if (!existsSync(place)) return false;
  const real = realpathSync(place);
  return ![realpathSync(dirname(file)), dirname(realpathSync(file))].some((folder) =>
    real.startsWith(folder.endsWith(sep) ? folder : folder + sep),
  );
}

/**
 * Runs an .onnx file with onnxruntime-node; null if that is not installed.
 * @param outputs Values to fetch, also from inside the model. Default: its outputs.
 * @throws WeightsError `onnx/runtime` if it refuses the file
 */
export async function onnxRuntime(file: string, outputs?: readonly string[]): Promise<Runner | null> {
  const runtime = await import('onnxruntime-node').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  });
  if (runtime === null) return null;
  const by = `onnxruntime-node ${runtime.env.versions.node ?? ''}`.trim();
  const refused = (error: unknown): never => {
    throw new WeightsError('onnx/runtime', { file }, `${by} refuses it: ${(error as Error).message}`, {
      cause: error,
    });
  };
  const model = outputs === undefined ? file : withOutputs(file, outputs);
  const session = await runtime.InferenceSession.create(model as string, { logSeverityLevel: 3 }).catch(
    refused,
  );
  return {
    by,
    run: async (inputs) => {
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([name, { shape, data }]) => [
          name,
          new runtime.Tensor('float32', data, shape),
        ]),
      );
      const results = await session.run(feeds, outputs ?? session.outputNames).catch(refused);
      return Object.fromEntries(
        // Classes are int64.
        Object.entries(results).map(([name, { data }]) => [
          name,
          Float32Array.from(data as Float32Array, Number),
        ]),
      );
    },
    dispose: () => session.release(),
  };
}

// Two messages of the same field are merged (https://protobuf.dev/programming-guides/encoding/#last-one-wins). So a second
// ModelProto.graph with only names in GraphProto.output adds outputs. ONNX Runtime infers their types.
function withOutputs(file: string, names: readonly string[]): Uint8Array {
  const added = names.map((name) => bytesField(12, bytesField(1, name)));
  return Buffer.concat([mapFile(file), bytesField(7, Buffer.concat(added))]);
}
