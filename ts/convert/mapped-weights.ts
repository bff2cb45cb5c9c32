/** Assigns tensors of any framework to the blobs of a net by a file of names: `--map names.json`. */
import { WeightsError } from '../base/errors.ts';
import { MAX_DIMENSIONS } from '../base/files.ts';
import { elementCount } from '../base/shape.ts';
import { nearest } from '../base/suggest.ts';
import { blobFromFloats, toFloat32 } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { fileKindAt } from '../caffe/file-kind.ts';
import { readJsonFile } from '../caffe/json.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { Values } from './net-maker.ts';
import type { SourceTensors } from './source-tensor.ts';
import { tensorTable } from './unknown-names.ts';

/** The tensor for a blob, with an order of its axes if it differs. Null leaves the choice to `leftOut`. */
type Entry =
  | string
  | null
  | { readonly tensor: string; readonly reshape?: readonly number[]; readonly transpose?: readonly number[] };

/**
 * The tensors of a file with arbitrary names.
 * @throws WeightsError if its format is not supported
 */
export async function namedTensors(path: string): Promise<SourceTensors> {
  const { tableOf } = await import('./tensorflow/checkpoint-name.ts');
  const file = tableOf(path);
  const kind = fileKindAt(file);
  const { mapFile } = await import('./map-file.ts');
  if (await isNumpyPickle(file))
    return (await import('./numpy/read-pickle.ts')).numpyTensors(mapFile(file, 'torch'), file);
  switch (kind) {
    case 'table':
      return (await import('./tensorflow/checkpoint.ts')).readCheckpoint(file);
    case 'npz':
      return (await import('./numpy/read-npz.ts')).readNpz(file);
    case 'safetensors':
      return (await import('./safetensors.ts')).readSafetensors(mapFile(file, 'safetensors'), { file })
        .tensors;
    case 'torch':
    case 'zip':
    case 'pickle': {
      const [{ readTorchFile }, { stateDict }] = await Promise.all([
        import('./resnet/read-torch-resnet.ts'),
        import('./torch/state-dict.ts'),
      ]);
      return stateDict(await readTorchFile(mapFile(file, 'torch'), file), file);
    }
    case 'hdf5':
      return (await (await import('./keras/keras-weights.ts')).readKerasWeights(file)).tensors;
    default:
      throw new WeightsError(
        'convert/map',
        { file },
        'tensors by name are read from .npz, .pkl, .safetensors, .pth, checkpoints of TensorFlow and .h5 of Keras',
      );
  }
}

async function isNumpyPickle(file: string): Promise<boolean> {
  const { formatOfFile } = await import('./formats.ts');
  const format = await formatOfFile(file).catch(() => null);
  return format?.name === 'NumPy pickle';
}

/**
 * @param map A JSON file with an entry for each layer of the net and a tensor for each blob: `{ "conv1": ["stem/W",
 * "stem/b"], "fc": [{ "tensor": "out/W", "transpose": [1, 0] }, "out/b"] }`. `reshape` first gives the tensor's values
 * other dimensions. `transpose` lists the tensor's axes in the blob's order, as for numpy.transpose.
 * @throws WeightsError `convert/map` with the tensors of the file as a table
 */
export function mappedWeights(
  net: NetParameter,
  tensors: SourceTensors,
  map: string,
  file: string,
): WeightsFile {
  const fail = (text: string): never => {
    throw new WeightsError('convert/map', { file: map }, text);
  };
  const table = () => `${file} holds\n${tensorTable(tensors)}`;
  const json = readJsonFile(map, 'json', (found) => new WeightsError('convert/map', { file: map }, found));
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return fail("expected an object that maps a layer's name to a list of tensors");
  const entries = new Map(Object.entries(json));
  const { parameters } = graphFromCaffe(net);
  const layers = new Map<string, { index: number; shape: readonly number[] }[]>();
  for (const { layer, index, shape } of parameters)
    layers.set(layer, [...(layers.get(layer) ?? []), { index, shape }]);
  for (const name of entries.keys())
    if (!layers.has(name))
      fail(`the net has no layer "${name}" with weights${nearestOf(name, [...layers.keys()])}`);
  const types = new Map((net.layer ?? []).map(({ name = '', type = '' }) => [name, type]));
  const made = [...layers].map(([name, blobs]) => {
    const listed = entries.get(name);
    if (!Array.isArray(listed) || listed.length > blobs.length)
      return fail(
        `layer "${name}" needs ${blobs.map(({ shape }) => shape.join('×')).join(' and ')}: expected "${name}": [${blobs.map(() => '"tensor"').join(', ')}]; ${table()}`,
      );
    return {
      name,
      type: types.get(name) ?? '',
      blobs: blobs.map(({ index, shape }) => {
        const entry = (listed[index] ?? null) as Entry;
        const values =
          entry === null
            ? (leftOut(types.get(name) ?? '', index, shape) ??
              fail(
                `blob ${index} of layer "${name}" (${shape.join('×')}) needs a tensor: only a bias may be omitted (it becomes zeros), and BatchNorm's third blob (it becomes 1); ${table()}`,
              ))
            : valuesOf(entry, name, index);
        if (squeezed(values.shape) !== squeezed(shape))
          fail(
            `layer "${name}" needs ${shape.join('×')}, "${nameOf(entry)}" gives ${values.shape.join('×') || 'a scalar'}; reorder its axes: { "tensor": "${nameOf(entry)}", "transpose": [${transposeFor(values.shape, shape)}] }`,
          );
        return blobFromFloats(shape, values.values);
      }),
    };
  });
  return { file, name: net.name ?? '', layers: made };

  function valuesOf(entry: NonNullable<Entry>, layer: string, index: number): Values {
    const name = nameOf(entry);
    const tensor = tensors.get(name);
    if (tensor === undefined)
      return fail(
        `blob ${index} of layer "${layer}": there is no tensor ${JSON.stringify(name)}${nearestOf(name, [...tensors.keys()])}; ${table()}`,
      );
    const read = toFloat32(tensor.blob());
    const reshape = (typeof entry === 'object' ? entry.reshape : undefined) ?? tensor.shape;
    const isShape =
      Array.isArray(reshape) &&
      reshape.length <= MAX_DIMENSIONS &&
      reshape.every((dim) => Number.isSafeInteger(dim) && dim > 0);
    if (reshape !== tensor.shape && !(isShape && elementCount(reshape) === read.length))
      fail(
        `blob ${index} of layer "${layer}": reshape is ${JSON.stringify(reshape)?.slice(0, 80)}, expected dimensions of ${read.length} values`,
      );
    const values = { shape: reshape, values: read };
    const order = typeof entry === 'object' ? entry.transpose : undefined;
    if (order === undefined) return values;
    const isOrder =
      Array.isArray(order) &&
      order.length === reshape.length &&
      order.length <= MAX_DIMENSIONS &&
      [...order].sort((a, b) => a - b).every((axis, i) => axis === i);
    return isOrder
      ? transposed(values, order)
      : fail(
          `blob ${index} of layer "${layer}": transpose is ${JSON.stringify(order)?.slice(0, 80)}, expected the axes 0 to ${reshape.length - 1} in some order`,
        );
  }
}

const nameOf = (entry: Entry): string => String(typeof entry === 'object' ? entry?.tensor : entry);

function nearestOf(name: string, names: readonly string[]): string {
  const near = nearest(name, names);
  return near === undefined ? '' : `, did you mean "${near}"?`;
}

/** The values of a blob without a tensor: zeros for a bias, 1 for BatchNorm's factor; null if values would be a guess. */
function leftOut(type: string, index: number, shape: readonly number[]): Values | null {
  if (index !== (type === 'BatchNorm' ? 2 : 1)) return null;
  return { shape, values: new Float32Array(elementCount(shape)).fill(type === 'BatchNorm' ? 1 : 0) };
}

/** Dimensions of 1 do not determine an order of axes. */
const squeezed = (shape: readonly number[]): string => shape.filter((dim) => dim !== 1).join();

/** For a message: a kernel in TensorFlow's layout, or a matrix. */
const transposeFor = (from: readonly number[], to: readonly number[]): string =>
  from.length === 4 && to.length === 4 ? '3, 2, 0, 1' : [...from.keys()].reverse().join(', ');

function transposed({ shape, values }: Values, order: readonly number[]): Values {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const to = order.map((axis) => shape[axis]!);
  const result = new Float32Array(values.length);
  let at = 0;
  const visit = (axis: number, place: number): void => {
    if (axis === to.length) {
      result[at++] = values[place]!;
      return;
    }
    for (let i = 0; i < to[axis]!; i++) visit(axis + 1, place + i * strides[order[axis]!]!);
  };
  if (values.length > 0) visit(0, 0);
  return { shape: to, values: result };
}
