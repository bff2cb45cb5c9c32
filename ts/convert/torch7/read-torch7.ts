/**
 * Reads nets of Torch7 (nn, cudnn, nngraph) from .t7: ResNets of fb.resnet.torch with any depth and shortcut, those of
 * torch-residual-networks, and others of these modules.
 */
import { WeightsError } from '../../base/errors.ts';
import { MAX_LAYERS } from '../../base/files.ts';
import type { Preprocess } from '../../images/preprocess.ts';
import type { Pair } from '../../layers/operation.ts';
import { mapFile } from '../map-file.ts';
import { NetMaker, type Pads, type Values } from '../net-maker.ts';
import type { Network } from '../network.ts';
import { inputShape } from '../resnet/resnet-network.ts';
import {
  isT7Object,
  isT7Tensor,
  readT7,
  type T7Object,
  type T7Table,
  type T7Value,
  tensorValues,
} from './read-t7.ts';

/**
 * Reads a module as the layers that it computes at inference. A classifier without SoftMax gets one. Layers are named by
 * their kind and number.
 * @param options.inputShapes The shape of `data`. Default 1×3×224×224; 1×3×32×32 for nets whose first convolution is 3×3.
 * @throws WeightsError `torch7/…` for damage, `convert/layer` for a module that has no equivalent here
 */
export async function readTorch7(
  file: string,
  { inputShapes = {} }: { inputShapes?: Readonly<Record<string, readonly number[]>> } = {},
): Promise<Network & { preprocess?: Preprocess; notes: readonly string[] }> {
  const root = moduleOf(readT7(mapFile(file), file));
  if (root === null)
    throw new WeightsError(
      'torch7/format',
      { file },
      'it holds no module of nn, alone or under model, net or network; save the net with torch.save("model.t7", model)',
    );
  const builder = new Builder(file);
  const first = firstConvolution(root, new Set());
  const kernel = first === null ? 7 : (numberOf(first, 'kW') ?? 7);
  const channels = first === null ? 3 : (numberOf(first, 'nInputPlane') ?? 3);
  const shape = inputShape(inputShapes, channels, kernel > 3 ? 224 : 32);
  const output = builder.only(builder.module(root, [builder.maker.input('data', shape)], 0), 'the net');
  const isClassifier = builder.last === 'Linear';
  if (isClassifier) builder.maker.keepingShape('Softmax', { name: 'prob', bottom: output });
  return {
    ...builder.maker.network('Torch7'),
    notes: isClassifier ? ['the net ends in scores; a Softmax "prob" is added'] : [],
    ...(kernel === 7 && channels === 3 ? { preprocess: preprocess(shape) } : {}),
  };
}

// datasets/imagenet.lua of fb.resnet.torch: RGB from 0 to 1, minus the mean, divided by the deviation.
function preprocess([, , height, width]: readonly [number, number, number, number]): Preprocess {
  const of255 = (values: readonly number[]) => values.map((value) => Number((255 * value).toFixed(3)));
  return {
    resize: { shorterSide: Math.round(Math.min(height, width) / 0.875) },
    crop: { width, height },
    mean: of255([0.485, 0.456, 0.406]),
    std: of255([0.229, 0.224, 0.225]),
    order: 'RGB',
  };
}

const tableOf = ({ fields }: T7Object): T7Table | null => (fields instanceof Map ? fields : null);
const fieldOf = (object: T7Object, name: string): T7Value | undefined => tableOf(object)?.get(name);

function numberOf(object: T7Object, name: string): number | null {
  const value = fieldOf(object, name);
  return typeof value === 'number' ? value : null;
}

/** A table's values from 1 on. */
function listOf(value: T7Value | undefined): T7Value[] {
  const list: T7Value[] = [];
  if (value instanceof Map) for (let i = 1; value.has(i); i++) list.push(value.get(i)!);
  return list;
}

const modulesOf = (object: T7Object): T7Object[] => listOf(fieldOf(object, 'modules')).filter(isT7Object);

function moduleOf(value: T7Value): T7Object | null {
  if (isT7Object(value)) return /^(?:nn|cudnn|inn|nngraph)\./.test(value.class) ? value : null;
  if (!(value instanceof Map)) return null;
  for (const key of ['model', 'net', 'network']) {
    const inner = value.get(key);
    if (isT7Object(inner)) return moduleOf(inner);
  }
  return (
    [...value.values()]
      .map((each) => (isT7Object(each) ? moduleOf(each) : null))
      .find((each) => each !== null) ?? null
  );
}

function firstConvolution(object: T7Object, seen: Set<T7Object>): T7Object | null {
  if (seen.has(object)) return null;
  seen.add(object);
  if (/Convolution/.test(object.class)) return object;
  for (const module of modulesOf(object)) {
    const found = firstConvolution(module, seen);
    if (found !== null) return found;
  }
  return null;
}

const MAX_DEPTH = 100;

class Builder {
  readonly maker: NetMaker;
  /** The kind of the last layer that computes something. */
  last = '';
  readonly #file: string;
  readonly #counts = new Map<string, number>();
  #visits = 0;

  constructor(file: string) {
    this.maker = new NetMaker(file);
    this.#file = file;
  }

  only(blobs: readonly string[], name: string): string {
    if (blobs.length !== 1) this.maker.fail(name, `${blobs.length} values, where one is expected`);
    return blobs[0]!;
  }

  #name(kind: string): string {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return `${kind}${count}`;
  }

  /**
   * @param bottoms Several for a table.
   * @returns the module's output, one value or several
   */
  module(object: T7Object, bottoms: readonly string[], depth: number): string[] {
    const kind = object.class.replace(/^(?:nn|cudnn|inn)\./, '');
    if (depth > MAX_DEPTH) this.maker.fail(object.class, `modules are nested deeper than ${MAX_DEPTH}`);
    // A module may occur in many places, and so may the modules that contain it.
    if (++this.#visits > MAX_LAYERS)
      this.maker.fail(object.class, `the net has more than ${MAX_LAYERS} modules`);
    const each = (module: T7Object, values: readonly string[]) => this.module(module, values, depth + 1);
    switch (kind) {
      case 'Sequential':
        return modulesOf(object).reduce<string[]>((values, module) => each(module, values), [...bottoms]);
      case 'DataParallelTable': {
        const [net] = modulesOf(object);
        return net === undefined ? this.maker.fail(object.class, 'it has no module') : each(net, bottoms);
      }
      case 'ConcatTable':
        return modulesOf(object).map((module) => this.only(each(module, bottoms), object.class));
      case 'ParallelTable':
        return modulesOf(object).map((module, i) =>
          this.only(each(module, bottoms.slice(i, i + 1)), object.class),
        );
      case 'Concat':
      case 'DepthConcat': {
        if (numberOf(object, 'dimension') !== 2)
          this.maker.fail(object.class, 'only channels (dimension 2) are joined');
        const parts = modulesOf(object).map((module) => this.only(each(module, bottoms), object.class));
        return [this.maker.concat({ name: this.#name('concat') }, parts)];
      }
      case 'gModule':
        return this.#graph(object, bottoms, depth);
      case 'Identity':
      case 'Contiguous':
      case 'Copy':
        return [...bottoms];
      case 'CAddTable':
        return [this.maker.eltwise({ name: this.#name('sum') }, bottoms, 'SUM')];
      case 'CMulTable':
        return [this.maker.eltwise({ name: this.#name('product') }, bottoms, 'PROD')];
      case 'JoinTable':
        return [this.maker.concat({ name: this.#name('concat') }, bottoms)];
      default:
        return [this.#layer(kind, object, this.only(bottoms, object.class))];
    }
  }

  /** nngraph's gmodule.lua: the nodes in order. mapindex names the nodes whose data are a node's inputs. */
  #graph(object: T7Object, bottoms: readonly string[], depth: number): string[] {
    const outputs = new Map<T7Value, readonly string[]>();
    let last: readonly string[] = [];
    for (const node of listOf(fieldOf(object, 'forwardnodes'))) {
      const data = isT7Object(node) ? fieldOf(node, 'data') : null;
      if (!(data instanceof Map)) return this.maker.fail(object.class, 'a node of its graph has no data');
      const sources = listOf(data.get('mapindex'));
      const inputs =
        sources.length === 0
          ? bottoms
          : sources.flatMap(
              (source) =>
                outputs.get(source) ?? this.maker.fail(object.class, 'a node comes before its inputs'),
            );
      const select = data.get('selectindex');
      const module = data.get('module');
      last =
        typeof select === 'number'
          ? inputs.slice(select - 1, select)
          : isT7Object(module)
            ? this.module(module, inputs, depth + 1)
            : inputs;
      outputs.set(data, last);
    }
    return [...last];
  }

  #layer(kind: string, object: T7Object, bottom: string): string {
    const { maker } = this;
    const isLayer = !['Dropout', 'SpatialDropout', 'View', 'Reshape', 'Flatten'].includes(kind);
    if (isLayer) this.last = kind;
    const at = (name: string) => ({ name: this.#name(name), bottom });
    switch (kind) {
      case 'SpatialConvolution':
      case 'SpatialConvolutionMM':
      case 'SpatialDilatedConvolution':
        return this.#convolution(object, bottom);
      case 'SpatialBatchNormalization':
      case 'BatchNormalization':
        return this.#batchNorm(object, bottom);
      case 'ReLU':
        return maker.keepingShape('ReLU', at('relu'));
      case 'LeakyReLU':
        return maker.keepingShape('ReLU', at('relu'), {
          relu_param: { negative_slope: numberOf(object, 'negval') ?? 0.01 },
        });
      case 'ELU':
        return maker.keepingShape('ELU', at('elu'), { elu_param: { alpha: numberOf(object, 'alpha') ?? 1 } });
      case 'Sigmoid':
        return maker.keepingShape('Sigmoid', at('sigmoid'));
      case 'Tanh':
        return maker.keepingShape('TanH', at('tanh'));
      case 'SoftMax':
      case 'SpatialSoftMax':
        return maker.keepingShape('Softmax', at('prob'));
      case 'LogSoftMax': {
        const probabilities = maker.keepingShape('Softmax', at('prob'));
        return maker.keepingShape('Log', { name: this.#name('log'), bottom: probabilities });
      }
      case 'Dropout':
      case 'SpatialDropout':
        return bottom;
      case 'MulConstant':
        return maker.keepingShape('Power', at('scaled'), {
          power_param: { scale: numberOf(object, 'constant_scalar') ?? 1 },
        });
      case 'SpatialMaxPooling':
      case 'SpatialAveragePooling':
        return this.#pooling(kind === 'SpatialMaxPooling' ? 'max' : 'average', object, bottom);
      case 'Padding':
        return this.#padding(object, bottom);
      case 'View':
      case 'Reshape':
      case 'Flatten':
        return maker.flatten(at('flat'));
      case 'Linear':
        return maker.innerProduct(at('fc'), this.#tensor(object, 'weight'), this.#vector(object, 'bias'));
      default:
        return maker.fail(this.#name(object.class), `modules of ${object.class} are not converted`);
    }
  }

  #tensor(object: T7Object, name: string): Values {
    const tensor = fieldOf(object, name);
    if (!isT7Tensor(tensor)) return this.maker.fail(object.class, `its ${name} is missing`);
    return { shape: tensor.shape, values: tensorValues(tensor, this.#file) };
  }

  /** Null if there is no bias, or if noBias removed it. */
  #vector(object: T7Object, name: string): Float32Array | null {
    const tensor = fieldOf(object, name);
    return isT7Tensor(tensor) && tensor.shape.length > 0 ? tensorValues(tensor, this.#file) : null;
  }

  #sides(object: T7Object, [height, width]: readonly [string, string], missing: number): Pair {
    return [numberOf(object, height) ?? missing, numberOf(object, width) ?? missing];
  }

  #pads(object: T7Object): Pads {
    const [y, x] = this.#sides(object, ['padH', 'padW'], 0);
    // Before 2015 one number stood for both.
    const one = numberOf(object, 'padding') ?? 0;
    return [y || one, x || one, y || one, x || one];
  }

  #convolution(object: T7Object, bottom: string): string {
    const { shape, values } = this.#tensor(object, 'weight');
    const kernel = this.#sides(object, ['kH', 'kW'], 1);
    const outputs = numberOf(object, 'nOutputPlane') ?? shape[0] ?? 0;
    const inputs = values.length / (outputs * kernel[0] * kernel[1]);
    if (!Number.isInteger(inputs) || inputs < 1)
      this.maker.fail(
        object.class,
        `its weights are ${shape.join('×')} for ${outputs} outputs of ${kernel.join('×')}`,
      );
    return this.maker.convolution(
      { name: this.#name('conv'), bottom },
      {
        // SpatialConvolutionMM has a matrix.
        weights: { shape: [outputs, inputs, ...kernel], values },
        bias: this.#vector(object, 'bias'),
        stride: this.#sides(object, ['dH', 'dW'], 1),
        pads: this.#pads(object),
        dilation: this.#sides(object, ['dilationH', 'dilationW'], 1),
      },
    );
  }

  #batchNorm(object: T7Object, bottom: string): string {
    const eps = numberOf(object, 'eps') ?? 1e-5;
    const name = this.#name('bn');
    // Until October 2015 the field had 1/√(variance + ε) instead of the variance.
    const inverse = this.#vector(object, 'running_std');
    const variance =
      this.#vector(object, 'running_var') ?? inverse?.map((each) => Math.max(0, 1 / each ** 2 - eps));
    const mean = this.#vector(object, 'running_mean');
    if (mean === null || variance === undefined)
      return this.maker.fail(name, 'it has no running_mean or running_var');
    const [gamma, beta] = [this.#vector(object, 'weight'), this.#vector(object, 'bias')];
    return this.maker.batchNorm(
      { name, bottom },
      { mean, variance, gamma, beta, eps },
      name.replace('bn', 'scale'),
    );
  }

  #pooling(method: 'max' | 'average', object: T7Object, bottom: string): string {
    return this.maker.pooling(
      { name: this.#name('pool'), bottom },
      {
        method,
        kernel: this.#sides(object, ['kH', 'kW'], 1),
        stride: this.#sides(object, ['dH', 'dW'], 1),
        pads: this.#pads(object),
        ceilMode: fieldOf(object, 'ceil_mode') === true,
        countIncludePad: fieldOf(object, 'count_include_pad') !== false,
      },
    );
  }

  /** Channels of zeros after the existing ones: shortcut A of torch-residual-networks. */
  #padding(object: T7Object, bottom: string): string {
    const name = this.#name('padded');
    const [channels] = this.maker.imageOf(bottom, name);
    const pad = numberOf(object, 'pad') ?? 0;
    const isOfChannels = numberOf(object, 'dim') === 1 && (numberOf(object, 'value') ?? 0) === 0;
    const copies = Math.abs(pad) / channels;
    if (!isOfChannels || !Number.isInteger(copies) || copies < 1 || copies > 16)
      return this.maker.fail(
        name,
        `it pads ${pad} at dimension ${numberOf(object, 'dim')}; only whole multiples of the ${channels} channels, with zeros, are converted`,
      );
    const zeros = this.maker.keepingShape(
      'Power',
      { name: `${name}_zeros`, bottom },
      { power_param: { scale: 0 } },
    );
    const added = Array.from({ length: copies }, () => zeros);
    return this.maker.concat({ name }, pad < 0 ? [...added, bottom] : [bottom, ...added]);
  }
}
