/** Writes weights to files that Caffe reads (Net::ToProto, WriteProtoToBinaryFile), completely or not at all. */

import { ArgumentError, WeightsError } from '../base/errors.ts';
import { type Kind, path, string } from '../base/kinds.ts';
import { fields, required, signature } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import { saveFileAtomically, writeFileAtomically } from './atomic-file.ts';
import { type Blob, blob, toFloat32 } from './blob.ts';
import { type WeightsLayer, weightsLayers } from './caffemodel.ts';
import { bytesField, lengthDelimited as tag, varint } from './wire.ts';

/** The content of a caffemodel. */
export interface NetWeights {
  readonly name: string;
  readonly layers: readonly WeightsLayer[];
}

export const netWeights: Kind<NetWeights> = fields<NetWeights>('weights, { name, layers }', {
  name: required(string, "The net's name."),
  layers: required(weightsLayers, 'The layers with their blobs.'),
});

const WRITE_CAFFEMODEL = signature('writeCaffemodel', {
  path: required(path, 'The path of the file to write.'),
  weights: required(netWeights, 'The layers with their blobs.'),
});

/**
 * Writes a .caffemodel with V2 layers: the name, type and blobs of each, with data as packed float32.
 * @throws ArgumentError if a blob's shape does not fit its bytes; WeightsError if two layers have one name;
 * ResnodeError `file/write`
 * @example writeCaffemodel('net.caffemodel', { name: 'net', layers });
 */
export function writeCaffemodel(path: string, weights: NetWeights): void {
  WRITE_CAFFEMODEL.check(path, weights);
  writeFileAtomically(path, netChunks(weights));
}

const SAVE_CAFFEMODEL = signature('saveCaffemodel', {
  path: required(path, 'The path of the file to write.'),
  weights: required(netWeights, 'The layers with their blobs.'),
});

/**
 * Writes a .caffemodel without blocking the event loop.
 * @throws as writeCaffemodel
 * @example await saveCaffemodel('net.caffemodel', { name: 'net', layers });
 */
export async function saveCaffemodel(path: string, weights: NetWeights): Promise<void> {
  SAVE_CAFFEMODEL.check(path, weights);
  return saveFileAtomically(path, netChunks(weights));
}

const WRITE_BINARYPROTO = signature('writeBinaryproto', {
  path: required(path, 'The path of the file to write.'),
  blob: required(blob, 'The values.'),
});

/**
 * Writes one blob as a BlobProto, e.g. a mean image `[1, channels, height, width]`.
 * @throws as writeCaffemodel
 */
export function writeBinaryproto(path: string, values: Blob): void {
  WRITE_BINARYPROTO.check(path, values);
  const { head, data } = blobChunks(values, { legacy: true });
  writeFileAtomically(path, [head, data]);
}

/**
 * Refuses two layers with blobs and the same name, because readers find only one of them.
 * @throws WeightsError
 */
export function refuseLayersTwice(layers: NetWeights['layers']): void {
  const names = new Set<string>();
  for (const { name, blobs } of layers) {
    if (blobs.length === 0) continue;
    if (names.has(name))
      throw new WeightsError(
        'weights/names-twice',
        { layer: name },
        `two layers with weights are named "${name}", and files store one set of weights per name; give each layer its own name`,
      );
    names.add(name);
  }
}

function* netChunks({ name, layers }: NetWeights): Generator<Uint8Array> {
  refuseLayersTwice(layers);
  yield bytesField(1, name);
  for (const layer of layers) {
    const blobs = layer.blobs.map((blob) => blobChunks(blob));
    const head = Buffer.concat([bytesField(1, layer.name), bytesField(2, layer.type)]);
    const parts = blobs.map(({ head: shape, data }) => {
      const length = shape.length + data.length;
      return { prefix: tag(7, length), shape, data, total: tag(7, length).length + length };
    });
    yield tag(
      100,
      parts.reduce((sum, { total }) => sum + total, head.length),
    );
    yield head;
    for (const { prefix, shape, data } of parts) {
      yield prefix;
      yield shape;
      yield data;
    }
  }
}

/**
 * A BlobProto in two pieces: num, channels, height, width 1–4 (which tools for mean images read), data 5, shape 7. The
 * order of fields is free.
 * @internal
 */
export function blobChunks(blob: Blob, { legacy = false } = {}): { head: Uint8Array; data: Uint8Array } {
  const count = elementCount(blob.shape);
  const size = blob.dtype === 'float64' ? 8 : 4;
  if (blob.bytes.length !== count * size)
    throw new ArgumentError('blob', `${count} values for the shape ${blob.shape.join('×')}`, blob.bytes);
  const data = blob.dtype === 'float32' ? blob.bytes : new Uint8Array(toFloat32(blob).buffer);
  const dims = Buffer.concat(blob.shape.map(varint));
  const shape =
    legacy && blob.shape.length === 4
      ? Buffer.concat(blob.shape.map((dim, i) => Buffer.concat([varint((i + 1) << 3), varint(dim)])))
      : Buffer.concat([tag(7, tag(1, dims.length).length + dims.length), tag(1, dims.length), dims]);
  return { head: Buffer.concat([shape, tag(5, data.length)]), data };
}
