/**
 * ReLU6, Clip and PReLU as the last step of convolutions and inner products on the emulated CUDA device: in every
 * precision what the layers make one by one.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { calibrationOf } from '../../ts/compile/calibration.ts';
import { type Device, type LayerParameter, type LoadOptions, openDevice } from '../../ts/index.ts';
import type { Filter } from '../cpu/filter-cases.ts';
import { ACTIVATIONS, activated, activatedInt8 } from '../support/activations.ts';
import { openEmulated } from '../support/emulated.ts';
import { random } from '../support/int8-cases.ts';
import { useStandInCudnn } from '../support/stand-in-cudnn.ts';

const CASES: readonly Filter[] = [
  { input: [1, 32, 5, 6], outputs: 40, kernel: [3, 3], pad: [1, 1] },
  { input: [2, 16, 7, 5], outputs: 24, kernel: [1, 1], residual: true },
  { input: [1, 24, 6, 7], outputs: 24, group: 24, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 18, 5, 6], outputs: 12, group: 3, kernel: [3, 3], stride: [2, 2] },
];
const TOLERANCE = { float32: 1e-5, tf32: 2e-3, float16: 3e-3, bfloat16: 2e-2 } as const;

const innerProduct = (input: readonly number[]): LayerParameter[] => [
  { name: 'input', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [...input] }] } },
  {
    name: 'ip',
    type: 'InnerProduct',
    bottom: ['data'],
    top: ['ip'],
    inner_product_param: {
      num_output: 21,
      weight_filler: { type: 'gaussian', std: 1 },
      bias_filler: { type: 'gaussian', std: 1 },
    },
  },
];

async function compute(
  device: Device,
  layer: readonly LayerParameter[],
  data: Float32Array,
  options: Omit<LoadOptions, 'model'> = {},
) {
  await using model = await device.load({ model: { layer: [...layer] }, ...options });
  const [output] = Object.values(await model.run({ [Object.keys(model.inputs)[0]!]: data }));
  return { values: output!.data, operations: model.plan().operations };
}

function assertClose(found: Float32Array, expected: Float32Array, tolerance: number, what: string) {
  assert.is(found.length, expected.length, what);
  const finite = expected.filter(Number.isFinite);
  const most = finite.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  found.forEach((value, i) => {
    if (!Object.is(value, expected[i]) && !(Math.abs(value - expected[i]!) <= tolerance * most))
      assert.unreachable(`${what}: value ${i} is ${value}, expected ${expected[i]} of ${most} at most`);
  });
}

const device = await openEmulated();
if (device !== null) {
  const withCudnn = useStandInCudnn() ? await openEmulated({ cudnn: true }) : null;
  const reference = await openDevice('reference');
  test.after(() => [reference, device, withCudnn].forEach((each) => each?.dispose()));
  const inputOf = (shape: readonly number[]) => random(elementCount(shape), 5);

  for (const [name, activation] of Object.entries(ACTIVATIONS))
    test(`${name} behind convolutions and inner products, by our kernels and with cuDNN`, async () => {
      const nets = [
        ...CASES.map((each) => ({
          layers: activated(each, activation),
          input: each.input,
          count: each.residual ? 2 : 1,
        })),
        ...[1, 9].map((images) => {
          const input = [images, 24, 2, 1];
          return { layers: [...innerProduct(input), activation('ip')], input, count: 1 };
        }),
      ];
      for (const { layers, input, count } of nets) {
        const data = inputOf(input);
        const { values: expected } = await compute(reference, layers, data, { optimize: false });
        for (const precision of ['float32', 'tf32', 'float16', 'bfloat16'] as const)
          for (const on of [device, ...(withCudnn === null ? [] : [withCudnn])]) {
            const what = `${name}, ${input} in ${precision}${on === withCudnn ? ' with cuDNN' : ''}`;
            const { values, operations } = await compute(on, layers, data, { precision });
            assert.is(operations.length, count, what);
            assertClose(values, expected, TOLERANCE[precision], what);
          }
      }
    });

  test('Clip turns NaN into 0 and infinities into its bounds; PReLU keeps NaN, and infinities with their sign', async () => {
    for (const [name, activation] of Object.entries(ACTIVATIONS))
      for (const each of [CASES[0]!, CASES[2]!]) {
        const layers = activated(each, activation);
        const data = inputOf(each.input);
        data[3] = Number.NaN;
        data[60] = Infinity;
        data[95] = -Infinity;
        const { values: expected } = await compute(reference, layers, data, { optimize: false });
        assertClose((await compute(device, layers, data)).values, expected, 1e-5, name);
      }
  });

  for (const [name, activation] of Object.entries(ACTIVATIONS))
    test(`${name} in 8 bits makes the CPU's numbers, rounded to float16`, async () => {
      await using cpu = await openDevice('cpu', { threads: 2 });
      for (const { each, result, layers, weights, sources } of activatedInt8(activation)) {
        if (elementCount(each.input) > 3000) continue;
        const calibration = calibrationOf({
          net: '',
          method: 'min-max',
          percentile: null,
          images: 1,
          ranges: { ...sources, ...(each.made && { [`${result}@f`]: 3 }) },
        });
        const options = { weights, partialWeights: true, precision: 'int8', calibration } as const;
        // Multiples of 1/1024, which float16 holds.
        const data = inputOf(each.input).map((value) => Math.round(value * 1024) / 1024);
        const [expected, found] = [
          await compute(cpu, layers, data, options),
          await compute(device, layers, data, options),
        ];
        const what = `${name}: ${JSON.stringify(each)}`;
        assert.is(found.operations.length, expected.operations.length, what);
        assertClose(found.values, expected.values, 2 ** -11, what);
      }
    });
}

test.run();
