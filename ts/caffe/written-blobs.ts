/** Weights that stand in a prototxt: `blobs` of its layers, which Caffe takes in the place of their fillers (layer.hpp, Layer). */
import { WeightsError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import { type Blob, blobFromFloats } from './blob.ts';
import type { WeightsFile } from './caffemodel.ts';
import type { LayerParameter, NetParameter } from './net-parameter.ts';

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

/**
 * Weights of a file, behind those that the net's prototxt holds: of a layer that both have the file's count, as in Caffe.
 * @returns Null: neither has any
 * @throws WeightsError `weights/data-size`
 */
export function withWrittenBlobs(net: NetParameter, weights: WeightsFile | null): WeightsFile | null {
  const layers = (net.layer ?? []).flatMap(({ name = '', type = '', blobs = [] }: LayerWithBlobs) =>
    blobs.length === 0 ? [] : [{ name, type, blobs: blobs.map((blob, i) => blobOf(blob, name, i)) }],
  );
  if (layers.length === 0) return weights;
  const file = weights?.file ?? 'the prototxt';
  return { file, name: weights?.name ?? net.name ?? '', layers: [...layers, ...(weights?.layers ?? [])] };
}

function blobOf(proto: BlobProto, layer: string, index: number): Blob {
  const { shape, data = [], double_data: doubles = [], num, channels, height, width } = proto;
  const legacy = [num, channels, height, width];
  const isLegacy = legacy.some((size) => size !== undefined);
  const dims = isLegacy ? legacy.map((size) => size ?? 0) : [...(shape?.dim ?? [])];
  const values = doubles.length > 0 ? doubles : data;
  if (values.length !== elementCount(dims))
    throw new WeightsError(
      'weights/data-size',
      { layer },
      `layer "${layer}": its blobs in the prototxt: blob ${index} has ${values.length} values, its shape ${dims.join('×') || 'of a scalar'} needs ${elementCount(dims)}`,
    );
  return blobFromFloats(dims, Float32Array.from(values));
}
