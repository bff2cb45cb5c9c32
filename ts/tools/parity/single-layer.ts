/** One layer of a net alone, on given bottoms. */

import { GraphError } from '../../base/errors.ts';
import type { Blob } from '../../caffe/blob.ts';
import type { LayerParameter } from '../../caffe/net-parameter.ts';
import type { Device } from '../../device/device.ts';
import { compileOperation } from '../../device/ops.ts';
import type { Tensor } from '../../device/tensor.ts';

/** A layer with its inputs. */
export interface SingleLayer {
  readonly layer: LayerParameter;
  readonly bottoms: readonly Tensor[];
  readonly blobs: readonly Blob[];
  /** The number of its tops. `top` is the examined one. */
  readonly tops: number;
  readonly top: number;
}

// The fields that connect a layer to its net: shared parameters, phases, losses.
const TIES = { param: [], include: [], exclude: [], loss_weight: [], propagate_down: [] };

/**
 * Runs it.
 * @returns Its top, or null if the layer cannot be built this way.
 * @throws DeviceError
 */
export async function runSingleLayer(device: Device, single: SingleLayer): Promise<Tensor | null> {
  const { layer, bottoms, blobs, tops, top } = single;
  const alone = {
    ...layer,
    ...TIES,
    name: 'layer',
    bottom: bottoms.map((_, i) => `bottom${i}`),
    top: Array.from({ length: tops }, (_, i) => `top${i}`),
  };
  try {
    await using model = await compileOperation(device, {
      layers: [alone],
      weights: blobs.length === 0 ? [] : [{ name: 'layer', type: '', blobs: [...blobs] }],
      inputs: Object.fromEntries(bottoms.map((tensor, i) => [`bottom${i}`, tensor])),
    });
    const inputs = Object.fromEntries(bottoms.map(({ data }, i) => [`bottom${i}`, data]));
    return (await model.run(inputs))[`top${top}`]!;
  } catch (error) {
    if (error instanceof GraphError) return null;
    throw error;
  }
}
