/**
 * Builds a net and its weights layer by layer from the description in another framework's file. Each blob's shape is known.
 */
import { WeightsError } from '../base/errors.ts';
import { MAX_LAYERS } from '../base/files.ts';
import { blobFromFloats } from '../caffe/blob.ts';
import type { WeightsLayer } from '../caffe/caffemodel.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import type { Pair } from '../layers/operation.ts';
import { Names } from './names.ts';
import type { Network } from './network.ts';
import { poolingFromOnnx } from './onnx-pooling.ts';

/** Top, left, bottom, right. */
export type Pads = readonly [number, number, number, number];

/** Values in Caffe's order of axes. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface ConvolutionOf {
  /** Outputs × inputs of a group × height × width. The number of groups follows from the bottom's channels. */
  readonly weights: Values;
  readonly bias: Float32Array | null;
  readonly stride: Pair;
  readonly pads: Pads;
  readonly dilation?: Pair;
}

export interface BatchNormOf {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly gamma: Float32Array | null;
  readonly beta: Float32Array | null;
  readonly eps: number;
}

export interface PoolingOf {
  readonly method: 'max' | 'average';
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly pads: Pads;
  readonly ceilMode?: boolean;
  /** Whether an average counts positions in the padding. Default false. */
  readonly countIncludePad?: boolean;
}

/** The name and the bottom of a layer of any kind. */
interface At {
  readonly name: string;
  readonly bottom: string;
  /** Default: the layer's name. */
  readonly top?: string;
}

/** Of several bottoms. */
type Joined = Omit<At, 'bottom'>;

export class NetMaker {
  readonly #file: string;
  readonly #layers: LayerParameter[] = [];
  readonly #weights: WeightsLayer[] = [];
  /** Without the batch. */
  readonly #shapes = new Map<string, readonly number[]>();
  readonly #names = new Names();
  readonly #layerNames = new Names();

  constructor(file: string) {
    this.#file = file;
  }

  /** @throws WeightsError `convert/layer` naming the layer */
  fail(layer: string, message: string): never {
    throw new WeightsError('convert/layer', { file: this.#file, layer }, `layer "${layer}": ${message}`);
  }

  /** A blob's shape without the batch. */
  shapeOf(blob: string, layer: string): readonly number[] {
    return this.#shapes.get(blob) ?? this.fail(layer, `no layer before it produces its input "${blob}"`);
  }

  /** Channels, height and width. */
  imageOf(blob: string, layer: string): readonly [number, number, number] {
    const shape = this.shapeOf(blob, layer);
    if (shape.length !== 3) this.fail(layer, `its input "${blob}" is ${shape.join('×')}, expected an image`);
    return shape as [number, number, number];
  }

  input(name: string, shape: readonly number[]): string {
    this.#shapes.set(this.#names.take(name), shape.slice(1));
    this.#layers.push({ name, type: 'Input', top: [name], input_param: { shape: [{ dim: [...shape] }] } });
    return name;
  }

  /**
   * Adds a layer and computes the shape of its top. If a name is in use, the new one gets a number.
   * @param at.top Default: the layer's name. With its bottom's name the layer works in place.
   * @returns its top
   */
  layer(
    { name: wanted, bottom, top: wantedTop, ...rest }: LayerParameter & { name: string; bottom: string[] },
    shape: readonly number[],
    blobs: readonly Values[] = [],
  ): string {
    if (this.#layers.length >= MAX_LAYERS) this.fail(wanted, `the net has more than ${MAX_LAYERS} layers`);
    const name = this.#layerNames.take(wanted);
    const [topName = name] = wantedTop ?? [];
    const top = topName === bottom[0] ? topName : this.#names.take(topName);
    if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 1))
      this.fail(name, `it would make ${shape.join('×')}`);
    this.#layers.push({ name, bottom, top: [top], ...rest });
    this.#shapes.set(top, shape);
    if (blobs.length > 0)
      this.#weights.push({
        name,
        type: rest.type ?? '',
        blobs: blobs.map((blob) => blobFromFloats(blob.shape, blob.values)),
      });
    return top;
  }

  /**
   * Caffe pads opposite sides equally. If one side needs less, rows or columns of zeros are added to the kernel there. The
   * products and the size stay the same: out = ⌊(size + near + far − kernel) / stride⌋ + 1 in both cases.
   */
  convolution(at: At, { weights, bias, stride, pads, dilation = [1, 1] }: ConvolutionOf): string {
    const { name, bottom } = at;
    const [channels, ...size] = this.imageOf(bottom, name);
    if (weights.shape.length !== 4) this.fail(name, `its weights are ${weights.shape.join('×')}`);
    const [outputs, inputs] = weights.shape as [number, number];
    const group = channels / inputs;
    if (!Number.isInteger(group) || outputs % group !== 0)
      this.fail(name, `its weights are ${weights.shape.join('×')}, its input has ${channels} channels`);
    if (bias !== null && bias.length !== outputs)
      this.fail(name, `its bias has ${bias.length} values for ${outputs} outputs`);
    const { values, kernel, pad } = this.#padded(name, weights, pads, dilation);
    const extent = kernel.map((taps, i) => dilation[i]! * (taps - 1) + 1);
    return this.layer(
      {
        ...of(at),
        type: 'Convolution',
        convolution_param: {
          num_output: outputs,
          ...(bias === null ? { bias_term: false } : {}),
          ...sides('pad', pad, 0),
          ...sides('kernel', kernel, null),
          ...sides('stride', stride, 1),
          ...(dilation[0] === 1 && dilation[1] === 1 ? {} : { dilation: [...dilation] }),
          ...(group === 1 ? {} : { group }),
        },
      },
      [outputs, ...size.map((each, i) => Math.floor((each + 2 * pad[i]! - extent[i]!) / stride[i]!) + 1)],
      [
        { shape: [outputs, inputs, ...kernel], values },
        ...(bias === null ? [] : [{ shape: [outputs], values: bias }]),
      ],
    );
  }

  #padded(name: string, { shape, values }: Values, [top, left, bottom, right]: Pads, dilation: Pair) {
    const [outputs, inputs, height, width] = shape as [number, number, number, number];
    const grown = (
      [
        [top, bottom],
        [left, right],
      ] as const
    ).map(([near, far], i) => {
      const by = Math.abs(near - far) / dilation[i]!;
      if (!Number.isInteger(by))
        this.fail(
          name,
          `pads ${top}, ${left}, ${bottom}, ${right} and dilation ${dilation.join(', ')} have no equivalent in Caffe`,
        );
      return { before: near < far ? by : 0, by, pad: Math.max(near, far) };
    });
    const pad: Pair = [grown[0]!.pad, grown[1]!.pad];
    const kernel: Pair = [height + grown[0]!.by, width + grown[1]!.by];
    if (grown.every(({ by }) => by === 0)) return { values, kernel, pad };
    // No framework pads that much, and a small file could claim much memory with it.
    if (grown.some(({ by }, i) => by > [height, width][i]!))
      this.fail(
        name,
        `pads ${top}, ${left}, ${bottom}, ${right} of a kernel of ${height}×${width} differ by more than its size`,
      );
    const result = new Float32Array(outputs * inputs * kernel[0] * kernel[1]);
    for (let plane = 0; plane < outputs * inputs; plane++)
      for (let y = 0; y < height; y++)
        result.set(
          values.subarray((plane * height + y) * width, (plane * height + y + 1) * width),
          (plane * kernel[0] + y + grown[0]!.before) * kernel[1] + grown[1]!.before,
        );
    return { values: result, kernel, pad };
  }

  /**
   * A BatchNorm with the given statistics, and a Scale if there is a gain or an offset.
   * @param scaleName The name of the Scale.
   */
  batchNorm(at: At, norm: BatchNormOf, scaleName = `${at.name}_scale`): string {
    const { name, bottom } = at;
    const shape = this.shapeOf(bottom, name);
    const [channels] = shape;
    const given = [norm.mean, norm.variance, norm.gamma, norm.beta].filter((each) => each !== null);
    for (const { length } of given)
      if (length !== channels) this.fail(name, `it has ${length} values for ${channels} channels`);
    const vector = (values: Float32Array): Values => ({ shape: [values.length], values });
    const normed = this.layer(
      {
        ...of(at),
        type: 'BatchNorm',
        batch_norm_param: { use_global_stats: true, eps: Math.fround(norm.eps) },
      },
      shape,
      // The third blob is the divisor of Caffe's sums. Other frameworks store averages.
      [vector(norm.mean), vector(norm.variance), vector(Float32Array.of(1))],
    );
    if (norm.gamma === null && norm.beta === null) return normed;
    return this.scale(
      { name: scaleName, bottom: normed, top: normed },
      norm.gamma ?? new Float32Array(channels!).fill(1),
      norm.beta,
    );
  }

  /** Multiplies each channel by a factor and adds an offset. */
  scale(at: At, gamma: Float32Array, beta: Float32Array | null): string {
    const { name, bottom } = at;
    const shape = this.shapeOf(bottom, name);
    if (gamma.length !== shape[0] || (beta !== null && beta.length !== gamma.length))
      this.fail(name, `it has ${gamma.length} factors for ${shape[0]} channels`);
    return this.layer(
      { ...of(at), type: 'Scale', ...(beta === null ? {} : { scale_param: { bias_term: true } }) },
      shape,
      [gamma, ...(beta === null ? [] : [beta])].map((values) => ({ shape: [values.length], values })),
    );
  }

  pooling(
    at: At,
    { method, kernel, stride, pads, ceilMode = false, countIncludePad = false }: PoolingOf,
  ): string {
    const { name, bottom } = at;
    const [channels, height, width] = this.imageOf(bottom, name);
    const size = [height, width] as const;
    const found = poolingFromOnnx(
      { method, kernel, strides: stride, pads, ceilMode, countIncludePad },
      [0, 0],
      size,
    );
    if (found.kind === 'refused') return this.fail(name, found.reason);
    const round = found.roundMode === 'CEIL' ? Math.ceil : Math.floor;
    const isPadded = found.pad.some((each) => each > 0);
    const made = size.map((each, i) => {
      const count = round((each + 2 * found.pad[i]! - kernel[i]!) / stride[i]!) + 1;
      return isPadded && (count - 1) * stride[i]! >= each + found.pad[i]! ? count - 1 : count;
    });
    return this.layer(
      {
        ...of(at),
        type: 'Pooling',
        pooling_param: {
          pool: found.pool,
          ...single(sides('pad', found.pad, 0)),
          ...single(sides('kernel', kernel, null)),
          ...single(sides('stride', stride, 1)),
          ...(found.roundMode === 'FLOOR' ? { round_mode: 'FLOOR' } : {}),
        },
      },
      [channels, ...made],
    );
  }

  globalPooling(at: At, method: 'max' | 'average'): string {
    const [channels] = this.imageOf(at.bottom, at.name);
    const pool = method === 'max' ? 'MAX' : 'AVE';
    return this.layer({ ...of(at), type: 'Pooling', pooling_param: { pool, global_pooling: true } }, [
      channels,
      1,
      1,
    ]);
  }

  /** Weights are outputs × inputs, the inputs in Caffe's order: channel, height, width. */
  innerProduct(at: At, weights: Values, bias: Float32Array | null): string {
    const { name, bottom } = at;
    const count = this.shapeOf(bottom, name).reduce((product, dim) => product * dim, 1);
    const [outputs, inputs] = weights.shape as [number, number];
    if (weights.shape.length !== 2 || inputs !== count)
      this.fail(name, `its weights are ${weights.shape.join('×')}, its input has ${count} values`);
    if (bias !== null && bias.length !== outputs)
      this.fail(name, `its bias has ${bias.length} values for ${outputs} outputs`);
    return this.layer(
      {
        ...of(at),
        type: 'InnerProduct',
        inner_product_param: { num_output: outputs, ...(bias === null ? { bias_term: false } : {}) },
      },
      [outputs],
      [weights, ...(bias === null ? [] : [{ shape: [outputs], values: bias }])],
    );
  }

  /** A layer that keeps the shape of its one bottom: ReLU, Sigmoid, TanH, Softmax, Dropout, … */
  keepingShape(type: string, at: At, parameters: LayerParameter = {}): string {
    return this.layer({ ...of(at), type, ...parameters }, this.shapeOf(at.bottom, at.name));
  }

  flatten(at: At): string {
    const shape = this.shapeOf(at.bottom, at.name);
    if (shape.length === 1) return at.bottom;
    return this.layer({ ...of(at), type: 'Flatten' }, [shape.reduce((product, dim) => product * dim, 1)]);
  }

  /** SUM, PROD or MAX of blobs of one shape. */
  eltwise(
    { name, top }: Joined,
    bottoms: readonly string[],
    operation: 'SUM' | 'PROD' | 'MAX',
    coeff?: readonly number[],
  ): string {
    const shapes = bottoms.map((bottom) => this.shapeOf(bottom, name));
    const other = shapes.find((shape) => String(shape) !== String(shapes[0]));
    if (shapes.length < 2 || other !== undefined)
      this.fail(
        name,
        `its inputs are ${shapes.map((shape) => shape.join('×')).join(' and ') || 'none'}, expected two or more of one shape`,
      );
    const parameters = {
      ...(operation === 'SUM' ? {} : { operation }),
      ...(coeff === undefined ? {} : { coeff: [...coeff] }),
    };
    return this.layer(
      {
        ...joined(name, bottoms, top),
        type: 'Eltwise',
        ...(Object.keys(parameters).length === 0 ? {} : { eltwise_param: parameters }),
      },
      shapes[0]!,
    );
  }

  /** Concatenates along the channels. */
  concat({ name, top }: Joined, bottoms: readonly string[]): string {
    const shapes = bottoms.map((bottom) => this.shapeOf(bottom, name));
    const [first] = shapes;
    if (first === undefined || shapes.some((shape) => String(shape.slice(1)) !== String(first.slice(1))))
      this.fail(
        name,
        `its inputs are ${shapes.map((shape) => shape.join('×')).join(' and ') || 'none'}, expected one size`,
      );
    const channels = shapes.reduce((sum, [each]) => sum + each!, 0);
    return this.layer({ ...joined(name, bottoms, top), type: 'Concat' }, [channels, ...first!.slice(1)]);
  }

  network(name: string): Network {
    return { net: { name, layer: this.#layers }, weights: { file: this.#file, name, layers: this.#weights } };
  }
}

const of = ({ name, bottom, top }: At) => joined(name, [bottom], top);

const joined = (name: string, bottoms: readonly string[], top: string | undefined) => ({
  name,
  bottom: [...bottoms],
  ...(top === undefined ? {} : { top: [top] }),
});

/** The fields of a window in Convolution's form, where one field repeats: `kernel_size: 3`, or `kernel_h` and `kernel_w`. */
function sides(
  field: 'kernel' | 'stride' | 'pad',
  [height, width]: readonly number[],
  missing: number | null,
) {
  if (height !== width) return { [`${field}_h`]: height, [`${field}_w`]: width };
  return height === missing ? {} : { [field === 'kernel' ? 'kernel_size' : field]: [height] };
}

/** The same in Pooling's form. */
const single = (fields: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  );
