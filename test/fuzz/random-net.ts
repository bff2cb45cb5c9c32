/**
 * Small random nets with weights. Patterns that the passes rewrite are frequent and come in every order, and sometimes
 * with an obstacle: another reader, a requested output, a pad, a coefficient.
 */
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import type { Random } from './random.ts';
import {
  type Blob,
  Builder,
  countOf,
  type RandomLayer,
  type Step,
  sameShape,
  values,
  type Weights,
} from './random-builder.ts';
import { LATER_STEPS } from './random-later-layers.ts';

export interface RandomNet {
  /** By input blob. */
  readonly inputs: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>
  >;
  readonly layers: readonly RandomLayer[];
  /** Values to request besides the net's own outputs: `blob@layer`. */
  readonly asked: readonly string[];
}

export function prototxtOf({ inputs, layers }: RandomNet): string {
  const list = (key: string, names: readonly string[]) => names.map((name) => `${key}: "${name}"`).join(' ');
  return [
    'name: "random"',
    ...Object.entries(inputs).map(
      ([name, { shape }]) =>
        `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }`,
    ),
    ...layers.map(
      ({ name, type, bottoms, tops, fields }) =>
        `layer { name: "${name}" type: "${type}" ${list('bottom', bottoms)} ${list('top', tops)} ${fields} }`,
    ),
  ].join('\n');
}

export function weightsOf({ layers }: RandomNet): WeightsFile {
  return {
    file: 'random.caffemodel',
    name: 'random',
    layers: layers
      .filter(({ weights }) => weights.length > 0)
      .map(({ name, type, weights }) => ({
        name,
        type,
        blobs: weights.map(([shape, data]) => blobFromFloats(shape, data)),
      })),
  };
}

/** The same net on other numbers, so that values at kinks differ. */
export function redrawn(net: RandomNet, random: Random): RandomNet {
  const inputs = Object.entries(net.inputs).map(([name, { shape, data }]) => {
    const other = name === 'label' ? data : values(random, data.length, -2, 2);
    return [name, { shape, data: other }] as const;
  });
  return { ...net, inputs: Object.fromEntries(inputs) };
}

const outSize = (size: number, kernel: number, pads: number, stride: number, dilation: number) =>
  Math.floor((size + pads - dilation * (kernel - 1) - 1) / stride) + 1;

interface Window {
  readonly output: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly pad: readonly [number, number];
  /** The pads below and on the right. Default: as above and on the left. */
  readonly behind?: readonly [number, number];
  readonly dilation?: number;
  readonly group?: number;
}

function convolve(builder: Builder, from: Blob, window: Window): Blob {
  const { output, kernel, stride, pad, behind, dilation = 1, group = 1 } = window;
  const [channels, height, width] = from.shape;
  const [below, right] = behind ?? pad;
  const h = outSize(height, kernel[0], pad[0] + below, stride, dilation);
  const w = outSize(width, kernel[1], pad[1] + right, stride, dilation);
  if (h < 1 || w < 1) return from;
  const bias = builder.chance(2);
  const fanIn = (channels / group) * kernel[0] * kernel[1];
  const size =
    kernel[0] === kernel[1] && pad[0] === pad[1] && behind === undefined
      ? `kernel_size: ${kernel[0]} pad: ${pad[0]}`
      : `kernel_h: ${kernel[0]} kernel_w: ${kernel[1]} ${
          behind === undefined
            ? `pad_h: ${pad[0]} pad_w: ${pad[1]}`
            : `pad_t: ${pad[0]} pad_l: ${pad[1]} pad_b: ${below} pad_r: ${right}`
        }`;
  const scale = 1.5 / Math.sqrt(fanIn);
  return builder.layer(
    'Convolution',
    [from],
    [output, h, w],
    `${builder.rates(bias ? 2 : 1)} convolution_param { num_output: ${output} ${size} stride: ${stride} dilation: ${dilation} group: ${group} bias_term: ${bias} }`,
    [
      [[output, channels / group, ...kernel], builder.values(output * fanIn, -scale, scale)],
      ...(bias ? [[[output], builder.values(output, -1, 1)] as const] : []),
    ],
  );
}

const convolution: Step = (builder, from) => {
  const { random } = builder;
  const [channels] = from.shape;
  const group = random.pick([1, 1, 1, 1, 2, channels].filter((each) => channels % each === 0));
  const output = group * (1 + random.below(group > 4 ? 1 : 9));
  const side = random.pick([1, 1, 3, 3, 5, 7]);
  const kernel = [side, builder.chance(8) ? random.pick([1, 2, 3]) : side] as const;
  const [stride, dilation] = random.pick([
    [1, 1],
    [1, 1],
    [2, 1],
    [2, 1],
    [3, 1],
    [1, 2],
  ] as const);
  const pad = kernel.map((size) => random.below(dilation * (size - 1) + 1)) as [number, number];
  // As most nets do.
  if (kernel[0] === kernel[1]) pad[1] = pad[0];
  const behind = kernel.map((size) => random.below(dilation * (size - 1) + 1)) as [number, number];
  const uneven = builder.chance(6) ? { behind } : {};
  return convolve(builder, from, { output, kernel, stride, pad, dilation, group, ...uneven });
};

/** A convolution that keeps the size, as in the branches of a residual block. */
const sameSize = (builder: Builder, from: Blob, output: number): Blob => {
  const side = builder.random.pick([1, 3, 3]);
  return convolve(builder, from, {
    output,
    kernel: [side, side],
    stride: 1,
    pad: [(side - 1) / 2, (side - 1) / 2],
  });
};

const normalise: Step = (builder, from) => {
  const { random } = builder;
  const [channels] = from.shape;
  // 0: an untrained net, whose mean and variance are then 0.
  const factor = builder.trains ? random.pick([1, 0.5]) : random.pick([1, 1, 1, 0.5, 999.982, 999.982, 0]);
  // Uses batch statistics if each of them has enough values.
  const isBatch =
    from.shape[1] * from.shape[2] >= 4 && (builder.trains ? !builder.chance(4) : builder.chance(12));
  const eps = isBatch || factor === 0 ? '1e-2' : random.pick(['1e-5', '1e-3']);
  return builder.layer(
    'BatchNorm',
    [from],
    from.shape,
    `batch_norm_param { use_global_stats: ${!isBatch} eps: ${eps} }`,
    [
      [[channels], builder.values(channels, -factor, factor)],
      [[channels], builder.values(channels, 0.5 * factor, 2 * factor)],
      [[1], Float32Array.of(factor)],
    ],
    !builder.chance(3),
  );
};

/** Per channel, as after a BatchNorm; sometimes along the height. */
const scale: Step = (builder, from) => {
  const axis = builder.chance(8) ? 2 : 1;
  const size = from.shape[axis - 1]!;
  const bias = !builder.chance(4);
  return builder.layer(
    'Scale',
    [from],
    from.shape,
    `${builder.rates(bias ? 2 : 1)} scale_param { bias_term: ${bias} axis: ${axis} }`,
    [
      [[size], builder.values(size, -2, 2)],
      ...(bias ? [[[size], builder.values(size, -1, 1)] as const] : []),
    ],
    !builder.chance(3),
  );
};

const bias: Step = (builder, from) => {
  const [channels] = from.shape;
  return builder.layer(
    'Bias',
    [from],
    from.shape,
    builder.rates(1),
    [[[channels], builder.values(channels, -1, 1)]],
    !builder.chance(3),
  );
};

const batchNorm: Step = (builder, from) => {
  const normalised = normalise(builder, from);
  return builder.chance(6) ? normalised : scale(builder, normalised);
};

const relu: Step = (builder, from) => {
  const slope = builder.random.pick([
    '',
    '',
    '',
    '',
    'relu_param { negative_slope: 0.1 }',
    'relu_param { negative_slope: -0.5 }',
  ]);
  return builder.layer('ReLU', [from], from.shape, slope, [], !builder.chance(3));
};

const activation: Step = (builder, from) => {
  const { random } = builder;
  const [channels] = from.shape;
  const kind = random.pick([
    'ReLU',
    'ReLU',
    'ReLU',
    'PReLU',
    'ELU',
    'Sigmoid',
    'TanH',
    'AbsVal',
    'Power',
    'Dropout',
  ]);
  if (kind === 'ReLU') return relu(builder, from);
  const fields =
    kind === 'Power'
      ? `power_param { power: ${random.pick([1, 1, 2])} scale: ${random.pick([-1, 0.5, 1])} shift: ${random.pick([0, 1])} }`
      : kind === 'Dropout'
        ? 'dropout_param { dropout_ratio: 0.3 }'
        : '';
  const weights: readonly Weights[] =
    kind === 'PReLU' ? [[[channels], builder.values(channels, -0.5, 0.5)]] : [];
  return builder.layer(kind, [from], from.shape, fields, weights, !builder.chance(3));
};

const pooling: Step = (builder, from) => {
  const { random } = builder;
  const [channels, height, width] = from.shape;
  const method = random.pick(['MAX', 'AVE']);
  if (builder.chance(10))
    return builder.layer(
      'Pooling',
      [from],
      [channels, 1, 1],
      `pooling_param { pool: ${method} global_pooling: true }`,
    );
  const kernel = random.pick([1, 2, 3, 4]);
  // A stride above the kernel may leave the last window empty, for which Caffe's average is NaN.
  const stride = random.pick([1, 2, 2, 3].filter((each) => each <= kernel));
  const pad = random.below(Math.min(2, kernel));
  if (height + 2 * pad < kernel || width + 2 * pad < kernel) return from;
  // pooling_layer.cpp: rounded up, but no window starts beyond the image and its left pad.
  const size = (length: number) => {
    const rounded = Math.ceil((length + 2 * pad - kernel) / stride) + 1;
    return pad > 0 && (rounded - 1) * stride >= length + pad ? rounded - 1 : rounded;
  };
  return builder.layer(
    'Pooling',
    [from],
    [channels, size(height), size(width)],
    `pooling_param { pool: ${method} kernel_size: ${kernel} stride: ${stride} pad: ${pad} }`,
  );
};

const lrn: Step = (builder, from) =>
  builder.layer(
    'LRN',
    [from],
    from.shape,
    `lrn_param { local_size: ${builder.random.pick([3, 5])} alpha: 0.5 beta: 0.75 norm_region: ${builder.random.pick(['ACROSS_CHANNELS', 'ACROSS_CHANNELS', 'WITHIN_CHANNEL'])} }`,
  );

function eltwise(builder: Builder, bottoms: readonly Blob[]): Blob {
  const { random } = builder;
  const operation = random.pick(['SUM', 'SUM', 'SUM', 'SUM', 'coeff', 'PROD', 'MAX']);
  return builder.layer(
    'Eltwise',
    bottoms,
    bottoms[0]!.shape,
    operation === 'coeff'
      ? `eltwise_param { operation: SUM ${bottoms.map(() => `coeff: ${random.pick([1, -1, 0.5])}`).join(' ')} }`
      : `eltwise_param { operation: ${operation} }`,
  );
}

/**
 * conv → BN → ReLU → conv → BN + shortcut → ReLU, as in a residual block, or with another operation or coefficients.
 */
const residual: Step = (builder, from) => {
  const { random } = builder;
  let branch = from;
  for (let left = 1 + random.below(3); left > 0; left--) {
    branch = builder.chance(3) ? convolution(builder, branch) : sameSize(builder, branch, from.shape[0]);
    if (!builder.chance(3)) branch = batchNorm(builder, branch);
    if (builder.chance(2)) branch = activation(builder, branch);
  }
  const same = builder.blobs.filter((blob) => blob.name !== branch.name && sameShape(blob, branch));
  if (same.length === 0) return branch;
  // Any earlier blob of this shape, including the block's own input; sometimes the branch itself.
  const other = builder.chance(12) ? branch : random.pick(same);
  const others = builder.chance(6) ? [other, random.pick(same)] : [other];
  const sum = eltwise(builder, builder.chance(2) ? [branch, ...others] : [...others, branch]);
  return builder.chance(3) ? sum : activation(builder, sum);
};

/** A block with a convolution in both branches, either of which may add the sum. */
const twoBranches: Step = (builder, from) => {
  const output = 1 + builder.random.below(8);
  const ends = [0, 1].map(() => {
    const branch = sameSize(builder, from, output);
    const normalised = builder.chance(3) ? branch : batchNorm(builder, branch);
    return builder.chance(5) ? relu(builder, normalised) : normalised;
  });
  const sum = eltwise(builder, builder.chance(2) ? ends : ends.toReversed());
  return builder.chance(3) ? sum : relu(builder, sum);
};

/**
 * The end of one stage of a ResNet and the projection at the start of the next, whose strided 1×1 convolutions skip
 * pixels. In some of these nets another layer needs the skipped pixels.
 */
const projection: Step = (builder, from) => {
  const { random } = builder;
  const last = random.pick([convolution, twoBranches, twoBranches, residual])(builder, from);
  const stride = random.pick([2, 2, 3]);
  const output = 1 + random.below(6);
  const project = (by: number, pad: number) =>
    convolve(builder, last, { output, kernel: [1, 1], stride: by, pad: [pad, pad] });
  let branch = project(stride, builder.chance(8) ? 1 : 0);
  if (builder.chance(2)) branch = sameSize(builder, relu(builder, branch), output);
  const shortcut = project(builder.chance(8) ? random.pick([1, 2]) : stride, builder.chance(8) ? 1 : 0);
  if (builder.chance(8)) pooling(builder, last);
  if (!sameShape(branch, shortcut)) return branch;
  return relu(builder, eltwise(builder, [branch, shortcut]));
};

const concat: Step = (builder, from) => {
  const fits = builder.blobs.filter(({ shape }) => shape[1] === from.shape[1] && shape[2] === from.shape[2]);
  const other = builder.random.pick(fits.length > 0 ? fits : [from]);
  return builder.layer(
    'Concat',
    [from, other],
    [from.shape[0] + other.shape[0], from.shape[1], from.shape[2]],
  );
};

const slice: Step = (builder, from) => {
  const [channels, height, width] = from.shape;
  if (channels < 2) return from;
  const at = 1 + builder.random.below(channels - 1);
  const name = `slice${builder.layers.length}`;
  const tops = [at, channels - at].map((size, i) => ({
    name: `${name}_${i}`,
    shape: [size, height, width] as const,
  }));
  builder.add({
    name,
    type: 'Slice',
    bottoms: [from],
    tops,
    fields: `slice_param { slice_point: ${at} }`,
    weights: [],
  });
  return builder.random.pick(tops);
};

const split: Step = (builder, from) => {
  const name = `split${builder.layers.length}`;
  const tops = [0, 1].map((i) => ({ name: `${name}_${i}`, shape: from.shape }));
  builder.add({ name, type: 'Split', bottoms: [from], tops, fields: '', weights: [] });
  return eltwise(builder, [sameSize(builder, tops[0]!, from.shape[0]), tops[1]!]);
};

const STEPS: readonly Step[] = [
  ...[convolution, convolution, batchNorm, batchNorm, scale, bias, activation, relu, pooling],
  ...[residual, residual, residual, twoBranches, projection, projection, concat, slice, split, lrn],
  ...LATER_STEPS,
];

const innerProduct = (builder: Builder, from: Blob, outputs: number): Blob => {
  const count = countOf(from);
  return builder.layer(
    'InnerProduct',
    [from],
    [outputs, 1, 1],
    `${builder.rates(2)} inner_product_param { num_output: ${outputs} }`,
    [
      [[outputs, count], builder.values(outputs * count, -1 / Math.sqrt(count), 1 / Math.sqrt(count))],
      [[outputs], builder.values(outputs, -1, 1)],
    ],
  );
};

function body(builder: Builder, most: number): Blob {
  const { random } = builder;
  const shape: Blob['shape'] = [1 + random.below(9), 5 + random.below(14), 5 + random.below(14)];
  let blob: Blob = { name: 'data', shape };
  builder.blobs.push(blob);
  for (let left = 3 + random.below(most); left > 0; left--)
    // Sometimes continues from an earlier blob, so that blobs have several readers and the net several outputs.
    blob = random.pick(STEPS)(builder, builder.chance(6) ? random.pick(builder.blobs) : blob);
  return blob;
}

function finished(builder: Builder, batch: number, labels: RandomNet['inputs'] = {}): RandomNet {
  const shape = [batch, ...builder.blobs[0]!.shape];
  const count = elementCount(shape);
  return {
    inputs: { data: { shape, data: builder.values(count, -2, 2) }, ...labels },
    layers: builder.layers,
    asked: builder.made.filter(() => builder.chance(6)),
  };
}

/** Three to ten steps; half of the nets end with inner products and a softmax. */
export function randomNet(random: Random): RandomNet {
  const builder = new Builder(random, false);
  const blob = body(builder, 8);
  if (builder.chance(2)) {
    const hidden = builder.chance(2) ? blob : relu(builder, innerProduct(builder, blob, 5));
    const scores = innerProduct(builder, hidden, 7);
    builder.layer('Softmax', [scores], [7, 1, 1]);
  }
  return finished(builder, 1 + random.below(3));
}

/** A net that learns: fewer steps, a loss, and often a second loss in the middle. */
export function randomTrainingNet(random: Random): RandomNet {
  const builder = new Builder(random, true);
  const batch = 2 + random.below(3);
  const last = body(builder, 5);
  const label: Blob = { name: 'label', shape: [1, 1, 1] };
  const lossOf = (from: Blob, weight: string) =>
    builder.layer('SoftmaxWithLoss', [innerProduct(builder, from, 4), label], [1, 1, 1], weight);
  lossOf(last, '');
  if (builder.chance(3))
    lossOf(random.pick(builder.blobs.filter(({ shape }) => shape[1] > 1)), 'loss_weight: 0.3');
  const labels = Float32Array.from({ length: batch }, () => random.below(4));
  return finished(builder, batch, { label: { shape: [batch], data: labels } });
}
