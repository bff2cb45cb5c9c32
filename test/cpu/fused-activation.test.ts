/**
 * Clip, as ReLU6 is, and PReLU as the last step of convolutions and inner products: on every instruction set, by every
 * algorithm and in every precision what the layers make one by one.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { calibrationOf } from '../../ts/compile/calibration.ts';
import { type Device, type LayerParameter, type LoadOptions, openDevice } from '../../ts/index.ts';
import { ACTIVATIONS, activated, activatedInt8 } from '../support/activations.ts';
import { openAllKernels, openKernels } from '../support/open-kernels.ts';
import { FILTERS, type Filter, layersOf, nameOf } from './filter-cases.ts';

const reference = await openDevice('reference');
const own = await openAllKernels({ tune: false, onWarning: () => {} });
const direct = (await openAllKernels({ winograd: false, tune: false, onWarning: () => {} })).slice(0, 2);
const oneDnn = await openKernels('oneDNN', { tune: false });
const all = [...own, ...direct, ...(oneDnn === null ? [] : [oneDnn])];
test.after(() => [reference, ...all].forEach((device) => device.dispose()));

const nameOfDevice = ({ name, description: { kernels, threads } }: Device) =>
  `${name} ${kernels ?? ''} ${threads ?? ''}`;

interface Answer {
  readonly values: Float32Array;
  readonly implementations: readonly string[];
}

async function compute(
  device: Device,
  layer: readonly LayerParameter[],
  data: Float32Array,
  options: Omit<LoadOptions, 'model'> = {},
): Promise<Answer> {
  await using model = await device.load({ model: { layer: [...layer] }, ...options });
  const [output] = Object.values(await model.run({ data }));
  return {
    values: output!.data,
    implementations: model.plan().operations.map((each) => each.implementation),
  };
}

function assertClose(found: Float32Array, expected: Float32Array, tolerance: number, what: string) {
  assert.is(found.length, expected.length, what);
  const most = expected.reduce(
    (max, value) => (Number.isFinite(value) ? Math.max(max, Math.abs(value)) : max),
    0,
  );
  found.forEach((value, i) => {
    const wanted = expected[i]!;
    if (!Object.is(value, wanted) && !(Math.abs(value - wanted) <= tolerance * most))
      assert.unreachable(`${what}: value ${i} is ${value}, expected ${wanted} of ${most} at most`);
  });
}

const kindOf = (value: number) => (Number.isFinite(value) ? 'finite' : String(value));

const waves = (shape: readonly number[]) =>
  Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * i));

const WINOGRAD: readonly Filter[] = [
  { input: [2, 32, 13, 11], outputs: 40, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 32, 13, 11], outputs: 32, kernel: [3, 3], pad: [1, 1], residual: true },
];
const CASES = [...FILTERS.filter(({ type }) => type !== 'Deconvolution'), ...WINOGRAD];

for (const [name, activation] of Object.entries(ACTIVATIONS))
  test(`${name} behind convolutions of all kinds`, async () => {
    for (const each of CASES) {
      const layers = activated(each, activation);
      const data = waves(each.input);
      const { values: expected } = await compute(reference, layers, data, { optimize: false });
      for (const device of [reference, ...all]) {
        const { values, implementations } = await compute(device, layers, data);
        const what = `${nameOf(each)} on ${nameOfDevice(device)}`;
        assert.is(implementations.length, each.residual ? 2 : 1, what);
        assertClose(values, expected, 2e-5, what);
      }
    }
  });

test('Clip turns NaN into 0 and infinities into its bounds; PReLU keeps NaN, and infinities with their sign', async () => {
  for (const [name, activation] of Object.entries(ACTIVATIONS))
    for (const each of [
      { input: [1, 32, 5, 5], outputs: 40, kernel: [1, 1] },
      { input: [1, 24, 9, 9], outputs: 24, group: 24, kernel: [3, 3], pad: [1, 1] },
    ] as const) {
      const layers = activated(each, activation);
      const data = waves(each.input);
      data[3] = Number.NaN;
      data[60] = Infinity;
      data[110] = -Infinity;
      const { values: expected } = await compute(reference, layers, data, { optimize: false });
      for (const device of [reference, ...all]) {
        const { values } = await compute(device, layers, data);
        assertClose(values, expected, 2e-5, `${name}, ${nameOf(each)} on ${nameOfDevice(device)}`);
      }
    }
});

test('a slope that is not finite is multiplied by 0 where x is positive, as in prelu_layer.cpp', async () => {
  const slopes = new Float32Array(40).fill(0.25);
  slopes[3] = Number.NaN;
  slopes[20] = Infinity;
  const weights = {
    file: 'slopes.caffemodel',
    name: '',
    layers: [{ name: 'f', type: 'PReLU', blobs: [blobFromFloats([40], slopes)] }],
  };
  const layers = activated({ input: [1, 32, 5, 5], outputs: 40, kernel: [1, 1] }, ACTIVATIONS['a PReLU']!);
  const data = waves([1, 32, 5, 5]);
  for (const device of [reference, ...all])
    for (const optimize of [true, false]) {
      const { values } = await compute(device, layers, data, { weights, partialWeights: true, optimize });
      const kinds = (channel: number) =>
        [...new Set(Array.from(values.subarray(25 * channel, 25 * (channel + 1)), kindOf))].sort();
      const what = nameOfDevice(device);
      assert.equal(kinds(2), ['finite'], what);
      assert.equal(kinds(3), ['NaN'], what);
      assert.equal(kinds(20), ['-Infinity', 'NaN'], what);
    }
});

for (const [name, activation] of Object.entries(ACTIVATIONS))
  test(`${name} between a depthwise convolution and a pointwise one, which stay one step, and behind both`, async () => {
    const [source, depthwise] = layersOf({
      input: [1, 40, 24, 22],
      outputs: 40,
      group: 40,
      kernel: [3, 3],
      pad: [1, 1],
    });
    const before = { ...depthwise!, name: 'before', top: ['before'] };
    const pointwise: LayerParameter = {
      ...depthwise!,
      name: 'pointwise',
      bottom: ['filter'],
      top: ['pointwise'],
      convolution_param: {
        ...depthwise!.convolution_param,
        num_output: 36,
        group: 1,
        kernel_h: 1,
        kernel_w: 1,
        pad_h: 0,
        pad_w: 0,
      },
    };
    const layers = [
      source!,
      // What is read in blocks.
      before,
      { ...depthwise!, bottom: ['before'] },
      activation('filter'),
      pointwise,
      { ...activation('pointwise'), name: 'last' },
    ];
    const data = waves([1, 40, 24, 22]);
    const { values: expected } = await compute(reference, layers, data, { optimize: false });
    for (const device of own) {
      const { values, implementations } = await compute(device, layers, data);
      assert.match(implementations[1]!, 'computed in "pointwise"');
      assertClose(values, expected, 1e-5, nameOfDevice(device));
    }
  });

test('behind inner products of one image and of several', async () => {
  for (const [name, activation] of Object.entries(ACTIVATIONS))
    for (const [images, outputs] of [
      [1, 32],
      [5, 21],
    ] as const) {
      const input = [images, 48, 1, 1];
      const layers: LayerParameter[] = [
        { name: 'input', type: 'Input', top: ['data'], input_param: { shape: [{ dim: input }] } },
        {
          name: 'ip',
          type: 'InnerProduct',
          bottom: ['data'],
          top: ['ip'],
          inner_product_param: {
            num_output: outputs,
            weight_filler: { type: 'gaussian', std: 1 },
            bias_filler: { type: 'gaussian', std: 1 },
          },
        },
        activation('ip'),
      ];
      const { values: expected } = await compute(reference, layers, waves(input), { optimize: false });
      for (const device of [reference, ...all]) {
        const { values, implementations } = await compute(device, layers, waves(input));
        assert.is(implementations.length, 1);
        assertClose(values, expected, 1e-5, `${name}, ${images} images on ${nameOfDevice(device)}`);
      }
      for (const device of own) {
        const { values } = await compute(device, layers, waves(input), { precision: 'bfloat16' });
        assertClose(
          values,
          expected,
          2e-2,
          `${name}, ${images} images in bfloat16 on ${nameOfDevice(device)}`,
        );
      }
    }
});

test('in bfloat16 Clip, whose bound it represents exactly, gives the bits of the separate layers; PReLU rounds once less', async () => {
  for (const [name, activation] of Object.entries(ACTIVATIONS))
    for (const each of CASES.filter(({ group = 1 }) => group === 1)) {
      const layers = activated(each, activation);
      const data = waves(each.input);
      const exact = await compute(reference, layers, data, { optimize: false });
      for (const device of own) {
        const what = `${name}, ${nameOf(each)} on ${nameOfDevice(device)}`;
        const { values } = await compute(device, layers, data, { precision: 'bfloat16' });
        const apart = await compute(device, layers, data, { precision: 'bfloat16', optimize: false });
        if (name.includes('PReLU')) assertClose(values, exact.values, 5e-2, what);
        else if (!each.residual) assertClose(values, apart.values, 0, what);
      }
    }
});

for (const [name, activation] of Object.entries(ACTIVATIONS))
  test(`${name} in 8 bits: on all instruction sets the same, and within some levels of float32`, async () => {
    for (const { each, result, layers, weights, sources } of activatedInt8(activation)) {
      const data = waves(each.input).map((value) => value * 0.8);
      const load = async (device: Device, options: Omit<LoadOptions, 'model'>) => {
        await using model = await device.load({
          model: { layer: layers },
          weights,
          partialWeights: true,
          ...options,
        });
        const [output] = Object.values(await model.run({ in: data }));
        return { values: output!.data, rows: model.plan().operations };
      };
      const { values: expected } = await load(reference, { optimize: false });
      const { values: between } = await load(reference, { optimize: false, outputs: [result] });
      const largest = between.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      // Of levels beyond the bound, too.
      const made = name.includes('PReLU') ? largest : 1.25 * largest;
      const calibration = calibrationOf({
        net: '',
        method: 'min-max',
        percentile: null,
        images: 1,
        ranges: { ...sources, ...(each.made && { [`${result}@f`]: made }) },
      });
      let first: Float32Array | null = null;
      for (const device of [...own, ...direct]) {
        const what = `${JSON.stringify(each)} on ${nameOfDevice(device)}`;
        const { values, rows } = await load(device, { precision: 'int8', calibration });
        assert.ok(
          rows.every(({ layer }) => layer !== 'f'),
          what,
        );
        assert.match(rows.find(({ layer }) => layer === 'conv')!.implementation, /^int8 /, what);
        first ??= values;
        assert.equal(values, first, what);
        assertClose(values, expected, 0.06, what);
      }
    }
  });

test.run();
