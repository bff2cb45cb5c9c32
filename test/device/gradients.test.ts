/** The gradient of every layer type against central differences on random shapes, as in Caffe's own tests. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { readNet } from '../../ts/index.ts';
import { apart, checkGradients, type GradientCheck, uniform } from '../support/gradient-check.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

/** Random choices that are the same for each seed. */
class Choice {
  readonly random: () => number;
  constructor(seed: number) {
    this.random = seededRandom(seed);
  }
  integer(from: number, to: number): number {
    return from + Math.floor(this.random() * (to - from + 1));
  }
  of<T>(...values: T[]): T {
    return values[this.integer(0, values.length - 1)]!;
  }
  shape(channels = this.integer(1, 5)): number[] {
    return [this.integer(1, 3), channels, this.integer(4, 7), this.integer(4, 7)];
  }
}

const input = (name: string, shape: readonly number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }`;
const layer = (type: string, parameters = '', bottoms = ['data'], tops = ['out']) =>
  `layer { name: "${type}" type: "${type}" ${bottoms.map((name) => `bottom: "${name}"`).join(' ')}
     ${tops.map((name) => `top: "${name}"`).join(' ')} ${parameters} }`;

const smooth =
  (type: string, parameters = '') =>
  (choice: Choice) => ({
    net: input('data', choice.shape()) + layer(type, parameters),
  });
const kinked =
  (type: string, parameters = '') =>
  (choice: Choice) => ({
    net: input('data', [2, 3, 4, 4]) + layer(type, parameters),
    fill: apart,
    seed: choice.integer(1, 1e6),
  });
const resized = (way: string) => (choice: Choice) => ({
  net:
    input('data', [1, 2, 3, 4]) +
    layer(
      'ResizeBilinear',
      `resize_bilinear_param { ${way} output_height: ${choice.integer(2, 6)} output_width: ${choice.integer(2, 6)} }`,
    ),
});
/** A map of 5×6, read at points or by flows of up to two pixels. */
const warped = (type: string, more: string) => (choice: Choice) => ({
  net:
    input('data', [2, 2, 5, 6]) + input('points', [2, 2, 5, 6]) + more + layer(type, '', ['data', 'points']),
  fill: (name: string, count: number, random: () => number) =>
    name === 'points'
      ? // A quarter of a pixel from a pixel at least.
        Float32Array.from({ length: count }, () => Math.floor(random() * 5) - 2 + 0.25 + random() / 2)
      : apart(name, count, random),
  seed: choice.integer(1, 1e6),
});
const regions = (type: string, parameters: string) => (choice: Choice) => ({
  net:
    input('data', [2, 2, 6, 7]) +
    input('label_rois', [2, 5]) +
    layer(type, parameters, ['data', 'label_rois']),
  fill: (name: string, count: number, random: () => number) =>
    name === 'label_rois'
      ? Float32Array.of(0, 0.6, 0.7, 4.2, 3.4, 1, 1.2, 2.1, 5.3, 4.2)
      : apart(name, count, random),
  seed: choice.integer(1, 1e6),
});
const convolution = (choice: Choice) => {
  const group = choice.of(1, 1, 2);
  const kernel = choice.integer(1, 3);
  const more = `num_output: ${group * choice.integer(1, 3)} kernel_size: ${kernel} group: ${group} bias_term: ${choice.of(true, false)}
    stride: ${choice.integer(1, 2)} pad: ${choice.integer(0, kernel - 1)} dilation: ${choice.of(1, 1, 2)}`;
  return {
    net:
      input('data', choice.shape(group * choice.integer(1, 3))) +
      layer('Convolution', `convolution_param { ${more} }`),
  };
};
const pooling = (method: string) => (choice: Choice) => {
  const kernel = choice.integer(2, 4);
  const more = `pool: ${method} kernel_size: ${kernel} stride: ${choice.integer(1, 3)} pad: ${choice.integer(0, kernel - 1)}`;
  return { net: input('data', choice.shape()) + layer('Pooling', `pooling_param { ${more} }`), fill: apart };
};
const eltwise = (parameters: string) => (choice: Choice) => {
  const shape = choice.shape(2);
  return {
    net:
      ['a', 'b', 'c'].map((name) => input(name, shape)).join('') +
      layer('Eltwise', parameters, ['a', 'b', 'c']),
  };
};
const correlation = (type: string, parameters: string) => (choice: Choice) => {
  const shape = choice.shape();
  return {
    net: `${input('a', shape)}${input('b', shape)}${layer(type, `correlation_param { ${parameters} }`, ['a', 'b'])}`,
  };
};
const labels = (classes: number) => (name: string, count: number, random: () => number) =>
  name === 'label'
    ? Float32Array.from({ length: count }, () => Math.floor(random() * classes))
    : uniform(name, count, random);
const softmaxLoss = (normalization: string) => (choice: Choice) => ({
  net:
    input('data', [3, 4, 2, 3]) +
    input('label', [3, 1, 2, 3]) +
    layer(
      'SoftmaxWithLoss',
      `loss_weight: ${choice.of(0.5, 1, 2)} loss_param { ignore_label: 1 normalization: ${normalization} }`,
      ['data', 'label'],
      ['loss'],
    ),
  fill: labels(4),
});
const batchNorm = (statistics: string) => (choice: Choice) => ({
  net:
    input('data', [choice.integer(3, 5), ...choice.shape().slice(1)]) +
    layer('BatchNorm', `batch_norm_param { use_global_stats: ${statistics} eps: 0.01 }`),
});
const normalised = (statistics: string, slope: number) => (choice: Choice) => ({
  net: `${input('data', [choice.integer(3, 5), ...choice.shape(choice.of(3, 16)).slice(1)])}
    ${layer('Convolution', 'convolution_param { num_output: 4 kernel_size: 3 bias_term: false }', ['data'], ['c'])}
    ${layer('BatchNorm', `batch_norm_param { use_global_stats: ${statistics} eps: 0.01 }`, ['c'], ['c'])}
    ${layer('Scale', 'scale_param { bias_term: true }', ['c'], ['c'])}
    ${layer('ReLU', `relu_param { negative_slope: ${slope} }`, ['c'], ['c'])}
    ${layer('InnerProduct', 'inner_product_param { num_output: 3 }', ['c'], ['out'])}`,
});
const residual = (choice: Choice) => {
  const conv = (name: string, bottom: string, kernel: number) =>
    `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}"
       convolution_param { num_output: 4 kernel_size: ${kernel} pad: ${(kernel - 1) / 2} } }`;
  return {
    net: `${input('data', choice.shape())} ${conv('a', 'data', 3)} ${layer('ReLU', '', ['a'], ['r'])}
      ${conv('b', 'r', 3)} ${conv('c', 'a', 1)} ${layer('Eltwise', '', ['b', 'c'], ['sum'])}
      layer { name: "last" type: "ReLU" bottom: "sum" top: "sum" }`,
  };
};

const cases: Record<string, (choice: Choice) => Omit<GradientCheck, 'seed'>> = {
  Convolution: convolution,
  'Convolution, another shape': convolution,
  'Convolution, a third shape': convolution,
  InnerProduct: (choice) => ({
    net:
      input('data', choice.shape()) +
      layer(
        'InnerProduct',
        `inner_product_param { num_output: ${choice.integer(1, 5)} transpose: ${choice.of(true, false)} axis: ${choice.integer(1, 2)} }`,
      ),
  }),
  'Pooling, MAX': pooling('MAX'),
  'Pooling, AVE': pooling('AVE'),
  'Pooling, AVE, another shape': pooling('AVE'),
  'BatchNorm, batch statistics': batchNorm('false'),
  'BatchNorm, global statistics': batchNorm('true'),
  'Convolution, BatchNorm, Scale, ReLU': normalised('false', 0),
  'Convolution, frozen BatchNorm, Scale, leaky ReLU': normalised('true', 0.25),
  Scale: (choice) => {
    const axis = choice.integer(0, 3);
    return {
      net:
        input('data', choice.shape()) +
        layer(
          'Scale',
          `scale_param { bias_term: true axis: ${axis} num_axes: ${choice.integer(0, 4 - axis)} }`,
        ),
    };
  },
  'Scale, second bottom': (choice) => {
    const shape = choice.shape();
    return {
      net:
        input('data', shape) +
        input('factor', shape.slice(1, 3)) +
        layer('Scale', 'scale_param { axis: 1 bias_term: true }', ['data', 'factor']),
    };
  },
  Bias: smooth('Bias', 'bias_param { axis: 1 num_axes: 2 }'),
  'Bias, second bottom': (choice) => {
    const shape = choice.shape();
    return {
      net:
        input('data', shape) +
        input('shift', shape.slice(1)) +
        layer('Bias', 'bias_param { axis: 1 }', ['data', 'shift']),
    };
  },
  ReLU: kinked('ReLU'),
  'ReLU, negative slope': kinked('ReLU', 'relu_param { negative_slope: -0.5 }'),
  ELU: kinked('ELU', 'elu_param { alpha: 0.7 }'),
  'ELU, negative alpha': kinked('ELU', 'elu_param { alpha: -0.7 }'),
  PReLU: kinked('PReLU'),
  'PReLU, shared': kinked('PReLU', 'prelu_param { channel_shared: true }'),
  AbsVal: kinked('AbsVal'),
  Sigmoid: smooth('Sigmoid'),
  TanH: smooth('TanH'),
  Power: smooth('Power', 'power_param { power: 1.5 scale: 0.5 shift: 2 }'),
  'Power of 1': smooth('Power', 'power_param { scale: -3 shift: 2 }'),
  'Eltwise, SUM': eltwise('eltwise_param { coeff: 0.5 coeff: -1 coeff: 2 }'),
  'Eltwise, PROD': eltwise('eltwise_param { operation: PROD }'),
  'Eltwise, PROD, not stable': (choice) => ({
    ...eltwise('eltwise_param { operation: PROD stable_prod_grad: false }')(choice),
    fill: apart,
  }),
  'Eltwise, MAX': (choice) => ({
    // Two inputs are equal; a third differs from them by a shift larger than a step.
    net: `${input('a', [2, 2, 3, 3])} ${layer('Power', 'power_param { scale: -1 }', ['a'], ['b'])}
      ${layer('Eltwise', 'eltwise_param { operation: MAX }', ['a', 'b'])}`,
    fill: apart,
    seed: choice.integer(1, 9),
  }),
  Softmax: smooth('Softmax'),
  'SoftmaxWithLoss, VALID': softmaxLoss('VALID'),
  'SoftmaxWithLoss, FULL': softmaxLoss('FULL'),
  'SoftmaxWithLoss, BATCH_SIZE': softmaxLoss('BATCH_SIZE'),
  'SoftmaxWithLoss, NONE': softmaxLoss('NONE'),
  EuclideanLoss: (choice) => {
    const shape = choice.shape();
    return { net: input('a', shape) + input('b', shape) + layer('EuclideanLoss', '', ['a', 'b'], ['loss']) };
  },
  Dropout: smooth('Dropout', 'dropout_param { dropout_ratio: 0.4 }'),
  Concat: (choice) => {
    const shape = choice.shape();
    const axis = choice.integer(0, 3);
    const other = shape.map((dim, i) => (i === axis ? choice.integer(1, 3) : dim));
    return {
      net:
        input('a', shape) + input('b', other) + layer('Concat', `concat_param { axis: ${axis} }`, ['a', 'b']),
    };
  },
  Slice: (choice) => ({
    net:
      input('data', choice.shape(6)) +
      layer('Slice', 'slice_param { axis: 1 slice_point: 1 slice_point: 4 }', ['data'], ['x', 'y', 'z']),
  }),
  Correlation: correlation('Correlation', 'pad: 2 kernel_size: 3 max_displacement: 2 stride_2: 2'),
  'Correlation1D, differences': correlation(
    'Correlation1D',
    'pad: 2 kernel_size: 1 max_displacement: 2 single_direction: -1 correlation_type: SUBTRACT',
  ),
  Flip: smooth('Flip', 'flip_param { flip_height: true }'),
  'ReLU6 of ReLU': kinked('ReLU', 'relu_param { relu6: true }'),
  'Dropout without scaling': smooth('Dropout', 'dropout_param { dropout_ratio: 0.4 scale_train: false }'),
  'Normalize to unit length': (choice) => ({
    net:
      input('data', [2, choice.integer(2, 5)]) +
      layer('Normalize', 'normalize_param { normalize_type: "L2" }'),
  }),
  'Normalize of places, with their lengths': (choice) => ({
    net:
      input('data', [2, 3, 2, 2]) +
      layer(
        'Normalize',
        `normalize_param { normalize_type: "${choice.of('L1', 'L2')}" bp_norm: true }`,
        ['data'],
        ['out', 'length'],
      ),
    fill: apart,
  }),
  NormL2: smooth('NormL2'),
  ChannelScale: (choice) => ({
    net:
      input('data', [2, choice.integer(2, 4), 2, 3]) +
      input('by', [2, 1, 2, 3]) +
      layer('ChannelScale', '', ['data', 'by']),
  }),
  MatMul: (choice) => {
    const [rows, columns, depth] = [choice.integer(1, 4), choice.integer(1, 4), choice.integer(1, 4)];
    const [a, b] = [choice.of(true, false), choice.of(true, false)];
    return {
      net:
        input('data', [2, 2, ...(a ? [depth, rows] : [rows, depth])]) +
        input('other', [2, 2, ...(b ? [columns, depth] : [depth, columns])]) +
        layer('MatMul', `matmul_param { transpose_a: ${a} transpose_b: ${b} }`, ['data', 'other']),
    };
  },
  'MatMul, transposed': () => ({
    net:
      input('data', [4, 3]) +
      input('other', [5, 4]) +
      layer('MatMul', 'matmul_param { transpose_a: true transpose_b: true }', ['data', 'other']),
  }),
  'InnerProduct of bottoms': () => ({
    net:
      input('data', [3, 2, 2]) +
      input('weights', [5, 4]) +
      input('bias', [5]) +
      layer('InnerProduct', '', ['data', 'weights', 'bias']),
  }),
  'InnerProduct of a bottom, with a bias of its own': () => ({
    net:
      input('data', [3, 4]) +
      input('weights', [5, 4]) +
      layer('InnerProduct', 'inner_product_param { transpose: false }', ['data', 'weights']),
  }),
  'GuidedDropout, deterministic': () => ({
    net:
      input('data', [2, 4, 2, 2]) +
      input('label_guidance', [2, 4]) +
      layer('GuidedDropout', '', ['data', 'label_guidance']),
  }),
  Warp: warped('Warp', ''),
  'Warp to points': warped('Warp', layer('Grid', '', ['points'], ['grid'])),
  FlowWarp: warped('FlowWarp', ''),
  ChannelNorm: kinked('ChannelNorm'),
  SpatialTransformer: (choice) => ({
    net:
      input('data', [2, 2, 5, 6]) +
      input('theta', [2, 5]) +
      layer('SpatialTransformer', 'st_param { theta_1_2: 0.125 output_H: 4 }', ['data', 'theta']),
    fill: (name, count, random) =>
      name === 'theta'
        ? Float32Array.from({ length: count }, (_, i) => [0.7, 0.1, -0.15, 0.8, 0.05][i % 5]! + random() / 10)
        : apart(name, count, random),
    step: 1e-4,
    threshold: 1e-2,
    seed: choice.integer(1, 1e6),
  }),
  NegSquare: smooth('NegSquare'),
  'ResizeBilinear, aligned': resized('align_corners: true'),
  'ResizeBilinear, middles of pixels': resized('half_pixel_centers: true'),
  'ResizeBilinear, first corner': resized(''),
  ROIMaskPooling: regions(
    'ROIMaskPooling',
    'roi_mask_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 1 roi_scale: 1.3 }',
  ),
  'ROIMaskPooling, half': regions(
    'ROIMaskPooling',
    'roi_mask_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 1 half_part: 2 }',
  ),
  'ROIAlign, corners of bins': regions(
    'ROIAlign',
    'roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 1 }',
  ),
  'ROIAlign, mean of samples': regions(
    'ROIAlign',
    'roi_align_param { pooled_h: 2 pooled_w: 3 spatial_scale: 1 sampling_ratio: 2 }',
  ),
  'ROIAlign, as many samples as pixels, aligned': regions(
    'ROIAlign',
    'roi_align_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 aligned: true }',
  ),
  'ROIAlign, the largest of four sums': regions(
    'ROIAlign',
    'roi_align_param { pooled_h: 2 pooled_w: 2 spatial_scale: 1 }',
  ),
  'SmoothL1Loss with inside weights alone': (choice) => ({
    net:
      input('data', [2, 3, 2, 2]) +
      input('target', [2, 3, 2, 2]) +
      input('label_weights', [2, 3, 2, 2]) +
      layer('SmoothL1Loss', '', ['data', 'target', 'label_weights']),
    seed: choice.integer(1, 1e6),
  }),
  Flatten: smooth('Flatten'),
  Reshape: smooth('Reshape', 'reshape_param { shape { dim: 0 dim: -1 dim: 1 } }'),
  'LRN, across channels': smooth('LRN', 'lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 }'),
  'LRN, within a channel': smooth(
    'LRN',
    'lrn_param { local_size: 3 alpha: 0.5 norm_region: WITHIN_CHANNEL }',
  ),
  'a residual block': residual,
};

/**
 * Derived from the name, so that a new case does not change the numbers of others. With seeds from 11 on, few values
 * are at kinks.
 */
const seedOf = (name: string) =>
  [...name].reduce((seed, char) => (seed * 31 + char.charCodeAt(0)) % 999_983, 11);

for (const device of devices)
  for (const [name, build] of Object.entries(cases))
    test(`${name} on ${device.kind}`, async () => {
      const seed = seedOf(name);
      const { compared, kinks } = await checkGradients(device, { ...build(new Choice(seed)), seed });
      assert.ok(compared > 0);
      assert.ok(kinks <= compared / 10, `${kinks} of ${compared} elements on a kink`);
    });

// eltwise_layer.cpp: top_data / bottom_data · top_diff, or the product of the others.
for (const device of devices)
  test(`stable_prod_grad decides the diff of a 0, on ${device.kind}`, async () => {
    const [a, b, diff] = [Float32Array.of(0, 3, 5), Float32Array.of(2, 0, 7), Float32Array.of(10, 10, 10)];
    const diffs = async (isStable: boolean) => {
      const model = readNet(
        input('a', [3]) +
          input('b', [3]) +
          layer('Eltwise', `eltwise_param { operation: PROD stable_prod_grad: ${isStable} }`, ['a', 'b']),
        { file: 'net' },
      );
      using trainer = await device.train({ model, update: null, diffs: ['a', 'b'] });
      const { blobs } = await trainer.gradients({ a, b }, { topDiffs: { out: diff } });
      return [[...blobs.a!.data], [...blobs.b!.data]];
    };
    assert.equal(await diffs(true), [
      [20, 0, 70],
      [0, 30, 50],
    ]);
    assert.equal(await diffs(false), [
      [Number.NaN, 0, 70],
      [0, Number.NaN, 50],
    ]);
  });

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
