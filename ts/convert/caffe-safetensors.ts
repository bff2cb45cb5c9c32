/**
 * Caffe's weights as safetensors. Each blob is a tensor named `layer.index`. The metadata lists the layers in order with
 * their types, and stores the net's name and, if it is known, its prototxt.
 */

import { WeightsError } from '../base/errors.ts';
import { nullOr, path, shapes } from '../base/kinds.ts';
import { fields, optional, options, required, signature } from '../base/options.ts';
import type { Blob } from '../caffe/blob.ts';
import { type WeightsFile, type WeightsLayer, weightsFile } from '../caffe/caffemodel.ts';
import { filterNet, type NetParameter, netParameter, readNet } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { refuseLayersTwice } from '../caffe/write-caffemodel.ts';
import { mapFile } from './map-file.ts';
import type { Network, ReadResult } from './network.ts';
import { torchResnet } from './resnet/torch-resnet.ts';
import { readSafetensors, type Safetensors, writeSafetensors } from './safetensors.ts';

const FORMAT = 'caffe';

const READ_SAFETENSORS_FILE = signature('readSafetensorsFile', {
  file: required(path, 'The path of the file.'),
  options: optional(
    options<{ net?: NetParameter | null; inputShapes?: Readonly<Record<string, readonly number[]>> }>({
      net: optional(nullOr(netParameter), 'the net that the file holds', 'The net.'),
      inputShapes: optional(shapes, 'as the file says', 'The shapes of inputs, by blob name.'),
    }),
    'none',
    'The net and its shapes.',
  ),
});

/**
 * Reads a file of Caffe's blobs, or a ResNet whose tensors have torch's names. The net of Caffe's blobs is the caller's, or
 * the prototxt in the metadata.
 * @throws WeightsError; PrototxtError if the prototxt in the metadata is invalid
 */
export function readSafetensorsFile(
  file: string,
  options: { net?: NetParameter | null; inputShapes?: Readonly<Record<string, readonly number[]>> } = {},
): ReadResult {
  READ_SAFETENSORS_FILE.check(file, options);
  const read = readSafetensors(mapFile(file, 'safetensors'), { file });
  const isCaffes = [...read.tensors.keys()].every((name) => BLOB.test(name));
  if (read.metadata.get('format') !== FORMAT && !isCaffes)
    return torchResnet(read.tensors, { file, inputShapes: options.inputShapes ?? {} });
  const prototxt = read.metadata.get('prototxt');
  const inside = prototxt === undefined ? null : filterNet(readNet(prototxt, { file: `${file}#prototxt` }));
  return { net: options.net ?? inside, weights: caffeWeights(read, file) };
}

const WRITE_SAFETENSORS_FILE = signature('writeSafetensorsFile', {
  path: required(path, 'The path of the file to write.'),
  content: required(
    fields<Pick<Network, 'weights'>>('{ net, weights }', { weights: required(weightsFile, 'The weights.') }),
    'The weights, and the net if there is one.',
  ),
});

/**
 * Writes the blobs unchanged, and the net if there is one.
 * @throws ResnodeError `file/write`
 */
export function writeSafetensorsFile(path: string, content: Omit<ReadResult, 'preprocess'>): void {
  WRITE_SAFETENSORS_FILE.check(path, content);
  const { net, weights } = content;
  const { layers } = weights;
  refuseLayersTwice(layers);
  const metadata = new Map([
    ['format', FORMAT],
    ['name', weights.name],
    ['layers', JSON.stringify(layers.map(({ name, type, blobs }) => [name, type, blobs.length]))],
    ...(net === null ? [] : [['prototxt', printPrototxt(net)] as const]),
  ]);
  const tensors = new Map<string, Blob>();
  for (const { name, blobs } of layers) blobs.forEach((blob, i) => void tensors.set(`${name}.${i}`, blob));
  writeSafetensors(path, { metadata, tensors });
}

const BLOB = /^(.*)\.(\d{1,6})$/s;

function caffeWeights({ metadata, tensors }: Safetensors, file: string): WeightsFile {
  const listed = listedLayers(metadata.get('layers'), file);
  const rest = new Set(tensors.keys());
  const layers: WeightsLayer[] = listed.map(({ name, type, count }) => ({
    name,
    type,
    blobs: Array.from({ length: count }, (_, i) => {
      const tensor = tensors.get(`${name}.${i}`);
      if (tensor === undefined)
        throw new WeightsError(
          'safetensors/layers',
          { file, layer: name },
          `layer "${name}" has ${count} blobs according to the metadata, but "${name}.${i}" is missing`,
        );
      rest.delete(`${name}.${i}`);
      return tensor.blob();
    }),
  }));
  return { file, name: metadata.get('name') ?? '', layers: [...layers, ...unlisted(rest, tensors, file)] };
}

// Files of other programs have no list of layers.
function unlisted(names: ReadonlySet<string>, tensors: Safetensors['tensors'], file: string): WeightsLayer[] {
  const found = new Map<string, Map<number, Blob>>();
  for (const key of names) {
    const [, layer, index] = BLOB.exec(key) ?? [];
    if (layer === undefined)
      throw new WeightsError(
        'safetensors/layers',
        { file },
        `"${key}" does not have the name of a blob: layer.index`,
      );
    found.set(layer, (found.get(layer) ?? new Map()).set(Number(index), tensors.get(key)!.blob()));
  }
  return [...found].map(([name, blobs]) => ({
    name,
    type: '',
    blobs: Array.from({ length: blobs.size }, (_, i) => {
      const blob = blobs.get(i);
      if (blob === undefined)
        throw new WeightsError(
          'safetensors/layers',
          { file, layer: name },
          `layer "${name}" has ${blobs.size} blobs, but none is named "${name}.${i}"`,
        );
      return blob;
    }),
  }));
}

function listedLayers(
  json: string | undefined,
  file: string,
): { name: string; type: string; count: number }[] {
  if (json === undefined) return [];
  const fail = (): never => {
    throw new WeightsError(
      'safetensors/layers',
      { file },
      'the metadata "layers" is not a list of [name, type, number of blobs]',
    );
  };
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    return fail();
  }
  if (!Array.isArray(list)) return fail();
  return list.map((entry) => {
    const [name, type, count] = Array.isArray(entry) ? entry : [];
    return typeof name === 'string' &&
      typeof type === 'string' &&
      Number.isInteger(count) &&
      count >= 0 &&
      count < 1e6
      ? { name, type, count }
      : fail();
  });
}
