/** Assigns the port's variables to the layers of a net with MSRA's names. */
import type { Convolution } from '../../architectures/residual-net.ts';
import { WeightsError } from '../../base/errors.ts';
import { blobFromFloats, toFloat32 } from '../../caffe/blob.ts';
import type { WeightsFile, WeightsLayer } from '../../caffe/caffemodel.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import type { Values } from '../net-maker.ts';
import type { SourceTensors } from '../source-tensor.ts';
import { transposedKernel } from '../transposed-kernel.ts';
import { placeOf, portScope, type VariableNames, variablesOf } from './resnet-names.ts';

/** A library's names for the variables at a place in MSRA's nets. */
export interface PlaceNames {
  readonly of: (place: Convolution['place']) => VariableNames & { readonly bias?: string };
  readonly classifier: readonly [weights: string, biases: string];
}

/** The names of ry/tensorflow-resnet. */
export function portNames(tensors: SourceTensors): PlaceNames {
  const isSmall = tensors.has('scale1/block1/A/weights');
  const isBottleneck = tensors.has('scale2/block1/c/weights');
  return {
    of: (place) => variablesOf(portScope(place, { isSmall, isBottleneck })),
    classifier: ['fc/weights', 'fc/biases'],
  };
}

/** @throws WeightsError that names a layer without a place, or a missing variable */
export function fillNet(
  net: NetParameter,
  tensors: SourceTensors,
  file: string,
  names: PlaceNames,
): WeightsFile {
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
    if (type === 'InnerProduct')
      return [transposedKernel(take(names.classifier[0], name)), take(names.classifier[1], name)];
    const place = placeOf(name);
    if (place === undefined)
      throw new WeightsError(
        'convert/tensorflow',
        { file, layer: name },
        `layer "${name}" (${type}) is not named as a layer of MSRA's ResNets (conv1, res2a_branch2a, …), so it has no counterpart in the checkpoint`,
      );
    const own = names.of(place);
    const vector = (variable: string) => take(variable, name);
    if (type === 'BatchNorm')
      return [vector(own.mean), vector(own.variance), { shape: [1], values: Float32Array.of(1) }];
    if (type === 'Scale') return [vector(own.gamma), vector(own.beta)];
    const weights = transposedKernel(vector(own.weights));
    // The port has no biases; BatchNorm's mean includes them (write-tensorflow.ts).
    const [outputs = 0] = weights.shape;
    const bias = own.bias !== undefined && tensors.has(own.bias) ? vector(own.bias) : null;
    return convolution_param?.bias_term === false
      ? [weights]
      : [weights, bias ?? { shape: [outputs], values: new Float32Array(outputs) }];
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
