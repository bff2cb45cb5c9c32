/** ResNets of tensorpack (examples/ResNet/load-resnet.py) from .npz: conv0/W, group0/block0/conv1/W, conv0/bn/mean/EMA, linear/W. */
import type { Branch, Convolution } from '../../architectures/residual-net.ts';
import type { NetParameter } from '../../caffe/net-parameter.ts';
import type { ReadResult } from '../network.ts';
import { fillNet, type PlaceNames } from '../tensorflow/fill-net.ts';
import { unknownNames } from '../unknown-names.ts';
import { readNpz } from './read-npz.ts';

const BRANCHES: Readonly<Record<Branch, string>> = {
  '1': 'convshortcut',
  '2a': 'conv1',
  '2b': 'conv2',
  '2c': 'conv3',
};

function scopeOf(place: Convolution['place']): string {
  return place === null ? 'conv0' : `group${place.stage}/block${place.block}/${BRANCHES[place.branch]}`;
}

const TENSORPACK: PlaceNames = {
  of(place) {
    const scope = scopeOf(place);
    return {
      weights: `${scope}/W`,
      bias: `${scope}/b`,
      gamma: `${scope}/bn/gamma`,
      beta: `${scope}/bn/beta`,
      mean: `${scope}/bn/mean/EMA`,
      variance: `${scope}/bn/variance/EMA`,
    };
  },
  classifier: ['linear/W', 'linear/b'],
};

/**
 * The weights of a net whose layers have MSRA's names. The file does not contain the net.
 * @throws WeightsError with a table of the arrays if they are not tensorpack's, or if no net is given
 */
export async function readTensorpack(file: string, net: NetParameter | null): Promise<ReadResult> {
  const tensors = await readNpz(file);
  if (net === null || !tensors.has('conv0/W'))
    throw unknownNames(
      file,
      tensors,
      "a ResNet of tensorpack (conv0/W, group0/block0/conv1/W, …) whose net is given with --model; for other names write a map of each layer's tensors (--map names.json)",
    );
  return { net, weights: fillNet(net, tensors, file, TENSORPACK) };
}
