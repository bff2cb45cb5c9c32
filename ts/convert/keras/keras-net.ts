/**
 * Functional and sequential nets of Keras 1, 2 and 3, read from model_config
 * (https://keras.io/api/models/model_saving_apis/) and the weights of the same file. Keras orders images as height × width ×
 * channels. The blobs here have Caffe's order.
 */
import { WeightsError } from '../../base/errors.ts';
import { MAX_LAYERS } from '../../base/files.ts';
import { toFloat32 } from '../../caffe/blob.ts';
import type { Pair } from '../../layers/operation.ts';
import { NetMaker, type Pads, type Values } from '../net-maker.ts';
import type { Network } from '../network.ts';
import type { SourceTensors } from '../source-tensor.ts';

type Json = Readonly<Record<string, unknown>>;

interface Layer {
  readonly type: string;
  readonly name: string;
  readonly config: Json;
  readonly inputs: readonly string[];
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const objectOf = (value: unknown): Json => (isObject(value) ? value : {});
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/**
 * @param text The attribute model_config.
 * @param tensors `layer/kernel`, `bias`, `gamma`, … as keras-weights.ts names them.
 * @throws WeightsError `keras/config` if the text does not describe a net; `convert/layer`, with the name of a layer
 * that has no equivalent here
 */
export function kerasNet(
  text: string,
  tensors: SourceTensors,
  file: string,
  inputShapes: Readonly<Record<string, readonly number[]>>,
): Network {
  let model: Json;
  try {
    model = objectOf(JSON.parse(text));
  } catch (error) {
    throw new WeightsError(
      'keras/config',
      { file },
      `its model_config is not JSON (${(error as Error).message})`,
    );
  }
  const builder = new Builder(file, tensors, inputShapes);
  for (const layer of layersOf(model, file)) builder.add(layer);
  return builder.maker.network(String(objectOf(model.config).name ?? 'Keras'));
}

function layersOf(model: Json, file: string): Layer[] {
  const isSequential = model.class_name === 'Sequential';
  const listed = listOf(Array.isArray(model.config) ? model.config : objectOf(model.config).layers);
  if (listed.length === 0 || listed.length > MAX_LAYERS)
    throw new WeightsError(
      'keras/config',
      { file },
      `its model_config has ${listed.length} layers; expected a functional or sequential model`,
    );
  let before: string[] = [];
  return listed.map((each) => {
    const { class_name: type, config, name, inbound_nodes: nodes } = objectOf(each);
    const own = objectOf(config);
    const layer = {
      type: String(type),
      name: String(own.name ?? name),
      config: own,
      inputs: isSequential ? before : [...historyOf(nodes)],
    };
    before = [layer.name];
    return layer;
  });
}

/** The input layers of a call: [name, node, tensor, …] in Keras 2, { keras_history: [name, node, tensor] } in Keras 3. */
function* historyOf(value: unknown, depth = 0): Generator<string> {
  if (depth > 8) return;
  if (isObject(value)) {
    const history = listOf(value.keras_history);
    if (typeof history[0] === 'string') yield history[0];
    else for (const inner of Object.values(value)) yield* historyOf(inner, depth + 1);
  } else if (Array.isArray(value)) {
    if (typeof value[0] === 'string' && typeof value[1] === 'number') yield value[0];
    else for (const inner of value) yield* historyOf(inner, depth + 1);
  }
}

const NONE: Pads = [0, 0, 0, 0];
const ACTIVATIONS: Readonly<Record<string, string>> = {
  relu: 'ReLU',
  softmax: 'Softmax',
  sigmoid: 'Sigmoid',
  tanh: 'TanH',
  elu: 'ELU',
};

class Builder {
  readonly maker: NetMaker;
  readonly #tensors: SourceTensors;
  readonly #inputShapes: Readonly<Record<string, readonly number[]>>;
  readonly #tops = new Map<string, string>();
  /** The zeros that ZeroPadding2D put around a blob. The next layer may add them itself. */
  readonly #zeros = new Map<string, Pads>();
  /** Flattened images. Keras's order is height, width, channel. */
  readonly #images = new Map<string, readonly [number, number, number]>();
  readonly #positive = new Set<string>();

  constructor(
    file: string,
    tensors: SourceTensors,
    inputShapes: Readonly<Record<string, readonly number[]>>,
  ) {
    this.maker = new NetMaker(file);
    this.#tensors = tensors;
    this.#inputShapes = inputShapes;
  }

  add(layer: Layer): void {
    const { type, name, config } = layer;
    // A sequential net may give its input shape only in its first layer.
    if (type === 'InputLayer' || (layer.inputs.length === 0 && this.#tops.size === 0)) {
      const input = type === 'InputLayer' ? name : 'data';
      this.#tops.set(input, this.maker.input(input, this.#inputShape(config, input)));
      if (type === 'InputLayer') return;
      layer = { ...layer, inputs: [input] };
    }
    const bottoms = layer.inputs.map(
      (input) =>
        this.#tops.get(input) ?? this.maker.fail(name, `its input "${input}" is not a layer before it`),
    );
    const [bottom] = bottoms;
    if (bottom === undefined) this.maker.fail(name, 'it has no input');
    this.#tops.set(name, this.#layer(layer, bottom!, bottoms));
  }

  #inputShape(config: Json, name: string): readonly number[] {
    const given = this.#inputShapes[name];
    if (given !== undefined) return given;
    const [, ...shape] = listOf(config.batch_shape ?? config.batch_input_shape);
    const dims = shape.map(Number);
    if (dims.length === 0 || dims.some((dim) => !(dim >= 1)))
      this.maker.fail(
        name,
        `its size is unknown; give it with --input-shape ${name}=1x3x224x224 (inputShapes)`,
      );
    const [height, width, channels] = dims;
    return dims.length === 3 && config.data_format !== 'channels_first'
      ? [1, channels!, height!, width!]
      : [1, ...dims];
  }

  #tensor(layer: string, role: string): Values | null {
    const tensor = this.#tensors.get(`${layer}/${role}`);
    return tensor === undefined ? null : { shape: tensor.shape, values: toFloat32(tensor.blob()) };
  }

  #needed(layer: string, role: string): Values {
    return this.#tensor(layer, role) ?? this.maker.fail(layer, `its ${role} is missing among the weights`);
  }

  #pair(value: unknown, missing: number): Pair {
    const [height, width] = typeof value === 'number' ? [value, value] : listOf(value).map(Number);
    return [height ?? missing, width ?? height ?? missing];
  }

  #pads({ name, config }: Layer, bottom: string, extent: Pair, strides: Pair): Pads {
    const [top, left, below, right] = this.#zeros.get(bottom) ?? NONE;
    const padding = config.padding ?? config.border_mode ?? 'valid';
    if (padding === 'valid') return [top, left, below, right];
    if (padding !== 'same') this.maker.fail(name, `its padding is "${String(padding)}"`);
    const [, height, width] = this.maker.imageOf(bottom, name);
    const size = [height + top + below, width + left + right];
    const total = size.map((each, i) =>
      Math.max(0, (Math.ceil(each / strides[i]!) - 1) * strides[i]! + extent[i]! - each),
    );
    const [near, far] = [total.map((each) => Math.floor(each / 2)), total.map((each) => Math.ceil(each / 2))];
    return [top + near[0]!, left + near[1]!, below + far[0]!, right + far[1]!];
  }

  #layer(layer: Layer, bottom: string, bottoms: readonly string[]): string {
    const { maker } = this;
    const { type, name, config } = layer;
    const at = { name, bottom };
    if (this.#zeros.has(bottom) && !/Conv2D$|MaxPooling2D$|^ZeroPadding2D$/.test(type))
      maker.fail(
        name,
        'ZeroPadding2D comes before it; only a convolution or a max pooling can include its zeros',
      );
    switch (type) {
      case 'Conv2D':
      case 'Convolution2D':
      case 'DepthwiseConv2D':
        return this.#activated(layer, this.#convolution(layer, bottom));
      case 'Dense':
        return this.#activated(layer, this.#dense(layer, bottom));
      case 'BatchNormalization':
        return this.#batchNorm(layer, bottom);
      case 'Activation':
        return this.#activated(layer, bottom, name);
      case 'ReLU':
      case 'LeakyReLU': {
        if (config.max_value != null || (config.threshold ?? 0) !== 0)
          maker.fail(name, 'a ReLU with a maximum or a threshold is not converted');
        const slope = Number(config.negative_slope ?? config.alpha ?? (type === 'ReLU' ? 0 : 0.3));
        const top = maker.keepingShape(
          'ReLU',
          at,
          slope === 0 ? {} : { relu_param: { negative_slope: slope } },
        );
        if (slope === 0) this.#positive.add(top);
        return this.#keepOrder(bottom, top);
      }
      case 'Softmax':
        return maker.keepingShape('Softmax', at);
      case 'Add':
        return maker.eltwise({ name }, bottoms, 'SUM');
      case 'Subtract':
        return maker.eltwise({ name }, bottoms, 'SUM', [1, -1]);
      case 'Multiply':
        return maker.eltwise({ name }, bottoms, 'PROD');
      case 'Maximum':
        return maker.eltwise({ name }, bottoms, 'MAX');
      case 'Concatenate':
        return this.#concat(layer, bottoms);
      case 'MaxPooling2D':
      case 'AveragePooling2D':
        return this.#pooling(layer, bottom);
      case 'GlobalAveragePooling2D':
      case 'GlobalMaxPooling2D':
        return maker.flatten({
          name: `${name}_flat`,
          bottom: maker.globalPooling(at, type === 'GlobalMaxPooling2D' ? 'max' : 'average'),
        });
      case 'Flatten': {
        const shape = maker.shapeOf(bottom, name);
        const top = maker.flatten(at);
        if (shape.length === 3 && config.data_format !== 'channels_first')
          this.#images.set(top, shape as [number, number, number]);
        return top;
      }
      case 'ZeroPadding2D':
        return this.#zeroPadding(layer, bottom);
      case 'Rescaling':
        return maker.keepingShape('Power', at, {
          power_param: { scale: Number(config.scale ?? 1), shift: Number(config.offset ?? 0) },
        });
      case 'Dropout':
      case 'SpatialDropout2D':
      case 'GaussianNoise':
      case 'GaussianDropout':
      case 'ActivityRegularization':
        return bottom;
      default:
        return maker.fail(name, `layers of type ${type} are not converted`);
    }
  }

  #keepOrder(bottom: string, top: string): string {
    const image = this.#images.get(bottom);
    if (image !== undefined) this.#images.set(top, image);
    return top;
  }

  /**
   * Adds the layer of an `activation`.
   * @param own The name to use if the activation is a layer of its own.
   */
  #activated({ name, config }: Layer, bottom: string, own?: string): string {
    const { maker } = this;
    const activation = isObject(config.activation)
      ? String(objectOf(config.activation).class_name).toLowerCase()
      : String(config.activation ?? 'linear');
    if (activation === 'linear' || activation === 'null') return bottom;
    const at = { name: own ?? `${name}_${activation}`, bottom };
    if (!Object.hasOwn(ACTIVATIONS, activation))
      return maker.fail(name, `its activation "${activation}" is not converted`);
    const type = ACTIVATIONS[activation]!;
    const top = maker.keepingShape(type, at);
    if (type === 'ReLU') this.#positive.add(top);
    return this.#keepOrder(bottom, top);
  }

  #convolution(layer: Layer, bottom: string): string {
    const { type, name, config } = layer;
    const kernel = this.#needed(name, 'kernel');
    // The kernel of a depthwise convolution: multiplier × channels × height × width. Output channel c·multiplier + m.
    const weights = type === 'DepthwiseConv2D' ? perChannel(kernel) : kernel;
    const [, , ...taps] = weights.shape as [number, number, number, number];
    const dilation = this.#pair(config.dilation_rate, 1);
    const stride = this.#pair(config.strides ?? config.subsample, 1);
    const extent = taps.map((each, i) => dilation[i]! * (each - 1) + 1) as unknown as Pair;
    return this.maker.convolution(
      { name, bottom },
      {
        weights,
        bias: this.#tensor(name, 'bias')?.values ?? null,
        stride,
        dilation,
        pads: this.#pads(layer, bottom, extent, stride),
      },
    );
  }

  #dense({ name }: Layer, bottom: string): string {
    const { shape, values } = this.#needed(name, 'kernel');
    const image = this.#images.get(bottom);
    const before = this.maker.shapeOf(bottom, name);
    if (before.length > 1)
      this.maker.fail(
        name,
        `its input is ${before.join('×')}; Keras would treat each pixel separately; flatten it first`,
      );
    const weights = image === undefined ? values : channelsFirst(values, shape[0]!, image);
    return this.maker.innerProduct(
      { name, bottom },
      { shape, values: weights },
      this.#tensor(name, 'bias')?.values ?? null,
    );
  }

  #batchNorm({ name, config }: Layer, bottom: string): string {
    // Four vectors are named. If there are fewer, `scale` and `center` decide which.
    const roles = ['gamma', 'beta', 'mean', 'variance'].filter(
      (role) => (role !== 'gamma' || config.scale !== false) && (role !== 'beta' || config.center !== false),
    );
    const of = (role: string): Float32Array | null =>
      roles.includes(role)
        ? this.#needed(name, roles.length === 4 ? role : String(roles.indexOf(role))).values
        : null;
    return this.#keepOrder(
      bottom,
      this.maker.batchNorm(
        { name, bottom },
        {
          mean: of('mean')!,
          variance: of('variance')!,
          gamma: of('gamma'),
          beta: of('beta'),
          eps: Number(config.epsilon ?? 1e-3),
        },
      ),
    );
  }

  #concat({ name, config }: Layer, bottoms: readonly string[]): string {
    const rank = this.maker.shapeOf(bottoms[0]!, name).length;
    const axis = Number(config.axis ?? -1);
    if (axis !== -1 && axis !== rank)
      this.maker.fail(name, `it joins along axis ${axis}; only channels (-1) are joined`);
    return this.maker.concat({ name }, bottoms);
  }

  #pooling(layer: Layer, bottom: string): string {
    const { type, name, config } = layer;
    const kernel = this.#pair(config.pool_size, 2);
    const stride = config.strides == null ? kernel : this.#pair(config.strides, 2);
    if (this.#zeros.has(bottom) && !this.#positive.has(bottom))
      this.maker.fail(
        name,
        "its input, which may be negative, is padded with zeros; Caffe's max pooling ignores padding",
      );
    const method = type === 'MaxPooling2D' ? 'max' : 'average';
    return this.maker.pooling(
      { name, bottom },
      { method, kernel, stride, pads: this.#pads(layer, bottom, kernel, stride) },
    );
  }

  /** A Split with one top, which names the padded blob. */
  #zeroPadding({ name, config }: Layer, bottom: string): string {
    const sides = listOf(config.padding);
    const [top, below] = this.#pair(typeof config.padding === 'number' ? config.padding : sides[0], 0);
    const [left, right] = this.#pair(typeof config.padding === 'number' ? config.padding : sides[1], 0);
    const [oldTop, oldLeft, oldBottom, oldRight] = this.#zeros.get(bottom) ?? NONE;
    const padded = this.maker.keepingShape('Split', { name, bottom });
    this.#zeros.set(padded, [oldTop + top, oldLeft + left, oldBottom + below, oldRight + right]);
    if (this.#positive.has(bottom)) this.#positive.add(padded);
    return padded;
  }
}

/** multiplier × channels × height × width → (channels · multiplier) × 1 × height × width */
function perChannel({ shape, values }: Values): Values {
  const [multiplier = 1, channels = 1, height = 1, width = 1] = shape;
  const area = height * width;
  const to = new Float32Array(values.length);
  for (let m = 0; m < multiplier; m++)
    for (let c = 0; c < channels; c++)
      to.set(
        values.subarray((m * channels + c) * area, (m * channels + c + 1) * area),
        (c * multiplier + m) * area,
      );
  return { shape: [channels * multiplier, 1, height, width], values: to };
}

/** Reorders the inputs of a dense layer from height, width, channel to channel, height, width. */
function channelsFirst(
  from: Float32Array,
  outputs: number,
  [channels, height, width]: readonly [number, number, number],
): Float32Array {
  const to = new Float32Array(from.length);
  const area = height * width;
  for (let output = 0, at = 0; output < outputs; output++)
    for (let pixel = 0; pixel < area; pixel++)
      for (let channel = 0; channel < channels; channel++)
        to[(output * channels + channel) * area + pixel] = from[at++]!;
  return to;
}
