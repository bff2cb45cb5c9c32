/** Single operations on every device against loops in float64. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { compileOperation, convolution } from '../../ts/device/ops.ts';
import { type Device, GraphError, openDevice, ops, type Tensor, WeightsError } from '../../ts/index.ts';

const devices: Device[] = [await openDevice('reference'), await openDevice('cpu', { threads: 2 })];
test.after(() => devices.forEach((device) => device.dispose()));

let seed = 1;
const tensor = (...shape: number[]): Tensor => ({
  shape,
  data: Float32Array.from({ length: elementCount(shape) }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  }),
});
const positive = (x: Tensor): Tensor => ({ ...x, data: x.data.map((value) => Math.abs(value) + 0.5) });

/** Relative to the largest value: 1e-5 is the bound for a single layer in float32. */
function close(actual: Tensor, shape: number[], expected: number[]): void {
  assert.equal([...actual.shape], shape);
  assert.is(actual.data.length, expected.length);
  const maximum = Math.max(...expected.map(Math.abs));
  expected.forEach((value, i) =>
    assert.ok(Math.abs(actual.data[i]! - value) <= 1e-5 * maximum, `${i}: ${actual.data[i]} for ${value}`),
  );
}

interface Problem {
  n: number;
  c: number;
  h: number;
  w: number;
  outputs: number;
  kernel: number;
  stride: number;
  pad: number;
  group: number;
}
const problems: Problem[] = [
  { n: 1, c: 3, h: 9, w: 7, outputs: 5, kernel: 3, stride: 2, pad: 1, group: 1 },
  { n: 2, c: 17, h: 5, w: 6, outputs: 19, kernel: 1, stride: 1, pad: 0, group: 1 },
  { n: 2, c: 8, h: 6, w: 6, outputs: 12, kernel: 3, stride: 1, pad: 1, group: 4 },
  { n: 1, c: 32, h: 8, w: 8, outputs: 32, kernel: 3, stride: 1, pad: 1, group: 1 },
];

function convolve(
  { c, h, w, outputs, kernel, stride, pad, group, n }: Problem,
  x: Tensor,
  weights: Tensor,
  bias: Tensor,
) {
  const [oh, ow] = [h, w].map((size) => Math.floor((size + 2 * pad - kernel) / stride) + 1) as [
    number,
    number,
  ];
  const perGroup = c / group;
  const result: number[] = [];
  for (let i = 0; i < n; i++)
    for (let k = 0; k < outputs; k++)
      for (let y = 0; y < oh; y++)
        for (let z = 0; z < ow; z++) {
          let sum = bias.data[k]!;
          for (let m = 0; m < perGroup; m++)
            for (let r = 0; r < kernel; r++)
              for (let s = 0; s < kernel; s++) {
                const [row, column] = [y * stride + r - pad, z * stride + s - pad];
                if (row < 0 || row >= h || column < 0 || column >= w) continue;
                const channel = Math.floor(k / (outputs / group)) * perGroup + m;
                sum +=
                  x.data[((i * c + channel) * h + row) * w + column]! *
                  weights.data[((k * perGroup + m) * kernel + r) * kernel + s]!;
              }
          result.push(sum);
        }
  return { shape: [n, outputs, oh, ow], values: result };
}

for (const device of devices) {
  for (const problem of problems) {
    test(`convolution ${JSON.stringify(problem)} on ${device.kind}, with residual and ReLU`, async () => {
      const { n, c, h, w, outputs, kernel, stride, pad, group } = problem;
      const [input, weights, bias] = [
        tensor(n, c, h, w),
        tensor(outputs, c / group, kernel, kernel),
        tensor(outputs),
      ];
      const { shape, values } = convolve(problem, input, weights, bias);
      const options = { input, weights, bias, stride, pad, group };
      close(await ops.convolution(device, options), shape, values);
      const residual = tensor(...shape);
      const sums = values.map((value, i) => Math.max(0, value + residual.data[i]!));
      close(await ops.convolution(device, { ...options, residual, relu: true }), shape, sums);
    });
  }

  test(`batchNormScaleRelu and addRelu on ${device.kind}`, async () => {
    const [input, mean, gamma, beta] = [tensor(2, 5, 3, 4), tensor(5), tensor(5), tensor(5)];
    const variance = positive(tensor(5));
    const expected = Array.from(input.data, (value, i) => {
      const c = Math.floor(i / 12) % 5;
      const normal = (value - mean.data[c]! / 2) / Math.sqrt(variance.data[c]! / 2 + 1e-3);
      return Math.max(0, normal * gamma.data[c]! + beta.data[c]!);
    });
    const options = { input, mean, variance, gamma, beta, factor: 2, eps: 1e-3 };
    close(await ops.batchNormScaleRelu(device, options), [2, 5, 3, 4], expected);
    const others = [tensor(2, 5, 3, 4), tensor(2, 5, 3, 4)];
    const sum = Array.from(input.data, (value, i) =>
      Math.max(0, value - 2 * others[0]!.data[i]! + 0.5 * others[1]!.data[i]!),
    );
    close(
      await ops.addRelu(device, { inputs: [input, ...others], coefficients: [1, -2, 0.5] }),
      [2, 5, 3, 4],
      sum,
    );
  });

  test(`innerProduct, softmax and pooling on ${device.kind}`, async () => {
    const [input, weights, bias] = [tensor(3, 2, 3), tensor(4, 6), tensor(4)];
    const product = Array.from({ length: 12 }, (_, i) => {
      const [m, k] = [Math.floor(i / 4), i % 4];
      return Array.from({ length: 6 }, (_, j) => input.data[m * 6 + j]! * weights.data[k * 6 + j]!).reduce(
        (a, b) => a + b,
        bias.data[k]!,
      );
    });
    close(await ops.innerProduct(device, { input, weights, bias }), [3, 4], product);
    const scores = tensor(2, 7);
    const exponents = Array.from(scores.data, Math.exp);
    const total = [0, 1].map((row) => exponents.slice(7 * row, 7 * row + 7).reduce((a, b) => a + b));
    close(
      await ops.softmax(device, { input: scores }),
      [2, 7],
      exponents.map((value, i) => value / total[Math.floor(i / 7)]!),
    );
    // Caffe rounds up: 6 with a window of 3 and a stride of 2 gives 3, with the last window clipped to 2.
    const plane: Tensor = { shape: [1, 1, 1, 6], data: Float32Array.of(1, 5, 2, 8, 3, 4) };
    const row = { input: plane, kernel: [1, 3] as const, stride: [1, 2] as const };
    close(await ops.pooling(device, { ...row, method: 'max' }), [1, 1, 1, 3], [5, 8, 4]);
    close(await ops.pooling(device, { ...row, method: 'average' }), [1, 1, 1, 3], [8 / 3, 13 / 3, 3.5]);
  });

  test(`an operation that was compiled runs many times on ${device.kind}, as one fused node`, async () => {
    const operation = convolution({
      input: tensor(1, 3, 4, 4),
      weights: tensor(2, 3, 1, 1),
      bias: tensor(2),
      relu: true,
    });
    await using model = await compileOperation(device, operation);
    assert.is(model.summary().layers.length, 1);
    const [first, second] = [await model.run(operation.inputs), await model.run(operation.inputs)];
    assert.equal(first, second);
  });

  test(`shapes that do not fit are refused on ${device.kind}`, async () => {
    const wrong = [
      [
        () => ops.convolution(device, { input: tensor(1, 3, 4, 4), weights: tensor(2, 4, 1, 1) }),
        WeightsError,
      ],
      [() => ops.convolution(device, { input: tensor(1, 3, 4, 4), weights: tensor(2, 3, 7, 7) }), GraphError],
      [() => ops.addRelu(device, { inputs: [tensor(2, 3), tensor(3, 2)] }), GraphError],
    ] as const;
    for (const [compute, type] of wrong)
      assert.instance(
        await compute().then(
          () => null,
          (error: unknown) => error,
        ),
        type,
      );
  });
}

test('a window that exists because Caffe rounds up, and that is outside, is empty on every device', async () => {
  const data = Float32Array.from({ length: 2 * 16 * 4 * 4 }, (_, i) => i);
  const options = { input: { shape: [2, 16, 4, 4], data }, method: 'max', kernel: 1, stride: 2 } as const;
  await using cpu = await openDevice('cpu', { threads: 2 });
  await using reference = await openDevice('reference');
  const [actual, expected] = [await ops.pooling(cpu, options), await ops.pooling(reference, options)];
  assert.equal(actual.shape, [2, 16, 3, 3]);
  assert.equal(actual.data, expected.data);
  assert.equal(
    (await ops.pooling(cpu, { ...options, roundMode: 'FLOOR' })).data.slice(0, 4),
    Float32Array.of(0, 2, 8, 10),
  );
});

test.run();
