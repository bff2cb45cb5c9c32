/** int8 convolutions by the CPU device's own tiles give the bits of simple loops on each instruction set. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { calibrationOf } from '../../ts/compile/calibration.ts';
import type { LayerParameter, WeightsFile } from '../../ts/index.ts';
import {
  dataOf,
  expected,
  INT8_CASES,
  type Int8Case,
  layer,
  netOf,
  RANGES,
  random,
} from '../support/int8-cases.ts';
import {
  convolve,
  convolveFirst,
  fusedMultiplyAdd,
  type Int8Convolution,
  poolMaximum,
} from '../support/int8-loops.ts';
import { hasMatrices, openAllKernels } from '../support/open-kernels.ts';

const own = await openAllKernels({ tune: false }),
  direct = (await openAllKernels({ winograd: false })).slice(0, 2);
test.after(() => [...own, ...direct].forEach((device) => device.dispose()));

/** Whether Winograd's algorithm can compute the case, and may be faster. */
const isWinograds = ({ input, kernel, stride = [1, 1], dilation = 1, group = 1 }: Int8Case) =>
  `${kernel}` === '3,3' && `${stride}` === '1,1' && dilation === 1 && group === 1 && input[1] >= 16;

/** What only this device distinguishes. */
const OWN_CASES: readonly Int8Case[] = [
  // Rows of at most seven pixels, of which a tile takes two.
  { input: [2, 32, 7, 7], outputs: 32, kernel: [3, 3], pad: [1, 1], made: 'unsigned', residual: true },
  { input: [1, 32, 14, 14], outputs: 64, kernel: [3, 3], stride: [2, 2], pad: [1, 1], made: 'unsigned' },
  {
    input: [2, 16, 9, 13],
    outputs: 48,
    kernel: [5, 3],
    stride: [1, 2],
    pad: [2, 0],
    made: 'signed',
    signed: true,
  },
  { input: [1, 16, 8, 4], outputs: 16, kernel: [3, 3], stride: [1, 3], pad: [1, 1], made: 'unsigned' },
  // One of Winograd's tiles fewer than fill 14 tiles of a kernel, and weights that fill much of a core's own cache.
  { input: [1, 16, 52, 60], outputs: 16, kernel: [3, 3], pad: [1, 1], made: 'unsigned' },
  { input: [1, 128, 28, 28], outputs: 128, kernel: [3, 3], pad: [1, 1], made: 'unsigned' },
];

test('products that are summed at once are rounded once', () => {
  assert.is(fusedMultiplyAdd(1 + 2 ** -12, 1 + 2 ** -12, -1 - 2 ** -11), 2 ** -24);
  // Halfway except for 2^-60, which a sum of the rounded product in 64 bits would lose.
  assert.is(fusedMultiplyAdd(2 ** -30, 2 ** -30, 1 + 2 ** -23), 1 + 2 ** -23);
  assert.is(fusedMultiplyAdd(2 ** -12 + 2 ** -30, 2 ** -12, 1 + 2 ** -23), 1 + 2 ** -22);
  assert.is(fusedMultiplyAdd(2 ** -12 - 2 ** -30, 2 ** -12, 1 + 2 ** -23), 1 + 2 ** -23);
  assert.is(fusedMultiplyAdd(1 + 2 ** -12, 1 + 2 ** -12, 2 ** 30), Math.fround(2 ** 30 + 1));
});

for (const each of [...INT8_CASES, ...OWN_CASES])
  test(`int8, bit by bit: ${JSON.stringify(each)}`, async () => {
    assert.ok(own.length > 0 || !['x64', 'arm64'].includes(process.arch));
    const { net, weights, ranges } = netOf(each);
    const calibration = calibrationOf({ net: '', method: 'min-max', percentile: null, images: 1, ranges });
    const data = dataOf(each);
    const wanted = expected(each, data);
    for (const device of [...own, ...direct]) {
      await using model = await device.load({ model: net, weights, precision: 'int8', calibration });
      const what = `${device.description.kernels}, ${device.description.threads} threads`;
      const { operations } = model.plan();
      assert.match(
        operations.find(({ layer: name }) => name === 'conv' || name === 'sum')!.implementation,
        isWinograds(each) && own.includes(device) && !hasMatrices(device)
          ? /^int8 Winograd 4×4 /
          : /^int8 direct /,
      );
      const [output] = Object.values(await model.run({ in: data }));
      assert.is(output!.data.length, wanted.length, what);
      output!.data.forEach((value, i) => {
        if (value !== wanted[i]) assert.unreachable(`${what}: value ${i} is ${value}, expected ${wanted[i]}`);
      });
    }
  });

interface First extends Int8Convolution {
  readonly input: readonly [number, number, number, number];
  /** The kernel, stride and padding of the max pooling behind it. */
  readonly pooled?: readonly [number, number, number];
  /** Without a ReLU, levels have a sign. */
  readonly signed?: boolean;
}
const FIRST: readonly First[] = [
  { input: [2, 3, 33, 35], outputs: 64, kernel: [7, 7], stride: [2, 2], pad: [3, 3], pooled: [3, 2, 0] },
  { input: [3, 3, 50, 66], outputs: 40, kernel: [3, 3], stride: [2, 2], pad: [1, 1], pooled: [3, 2, 1] },
  { input: [2, 4, 40, 27], outputs: 16, kernel: [5, 5], stride: [1, 2], pad: [2, 2], pooled: [2, 3, 0] },
  {
    input: [1, 2, 30, 31],
    outputs: 32,
    kernel: [5, 3],
    stride: [2, 2],
    pad: [1, 0],
    pooled: [3, 2, 0],
    signed: true,
  },
  // Enough parts of one plane that threads take each other's.
  { input: [1, 3, 122, 60], outputs: 32, kernel: [7, 7], stride: [1, 2], pooled: [3, 2, 0] },
  { input: [1, 3, 29, 20], outputs: 33, kernel: [2, 5], stride: [2, 2], pad: [0, 1], pooled: [4, 1, 1] },
  { input: [1, 3, 32, 32], outputs: 32, kernel: [3, 3], stride: [2, 2], pad: [1, 1] },
  { input: [2, 1, 9, 14], outputs: 20, kernel: [5, 4], stride: [1, 2], pad: [4, 2], pooled: [3, 2, 0] },
  { input: [1, 4, 12, 12], outputs: 16, kernel: [1, 1], stride: [2, 2] },
  { input: [2, 1, 9, 14], outputs: 20, kernel: [5, 4], stride: [1, 2], pad: [4, 2] },
  { input: [1, 2, 16, 30], outputs: 40, kernel: [3, 11], stride: [4, 2], pad: [0, 5] },
];

for (const each of FIRST)
  for (const made of [false, true])
    test(`a first layer, bit by bit${made ? ', as levels' : ''}: ${JSON.stringify(each)}`, async () => {
      const { input, outputs, kernel, pooled, signed = false } = each;
      const result = pooled ? 'pool' : 'conv';
      const layers: LayerParameter[] = [
        { name: 'in', type: 'Input', top: ['in'], input_param: { shape: [{ dim: [...input] }] } },
        layer('conv', ['in'], each),
      ];
      if (!signed) layers.push({ name: 'relu', type: 'ReLU', bottom: ['conv'], top: ['conv'] });
      if (pooled)
        layers.push({
          name: 'pool',
          type: 'Pooling',
          bottom: ['conv'],
          top: ['pool'],
          pooling_param: { pool: 'MAX', kernel_size: pooled[0], stride: pooled[1], pad: pooled[2] },
        } as LayerParameter);
      if (made) layers.push(layer('last', [result], { outputs: 8, kernel: [1, 1] }));
      const count = outputs * input[1] * kernel[0] * kernel[1];
      const blobs = [
        {
          name: 'conv',
          blobs: [
            blobFromFloats([outputs, input[1], ...kernel], random(count, 1)),
            blobFromFloats([outputs], random(outputs, 2)),
          ],
        },
        {
          name: 'last',
          blobs: [
            blobFromFloats([8, outputs, 1, 1], random(8 * outputs, 3)),
            blobFromFloats([8], random(8, 4)),
          ],
        },
      ];
      const weights: WeightsFile = {
        file: 'made up',
        name: '',
        layers: blobs.map((of) => ({ ...of, type: 'Convolution' })),
      };
      // Even without a convolution after it there is a range, for a tensor that is never computed.
      const ranges = { [pooled ? 'pool@pool' : signed ? 'conv@conv' : 'conv@relu']: RANGES.made };
      const calibration = calibrationOf({ net: '', method: 'min-max', percentile: null, images: 1, ranges });
      // Each image has a range of its own.
      const data = random(elementCount(input), 5).map((value, i) => (1 + i / 100) * value);
      const first = convolveFirst(
        data,
        input,
        random(count, 1),
        random(outputs, 2),
        each,
        made ? RANGES.made : null,
        !signed,
      );
      const levels = pooled ? poolMaximum(first.levels, ...pooled) : first.levels;
      const wanted = made
        ? convolve(
            levels,
            random(8 * outputs, 3),
            random(8, 4),
            { outputs: 8, kernel: [1, 1] },
            { range: null, isUnsigned: false },
          ).values
        : first.values;
      if (!made && pooled) return;
      for (const device of own) {
        await using model = await device.load({
          model: { layer: layers },
          weights,
          precision: 'int8',
          calibration,
        });
        const [conv, pool] = model.plan().operations;
        assert.match(conv!.implementation, /^int16 direct /);
        if (made && pooled) assert.match(pool!.implementation, /^int16 direct .*, with "conv"$/);
        const found = Object.values(await model.run({ in: data }))[0]!.data;
        assert.is(found.length, wanted.length);
        found.forEach((value, i) => {
          if (value !== wanted[i]) assert.unreachable(`value ${i} is ${value}, expected ${wanted[i]}`);
        });
      }
    });

test('the maximum of signed levels is their largest, whether all are negative or not', async () => {
  const layers: LayerParameter[] = [
    { name: 'in', type: 'Input', top: ['in'], input_param: { shape: [{ dim: [2, 16, 13, 11] }] } },
    layer('conv', ['in'], { outputs: 32, kernel: [1, 1] }),
    {
      name: 'pool',
      type: 'Pooling',
      bottom: ['conv'],
      top: ['pool'],
      pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2 },
    },
    layer('last', ['pool'], { outputs: 8, kernel: [1, 1] }),
  ];
  const of = (name: string, outputs: number, inputs: number, seed: number) => ({
    name,
    type: 'Convolution',
    blobs: [
      blobFromFloats([outputs, inputs, 1, 1], random(outputs * inputs, seed)),
      blobFromFloats(
        [outputs],
        random(outputs, seed + 1).map((value, i) => value - (i % 2 === 0 ? 8 : 0)),
      ),
    ],
  });
  const weights: WeightsFile = {
    file: 'made up',
    name: '',
    layers: [of('conv', 32, 16, 1), of('last', 8, 32, 3)],
  };
  const data = random(2 * 16 * 13 * 11, 5);
  const largest = (values: Float32Array) =>
    values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const device of own) {
    await using exact = await device.load({ model: { layer: layers }, weights, outputs: ['conv', 'last'] });
    const { conv, last } = await exact.run({ in: data });
    const most = largest(conv!.data);
    const ranges = { 'in@in': largest(data), 'conv@conv': most, 'pool@pool': most };
    const calibration = calibrationOf({ net: '', method: 'min-max', percentile: null, images: 1, ranges });
    await using model = await device.load({
      model: { layer: layers },
      weights,
      precision: 'int8',
      calibration,
    });
    assert.is(
      model.plan().operations.find(({ layer: name }) => name === 'pool')!.implementation,
      'loops int8',
    );
    const found = (await model.run({ in: data })).last!.data;
    const worst = last!.data.reduce((all, value, i) => Math.max(all, Math.abs(value - found[i]!)), 0);
    assert.ok(worst < 0.03 * largest(last!.data), `differs by ${worst} of ${largest(last!.data)}`);
  }
});

test.run();
