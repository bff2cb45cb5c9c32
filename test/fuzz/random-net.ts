/**
 * Small random nets with weights: convolutions with pad, stride, dilation and groups, BatchNorm with Scale, ReLU and its
 * kin, residual sums with coefficients, pooling, several readers of a blob. What the passes rewrite comes often.
 */
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import type { WeightsFile, WeightsLayer } from '../../ts/caffe/caffemodel.ts';
import type { Random } from './random.ts';

export interface RandomNet {
  readonly prototxt: string;
  readonly weights: WeightsFile;
  readonly input: { readonly shape: readonly number[]; readonly data: Float32Array };
  /** Blobs to ask for beside the net's own outputs. */
  readonly asked: readonly string[];
}

interface Blob {
  readonly name: string;
  readonly shape: readonly [channels: number, height: number, width: number];
}

class Builder {
  readonly text: string[] = [];
  readonly layers: WeightsLayer[] = [];
  readonly blobs: Blob[] = [];
  /** Blobs that a layer has read: Caffe lets nobody write to them in place any more. */
  readonly #read = new Set<string>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  values(count: number, low: number, high: number): Float32Array {
    return Float32Array.from({ length: count }, () => low + ((high - low) * this.#random.below(2001)) / 2000);
  }

  layer(
    type: string,
    bottoms: readonly Blob[],
    shape: Blob['shape'],
    options: {
      parameters?: string;
      weights?: readonly (readonly [number[], Float32Array])[];
      inPlace?: boolean;
    } = {},
  ): Blob {
    const name = `${type.toLowerCase()}${this.text.length}`;
    const isInPlace = options.inPlace === true && !this.#read.has(bottoms[0]!.name);
    const top = isInPlace ? bottoms[0]!.name : name;
    if (!isInPlace) for (const bottom of bottoms) this.#read.add(bottom.name);
    const ends = [...bottoms.map((bottom) => `bottom: "${bottom.name}"`), `top: "${top}"`].join(' ');
    this.text.push(`layer { name: "${name}" type: "${type}" ${ends} ${options.parameters ?? ''} }`);
    if (options.weights !== undefined)
      this.layers.push({
        name,
        type,
        blobs: options.weights.map(([blobShape, data]) => blobFromFloats(blobShape, data)),
      });
    const blob = { name: top, shape };
    if (!isInPlace) this.blobs.push(blob);
    return blob;
  }
}

type Step = (builder: Builder, random: Random, from: Blob) => Blob;

const outSize = (size: number, kernel: number, pad: number, stride: number, dilation: number) =>
  Math.floor((size + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1;

const convolution: Step = (builder, random, from) => {
  const [channels, height, width] = from.shape;
  const group = random.pick([1, 1, 1, 1, 2, channels].filter((each) => channels % each === 0));
  const output = group * (1 + random.below(group > 4 ? 1 : 9));
  const kernel = random.pick([1, 1, 3, 3, 5, 7]);
  const [stride, dilation] = random.pick([
    [1, 1],
    [1, 1],
    [2, 1],
    [2, 1],
    [3, 1],
    [1, 2],
  ] as const);
  const pad = random.below(dilation * (kernel - 1) + 1);
  const [h, w] = [height, width].map((size) => outSize(size, kernel, pad, stride, dilation)) as [
    number,
    number,
  ];
  if (h < 1 || w < 1) return from;
  const bias = random.below(2) === 0;
  const scale = 1.5 / Math.sqrt((channels / group) * kernel * kernel);
  return builder.layer('Convolution', [from], [output, h, w], {
    parameters: `convolution_param { num_output: ${output} kernel_size: ${kernel} pad: ${pad} stride: ${stride} dilation: ${dilation} group: ${group} bias_term: ${bias} }`,
    weights: [
      [
        [output, channels / group, kernel, kernel],
        builder.values((output * channels * kernel * kernel) / group, -scale, scale),
      ],
      ...(bias ? [[[output], builder.values(output, -1, 1)] as const] : []),
    ] as [number[], Float32Array][],
  });
};

const batchNorm: Step = (builder, random, from) => {
  const channels = from.shape[0];
  const inPlace = random.below(3) > 0;
  const factor = random.pick([1, 1, 0.5, 999.982]);
  const normalised = builder.layer('BatchNorm', [from], from.shape, {
    inPlace,
    parameters: `batch_norm_param { use_global_stats: true eps: ${random.pick(['1e-5', '1e-3'])} }`,
    weights: [
      [[channels], builder.values(channels, -factor, factor)],
      [[channels], builder.values(channels, 0.5 * factor, 2 * factor)],
      [[1], Float32Array.of(factor)],
    ],
  });
  if (random.below(6) === 0) return normalised;
  const bias = random.below(4) > 0;
  return builder.layer('Scale', [normalised], from.shape, {
    inPlace: random.below(3) > 0,
    parameters: `scale_param { bias_term: ${bias} }`,
    weights: [
      [[channels], builder.values(channels, -2, 2)],
      ...(bias ? [[[channels], builder.values(channels, -1, 1)] as [number[], Float32Array]] : []),
    ],
  });
};

const activation: Step = (builder, random, from) => {
  const channels = from.shape[0];
  const inPlace = random.below(3) > 0;
  const kind = random.pick([
    'ReLU',
    'ReLU',
    'ReLU',
    'leaky',
    'PReLU',
    'ELU',
    'Sigmoid',
    'TanH',
    'AbsVal',
    'Power',
  ]);
  if (kind === 'leaky')
    return builder.layer('ReLU', [from], from.shape, {
      inPlace,
      parameters: 'relu_param { negative_slope: 0.1 }',
    });
  if (kind === 'PReLU')
    return builder.layer('PReLU', [from], from.shape, {
      inPlace,
      weights: [[[channels], builder.values(channels, -0.5, 0.5)]],
    });
  if (kind === 'Power')
    return builder.layer('Power', [from], from.shape, {
      inPlace,
      parameters: `power_param { power: ${random.pick([1, 1, 2])} scale: ${random.pick([-1, 0.5, 1])} shift: ${random.pick([0, 1])} }`,
    });
  return builder.layer(kind, [from], from.shape, { inPlace });
};

const pooling: Step = (builder, random, from) => {
  const [channels, height, width] = from.shape;
  const kernel = random.pick([2, 3]);
  const stride = random.pick([1, 2, 2]);
  const pad = random.below(2);
  if (height + 2 * pad < kernel || width + 2 * pad < kernel) return from;
  const size = (length: number) => {
    const rounded = Math.ceil((length + 2 * pad - kernel) / stride) + 1;
    return pad > 0 && (rounded - 1) * stride >= length + pad ? rounded - 1 : rounded;
  };
  return builder.layer('Pooling', [from], [channels, size(height), size(width)], {
    parameters: `pooling_param { pool: ${random.pick(['MAX', 'AVE'])} kernel_size: ${kernel} stride: ${stride} pad: ${pad} }`,
  });
};

/** conv → BN → ReLU → conv → BN + shortcut → ReLU, as in a residual block, or with another operation or coefficients. */
const residual: Step = (builder, random, from) => {
  let branch = from;
  for (let left = 1 + random.below(3); left > 0; left--) {
    branch = convolution(builder, random, branch);
    if (random.below(3) > 0) branch = batchNorm(builder, random, branch);
    if (random.below(2) > 0) branch = activation(builder, random, branch);
  }
  const same = builder.blobs.filter(
    (blob) => blob.name !== branch.name && blob.shape.every((size, i) => size === branch.shape[i]),
  );
  if (same.length === 0) return branch;
  const others = [random.pick(same), ...(random.below(5) === 0 ? [random.pick(same)] : [])];
  const bottoms = random.below(2) === 0 ? [branch, ...others] : [...others, branch];
  const operation = random.pick(['SUM', 'SUM', 'SUM', 'SUM', 'coeff', 'PROD', 'MAX']);
  const sum = builder.layer('Eltwise', bottoms, branch.shape, {
    parameters:
      operation === 'coeff'
        ? `eltwise_param { operation: SUM ${bottoms.map(() => `coeff: ${random.pick([1, -1, 0.5])}`).join(' ')} }`
        : `eltwise_param { operation: ${operation} }`,
  });
  return random.below(3) > 0 ? activation(builder, random, sum) : sum;
};

const concat: Step = (builder, random, from) => {
  const fits = builder.blobs.filter(({ shape }) => shape[1] === from.shape[1] && shape[2] === from.shape[2]);
  const other = random.pick(fits.length > 0 ? fits : [from]);
  return builder.layer(
    'Concat',
    [from, other],
    [from.shape[0] + other.shape[0], from.shape[1], from.shape[2]],
  );
};

const STEPS: readonly Step[] = [
  convolution,
  convolution,
  batchNorm,
  batchNorm,
  activation,
  pooling,
  residual,
  residual,
  residual,
  concat,
];

/** Five to twelve steps, then an inner product and a softmax in half of the nets. */
export function randomNet(random: Random): RandomNet {
  const builder = new Builder(random);
  const shape: Blob['shape'] = [1 + random.below(9), 5 + random.below(14), 5 + random.below(14)];
  const batch = 1 + random.below(3);
  let blob: Blob = { name: 'data', shape };
  builder.blobs.push(blob);
  for (let left = 5 + random.below(8); left > 0; left--)
    // Now and then from an earlier blob, so that blobs have several readers and the net several ends.
    blob = random.pick(STEPS)(builder, random, random.below(6) === 0 ? random.pick(builder.blobs) : blob);
  if (random.below(2) === 0) {
    const count = blob.shape.reduce((product, size) => product * size, 1);
    const scores = builder.layer('InnerProduct', [blob], [7, 1, 1], {
      parameters: 'inner_product_param { num_output: 7 }',
      weights: [
        [[7, count], builder.values(7 * count, -1 / Math.sqrt(count), 1 / Math.sqrt(count))],
        [[7], builder.values(7, -1, 1)],
      ],
    });
    builder.layer('Softmax', [scores], [7, 1, 1]);
  }
  const dims = [batch, ...shape];
  return {
    prototxt: [
      'name: "random"',
      `layer { name: "data" type: "Input" top: "data" input_param { shape { ${dims.map((dim) => `dim: ${dim}`).join(' ')} } } }`,
      ...builder.text,
    ].join('\n'),
    weights: { file: 'random.caffemodel', name: 'random', layers: builder.layers },
    input: {
      shape: dims,
      data: builder.values(
        dims.reduce((product, dim) => product * dim, 1),
        -2,
        2,
      ),
    },
    asked: builder.blobs
      .slice(1)
      .filter(() => random.below(5) === 0)
      .map(({ name }) => name),
  };
}
