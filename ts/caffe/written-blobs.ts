/** Weights in a prototxt: `blobs` of its layers, which Caffe uses instead of their fillers (layer.hpp, Layer). */
import { formatPosition, WeightsError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats } from './blob.ts';
import type { WeightsFile } from './caffemodel.ts';
import { positionOf } from './message.ts';
import type { LayerParameter, NetParameter } from './net-parameter.ts';
import { shapeText } from './weights-mismatch.ts';

interface BlobProto {
  readonly shape?: { readonly dim?: readonly number[] };
  readonly data?: readonly number[];
  readonly double_data?: readonly number[];
  readonly num?: number;
  readonly channels?: number;
  readonly height?: number;
  readonly width?: number;
}

type LayerWithBlobs = LayerParameter & { readonly blobs?: readonly BlobProto[] };

/** The name of the file of these weights in errors and warnings. */
const PROTOTXT = 'the prototxt';

/**
 * The weights of a file, completed by those in the net's prototxt. If both have a layer, the file's count, as in Caffe.
 * @returns Null: neither has any
 * @throws WeightsError `weights/data-size`
 */
export function withWrittenBlobs(net: NetParameter, weights: WeightsFile | null): WeightsFile | null {
  const inFile = new Set(weights?.layers.map(({ name }) => name));
  const written = (net.layer ?? []).filter(
    (layer) => hasWrittenBlobs(layer) && !inFile.has(layer.name ?? ''),
  );
  if (written.length === 0) return weights;
  const layers = written.map((layer: LayerWithBlobs) => {
    const { name = '', type = '', blobs = [] } = layer;
    const position = positionOf(layer);
    const file = position === undefined ? PROTOTXT : formatPosition(position);
    return { name, type, file, blobs: blobs.map((blob, i) => blobOf(blob, { file, layer: name }, i)) };
  });
  // Of a shared blob the last values count. Here these are those of its owner, the first layer (Net::ShareWeights).
  layers.reverse();
  return {
    file: weights?.file ?? PROTOTXT,
    name: weights?.name ?? net.name ?? '',
    layers: [...layers, ...(weights?.layers ?? [])],
  };
}

/** Whether a layer of a prototxt contains its weights. */
export const hasWrittenBlobs = ({ blobs = [] }: LayerWithBlobs): boolean => blobs.length > 0;

function blobOf(
  proto: BlobProto,
  at: { readonly file: string; readonly layer: string },
  index: number,
): Blob {
  const { shape, data = [], double_data: doubles = [], num, channels, height, width } = proto;
  const legacy = [num, channels, height, width];
  const isLegacy = legacy.some((size) => size !== undefined);
  const dims = isLegacy ? legacy.map((size) => size ?? 0) : [...(shape?.dim ?? [])];
  const values = doubles.length > 0 ? doubles : data;
  if (values.length !== elementCount(dims))
    throw new WeightsError(
      'weights/data-size',
      at,
      `layer "${at.layer}", blob ${index}: has ${values.length} values, but ${shapeText(dims)} needs ${elementCount(dims)}`,
    );
  return blobFromFloats(dims, Float32Array.from(values));
}
