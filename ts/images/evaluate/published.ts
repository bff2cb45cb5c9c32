/** The errors that MSRA published for its nets, for comparison with measured ones. */
import { isDeepStrictEqual } from 'node:util';
import { resnet } from '../../architectures/resnet.ts';
import { oneOf } from '../../base/kinds.ts';
import { required, signature } from '../../base/options.ts';
import { type NetParameter, netParameter } from '../../caffe/net-parameter.ts';

/** How images are evaluated: with crops, or fully convolutionally at the scales of He et al. (2015), section 3.4. */
export type PublishedCrops = 1 | 10 | 'multi-scale';

/** Shares of the 50,000 images of ILSVRC 2012's validation set. */
export interface PublishedError {
  readonly net: string;
  readonly crops: PublishedCrops;
  readonly top1: number;
  readonly top5: number;
  readonly source: string;
}

// Crops: the tables in the release's README. Scales: He et al., "Deep Residual Learning for Image Recognition" (2015), table
// 4, single models.
const ERRORS = {
  50: { 1: [0.247, 0.078], 10: [0.229, 0.067], 'multi-scale': [0.2074, 0.0525] },
  101: { 1: [0.236, 0.071], 10: [0.218, 0.061], 'multi-scale': [0.1987, 0.046] },
  152: { 1: [0.23, 0.067], 10: [0.214, 0.057], 'multi-scale': [0.1938, 0.0449] },
} as const;
const RELEASE = 'https://github.com/KaimingHe/deep-residual-networks';
const PAPER = 'https://arxiv.org/abs/1512.03385';

const PUBLISHED_ERRORS = signature('publishedErrors', {
  net: required(netParameter, 'A deploy net.'),
  crops: required(oneOf<PublishedCrops>(1, 10, 'multi-scale'), 'How the images are cropped.'),
});

/** The published errors of a net, or null if it is not one of `resnet({ depth: 50 | 101 | 152 })`, apart from its inputs. */
export function publishedErrors(net: NetParameter, crops: PublishedCrops): PublishedError | null {
  PUBLISHED_ERRORS.check(net, crops);
  const layers = ({ layer = [] }: NetParameter) => layer.filter(({ type }) => type !== 'Input');
  for (const depth of [50, 101, 152] as const) {
    if (!isDeepStrictEqual(layers(net), layers(resnet({ depth })))) continue;
    const [top1, top5] = ERRORS[depth][crops];
    const source = crops === 'multi-scale' ? PAPER : RELEASE;
    return { net: `ResNet-${depth}`, crops, top1, top5, source };
  }
  return null;
}
