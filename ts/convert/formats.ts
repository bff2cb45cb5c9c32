/** The formats by extension, one row for each. A conversion reads with one row and writes with another. */

import { ArgumentError } from '../base/errors.ts';
import { describing } from '../base/kinds.ts';
import { readBinaryproto, type WeightsFile } from '../caffe/caffemodel.ts';
import { type FileKind, fileKindAt } from '../caffe/file-kind.ts';
import { readHdf5 } from '../caffe/hdf5-file.ts';
import { readHdf5Weights, writeHdf5Weights } from '../caffe/hdf5-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { readNpy, writeNpy } from '../caffe/npy.ts';
import { splitNvidiaBlobs } from '../caffe/nvidia-batch-norm.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { writeBinaryproto, writeCaffemodel } from '../caffe/write-caffemodel.ts';
import { readSafetensorsFile, writeSafetensorsFile } from './caffe-safetensors.ts';
import type { Runner } from './check.ts';
import { mapFile } from './map-file.ts';
import type { Network, NetworkToWrite, ReadResult } from './network.ts';
import { onnxRuntime, readOnnxFile, writeOnnxFile } from './onnx-files.ts';
import { readKerasResnet } from './resnet/keras-resnet.ts';
import { readTorchResnet } from './resnet/read-torch-resnet.ts';
import { isCheckpointName } from './tensorflow/checkpoint-name.ts';

export interface ReadOptions {
  /** The net that the caller gave (--model), filtered for phase TEST. */
  readonly net: NetParameter | null;
  /** Shapes of inputs that the file leaves open. */
  readonly inputShapes: Readonly<Record<string, readonly number[]>>;
  /** The values at which the net ends; only for formats with `namesValues`. */
  readonly outputs?: readonly string[] | undefined;
}

export interface Format {
  readonly name: string;
  /** With the dot. If several fit a path, the longest applies. */
  readonly extensions: readonly string[];
  /** `array`: one blob (a layer without a name), such as a mean image. Only formats of one kind convert to each other. */
  readonly kind: 'weights' | 'array';
  /** True if a file of this format contains its net: writing needs the net, and reading returns it. */
  readonly holdsNet: boolean;
  /** True if a file names the values between layers, so that the net can end at one of them. */
  readonly namesValues?: boolean;
  /** @throws WeightsError */
  readonly read?: (path: string, options: ReadOptions) => Promise<ReadResult> | ReadResult;
  /**
   * `net` is present if `holdsNet` is true.
   * @throws WeightsError, GraphError
   */
  readonly write?: (path: string, result: NetworkToWrite) => Promise<void> | void;
  /** A program other than resnode that runs the file, or null if it is not installed. */
  readonly runner?: (path: string, outputs?: readonly string[]) => Promise<Runner | null>;
}

const array = (file: string, blob: WeightsFile['layers'][number]['blobs'][number]): ReadResult => ({
  net: null,
  weights: { file, name: '', layers: [{ name: '', type: '', blobs: [blob] }] },
});

// In the net, NVIDIA's BatchNorm is already split into two layers.
function ofNet(net: NetParameter | null, weights: WeightsFile): ReadResult {
  const names = new Set(net?.layer?.map(({ name }) => name));
  return { net, weights: splitNvidiaBlobs(weights, (name) => names.has(name)) };
}

export const formats: readonly Format[] = [
  {
    name: 'Caffe',
    extensions: ['.caffemodel'],
    kind: 'weights',
    holdsNet: false,
    read: async (path, { net }) => ofNet(net, await readWeights(path, (file) => mapFile(file))),
    write: (path, { weights }) => writeCaffemodel(path, weights),
  },
  {
    name: 'Caffe HDF5',
    extensions: ['.caffemodel.h5'],
    kind: 'weights',
    holdsNet: false,
    read: async (path, { net }) => ofNet(net, await readHdf5Weights(path)),
    write: (path, { weights }) => writeHdf5Weights(path, weights),
  },
  {
    name: 'ONNX',
    extensions: ['.onnx'],
    kind: 'weights',
    holdsNet: true,
    namesValues: true,
    read: (path, { inputShapes, outputs }) => readOnnxFile(path, { inputShapes, outputs }),
    write: (path, result) => writeOnnxFile(path, result as Network),
    runner: onnxRuntime,
  },
  {
    name: 'safetensors',
    extensions: ['.safetensors'],
    kind: 'weights',
    holdsNet: false,
    read: readSafetensorsFile,
    write: writeSafetensorsFile,
  },
  {
    name: 'PyTorch',
    extensions: ['.pth', '.pt', '.th', '.pth.tar'],
    kind: 'weights',
    holdsNet: true,
    read: (path, { inputShapes }) => readTorchResnet(path, { inputShapes }),
  },
  {
    name: 'Keras',
    extensions: ['.h5', '.hdf5'],
    kind: 'weights',
    holdsNet: true,
    read: (path, { inputShapes }) => readKerasResnet(path, { inputShapes }),
  },
  {
    name: 'MatConvNet',
    extensions: ['.mat'],
    kind: 'weights',
    holdsNet: true,
    read: async (path, { inputShapes }) =>
      (await import('./matconvnet/read-matconvnet.ts')).readMatConvNet(path, { inputShapes }),
    write: async (path, result) =>
      (await import('./matconvnet/write-matconvnet.ts')).writeMatConvNet(path, result as Network),
  },
  {
    name: 'TensorFlow',
    extensions: ['.ckpt', '.ckpt.index'],
    kind: 'weights',
    holdsNet: true,
    read: async (path, options) =>
      (await import('./tensorflow/read-tensorflow.ts')).readTensorflow(path, options),
    write: async (path, result) =>
      (await import('./tensorflow/write-tensorflow.ts')).writeTensorflow(path, result as Network),
  },
  {
    name: 'Torch7',
    extensions: ['.t7'],
    kind: 'weights',
    holdsNet: true,
    read: async (path, { inputShapes }) =>
      (await import('./torch7/read-torch7.ts')).readTorch7(path, { inputShapes }),
  },
  {
    name: 'NumPy archive',
    extensions: ['.npz'],
    kind: 'weights',
    holdsNet: false,
    read: async (path, { net }) => (await import('./numpy/read-tensorpack.ts')).readTensorpack(path, net),
  },
  {
    name: 'NumPy pickle',
    extensions: ['.pkl', '.pickle'],
    kind: 'weights',
    holdsNet: false,
    read: async (path) => (await import('./numpy/read-pickle.ts')).readNumpyPickle(path),
  },
  {
    name: 'Caffe mean image',
    extensions: ['.binaryproto'],
    kind: 'array',
    holdsNet: false,
    read: (path) => array(path, readBinaryproto(mapFile(path, 'mean'), { file: path })),
    write: (path, { weights }) => writeBinaryproto(path, weights.layers[0]!.blobs[0]!),
  },
  {
    name: 'NumPy',
    extensions: ['.npy'],
    kind: 'array',
    holdsNet: false,
    read: (path) => array(path, readNpy(mapFile(path, 'npy'), { file: path })),
    write: (path, { weights }) => writeNpy(path, weights.layers[0]!.blobs[0]!),
  },
];

/** `.caffemodel, .onnx or .npy`: the usual extension of each format. */
export const extensionsOf = (some: readonly Format[]): string =>
  describing(some.map(({ extensions }) => extensions[0]!)).expected;

function byExtension(path: string): { format: Format; extension: string } | undefined {
  return formats
    .flatMap((format) => format.extensions.map((extension) => ({ format, extension })))
    .filter(({ extension }) => path.toLowerCase().endsWith(extension))
    .sort((a, b) => b.extension.length - a.extension.length)[0];
}

/**
 * The format that a path's extension names.
 * @throws ArgumentError naming the formats that are written
 */
export function formatOf(path: string): { format: Format; extension: string } {
  const found = byExtension(path);
  if (found !== undefined) return found;
  const written = formats.filter(({ write }) => write !== undefined);
  throw new ArgumentError('to', `a file name that ends in ${extensionsOf(written)}, or a folder`, path);
}

/** The format for each detected kind of file. An HDF5 file is Caffe's, Keras's or neither, depending on its groups. */
const BY_CONTENT: Readonly<Partial<Record<FileKind, string>>> = {
  caffemodel: 'Caffe',
  onnx: 'ONNX',
  safetensors: 'safetensors',
  torch: 'PyTorch',
  zip: 'PyTorch',
  pickle: 'PyTorch',
  matlab: 'MatConvNet',
  'matlab-7.3': 'MatConvNet',
  table: 'TensorFlow',
  torch7: 'Torch7',
  mean: 'Caffe mean image',
  npy: 'NumPy',
  npz: 'NumPy archive',
};

/**
 * The format of a file to read, detected from its content. If that does not identify it, the extension decides.
 * @throws ArgumentError naming the formats that are read
 */
export async function formatOfFile(path: string): Promise<Format> {
  const kind = isCheckpointName(path) ? 'table' : kindAt(path);
  const name =
    kind === 'pickle' && !isTorchName(path)
      ? 'NumPy pickle'
      : kind === 'hdf5'
        ? (await isCaffeHdf5(path))
          ? 'Caffe HDF5'
          : 'Keras'
        : kind && BY_CONTENT[kind];
  const found = formats.find((format) => format.name === name) ?? byExtension(path)?.format;
  if (found !== undefined) return found;
  const isNet = kind === 'net' || path.endsWith('.prototxt');
  throw new ArgumentError(
    'from',
    `a file of one of the formats ${extensionsOf(formats)}`,
    path,
    isNet
      ? 'a prototxt holds no weights: give the weights file, and the prototxt as model (--model)'
      : undefined,
  );
}

// The first bytes of a pickle do not identify the program that wrote it.
const isTorchName = (path: string): boolean =>
  formats.find(({ name }) => name === 'PyTorch')!.extensions.some((end) => path.toLowerCase().endsWith(end));

// The file's reader reports a file that cannot be read.
function kindAt(path: string): FileKind | null {
  try {
    return fileKindAt(path);
  } catch {
    return null;
  }
}

const isCaffeHdf5 = (path: string): Promise<boolean> =>
  readHdf5(path, (root) => root.names().includes('data') && !root.names().includes('model_weights')).catch(
    () => byExtension(path)?.extension === '.caffemodel.h5',
  );

/** Every pair that can be converted, e.g. `.caffemodel → .onnx`. */
export function conversions(): { from: Format; to: Format; onlyMerged: boolean }[] {
  return formats.flatMap((from) =>
    formats
      .filter((to) => from.kind === to.kind && from.read !== undefined && to.write !== undefined)
      .map((to) => ({ from, to, onlyMerged: from === to }))
      .filter(({ onlyMerged }) => !onlyMerged || from.kind === 'weights'),
  );
}

/** The formats into which a file of a format can be converted. */
export const targetsOf = (source: Format): Format[] =>
  conversions().flatMap(({ from, to }) => (from === source ? [to] : []));
