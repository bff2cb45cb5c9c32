/**
 * NVIDIA's Caffe has scale and bias inside BatchNorm (`scale_bias`, or one of their fillers): five blobs, mean,
 * variance, a correction that its forward pass never reads, scale, bias (its batch_norm_layer.cpp). BVLC's has a
 * Scale layer for them; both halves of the rewriting are here.
 */
import { type Blob, blobFromFloats } from './blob.ts';
import { inheritPosition, type Message } from './message.ts';

/** The Scale layer after a BatchNorm of this name. */
const scaleName = (batchNorm: string): string => `${batchNorm}_scale`;

/** A BatchNorm with scale and bias → BatchNorm and Scale. Other layers stay unchanged. */
export function splitNvidiaLayer(layer: Message): Message[] {
  const { scale_bias, scale_filler, bias_filler, ...param } = (layer.batch_norm_param ?? {}) as Message;
  if (layer.type !== 'BatchNorm' || !(scale_bias || scale_filler || bias_filler)) return [layer];
  const top = layer.top as string[];
  const specs = (layer.param ?? []) as Message[];
  const { param: _, ...rest } = layer;
  const { batch_norm_param: __, ...shared } = rest;
  const eps = param.eps === undefined ? {} : { eps: Math.max(param.eps as number, Math.fround(1e-5)) };
  const batchNorm: Message = {
    ...rest,
    ...(specs.length === 0 ? {} : { param: specs.slice(0, 3) }),
    batch_norm_param: { ...param, ...eps },
  };
  const scale: Message = {
    ...shared,
    name: scaleName((layer.name ?? '') as string),
    type: 'Scale',
    bottom: top,
    top,
    ...(specs.length > 3 ? { param: specs.slice(3) } : {}),
    scale_param: {
      bias_term: true,
      ...(scale_filler === undefined ? {} : { filler: scale_filler }),
      ...(bias_filler === undefined ? {} : { bias_filler }),
    },
  };
  for (const made of [batchNorm, scale]) inheritPosition(made, layer);
  inheritPosition(batchNorm.batch_norm_param as Message, layer.batch_norm_param as Message);
  return [batchNorm, scale];
}

interface BlobLayer {
  readonly name: string;
  readonly type: string;
  readonly blobs: readonly Blob[];
}

/**
 * Splits the blobs of layers that are two layers in the net.
 * @param hasLayer Whether the net has a layer after splitNvidiaLayer.
 */
export function splitNvidiaBlobs<T extends { readonly layers: readonly BlobLayer[] }>(
  weights: T,
  hasLayer: (name: string) => boolean,
): T {
  const has = new Set(weights.layers.map(({ name }) => name));
  const isNvidias = ({ name, blobs }: BlobLayer) =>
    blobs.length === 5 && hasLayer(name) && hasLayer(scaleName(name)) && !has.has(scaleName(name));
  if (!weights.layers.some(isNvidias)) return weights;
  return {
    ...weights,
    layers: weights.layers.flatMap((layer) => {
      if (!isNvidias(layer)) return [layer];
      const [mean, variance, , scale, bias] = layer.blobs as [Blob, Blob, Blob, Blob, Blob];
      // BVLC's BatchNorm divides by the third blob.
      const one = blobFromFloats([1], Float32Array.of(1));
      return [
        { ...layer, blobs: [mean, variance, one] },
        { name: scaleName(layer.name), type: 'Scale', blobs: [scale, bias] },
      ];
    }),
  };
}
