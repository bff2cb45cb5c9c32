/**
 * Runs a classifier on maps larger than in training: "the fully-convolutional form", He, Zhang, Ren and Sun, "Deep Residual
 * Learning for Image Recognition" (2015), section 3.4, after Simonyan and Zisserman, "Very Deep Convolutional Networks"
 * (2015), section 3.2. The inner product becomes a 1×1 convolution over the averages at every position, and its map of
 * scores is averaged over positions before the softmax.
 */
import { required, signature } from '../../base/options.ts';
import { type LayerParameter, type NetParameter, netParameter } from '../../caffe/net-parameter.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import { findCamHead } from '../features/class-activation-map.ts';

const FULLY_CONVOLUTIONAL = signature('fullyConvolutional', { net: required(netParameter, 'A deploy net.') });

/**
 * The net in that form, with the same weights: its last average Pooling keeps the window for the net's input size and slides
 * by 1, and a second one averages over positions. This mean is taken before the InnerProduct instead of after it: the mean
 * of affine functions is the affine function of the mean, so the scores equal those of the 1×1 convolution, for the work of
 * one position. Inputs of the net's input size give the net's own scores.
 * @throws GraphError `cam/no-global-average` if the net does not end in global average pooling followed by one InnerProduct
 */
export function fullyConvolutional(net: NetParameter): NetParameter {
  FULLY_CONVOLUTIONAL.check(net);
  const { pooling: name, window } = findCamHead(graphFromCaffe(net), 'fully convolutional evaluation');
  const layers = net.layer ?? [];
  const at = layers.findLastIndex((layer) => layer.name === name && layer.type === 'Pooling');
  const written = layers[at]!;
  const [top] = written.top as [string];
  const taken = new Set(layers.flatMap((layer) => [layer.name, ...(layer.top ?? [])]));
  const fresh = (suffix: string) => {
    let made = top + suffix;
    while (taken.has(made)) made += '_';
    return made;
  };
  const positions = fresh('_positions');
  const sliding: LayerParameter = {
    ...written,
    top: [positions],
    pooling_param: { pool: 'AVE', kernel_h: window[0], kernel_w: window[1], stride: 1 },
  };
  const mean: LayerParameter = {
    name: fresh('_mean'),
    type: 'Pooling',
    bottom: [positions],
    top: [top],
    pooling_param: { pool: 'AVE', global_pooling: true },
  };
  return { ...net, layer: [...layers.slice(0, at), sliding, mean, ...layers.slice(at + 1)] };
}
