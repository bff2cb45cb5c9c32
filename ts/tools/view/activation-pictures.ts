/** Pictures of an image's activations: each layer's first top. */

import { list, string } from '../../base/kinds.ts';
import { optional, options, required } from '../../base/options.ts';
import { elementCount } from '../../base/shape.ts';
import type { NetParameter } from '../../caffe/net-parameter.ts';
import { netParameter } from '../../caffe/net-parameter.ts';
import type { Device, LoadOptions } from '../../device/device.ts';
import { loadRows } from '../../device/load-options.ts';
import type { Inputs, Tensor } from '../../device/tensor.ts';
import type { LayerPictures } from './page-data.ts';
import { rangeOf, scaledPicture } from './tiles.ts';
import type { TracedLayer } from './trace-layers.ts';

const CHANNELS = 36;
const COLUMNS = 6;
const LARGEST = 10;
/** The number of blobs kept at once. More blobs need more runs. */
const HELD_BYTES = 2 ** 28;

export interface ActivationOptions extends Omit<LoadOptions, 'model' | 'outputs'> {
  readonly model: NetParameter;
  /** One name per class, for blobs with as many values. */
  readonly labels?: readonly string[];
}

/** The options of device.load without the outputs, with a parsed net. */
export const activationOptions = options<ActivationOptions>({
  ...loadRows,
  model: required(netParameter, 'The net.'),
  labels: optional(
    list(string, { of: 'class names' }),
    'none',
    'The class names, for blobs with as many values.',
  ),
});

/**
 * Runs a net several times, so that its blobs fit in memory, and draws those of the first image.
 * @param selected Indices of layers whose first top is drawn.
 * @returns By index of the layer.
 * @throws the errors of `Device.load` and `Model.run`
 */
export async function activationPictures(
  device: Device,
  layers: readonly TracedLayer[],
  selected: readonly number[],
  inputs: Inputs,
  options: ActivationOptions,
): Promise<Map<number, LayerPictures>> {
  const { labels, ...load } = options;
  const result = new Map<number, LayerPictures>();
  for (const part of portions(layers, selected)) {
    const names = part.map((index) => `${layers[index]!.tops[0]!.name}@${layers[index]!.layer.name}`);
    using model = await device.load({ ...load, outputs: names });
    const outputs = await model.run(inputs);
    for (const [i, index] of part.entries()) result.set(index, await draw(outputs[names[i]!]!, labels));
  }
  return result;
}

function portions(layers: readonly TracedLayer[], selected: readonly number[]): number[][] {
  const parts: number[][] = [];
  let held = Number.POSITIVE_INFINITY;
  for (const index of selected) {
    const bytes = 4 * elementCount(layers[index]!.tops[0]?.shape ?? []);
    if (held + bytes > HELD_BYTES) {
      parts.push([]);
      held = 0;
    }
    parts.at(-1)!.push(index);
    held += bytes;
  }
  return parts;
}

async function draw({ shape, data }: Tensor, labels: readonly string[] | undefined): Promise<LayerPictures> {
  const [, channels = 1, height = 1, width = 1] = shape;
  const first = data.subarray(0, elementCount(shape.slice(1)));
  const range = rangeOf(first);
  const zeros = first.reduce((sum, value) => sum + (value === 0 ? 1 : 0), 0) / first.length;
  const show = (value: number) => String(Number(value.toPrecision(4)));
  const statistics = [
    `Values: ${show(range.minimum)} to ${show(range.maximum)}, mean ${show(first.reduce((sum, value) => sum + value, 0) / first.length)}, ${(100 * zeros).toFixed(1)}% zero`,
  ];
  if (height * width === 1) return { statistics, largest: largest(first, labels) };
  const shown = Math.min(channels, CHANNELS);
  const planes = Array.from({ length: shown }, (_, c) => ({
    width,
    height,
    at: (y: number, x: number) => first[(c * height + y) * width + x]!,
  }));
  const what = `Channels 0 to ${shown - 1} of ${channels}, ${height}×${width} each`;
  return { statistics, activation: await scaledPicture(planes, Math.min(shown, COLUMNS), range, what) };
}

function largest(values: Float32Array, labels: readonly string[] | undefined) {
  return Array.from(values, (value, index) => ({
    index,
    label: labels?.length === values.length ? labels[index]! : null,
    value,
  }))
    .sort((a, b) => b.value - a.value)
    .slice(0, LARGEST);
}
