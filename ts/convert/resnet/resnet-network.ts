/** Turns a residual net and the tensors of another library's file into Caffe's layers and blobs. */
import {
  type Convolution,
  convolutionsOf,
  type ResidualNet,
  residualNet,
} from '../../architectures/residual-net.ts';
import { ArgumentError, WeightsError } from '../../base/errors.ts';
import { type Blob, blobFromFloats } from '../../caffe/blob.ts';
import type { WeightsFile, WeightsLayer } from '../../caffe/caffemodel.ts';
import type { Network } from '../network.ts';
import type { SourceTensors } from '../source-tensor.ts';

/** The names of a convolution's tensors: its kernel (outputs × inputs × height × width), and its bias if it has one. */
export interface ConvolutionNames {
  readonly kernel: string;
  readonly bias: string;
  readonly gamma: string;
  readonly beta: string;
  readonly mean: string;
  readonly variance: string;
}

export interface ResnetSource {
  readonly file: string;
  readonly tensors: SourceTensors;
  readonly plan: ResidualNet;
  readonly namesOf: (convolution: Convolution) => ConvolutionNames;
  /** Weights (outputs × inputs) and bias. */
  readonly classifier: { readonly weight: string; readonly bias: string };
  /** The factor of each channel of the input, if the plan has such a layer; otherwise null. */
  readonly inputScale: readonly number[] | null;
  /** Whether a tensor has no effect on the results. */
  readonly isIgnored: (name: string) => boolean;
  /** A tensor's name in the file, for errors. Default: the name itself. */
  readonly fileName?: (name: string) => string;
}

/** @throws WeightsError that names a tensor that is missing, has another shape, or has no place in the net */
export function resnetNetwork(source: ResnetSource): Network {
  const { file, plan, classifier, inputScale } = source;
  const tensors = new Taker(source);
  const layers: WeightsLayer[] = [];
  const add = (name: string, type: string, blobs: readonly Blob[]) => layers.push({ name, type, blobs });
  if (inputScale !== null)
    add('data_scale', 'Scale', [blobFromFloats([inputScale.length], Float32Array.from(inputScale))]);
  for (const convolution of convolutionsOf(plan)) {
    const names = source.namesOf(convolution);
    const { layer, batchNorm, scale, shape, hasBias } = convolution;
    const channels = [shape[0]];
    const values = (name: string) => tensors.take(name, channels);
    add(layer, 'Convolution', [tensors.take(names.kernel, shape), ...(hasBias ? [values(names.bias)] : [])]);
    // Caffe divides its sums by the third blob; other libraries store averages.
    const one = blobFromFloats([1], Float32Array.of(1));
    add(batchNorm, 'BatchNorm', [values(names.mean), values(names.variance), one]);
    add(scale, 'Scale', [values(names.gamma), values(names.beta)]);
  }
  if (plan.classes !== null)
    add(`fc${plan.classes}`, 'InnerProduct', [
      tensors.take(classifier.weight, [plan.classes, plan.stages.at(-1)!.outputs]),
      tensors.take(classifier.bias, [plan.classes]),
    ]);
  tensors.refuseRest();
  const weights: WeightsFile = { file, name: plan.name, layers };
  return { net: residualNet(plan), weights };
}

class Taker {
  readonly #source: ResnetSource;
  readonly #taken = new Set<string>();

  constructor(source: ResnetSource) {
    this.#source = source;
  }

  take(name: string, shape: readonly number[]): Blob {
    const { file, tensors, plan } = this.#source;
    const tensor = tensors.get(name);
    if (tensor === undefined || String(tensor.shape) !== String(shape))
      throw new WeightsError(
        'convert/resnet',
        { file },
        `as ${describe(plan)} it needs "${this.#inFile(name)}" of ${shape.join('×')}, ${tensor === undefined ? 'which is missing' : `which is ${tensor.shape.join('×') || 'a scalar'}`}`,
      );
    this.#taken.add(name);
    return tensor.blob();
  }

  #inFile(name: string): string {
    return this.#source.fileName?.(name) ?? name;
  }

  refuseRest(): void {
    const { file, tensors, plan, isIgnored } = this.#source;
    const rest = [...tensors.keys()].filter((name) => !this.#taken.has(name) && !isIgnored(name));
    if (rest[0] === undefined) return;
    throw new WeightsError(
      'convert/resnet',
      { file },
      `"${this.#inFile(rest[0])}"${rest.length > 1 ? ` and ${rest.length - 1} more tensors do` : ' does'} not belong to ${describe(plan)}, so the net computes something else; export it as ONNX and convert that`,
    );
  }
}

/** For example `a ResNet with bottlenecks, 3+4+6+3 of them`. */
function describe({ block, stages }: ResidualNet): string {
  return `a ResNet with ${block === 'basic' ? 'basic blocks' : 'bottlenecks'}, ${stages.map(({ blocks }) => blocks).join('+')} of them`;
}

/**
 * The input's shape: the caller's shape of `data`, otherwise batch 1 of the usual size.
 * @throws ArgumentError
 */
export function inputShape(
  given: Readonly<Record<string, readonly number[]>>,
  channels: number,
  size: number,
): ResidualNet['input'] {
  const { data = [1, channels, size, size], ...others } = given;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw new ArgumentError('inputShapes', 'only "data", the one input', unknown, 'did you mean "data"?');
  if (data.length !== 4 || data[1] !== channels || data.some((dim) => !Number.isInteger(dim) || dim < 1))
    throw new ArgumentError('the shape of data', `batch×${channels}×height×width`, data.join('×'));
  return data as unknown as ResidualNet['input'];
}
