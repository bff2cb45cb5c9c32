/**
 * Keras's weights in HDF5: the legacy layout of Keras 1 and 2, and the layout of Keras 3 for a whole model saved as .h5.
 * Each layer has a group, whose attribute `weight_names` gives the order. A whole model has the groups under
 * /model_weights.
 */

import { WeightsError } from '../../base/errors.ts';
import { type Blob, blobFromFloats, toFloat32 } from '../../caffe/blob.ts';
import { blobOfDataset, readHdf5 } from '../../caffe/hdf5-file.ts';
import { Hdf5Dataset } from '../../hdf5/dataset.ts';
import { Hdf5Group } from '../../hdf5/file.ts';
import type { SourceTensor } from '../source-tensor.ts';
import { transposedKernel } from '../transposed-kernel.ts';

export interface KerasWeights {
  /** `layer/kernel`, `bias`, `gamma`, `beta`, `mean`, `variance`, with kernels in Caffe's order of axes. */
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  /** All layers, including those without weights. */
  readonly layerNames: readonly string[];
  /** The description of a whole model; null if the file has only weights. */
  readonly config: { readonly layerNames: readonly string[]; readonly epsilons: readonly number[] } | null;
  /** The description as the file stores it; null if there is none. */
  readonly modelConfig: string | null;
}

/** @throws WeightsError `keras/layout` for another layout, with the one to save instead */
export function readKerasWeights(file: string): Promise<KerasWeights> {
  return readHdf5(file, async (root) => {
    const whole = root.get('model_weights');
    const group = whole instanceof Hdf5Group ? whole : root;
    if (group.texts('layer_names') === undefined) throw otherLayout(root, file);
    const layerNames = strings(group, 'layer_names', file);
    const tensors = new Map<string, SourceTensor>();
    for (const layer of layerNames) {
      const found = group.get(layer);
      if (!(found instanceof Hdf5Group))
        throw new WeightsError(
          'keras/layout',
          { file, layer },
          `layer "${layer}" is listed, but its group is missing`,
        );
      for (const [role, blob] of roles(await blobsOf(found, layer, file)))
        tensors.set(`${layer}/${role}`, { shape: blob.shape, type: blob.dtype, blob: () => blob });
    }
    const [modelConfig = null] = root.texts('model_config') ?? [];
    return { tensors, layerNames, config: configOf(root), modelConfig };
  });
}

function otherLayout(root: Hdf5Group, file: string): WeightsError {
  const keys = root.names();
  const reason = keys.includes('data')
    ? 'this is the HDF5 form of Caffe weights; name it .caffemodel.h5'
    : keys.some((key) => ['layers', '_layer_checkpoint_dependencies', 'vars'].includes(key))
      ? 'these are weights of Keras 3, which do not name the layers; save the whole model: model.save("model.h5")'
      : 'it has no attribute layer_names; expected weights that Keras saved as .h5';
  return new WeightsError('keras/layout', { file }, reason);
}

async function blobsOf(group: Hdf5Group, layer: string, file: string): Promise<Blob[]> {
  if (group.texts('weight_names') === undefined) return [];
  const blobs: Blob[] = [];
  for (const name of strings(group, 'weight_names', file)) {
    const dataset = group.get(name);
    if (!(dataset instanceof Hdf5Dataset))
      throw new WeightsError(
        'keras/layout',
        { file, layer },
        `layer "${layer}": its weight "${name}" is missing`,
      );
    blobs.push(await blobOfDataset(dataset, { file, layer }, `"${name}"`));
  }
  return blobs;
}

function strings(group: Hdf5Group, attribute: string, file: string): string[] {
  const texts = group.texts(attribute);
  if (texts) return texts;
  throw new WeightsError('keras/layout', { file }, `the attribute ${attribute} is not a list of names`);
}

// Recognised by order and rank, as Keras itself does, because the names changed between versions.
function roles(blobs: readonly Blob[]): [string, Blob][] {
  const [first] = blobs;
  if (blobs.length === 4 && blobs.every(({ shape }) => shape.length === 1))
    return (['gamma', 'beta', 'mean', 'variance'] as const).map((role, i) => [role, blobs[i]!]);
  if (first !== undefined && blobs.length <= 2 && (first.shape.length === 4 || first.shape.length === 2))
    return blobs.map((blob, i) => (i === 0 ? ['kernel', transposed(blob)] : ['bias', blob]));
  return blobs.map((blob, i) => [String(i), blob]);
}

function transposed(blob: Blob): Blob {
  const { shape, values } = transposedKernel({ shape: blob.shape, values: toFloat32(blob) });
  return blobFromFloats(shape, values);
}

function configOf(root: Hdf5Group): KerasWeights['config'] {
  const [text] = root.texts('model_config') ?? [];
  if (text === undefined) return null;
  try {
    const { layers } = (JSON.parse(text) as { config: { layers: unknown[] } }).config;
    const known = layers as {
      class_name?: unknown;
      name?: unknown;
      config?: { name?: unknown; epsilon?: unknown };
    }[];
    return {
      layerNames: known.map(({ name, config }) => String(config?.name ?? name)),
      epsilons: known
        .filter(({ class_name }) => class_name === 'BatchNormalization')
        .map(({ config }) => config?.epsilon)
        .filter((epsilon) => typeof epsilon === 'number'),
    };
  } catch {
    return null;
  }
}
