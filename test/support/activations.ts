/** The functions that become the last step of a convolution or an inner product, besides ReLU, as layers in place. */
import type { LayerParameter } from '../../ts/index.ts';
import { type Filter, layersOf } from '../cpu/filter-cases.ts';
import { INT8_CASES, netOf } from './int8-cases.ts';

const slopes = { filler: { type: 'uniform', min: -0.5, max: 1.5 } } as const;
export const ACTIVATIONS: Readonly<Record<string, (blob: string) => LayerParameter>> = {
  ReLU6: (blob) => ({ name: 'f', type: 'ReLU6', bottom: [blob], top: [blob] }),
  Clip: (blob) => ({
    name: 'f',
    type: 'Clip',
    bottom: [blob],
    top: [blob],
    clip_param: { min: 0, max: 5 },
  }),
  'a PReLU': (blob) => ({ name: 'f', type: 'PReLU', bottom: [blob], top: [blob], prelu_param: slopes }),
  'a PReLU of one slope': (blob) => ({
    name: 'f',
    type: 'PReLU',
    bottom: [blob],
    top: [blob],
    prelu_param: { ...slopes, channel_shared: true },
  }),
};

/** Layers of a case, whose ReLU, if it has one, becomes another function. */
export function activated(filter: Filter, activation: (blob: string) => LayerParameter): LayerParameter[] {
  const layers = layersOf(filter).filter(({ type }) => type !== 'ReLU');
  return [...layers, activation(layers.at(-1)!.top![0]!)];
}

/**
 * The convolutions of int8 whose ReLU, if it has one, becomes another function, or which stands behind their sums. It reads
 * the blob `result`.
 */
export const activatedInt8 = (activation: (blob: string) => LayerParameter) =>
  INT8_CASES.filter(({ largest }) => !largest).map((each) => {
    const { net, weights, ranges } = netOf(each);
    const result = each.residual ? 'sum' : 'conv';
    const layers = net.layer!.flatMap((layer) =>
      layer.name === `${result}_relu` ? [] : layer.name === result ? [layer, activation(result)] : [layer],
    );
    const sources = Object.fromEntries(Object.entries(ranges).filter(([key]) => key.startsWith('source@')));
    return { each, result, layers, weights, sources };
  });
