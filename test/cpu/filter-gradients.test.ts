/** The gradients of convolutions with any group and stride, and of deconvolutions, by the CPU device's own tiles. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { type Device, openDevice } from '../../ts/index.ts';
import { openAllKernels } from '../support/open-kernels.ts';
import { FILTERS, type Filter, layersOf, nameOf } from './filter-cases.ts';

const reference = await openDevice('reference');
const own = await openAllKernels({ tune: false });
test.after(() => [reference, ...own].forEach((device) => device.dispose()));

const PLAIN: readonly Filter[] = [
  // Dense: 1×1, 3×3, and a first layer; channels that do not fill a block; more images than fit into one part.
  { input: [3, 32, 9, 11], outputs: 64, kernel: [1, 1] },
  { input: [2, 64, 13, 12], outputs: 32, kernel: [1, 1], stride: [2, 2] },
  { input: [2, 3, 21, 25], outputs: 32, kernel: [7, 7], pad: [3, 3], stride: [2, 2] },
  { input: [2, 1, 12, 12], outputs: 10, kernel: [5, 5], dilation: 2, pad: [1, 5] },
  { input: [140, 16, 2, 4], outputs: 16, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 16, 40, 40], outputs: 16, kernel: [3, 3], pad: [2, 2], dilation: 2, stride: [1, 3] },
  // Taps that never meet a pixel, and a plane in which all taps stay.
  { input: [1, 16, 1, 1], outputs: 16, kernel: [3, 3], pad: [1, 1] },
  { input: [2, 32, 3, 2], outputs: 16, kernel: [3, 2] },
];

/** Cases that training computes by Winograd's algorithm. */
const WINOGRAD: readonly Filter[] = [
  { input: [2, 32, 9, 11], outputs: 48, kernel: [3, 3], pad: [1, 1] },
  { input: [2, 20, 9, 11], outputs: 33, kernel: [3, 3], pad: [1, 1], residual: true },
  { input: [70, 16, 4, 4], outputs: 16, kernel: [3, 3], pad: [1, 1] },
  // More tiles than are transformed at once, by each thread and by all together; weights that fill caches.
  { input: [9, 16, 31, 33], outputs: 32, kernel: [3, 3], pad: [1, 1] },
  { input: [1, 64, 61, 64], outputs: 64, kernel: [3, 3], pad: [1, 1] },
  { input: [4, 144, 14, 15], outputs: 128, kernel: [3, 3], pad: [1, 1] },
  // With dilation, separate planes; no padding, and more padding than the kernel reaches.
  { input: [2, 32, 13, 14], outputs: 16, kernel: [3, 3], pad: [2, 1], dilation: 2 },
  { input: [2, 16, 10, 10], outputs: 16, kernel: [3, 3] },
  { input: [2, 16, 9, 8], outputs: 32, kernel: [3, 3], pad: [3, 4] },
];

async function gradientsOf(device: Device, filter: Filter) {
  using trainer = await device.train({
    model: { layer: layersOf(filter) },
    update: null,
    diffs: ['data'],
  });
  const wave = (count: number, phase: number) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(i * i + phase));
  const [top] = Object.keys(trainer.outputs);
  const result = await trainer.gradients(
    { data: wave(elementCount(filter.input), 0) },
    { topDiffs: { [top!]: wave(elementCount(trainer.outputs[top!]!), 1) } },
  );
  const implementations = trainer.plan().operations.map(({ implementation }) => implementation);
  return {
    values: [result.blobs.data!, ...result.parameters.map((each) => each!)].map(({ data }) => data),
    implementations,
  };
}

for (const filter of [...PLAIN, ...WINOGRAD, ...FILTERS]) {
  test(`${nameOf(filter)}: gradients as the reference's, with the same bits on every instruction set and number of threads`, async () => {
    const { values: expected } = await gradientsOf(reference, filter);
    const answers: Awaited<ReturnType<typeof gradientsOf>>[] = [];
    for (const device of own) answers.push(await gradientsOf(device, filter));
    for (const { values, implementations } of answers) {
      assert.ok(
        implementations.some((each) => /^tiles (AVX|NEON)/.test(each)),
        `${implementations}`,
      );
      if (WINOGRAD.includes(filter))
        assert.ok(
          implementations.some((each) => /^tiles.*Winograd/.test(each)),
          `${implementations}`,
        );
      values.forEach((each, i) => {
        assert.equal(each, answers[0]!.values[i], `${i}`);
        near(each, expected[i]!, `${i}`);
      });
    }
  });
}

function near(actual: Float32Array, expected: Float32Array, what: string): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = actual.reduce((most, value, k) => Math.max(most, Math.abs(value - expected[k]!)), 0);
  assert.ok(worst <= 1e-5 * largest, `${what} differs by ${worst} of ${largest}`);
}

test('results that only a BatchNorm reads use Winograd, with the same bits on every instruction set and number of threads', async () => {
  for (const filter of WINOGRAD.filter(({ residual }) => !residual)) {
    const layer = layersOf(filter);
    const behind = [{ name: 'norm', type: 'BatchNorm', bottom: layer.at(-1)!.top!, top: ['norm'] }];
    const run = async (device: Device) => {
      using trainer = await device.train({ model: { layer: [...layer, ...behind] }, update: null });
      const data = Float32Array.from({ length: elementCount(filter.input) }, (_, i) => Math.sin(i * i));
      const topDiffs = { norm: new Float32Array(elementCount(trainer.outputs.norm!)) };
      const { outputs } = await trainer.gradients({ data }, { topDiffs });
      return { norm: outputs.norm!.data, operations: trainer.plan().operations };
    };
    const expected = await run(reference);
    const answers = [];
    for (const device of own) answers.push(await run(device));
    for (const { norm, operations } of answers) {
      assert.ok(
        operations.some(({ implementation }) => /^Winograd/.test(implementation)),
        nameOf(filter),
      );
      assert.equal(norm, answers[0]!.norm, nameOf(filter));
      near(norm, expected.norm, nameOf(filter));
    }
  }
});

test('after a window of zeros a ReLU passes no diff, as in Caffe, because such results are computed directly', async () => {
  const filter: Filter = { input: [1, 16, 8, 8], outputs: 16, kernel: [3, 3], pad: [1, 1] };
  // Without a bias, because Caffe's default filler is 0.
  const layer = layersOf(filter).map((each) =>
    each.convolution_param === undefined
      ? each
      : { ...each, convolution_param: { ...each.convolution_param, bias_filler: { type: 'constant' } } },
  );
  const relu = { name: 'relu', type: 'ReLU', bottom: layer.at(-1)!.top!, top: ['relu'] };
  const data = Float32Array.from({ length: 16 * 64 }, (_, i) => (i % 8 < 2 ? Math.sin(i * i) + 1.5 : 0));
  const run = async (device: Device) => {
    using trainer = await device.train({ model: { layer: [...layer, relu] }, update: null });
    const topDiffs = { relu: new Float32Array(16 * 64).fill(1) };
    const { outputs, parameters } = await trainer.gradients({ data }, { topDiffs });
    return { relu: outputs.relu!.data, bias: parameters.at(-1)!.data };
  };
  const expected = await run(reference);
  for (const device of own) {
    const { relu: found, bias } = await run(device);
    assert.is(found.filter((value, i) => i % 8 >= 3 && value > 0).length, 0);
    assert.equal(bias, expected.bias);
  }
});

test('Winograd can be disabled', async () => {
  await using device = await openDevice('cpu', { winograd: false });
  for (const filter of WINOGRAD) {
    const { implementations } = await gradientsOf(device, filter);
    assert.not.ok(
      implementations.some((each) => /Winograd/.test(each)),
      `${implementations}`,
    );
  }
});

test.run();
