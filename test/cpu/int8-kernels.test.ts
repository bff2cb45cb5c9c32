/** Convolutions of 8-bit integers by the CPU device's own tiles: on each instruction set the bits of plain loops. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { calibrationOf } from '../../ts/compile/calibration.ts';
import type { LayerParameter, WeightsFile } from '../../ts/index.ts';
import {
  convolve,
  convolveFirst,
  fusedMultiplyAdd,
  type Int8Convolution,
  poolMaximum,
  quantise,
} from '../support/int8-loops.ts';
import { openAllKernels } from '../support/open-kernels.ts';

const own = await openAllKernels();
test.after(() => own.forEach((device) => device.dispose()));

interface Case extends Int8Convolution {
  readonly input: readonly [number, number, number, number];
  /** Whether the source has negative values. */
  readonly signed?: boolean;
  /** The source is added to the result, which has its shape. */
  readonly residual?: boolean;
  /** What the result becomes: an int8 convolution reads it. */
  readonly made?: 'unsigned' | 'signed';
}

const CASES: readonly Case[] = [
  { input: [1, 64, 7, 7], outputs: 64, kernel: [1, 1], made: 'unsigned' },
  { input: [1, 64, 7, 7], outputs: 64, kernel: [1, 1], made: 'unsigned', residual: true },
  { input: [2, 32, 5, 9], outputs: 32, kernel: [3, 3], pad: [1, 1], made: 'unsigned', residual: true },
  { input: [2, 32, 5, 9], outputs: 32, kernel: [3, 3], pad: [1, 1], residual: true },
  {
    input: [1, 32, 6, 6],
    outputs: 32,
    kernel: [3, 3],
    pad: [1, 1],
    made: 'signed',
    residual: true,
    signed: true,
  },
  { input: [1, 32, 6, 6], outputs: 32, kernel: [1, 1], residual: true, signed: true },
  { input: [1, 48, 9, 17], outputs: 32, kernel: [1, 1], made: 'signed', signed: true },
  { input: [3, 20, 5, 9], outputs: 33, kernel: [1, 1], made: 'unsigned' },
  { input: [1, 3, 12, 11], outputs: 10, kernel: [7, 7], stride: [2, 2], pad: [3, 3] },
  { input: [1, 5, 12, 11], outputs: 16, kernel: [3, 3], pad: [2, 2], signed: true, made: 'signed' },
  { input: [2, 32, 14, 13], outputs: 48, kernel: [1, 1], stride: [2, 2], made: 'unsigned' },
  { input: [1, 16, 15, 16], outputs: 16, kernel: [3, 3], stride: [2, 2], pad: [1, 1], signed: true },
  { input: [1, 16, 9, 11], outputs: 40, kernel: [3, 5], stride: [1, 3], pad: [1, 2], made: 'unsigned' },
  { input: [1, 16, 12, 12], outputs: 16, kernel: [3, 3], pad: [2, 2], dilation: 2, made: 'unsigned' },
  { input: [1, 64, 6, 7], outputs: 64, kernel: [3, 3], pad: [1, 1], group: 2, made: 'unsigned' },
  { input: [1, 32, 6, 7], outputs: 48, kernel: [3, 3], pad: [1, 1], group: 4, signed: true, made: 'signed' },
  {
    input: [2, 24, 6, 7],
    outputs: 12,
    kernel: [3, 3],
    stride: [2, 2],
    pad: [1, 1],
    group: 6,
    made: 'unsigned',
  },
  { input: [1, 16, 2, 2], outputs: 16, kernel: [3, 3], pad: [1, 1], made: 'unsigned' },
  { input: [1, 512, 4, 4], outputs: 32, kernel: [3, 3], pad: [1, 1], made: 'unsigned' },
];

const RANGES = { source: 0.8, made: 3 };

const layer = (
  name: string,
  bottom: string[],
  { outputs, kernel, stride, pad, dilation, group }: Int8Convolution,
) =>
  ({
    name,
    type: 'Convolution',
    bottom,
    top: [name],
    convolution_param: {
      num_output: outputs,
      kernel_h: kernel[0],
      kernel_w: kernel[1],
      ...(stride && { stride_h: stride[0], stride_w: stride[1] }),
      ...(pad && { pad_h: pad[0], pad_w: pad[1] }),
      ...(dilation && { dilation: [dilation] }),
      ...(group && { group }),
    },
  }) as LayerParameter;

const random = (length: number, seed: number) => {
  const next = seededRandom(seed);
  return Float32Array.from({ length }, () => 2 * next() - 1);
};

/** in → source (the identity, in float32) → conv [+ source] [→ ReLU], and where that becomes levels a 1×1 behind it. */
function netOf(each: Case) {
  const { input, outputs, kernel, signed, residual, made } = each;
  const relu = (blob: string) => ({ name: `${blob}_relu`, type: 'ReLU', bottom: [blob], top: [blob] });
  const [, channels] = input;
  const layers: LayerParameter[] = [
    { name: 'in', type: 'Input', top: ['in'], input_param: { shape: [{ dim: [...input] }] } },
    layer('source', ['in'], { outputs: channels, kernel: [1, 1] }),
    ...(signed ? [] : [relu('source')]),
    layer('conv', ['source'], each),
  ];
  const result = residual ? 'sum' : 'conv';
  if (residual) layers.push({ name: 'sum', type: 'Eltwise', bottom: ['source', 'conv'], top: ['sum'] });
  if (made === 'unsigned') layers.push(relu(result));
  if (made) layers.push(layer('last', [result], { outputs: 8, kernel: [1, 1] }));
  const inputs = channels / (each.group ?? 1);
  const identity = Float32Array.from({ length: channels ** 2 }, (_, i) => Number(i % (channels + 1) === 0));
  const blobs = {
    source: [
      blobFromFloats([channels, channels, 1, 1], identity),
      blobFromFloats([channels], new Float32Array(channels)),
    ],
    conv: [
      blobFromFloats([outputs, inputs, ...kernel], random(outputs * inputs * kernel[0] * kernel[1], 1)),
      blobFromFloats([outputs], random(outputs, 2)),
    ],
    last: [blobFromFloats([8, outputs, 1, 1], random(8 * outputs, 3)), blobFromFloats([8], random(8, 4))],
  };
  const weights: WeightsFile = {
    file: 'made up',
    name: '',
    layers: Object.entries(blobs).map(([name, list]) => ({ name, type: 'Convolution', blobs: list })),
  };
  const ranges = {
    [signed ? 'source@source' : 'source@source_relu']: RANGES.source,
    ...(made && { [`${result}@${made === 'unsigned' ? `${result}_relu` : result}`]: RANGES.made }),
  };
  return { net: { layer: layers }, weights, ranges };
}

function expected(each: Case, data: Float32Array): Float32Array {
  const { input, outputs, kernel, signed = false, residual, made } = each;
  const source = quantise(signed ? data : data.map((x) => Math.max(0, x)), input, RANGES.source, !signed);
  const inputs = input[1] / (each.group ?? 1);
  const result = convolve(
    source,
    random(outputs * inputs * kernel[0] * kernel[1], 1),
    random(outputs, 2),
    each,
    {
      range: made ? RANGES.made : null,
      isUnsigned: made === 'unsigned',
      ...(residual && { residual: source }),
    },
  );
  if (!made) return result.values;
  return convolve(
    result.levels,
    random(8 * outputs, 3),
    random(8, 4),
    { outputs: 8, kernel: [1, 1] },
    {
      range: null,
      isUnsigned: false,
    },
  ).values;
}

test('products that are summed at once are rounded once', () => {
  assert.is(fusedMultiplyAdd(1 + 2 ** -12, 1 + 2 ** -12, -1 - 2 ** -11), 2 ** -24);
  // Halfway but for 2^-60, which the product's sum in 64 bits has lost.
  assert.is(fusedMultiplyAdd(2 ** -30, 2 ** -30, 1 + 2 ** -23), 1 + 2 ** -23);
  assert.is(fusedMultiplyAdd(2 ** -12 + 2 ** -30, 2 ** -12, 1 + 2 ** -23), 1 + 2 ** -22);
  assert.is(fusedMultiplyAdd(2 ** -12 - 2 ** -30, 2 ** -12, 1 + 2 ** -23), 1 + 2 ** -23);
  assert.is(fusedMultiplyAdd(1 + 2 ** -12, 1 + 2 ** -12, 2 ** 30), Math.fround(2 ** 30 + 1));
});

for (const each of CASES)
  test(`int8, bit by bit: ${JSON.stringify(each)}`, async () => {
    assert.ok(own.length > 0 || !['x64', 'arm64'].includes(process.arch));
    const { net, weights, ranges } = netOf(each);
    const calibration = calibrationOf({ net: '', method: 'min-max', percentile: null, images: 1, ranges });
    const data = random(elementCount(each.input), 5);
    const wanted = expected(each, data);
    for (const device of own) {
      await using model = await device.load({ model: net, weights, precision: 'int8', calibration });
      const what = `${device.description.kernels}, ${device.description.threads} threads`;
      const { operations } = model.plan();
      assert.match(
        operations.find(({ layer: name }) => name === 'conv' || name === 'sum')!.implementation,
        /^int8 direct /,
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
  readonly pooled?: boolean;
}
const FIRST: readonly First[] = [
  { input: [2, 3, 33, 35], outputs: 64, kernel: [7, 7], stride: [2, 2], pad: [3, 3], pooled: true },
  { input: [1, 3, 32, 32], outputs: 32, kernel: [3, 3], stride: [2, 2], pad: [1, 1] },
  { input: [2, 1, 9, 14], outputs: 20, kernel: [5, 4], stride: [1, 2], pad: [4, 2], pooled: true },
  { input: [1, 4, 12, 12], outputs: 16, kernel: [1, 1], stride: [2, 2] },
  { input: [2, 1, 9, 14], outputs: 20, kernel: [5, 4], stride: [1, 2], pad: [4, 2] },
  { input: [1, 2, 16, 30], outputs: 40, kernel: [3, 11], stride: [4, 2], pad: [0, 5] },
];

for (const each of FIRST)
  for (const made of [false, true])
    test(`a first layer, bit by bit${made ? ', as levels' : ''}: ${JSON.stringify(each)}`, async () => {
      const { input, outputs, kernel, pooled } = each;
      const result = pooled ? 'pool' : 'conv';
      const layers: LayerParameter[] = [
        { name: 'in', type: 'Input', top: ['in'], input_param: { shape: [{ dim: [...input] }] } },
        layer('conv', ['in'], each),
        { name: 'relu', type: 'ReLU', bottom: ['conv'], top: ['conv'] },
      ];
      if (pooled)
        layers.push({
          name: 'pool',
          type: 'Pooling',
          bottom: ['conv'],
          top: ['pool'],
          pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2 },
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
      // Without a convolution behind it there is a range all the same, of nothing that is computed.
      const ranges = { [pooled ? 'pool@pool' : 'conv@relu']: RANGES.made };
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
      );
      const levels = pooled ? poolMaximum(first.levels, 3, 2) : first.levels;
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
        assert.match(model.plan().operations[0]!.implementation, /^int16 direct /);
        if (made && pooled) assert.is(model.plan().operations[1]!.implementation, 'loops int8');
        const found = Object.values(await model.run({ in: data }))[0]!.data;
        assert.is(found.length, wanted.length);
        found.forEach((value, i) => {
          if (value !== wanted[i]) assert.unreachable(`value ${i} is ${value}, expected ${wanted[i]}`);
        });
      }
    });

test.run();
