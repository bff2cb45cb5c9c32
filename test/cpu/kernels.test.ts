/**
 * The CPU device's own convolutions, poolings and inner products on each instruction set, against the reference loops.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { ArgumentError, type Device, type LayerParameter, openDevice } from '../../ts/index.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { INSTRUCTION_SETS, type Kernels, openKernels } from '../support/open-kernels.ts';
import { nameWinners } from '../support/tuning-cache.ts';

const open = (kernels: Kernels, threads = 2, winograd = true) =>
  openKernels(kernels, { threads, winograd, tune: false });

const reference = await openDevice('reference');
const openEach = async (...options: [threads?: number, winograd?: boolean][]) => {
  const opened = INSTRUCTION_SETS.map((kernels, i) => open(kernels, ...options[i % options.length]!));
  return (await Promise.all(opened)).filter((each) => each !== null);
};
const own = await openEach([2]);
const direct = await openEach([3, false], [1, false]);
test.after(() => [reference, ...own, ...direct].forEach((device) => device.dispose()));

interface Answer {
  readonly values: Float32Array;
  readonly implementation: string;
}

/** The last layer's output for an input that is always the same. */
async function compute(
  device: Device,
  layers: readonly LayerParameter[],
  input: readonly number[],
  spoil: (data: Float32Array) => void = () => {},
): Promise<Answer> {
  const source = {
    name: 'input',
    type: 'Input',
    top: ['data'],
    input_param: { shape: [{ dim: [...input] }] },
  };
  await using model = await device.load({ model: { layer: [source, ...layers] } });
  const data = Float32Array.from({ length: elementCount(input) }, (_, i) => Math.sin(i * i));
  spoil(data);
  const [output] = Object.values(await model.run({ data }));
  return {
    values: output!.data,
    implementation: model
      .plan()
      .operations.map((each) => each.implementation)
      .join('; '),
  };
}

function assertClose(actual: Float32Array, expected: Float32Array, tolerance: number, what: string) {
  assert.is(actual.length, expected.length, what);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
  assert.ok(worst <= tolerance * largest, `${what}: differs by ${worst / largest} of the largest`);
}

interface Problem {
  readonly input: readonly [number, number, number, number];
  readonly outputs: number;
  readonly kernel: number | readonly [number, number];
  readonly stride?: number | readonly [number, number];
  readonly pad?: number | readonly [number, number];
  readonly dilation?: number;
  readonly bias?: boolean;
}

const pair = (value: number | readonly [number, number]) =>
  typeof value === 'number' ? [value, value] : value;

function convolution({
  outputs,
  kernel,
  stride = 1,
  pad = 0,
  dilation = 1,
  bias = true,
}: Problem): LayerParameter {
  const [[kernel_h, kernel_w], [stride_h, stride_w], [pad_h, pad_w]] = [
    pair(kernel),
    pair(stride),
    pair(pad),
  ];
  return {
    name: 'conv',
    type: 'Convolution',
    bottom: ['data'],
    top: ['conv'],
    convolution_param: {
      num_output: outputs,
      ...{ kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation: [dilation], bias_term: bias },
      weight_filler: { type: 'gaussian', std: 0.1 },
      bias_filler: { type: 'gaussian', std: 1 },
    },
  } as LayerParameter;
}

const relu = (blob: string, slope: number): LayerParameter =>
  ({
    name: 'relu',
    type: 'ReLU',
    bottom: [blob],
    top: [blob],
    relu_param: { negative_slope: slope },
  }) as LayerParameter;

const PROBLEMS: readonly Problem[] = [
  // Pointwise: numbers of rows that are no multiple of a tile, channels that do not fill a block.
  { input: [1, 64, 7, 7], outputs: 256, kernel: 1 },
  { input: [3, 20, 5, 9], outputs: 33, kernel: 1 },
  { input: [2, 48, 1, 1], outputs: 48, kernel: 1, bias: false },
  { input: [2, 32, 14, 14], outputs: 64, kernel: 1, stride: 2 },
  { input: [1, 17, 6, 6], outputs: 16, kernel: 1, pad: 1 },
  // Few channels, which stay planar.
  { input: [2, 3, 33, 35], outputs: 64, kernel: 7, stride: 2, pad: 3 },
  { input: [1, 1, 28, 28], outputs: 16, kernel: 3, pad: 1 },
  { input: [1, 4, 9, 8], outputs: 20, kernel: 5, pad: 2, bias: false },
  // Windows that cross each edge, or lie beyond the plane.
  { input: [1, 32, 8, 8], outputs: 32, kernel: 3, stride: 2, pad: 1 },
  { input: [1, 16, 4, 5], outputs: 16, kernel: 5, pad: 4 },
  { input: [2, 24, 9, 11], outputs: 40, kernel: [3, 5], stride: [1, 2], pad: [1, 2] },
  { input: [1, 16, 12, 12], outputs: 16, kernel: 3, pad: 2, dilation: 2 },
  { input: [1, 512, 7, 7], outputs: 32, kernel: 3, pad: 1 },
  { input: [1, 16, 2, 2], outputs: 16, kernel: 3, stride: [3, 2], pad: 1 },
];

test('a convolution equals the reference within 2e-6 of the largest value, and long sums within √n roundings', async () => {
  assert.ok(direct.length > 0 || !['x64', 'arm64'].includes(process.arch));
  for (const problem of PROBLEMS) {
    const layers = [convolution(problem)];
    const expected = await compute(reference, layers, problem.input);
    const kernel = [problem.kernel].flat();
    const length = problem.input[1]! * kernel[0]! * (kernel[1] ?? kernel[0]!);
    for (const device of direct) {
      const { values, implementation } = await compute(device, layers, problem.input);
      const what = `${JSON.stringify(problem)}, ${device.description.kernels}`;
      assert.match(
        implementation,
        `direct ${String(device.description.kernels).replace('resnode, ', '')}`,
        what,
      );
      assertClose(values, expected.values, Math.max(2e-6, Math.sqrt(length) * 2 ** -24), what);
    }
  }
});

test("Winograd's result equals it within 4e-6, whatever part of its last tiles is outside", async () => {
  for (const [n, inputs, outputs, height, width, pad] of [
    [1, 16, 16, 32, 32, 1], // every thread has its own tiles
    [2, 64, 64, 8, 8, 1], // fewer tiles than threads need: each thread computes its own outputs
    [1, 80, 64, 6, 7, 1],
    [1, 64, 96, 15, 13, 1],
    [1, 128, 128, 28, 28, 1], // all threads work on all tiles together
    [3, 256, 256, 14, 14, 1],
    [1, 40, 33, 9, 6, 0],
    [1, 16, 16, 5, 5, 2],
    [1, 16, 16, 3, 3, 0],
  ] as const) {
    const layers = [convolution({ input: [n, inputs, height, width], outputs, kernel: 3, pad })];
    const expected = await compute(reference, layers, [n, inputs, height, width]);
    for (const device of own) {
      const { values, implementation } = await compute(device, layers, [n, inputs, height, width]);
      const what = `${inputs}→${outputs} at ${height}×${width}, pad ${pad}, ${implementation}`;
      assert.match(implementation, 'Winograd 4×4', what);
      assertClose(values, expected.values, 4e-6, what);
    }
  }
});

test("Winograd's with tiles of 3×3 equals it within 4e-6 where it was measured to be fastest, also at other sizes", async () => {
  const layersOf = (pad: number) => [
    convolution({ input: [1, 128, 14, 14], outputs: 144, kernel: 3, pad }),
    relu('conv', -0.5),
  ];
  const shapes = [
    [1, 128, 14, 14],
    [2, 128, 9, 10],
    [1, 128, 5, 17],
    [3, 128, 3, 4],
  ];
  const random = (shape: readonly number[]) =>
    Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * i));
  const load = (device: Device, pad: number) =>
    device.load({
      model: {
        layer: [
          { name: 'data', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [...shapes[0]!] }] } },
          ...layersOf(pad),
        ],
      },
    });
  for (const kernels of INSTRUCTION_SETS) {
    const cacheFolder = mkdtempSync(join(tmpdir(), 'resnode-'));
    const openMeasuring = () => openKernels(kernels, { threads: 2, cacheFolder });
    for (const pad of [0, 1]) {
      using measuring = await openMeasuring();
      if (measuring === null) break;
      (await load(measuring, pad)).dispose();
    }
    using device = await openMeasuring();
    if (device === null) continue;
    assert.is(nameWinners(cacheFolder, () => 'Winograd 3×3').length, 2);
    for (const pad of [0, 1]) {
      using model = await load(device, pad);
      using expected = await load(reference, pad);
      assert.match(model.plan().operations[0]!.implementation, /^Winograd 3×3 /);
      for (const shape of shapes) {
        const data = { shape, data: random(shape) };
        const [found, right] = [await model.run({ data }), await expected.run({ data })];
        assertClose(found.conv!.data, right.conv!.data, 4e-6, `${kernels}, pad ${pad}, ${shape}`);
      }
    }
  }
});

const sum = (...bottom: string[]): LayerParameter =>
  ({ name: 'sum', type: 'Eltwise', bottom, top: ['sum'] }) as LayerParameter;

test('a residual is added before the ReLU, even if it is the input itself', async () => {
  for (const kernel of [1, 3]) {
    for (const slope of [0, 0.1, -0.5, 2]) {
      const problem: Problem = { input: [2, 32, 6, 6], outputs: 32, kernel, pad: (kernel - 1) / 2 };
      const layers = [convolution(problem), sum('data', 'conv'), relu('sum', slope)];
      const expected = await compute(reference, layers, problem.input);
      for (const device of own) {
        const { values, implementation } = await compute(device, layers, problem.input);
        assert.not.match(implementation, ';', 'one operation');
        assertClose(values, expected.values, 4e-6, `${kernel}×${kernel}, slope ${slope}, ${implementation}`);
      }
    }
  }
});

test("NaN passes a convolution's ReLU, as it does Caffe's", async () => {
  const problem: Problem = { input: [1, 16, 4, 4], outputs: 16, kernel: 1 };
  const layers = [convolution(problem), relu('conv', 0)];
  const spoil = (data: Float32Array) => data.fill(Number.NaN, 5, 6);
  for (const device of own) {
    const { values } = await compute(device, layers, problem.input, spoil);
    assert.is(values.filter(Number.isNaN).length, 16);
  }
});

test("pooling after a convolution has Caffe's windows", async () => {
  for (const [pool, kernel, stride, pad, size] of [
    ['MAX', 3, 2, 0, 112],
    ['MAX', 3, 2, 0, 8], // rounded up: the last window exceeds the plane
    ['MAX', 2, 2, 1, 7],
    ['AVE', 7, 1, 0, 7],
    ['AVE', 3, 2, 1, 8], // padding counts, what exceeds it does not
    ['AVE', 3, 2, 0, 6],
    ['MAX', 1, 2, 0, 9],
  ] as const) {
    const problem: Problem = { input: [2, 16, size, size], outputs: 20, kernel: 1 };
    const pooling = {
      name: 'pool',
      type: 'Pooling',
      bottom: ['conv'],
      top: ['pool'],
      pooling_param: { pool, kernel_size: kernel, stride, pad },
    } as LayerParameter;
    const layers = [convolution(problem), pooling];
    const expected = await compute(reference, layers, problem.input);
    for (const device of own) {
      const { values, implementation } = await compute(device, layers, problem.input);
      assert.match(implementation, 'loops');
      assertClose(
        values,
        expected.values,
        2e-6,
        `${pool} ${kernel}, stride ${stride}, pad ${pad} of ${size}`,
      );
    }
  }
});

test('an inner product with any number of outputs, for row-major and blocked inputs, and for images one after the other', async () => {
  for (const [n, channels, size, outputs, transpose] of [
    [1, 64, 1, 1000, false],
    [5, 32, 1, 10, false],
    [3, 16, 4, 33, false],
    [2, 64, 1, 48, true],
  ] as const) {
    const product = {
      name: 'fc',
      type: 'InnerProduct',
      bottom: ['conv'],
      top: ['fc'],
      inner_product_param: {
        num_output: outputs,
        transpose,
        weight_filler: { type: 'gaussian', std: 0.1 },
        bias_filler: { type: 'gaussian', std: 1 },
      },
    } as LayerParameter;
    const problem: Problem = { input: [n, 16, size, size], outputs: channels, kernel: 1 };
    const layers = [convolution(problem), product];
    const expected = await compute(reference, layers, problem.input);
    for (const device of own) {
      const { values, implementation } = await compute(device, layers, problem.input);
      assert.match(implementation, /; direct/);
      assertClose(values, expected.values, 2e-6, `${n}×${channels}×${size}×${size} → ${outputs}`);
    }
  }
});

test('the number of threads changes no bit, even beyond the number of processors', async () => {
  const problem: Problem = { input: [2, 64, 20, 20], outputs: 64, kernel: 3, pad: 1 };
  const layers = [convolution(problem), sum('data', 'conv'), relu('sum', 0)];
  let expected: Float32Array | null = null;
  for (const threads of [1, 2, 3, 16]) {
    const device = await openDevice('cpu', { threads, tune: false, ...cpuLibrary });
    for (let repeat = 0; repeat < 20; repeat++) {
      const { values } = await compute(device, layers, problem.input);
      expected ??= values;
      assert.equal(values, expected, `${threads} threads`);
    }
    device.dispose();
  }
});

test('oneDNN can be requested; an unknown name is refused', async () => {
  const device = (await open('oneDNN'))!;
  const { implementation } = await compute(device, [convolution(PROBLEMS[0]!)], PROBLEMS[0]!.input);
  assert.not.match(implementation, /direct|Winograd/);
  device.dispose();
  const refused = await openDevice('cpu', { kernels: 'SSE' as Kernels }).catch((error) => error);
  assert.instance(refused, ArgumentError);
  assert.match(refused.message, 'kernels: expected "AMX", "AVX-512", "AVX2", "NEON" or "oneDNN"');
});

test.run();
