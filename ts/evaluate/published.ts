/** The errors that MSRA published for its nets, to lie beside measured ones. */
import { isDeepStrictEqual } from 'node:util';
import { resnet } from '../architectures/resnet.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';

/** Shares of the 50,000 images of ILSVRC 2012's validation set. */
export interface PublishedError {
  readonly net: string;
  readonly crops: 1 | 10;
  readonly top1: number;
  readonly top5: number;
  readonly source: string;
}

// The tables of the release's README.
const ERRORS = {
  50: { 1: [0.247, 0.078], 10: [0.229, 0.067] },
  101: { 1: [0.236, 0.071], 10: [0.218, 0.061] },
  152: { 1: [0.23, 0.067], 10: [0.214, 0.057] },
} as const;

/** What was published for this net, or null where it is none of `resnet({ depth: 50 | 101 | 152 })`, inputs aside. */
export function publishedErrors(net: NetParameter, crops: 1 | 10): PublishedError | null {
  const layers = ({ layer = [] }: NetParameter) => layer.filter(({ type }) => type !== 'Input');
  for (const depth of [50, 101, 152] as const) {
    if (!isDeepStrictEqual(layers(net), layers(resnet({ depth })))) continue;
    const [top1, top5] = ERRORS[depth][crops];
    return {
      net: `ResNet-${depth}`,
      crops,
      top1,
      top5,
      source: 'https://github.com/KaimingHe/deep-residual-networks',
    };
  }
  return null;
}
