/** bfloat16 convolutions by the CPU device's own tiles give the bits of simple loops on each instruction set. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { type Device, type LayerParameter, openDevice, type WeightsFile } from '../../ts/index.ts';
import { convolve, type Summation, toBfloat16 } from '../support/bfloat16-loops.ts';
import { layer, random } from '../support/int8-cases.ts';
import { hasMatrices, openAllKernels } from '../support/open-kernels.ts';
import type { Filter } from './filter-cases.ts';

const own = await openAllKernels({ tune: false, onWarning: () => {} });
test.after(() => own.forEach((device) => device.dispose()));

const nameOf = (device: Device) => `${device.description.kernels}, ${device.description.threads} threads`;

/** AMX computes convolutions without groups; those of few channels only if taps are neighbours and fit into a row. */
const summationOf = (
  device: Device,
  { input: [, channels], kernel, dilation = 1, group = 1 }: Filter,
): Summation => {
  const hasRows = channels > 4 || (kernel[1] <= 8 && (dilation === 1 || kernel[1] === 1));
  return hasMatrices(device) && group === 1 && hasRows ? 'matrices' : 'tiles';
};

/** The numbers must be equal, so the bits are, except for the sign of a 0. */
function assertSame(found: Float32Array, wanted: Float32Array, what: string) {
  assert.is(found.length, wanted.length, what);
  found.forEach((value, i) => {
    if (!Object.is(value + 0, wanted[i]! + 0))
      assert.unreachable(`${what}: value ${i} is ${value}, expected ${wanted[i]}`);
  });
}

const input = (shape: readonly number[]): LayerParameter => ({
  name: 'in',
  type: 'Input',
  top: ['in'],
  input_param: { shape: [{ dim: [...shape] }] },
});

const weightsOf = (blobs: Readonly<Record<string, readonly [number[], Float32Array][]>>): WeightsFile => ({
  file: 'made up',
  name: '',
  layers: Object.entries(blobs).map(([name, list]) => ({
    name,
    type: '',
    blobs: list.map(([shape, values]) => blobFromFloats(shape, values)),
  })),
});

test('a number is rounded to the nearest with 8 bits, ties to even; subnormal results are 0', () => {
  assert.is(toBfloat16(1 + 2 ** -8), 1);
  assert.is(toBfloat16(1 + 2 ** -8 + 2 ** -20), 1 + 2 ** -7);
  assert.is(toBfloat16(1 + 3 * 2 ** -8), 1 + 2 ** -6);
  assert.is(toBfloat16(-(2 ** -127)), -0);
  assert.is(toBfloat16(3.4e38), Number.POSITIVE_INFINITY);
});

interface Case extends Filter {
  readonly slope?: number;
}
/** The convolutions of ResNets, and all other forms of convolutions. */
const CASES: readonly Case[] = [
  { input: [1, 64, 7, 7], outputs: 64, kernel: [1, 1] },
  { input: [1, 64, 7, 7], outputs: 64, kernel: [1, 1], residual: true, slope: 0 },
  { input: [2, 32, 5, 9], outputs: 32, kernel: [3, 3], pad: [1, 1], residual: true, slope: 0.25 },
  { input: [3, 20, 5, 9], outputs: 33, kernel: [1, 1], slope: 0 },
  { input: [2, 3, 19, 21], outputs: 64, kernel: [7, 7], stride: [2, 2], pad: [3, 3], slope: 0 },
  { input: [1, 3, 16, 16], outputs: 16, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 1, 9, 14], outputs: 20, kernel: [5, 4], stride: [1, 3], pad: [4, 2] },
  { input: [2, 4, 8, 9], outputs: 18, kernel: [3, 2], pad: [0, 1], dilation: 2 },
  { input: [1, 5, 12, 11], outputs: 16, kernel: [3, 3], pad: [2, 2] },
  { input: [2, 32, 14, 13], outputs: 48, kernel: [1, 1], stride: [2, 2] },
  { input: [1, 16, 15, 16], outputs: 16, kernel: [3, 3], stride: [2, 2], pad: [1, 1] },
  { input: [1, 16, 9, 11], outputs: 40, kernel: [3, 5], stride: [1, 3], pad: [1, 2] },
  { input: [1, 16, 12, 12], outputs: 16, kernel: [3, 3], pad: [2, 2], dilation: 2 },
  { input: [1, 64, 6, 7], outputs: 64, kernel: [3, 3], pad: [1, 1], group: 2 },
  { input: [1, 512, 4, 4], outputs: 32, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 32, 3, 29], outputs: 32, kernel: [1, 1] },
];

/** in → conv [+ in] [→ ReLU]. */
function netOf({ input: shape, outputs, kernel, group = 1, residual, slope, ...more }: Case, scale: number) {
  const layers = [input(shape), layer('conv', ['in'], { outputs, kernel, group, ...more })];
  const last = residual ? 'sum' : 'conv';
  if (residual) layers.push({ name: 'sum', type: 'Eltwise', bottom: ['in', 'conv'], top: ['sum'] });
  if (slope !== undefined)
    layers.push({
      name: 'relu',
      type: 'ReLU',
      bottom: [last],
      top: [last],
      relu_param: { negative_slope: slope },
    });
  const dims = [outputs, shape[1] / group, ...kernel];
  const [values, bias] = [
    random(elementCount(dims), 1).map((value) => value * scale),
    random(outputs, 2).map((value) => value * scale),
  ];
  const weights = weightsOf({
    conv: [
      [dims, values],
      [[outputs], bias],
    ],
  });
  return { model: { layer: layers }, weights, values, bias };
}

for (const each of CASES)
  test(`bfloat16, bit by bit: ${JSON.stringify(each)}`, async () => {
    assert.ok(own.length > 0 || !['x64', 'arm64'].includes(process.arch));
    const { values, bias, ...net } = netOf(each, 1);
    const data = random(elementCount(each.input), 5);
    const wantedBy = (summation: Summation) =>
      convolve(
        data,
        each,
        values,
        bias,
        each.residual ? data : null,
        each.slope ?? null,
        undefined,
        summation,
      );
    const wanted = { tiles: wantedBy('tiles'), matrices: wantedBy('matrices') };
    for (const device of own) {
      await using model = await device.load({ ...net, precision: 'bfloat16' });
      const { operations } = model.plan();
      assert.equal(
        operations.map(({ implementation }) =>
          /^bfloat16 direct (AMX|AVX-512|AVX2|NEON)/.test(implementation),
        ),
        [true],
      );
      const [output] = Object.values(await model.run({ in: data }));
      assertSame(output!.data, wanted[summationOf(device, each)], nameOf(device));
    }
  });

test('sums too small for normal numbers are 0, in intermediate results as at the end', async () => {
  // Products of 2^-125 and less, most of which underflow, although their sums would be normal numbers.
  const each: Case = { input: [1, 32, 4, 5], outputs: 16, kernel: [1, 1] };
  const { values, bias, ...net } = netOf(each, 2 ** -64);
  const data = random(elementCount(each.input), 5).map((value) => value * 2 ** -61);
  const none = bias.map(() => 0);
  const weights = weightsOf({
    conv: [
      [[16, 32, 1, 1], values],
      [[16], none],
    ],
  });
  const wantedBy = (summation: Summation) =>
    convolve(data, each, values, none, null, null, undefined, summation);
  const wanted = { tiles: wantedBy('tiles'), matrices: wantedBy('matrices') };
  for (const values of Object.values(wanted))
    assert.ok(values.some((value) => value !== 0) && values.some((value) => value === 0));
  for (const device of own) {
    await using model = await device.load({ ...net, weights, precision: 'bfloat16' });
    const found = (await model.run({ in: data })).conv!.data;
    assertSame(found, wanted[summationOf(device, each)], nameOf(device));
  }
});

test('an inner product sums like a convolution over one pixel, and its result is float32', async () => {
  const [images, inputs, outputs] = [3, 70, 21];
  const [values, bias] = [random(outputs * inputs, 1), random(outputs, 2)];
  const product = { num_output: outputs };
  const model = {
    layer: [
      input([images, inputs]),
      { name: 'ip', type: 'InnerProduct', bottom: ['in'], top: ['ip'], inner_product_param: product },
    ],
  };
  const weights = weightsOf({
    ip: [
      [[outputs, inputs], values],
      [[outputs], bias],
    ],
  });
  const data = random(images * inputs, 5);
  const filter: Filter = { input: [images, inputs, 1, 1], outputs, kernel: [1, 1] };
  const wanted = convolve(data, filter, values, bias, null, null, (value) => value);
  for (const device of own) {
    await using loaded = await device.load({ model, weights, precision: 'bfloat16' });
    const found = (await loaded.run({ in: data })).ip!.data;
    assertSame(found, wanted, nameOf(device));
  }
});

test('poolings of bfloat16 compute in float32 and round once', async () => {
  const shape = [2, 20, 9, 11] as const;
  for (const pool of ['MAX', 'AVE'] as const)
    for (const [kernel, stride, pad] of [
      [3, 2, 0],
      [2, 1, 1],
      [1, 2, 0],
    ] as const) {
      const model = {
        layer: [
          input(shape),
          layer('conv', ['in'], { outputs: 20, kernel: [1, 1] }),
          {
            name: 'pool',
            type: 'Pooling',
            bottom: ['conv'],
            top: ['pool'],
            pooling_param: { pool, kernel_size: kernel, stride, pad },
          } as LayerParameter,
        ],
      };
      const data = random(elementCount(shape), 5);
      for (const device of own) {
        await using narrow = await device.load({ model, precision: 'bfloat16', outputs: ['conv', 'pool'] });
        assert.is(narrow.plan().operations[1]!.implementation, 'loops bfloat16');
        const { conv, pool: pooled } = await narrow.run({ in: data });
        await using exact = await device.load({
          model: { layer: [input(conv!.shape), { ...model.layer[2]!, bottom: ['in'] }] },
        });
        const [wanted] = Object.values(await exact.run({ in: conv!.data }));
        assertSame(pooled!.data, wanted!.data.map(toBfloat16), `${pool} ${kernel}, ${nameOf(device)}`);
      }
    }
});

test('values that are not finite are at the same positions as in float32', async () => {
  await using reference = await openDevice('reference', { onWarning: () => {} });
  for (const each of [
    { input: [1, 20, 6, 7], outputs: 20, kernel: [3, 3], pad: [1, 1] },
    { input: [1, 3, 6, 7], outputs: 20, kernel: [3, 3], pad: [1, 1] },
  ] as const) {
    const { model, weights } = netOf(each, 1);
    const net = { layer: [...model.layer, layer('last', ['conv'], { outputs: 5, kernel: [1, 1] })] };
    const data = random(elementCount(each.input), 5);
    data[3] = Number.POSITIVE_INFINITY;
    data[30] = Number.NaN;
    for (const device of own) {
      const load = { model: net, weights, partialWeights: true };
      await using exact = await reference.load(load);
      await using narrow = await device.load({ ...load, precision: 'bfloat16' });
      const [a, b] = [
        (await exact.run({ in: data })).last!.data,
        (await narrow.run({ in: data })).last!.data,
      ];
      assert.ok(a.some(Number.isNaN) && a.some(Number.isFinite));
      assert.equal([...b].map(Number.isFinite), [...a].map(Number.isFinite), nameOf(device));
    }
  }
});

test.run();
