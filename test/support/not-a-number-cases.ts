/** NaN and infinities: every device gives what the reference device, and so Caffe, gives. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import {
  type Device,
  type LayerParameter,
  type NetParameter,
  openDevice,
  type Precision,
} from '../../ts/index.ts';

export interface Case {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layers: readonly LayerParameter[];
  /** Winograd's algorithms mix the pixels of a tile: a value that is not finite may spread there, but is never lost. */
  readonly spreads?: boolean;
  /** One convolution reads another, whose channels do not fill a block. */
  readonly isChained?: boolean;
}

const relu = (negative_slope = 0): LayerParameter => ({
  name: 'relu',
  type: 'ReLU',
  bottom: ['y'],
  top: ['y'],
  relu_param: { negative_slope },
});
const one = (
  type: string,
  parameters: Omit<LayerParameter, 'name' | 'type'> = {},
  shape: readonly number[] = [2, 5, 6, 7],
  name = type,
): Case => ({ name, shape, layers: [{ name: 'y', type, bottom: ['data'], top: ['y'], ...parameters }] });
const gaussian = { type: 'gaussian', std: 1 };
const convolved = (
  name: string,
  shape: readonly number[],
  convolution: NonNullable<LayerParameter['convolution_param']>,
  slope: number | null,
  spreads = false,
): Case => {
  const convolution_param = { weight_filler: gaussian, bias_filler: gaussian, ...convolution };
  const [layer] = one('Convolution', { convolution_param }, shape).layers;
  return { name, shape, layers: slope === null ? [layer!] : [layer!, relu(slope)], spreads };
};
const withRelu = ({ name, shape, layers }: Case, slope = 0): Case => ({
  name: `${name} and ReLU ${slope}`,
  shape,
  layers: [...layers, relu(slope)],
});
const eltwise = (operation: 'PROD' | 'SUM' | 'MAX', count = 3): Case => ({
  name: `Eltwise ${operation} of ${count}`,
  shape: [2, 5, 6, 7],
  layers: [
    // Three operands, each with values that are not finite at other positions.
    ...Array.from({ length: count - 1 }, (_, i) => ({
      name: `a${i}`,
      type: 'Reshape',
      bottom: ['data'],
      top: [`r${i}`],
      reshape_param: { shape: { dim: [2, 5, 6, 7] } },
    })),
    ...Array.from({ length: count - 1 }, (_, i) => ({
      name: `p${i}`,
      type: 'Convolution',
      bottom: [`r${i}`],
      top: [`b${i}`],
      convolution_param: {
        num_output: 5,
        group: 5,
        kernel_size: [2 * i + 3],
        pad: [i + 1],
        weight_filler: gaussian,
      },
    })),
    {
      name: 'y',
      type: 'Eltwise',
      bottom:
        count === 2 ? ['b0', 'data'] : ['data', ...Array.from({ length: count - 1 }, (_, i) => `b${i}`)],
      top: ['y'],
      eltwise_param: { operation },
    },
  ],
});

/** Two convolutions with weights of 1 and a layer in between: an infinity stays one. */
const chained = (
  name: string,
  shape: readonly number[],
  first: NonNullable<LayerParameter['convolution_param']>,
  between: readonly Omit<LayerParameter, 'name'>[] = [],
): Case => {
  const weight_filler = { type: 'constant', value: 1 };
  const types: readonly Omit<LayerParameter, 'name'>[] = [
    { type: 'Convolution', convolution_param: { kernel_size: [1], weight_filler, ...first } },
    ...between,
    { type: 'Convolution', convolution_param: { kernel_size: [1], weight_filler, num_output: 20 } },
  ];
  const blob = (i: number) => (i < 0 ? 'data' : i === types.length - 1 ? 'y' : `b${i}`);
  const layers = types.map((layer, i) => ({
    ...layer,
    name: blob(i),
    bottom: [blob(i - 1)],
    top: [blob(i)],
  }));
  return { name: `Convolutions, chained: ${name}`, shape, layers, isChained: true };
};

const innerProduct = one('InnerProduct', {
  inner_product_param: { num_output: 19, weight_filler: gaussian, bias_filler: gaussian },
});

export const cases: readonly Case[] = [
  ...[0, 0.1, -0.5, null].flatMap((slope) => {
    const name = slope === null ? 'alone' : `and ReLU ${slope}`;
    return [
      convolved(`Convolution 1×1 ${name}`, [2, 17, 5, 6], { num_output: 19, kernel_size: [1] }, slope),
      convolved(
        `Convolution 3×3, stride 2 ${name}`,
        [1, 32, 9, 9],
        { num_output: 20, kernel_size: [3], stride: [2], pad: [1] },
        slope,
      ),
      convolved(
        `Convolution 3×3 ${name}`,
        [2, 16, 13, 11],
        { num_output: 32, kernel_size: [3], pad: [1] },
        slope,
        true,
      ),
      convolved(
        `Convolution in groups ${name}`,
        [2, 8, 6, 6],
        { num_output: 12, group: 4, kernel_size: [3], pad: [1] },
        slope,
      ),
      convolved(
        `Convolution 7×7, stride 4 ${name}`,
        [1, 3, 23, 23],
        { num_output: 16, kernel_size: [7], stride: [4], pad: [3] },
        slope,
      ),
      convolved(
        `Convolution, dilated ${name}`,
        [1, 6, 9, 9],
        { num_output: 4, kernel_size: [3], dilation: [2], pad: [2] },
        slope,
      ),
    ];
  }),
  chained('10 channels', [1, 10, 5, 6], { num_output: 10 }),
  chained('24 channels', [1, 10, 5, 6], { num_output: 24 }),
  chained('7 channels of 3×3, stride 2', [1, 16, 9, 9], { num_output: 7, kernel_size: [3], stride: [2] }),
  chained('groups of 4', [2, 8, 6, 6], { num_output: 12, group: 4 }),
  chained('groups of 2 and 1', [2, 10, 6, 6], { num_output: 5, group: 5 }),
  chained('a pooling between', [1, 10, 8, 8], { num_output: 10 }, [
    { type: 'Pooling', pooling_param: { pool: 'AVE', kernel_size: 2, stride: 2 } },
  ]),
  chained('depthwise between', [1, 10, 8, 8], { num_output: 10 }, [
    {
      type: 'Convolution',
      convolution_param: {
        num_output: 10,
        group: 10,
        kernel_size: [3],
        pad: [1],
        weight_filler: { type: 'constant', value: 1 },
      },
    },
  ]),
  chained('a deconvolution between', [1, 10, 5, 5], { num_output: 10 }, [
    {
      type: 'Deconvolution',
      convolution_param: {
        num_output: 6,
        kernel_size: [2],
        stride: [2],
        weight_filler: { type: 'constant', value: 1 },
      },
    },
  ]),
  // Whatever spare channels become there, ln 0 and 1/0, must not matter.
  chained('a logarithm between', [1, 10, 5, 6], { num_output: 10 }, [{ type: 'AbsVal' }, { type: 'Log' }]),
  chained(
    'a reciprocal between',
    [1, 10, 5, 6],
    { num_output: 10, bias_filler: { type: 'constant', value: 40 } },
    [{ type: 'Power', power_param: { power: -1 } }],
  ),
  {
    // The pass move-strides reads only every second pixel of the sum's second operand.
    name: 'A sum that a convolution of stride 2 reads',
    shape: [2, 5, 6, 7],
    layers: [
      { name: 't', type: 'Threshold', bottom: ['data'], top: ['t'] },
      {
        ...{ name: 'c', type: 'Convolution', bottom: ['t'], top: ['c'], propagate_down: [false] },
        convolution_param: { num_output: 5, kernel_size: [1], weight_filler: gaussian },
      },
      { name: 's', type: 'Eltwise', bottom: ['c', 'data'], top: ['s'] },
      {
        ...{ name: 'y', type: 'Convolution', bottom: ['s'], top: ['y'] },
        convolution_param: { num_output: 4, kernel_size: [1], stride: [2], weight_filler: gaussian },
      },
    ],
  },
  innerProduct,
  withRelu(innerProduct),
  withRelu(innerProduct, 0.1),
  one('ReLU'),
  one('ReLU', { relu_param: { negative_slope: 0.25 } }, [2, 5, 6, 7], 'ReLU 0.25'),
  one('ELU'),
  one('PReLU'),
  one('Sigmoid'),
  one('TanH'),
  one('AbsVal'),
  one('Power', { power_param: { power: 2, scale: 0.5, shift: 1 } }),
  one('Power', { power_param: { power: 0.5, shift: 3 } }, [2, 5, 6, 7], 'Power 0.5'),
  one('Scale', { scale_param: { filler: gaussian, bias_term: true } }),
  withRelu(one('Scale', { scale_param: { filler: gaussian, bias_term: true } })),
  one('Bias', { bias_param: { filler: gaussian } }),
  one('BatchNorm', { batch_norm_param: { use_global_stats: false } }, [2, 5, 6, 7], 'BatchNorm of the batch'),
  one('BatchNorm', { batch_norm_param: { use_global_stats: true } }),
  withRelu(one('BatchNorm', { batch_norm_param: { use_global_stats: true } })),
  one('Pooling', { pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2 } }, [2, 20, 9, 9], 'Pooling MAX'),
  one(
    'Pooling',
    { pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2, pad: 1 } },
    [2, 5, 6, 7],
    'Pooling MAX, padded',
  ),
  {
    // Caffe compares even a single pixel with −FLT_MAX, which replaces NaN. In 16 bits it rounds to −∞, but not its tanh.
    name: 'Pooling MAX 1×1 and TanH',
    shape: [2, 5, 7, 9],
    layers: [
      {
        ...{ name: 'p', type: 'Pooling', bottom: ['data'], top: ['p'] },
        pooling_param: { pool: 'MAX', kernel_size: 1, stride: 2 },
      },
      { name: 'y', type: 'TanH', bottom: ['p'], top: ['y'] },
    ],
  },
  one(
    'Pooling',
    { pooling_param: { pool: 'AVE', kernel_size: 1, stride: 2 } },
    [2, 5, 7, 9],
    'Pooling AVE 1×1',
  ),
  one('Pooling', { pooling_param: { pool: 'AVE', kernel_size: 3, stride: 2 } }, [2, 20, 9, 9], 'Pooling AVE'),
  one(
    'Pooling',
    { pooling_param: { pool: 'AVE', global_pooling: true } },
    [2, 5, 6, 7],
    'Pooling AVE, global',
  ),
  one('LRN', { lrn_param: { local_size: 3 } }),
  one('LRN', { lrn_param: { local_size: 3, norm_region: 'WITHIN_CHANNEL' } }, [2, 5, 6, 7], 'LRN within'),
  one('Softmax'),
  one('Softmax', {}, [4, 40], 'Softmax of rows'),
  one('Dropout'),
  one('Flatten'),
  eltwise('SUM'),
  eltwise('PROD'),
  eltwise('MAX'),
  eltwise('MAX', 2),
  withRelu(eltwise('SUM')),
  withRelu(eltwise('MAX', 2)),
];

/** Noise in which some values are not finite: alone, next to each other, and in a whole region. */
export function spoiled(shape: readonly number[]): Float32Array {
  const values = noise(shape);
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const step = Math.ceil(values.length / 6);
  for (let i = 9, k = 0; i < values.length; i += step, k++) values[i] = special[k % 3]!;
  values.fill(Number.NaN, 0, Math.min(4, values.length));
  return values;
}

/** Finite values, the same for each call. */
export const noise = (shape: readonly number[]) =>
  Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * i));

const kindOf = (value: number) => (Number.isFinite(value) ? 'finite' : String(value));

/**
 * Each value is finite, infinite or NaN as expected.
 * @param spreads Values that are not finite may appear at more positions, and may be of another kind.
 */
export function assertKinds(
  actual: Float32Array,
  expected: Float32Array,
  what: string,
  spreads = false,
): void {
  assert.is(actual.length, expected.length, what);
  const wrong = actual.findIndex((value, i) =>
    spreads
      ? Number.isFinite(value) && !Number.isFinite(expected[i])
      : kindOf(value) !== kindOf(expected[i]!),
  );
  assert.is(wrong, -1, `${what}: value ${wrong} is ${actual[wrong]}, expected ${expected[wrong]}`);
}

const reference = openDevice('reference');
let users = 0;

/** The reference device, which is closed after the tests of all its users. */
export function sharedReference(): Promise<Device> {
  users++;
  test.after(async () => {
    if (--users === 0) (await reference).dispose();
  });
  return reference;
}

/** The case's layers after an input `data`. */
export const netOf = ({ shape, layers }: Case): NetParameter => ({
  layer: [
    { name: 'input', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [...shape] }] } },
    ...layers,
  ],
});

/**
 * Adds a forward test for every operation.
 * @param spreads Whether the device may use Winograd's algorithms.
 */
export function testNotANumber(
  name: string,
  device: Device,
  { spreads = false, precision = 'float32' as Precision } = {},
): void {
  const reference = sharedReference();
  for (const each of cases)
    test(`${name} never hides values that are not finite: ${each.name}`, async () => {
      const answers = [];
      for (const one of [await reference, device])
        for (const optimize of [true, false]) {
          const options = one === device ? { optimize, precision } : { optimize };
          await using model = await one.load({ model: netOf(each), ...options });
          const outputs = await model.run({ data: spoiled(each.shape) });
          answers.push({ data: outputs.y!.data, how: JSON.stringify(model.plan().operations.at(-1)) });
        }
      const [fused, plain, ...found] = answers;
      assert.ok(plain!.data.some(Number.isFinite) || /BatchNorm of|InnerProduct|global/.test(each.name));
      for (const { data, how } of [fused!, ...found])
        assertKinds(data, plain!.data, how, spreads && each.spreads === true);
    });
}
