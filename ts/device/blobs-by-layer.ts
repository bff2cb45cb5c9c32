/** Arranges the blobs of a net's parameters as in a weights file: shared ones appear with each layer that uses them. */
import type { Blob } from '../caffe/blob.ts';
import type { WeightsLayer } from '../caffe/caffemodel.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';

type Places = { readonly places: readonly { readonly layer: string; readonly index: number }[] };

/**
 * @param blobs One per parameter.
 * @returns A layer of the file for each layer of the net.
 */
export function layersOf(
  net: NetParameter,
  parameters: readonly Places[],
  blobs: readonly Blob[],
): WeightsLayer[] {
  const own = new Map<string, Blob[]>();
  parameters.forEach(({ places }, i) => {
    for (const { layer, index } of places) {
      if (!own.has(layer)) own.set(layer, []);
      own.get(layer)![index] = blobs[i]!;
    }
  });
  return (net.layer ?? []).map(({ name = '', type = '' }) => ({ name, type, blobs: own.get(name) ?? [] }));
}
