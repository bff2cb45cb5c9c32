/** The port's variables as the weights of a net whose layers are named as MSRA's. */
import { WeightsError } from '../../base/errors.ts';
import { blobFromFloats, toFloat32 } from '../../caffe/blob.ts';
import type { WeightsFile, WeightsLayer } from '../../caffe/caffemodel.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import type { Values } from '../net-maker.ts';
import type { SourceTensors } from '../source-tensor.ts';
import { transposedKernel } from '../transposed-kernel.ts';
import { placeOf, portScope, variablesOf } from './resnet-names.ts';

/** @throws WeightsError naming the layer without a place, or the variable that is missing */
export function fillNet(net: NetParameter, tensors: SourceTensors, file: string): WeightsFile {
  const isSmall = tensors.has('scale1/block1/A/weights');
  const isBottleneck = tensors.has('scale2/block1/c/weights');
  const take = (name: string, layer: string): Values => {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw new WeightsError(
        'convert/resnet',
        { file, layer },
        `layer "${layer}" needs "${name}", which is missing`,
      );
    return { shape: tensor.shape, values: toFloat32(tensor.blob()) };
  };
  const blobsOf = ({ name = '', type = '', convolution_param }: LayerParameter): Values[] => {
    if (type === 'InnerProduct') return [transposedKernel(take('fc/weights', name)), take('fc/biases', name)];
    const place = placeOf(name);
    if (place === undefined)
      throw new WeightsError(
        'convert/tensorflow',
        { file, layer: name },
        `layer "${name}" (${type}) is not named as a layer of MSRA's ResNets (conv1, res2a_branch2a, …), so that it has no place in the checkpoint`,
      );
    const names = variablesOf(portScope(place, { isSmall, isBottleneck }));
    const vector = (variable: string) => take(variable, name);
    if (type === 'BatchNorm')
      return [vector(names.mean), vector(names.variance), { shape: [1], values: Float32Array.of(1) }];
    if (type === 'Scale') return [vector(names.gamma), vector(names.beta)];
    const weights = transposedKernel(vector(names.weights));
    // The port has no biases; BatchNorm's mean takes them along (write-tensorflow.ts).
    const [outputs = 0] = weights.shape;
    return convolution_param?.bias_term === false
      ? [weights]
      : [weights, { shape: [outputs], values: new Float32Array(outputs) }];
  };
  const layers: WeightsLayer[] = (net.layer ?? [])
    .filter(({ type = '' }) => ['Convolution', 'BatchNorm', 'Scale', 'InnerProduct'].includes(type))
    .map((layer) => ({
      name: layer.name ?? '',
      type: layer.type ?? '',
      blobs: blobsOf(layer).map(({ shape, values }) => blobFromFloats(shape, values)),
    }));
  return { file, name: net.name ?? '', layers };
}
