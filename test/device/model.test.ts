/** The API around one model: shapes, memory, order, disposal. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { largestBatch } from '../../ts/device/memory.ts';
import {
  ArgumentError,
  blobFromFloats,
  DeviceError,
  GraphError,
  openDevice,
  readNet,
} from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const files = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };
const pixels = (images: number) =>
  Float32Array.from({ length: 784 * images }, (_, i) => ((i * 7919) % 256) - 73);

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

test('other batch sizes need no new load, and each image gets the answer that it gets alone', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load({ ...files, batch: 1 });
  const alone = (await model.run({ data: pixels(1) })).prob!;
  for (const batch of [3, 1, 2]) {
    const { prob } = await model.run({ data: pixels(batch) });
    assert.equal(prob!.shape, [batch, 10]);
    for (let i = 0; i < 10; i++) assert.ok(Math.abs(prob!.data[i]! - alone.data[i]!) < 1e-6);
  }
  const { prob } = await model.run({ data: { shape: [2, 1, 28, 28], data: new Uint8Array(2 * 784) } });
  assert.equal(prob!.shape, [2, 10]);
});

test('runs keep their order if a new shape has to be compiled first, and own their inputs from the call on', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load({ ...files, batch: 1 });
  const expected = (await model.run({ data: pixels(1) })).prob!.data;
  const data = pixels(1);
  const order: number[] = [];
  const runs = [4, 1, 2, 1].map((batch) => {
    const input = batch === 1 ? data : pixels(batch);
    const run = model.run({ data: input }).then(({ prob }) => {
      order.push(prob!.shape[0]!);
      return prob!;
    });
    if (batch === 1) input.fill(0);
    data.set(pixels(1));
    return run;
  });
  const results = await Promise.all(runs);
  assert.equal(order, [4, 1, 2, 1]);
  for (const { data: values } of results) assert.ok(Math.abs(values[0]! - expected[0]!) < 1e-6);
});

test('a net is loaded with the options at the call, even if the object changes afterwards', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  const options = { ...files, batch: 2 };
  const loading = device.load(options);
  options.batch = 3;
  using model = await loading;
  assert.is(model.inputs.data![0], 2);
});

test('only the most recent shapes are kept, so memory does not grow with their number', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load({ ...files, batch: 1 });
  for (let batch = 2; batch <= 6; batch++) await model.run({ data: pixels(batch) });
  const { activations } = device.memory();
  for (let batch = 6; batch >= 2; batch--) await model.run({ data: pixels(batch) });
  for (let batch = 2; batch <= 6; batch++) await model.run({ data: pixels(batch) });
  assert.is(device.memory().activations, activations);
});

test('a shape that does not fit the net is refused, and the model still runs', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load(files);
  const wrong = await outcome(model.run({ data: { shape: [1, 2, 28, 28], data: pixels(2) } }));
  assert.instance(wrong, GraphError);
  assert.instance(await outcome(model.run({ data: { shape: [1, 1, 28], data: pixels(1) } })), ArgumentError);
  assert.is((await model.run({ data: pixels(1) })).prob!.data.length, 10);
});

test('the device then holds what the plan states', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load({ ...files, batch: 2 });
  const { parameterBytes, arenaBytes, workspaceBytes, separateBytes } = model.plan();
  const memory = device.memory();
  assert.is(memory.activations, arenaBytes);
  assert.is(memory.workspace, workspaceBytes);
  assert.ok(separateBytes > arenaBytes);
  assert.ok(memory.parameters >= parameterBytes, `${memory.parameters} held, ${parameterBytes} planned`);
  const before = await device.plan({ model: files.model, batch: 2 });
  assert.equal(before, model.plan());
});

test('a lack of memory is reported before any is allocated, with need, free memory and the largest batch that fits, which then loads', async () => {
  const memoryLimit = 8e6;
  await using device = await openDevice('cpu', { memoryLimit });
  const error = await outcome(device.load({ ...files, batch: 1000 }));
  assert.instance(error, DeviceError);
  assert.is((error as DeviceError).code, 'device/out-of-memory');
  const batch = Number(/MiB free; batch (\d+) fits$/.exec((error as Error).message)?.[1]);
  assert.is(device.memory().total, 0);
  const model = await device.load({ ...files, batch });
  assert.ok(device.memory().total <= memoryLimit);
  assert.instance(await outcome(model.run({ data: pixels(1000) })), DeviceError);
  assert.is((await model.run({ data: pixels(batch) })).prob!.shape[0], batch);
  model.dispose();
  assert.is(
    ((await outcome(device.load({ ...files, batch: batch + 1 }))) as DeviceError)?.code,
    'device/out-of-memory',
  );
});

test('the largest batch is found by bisection', async () => {
  for (const fits of [0, 1, 40, 99])
    assert.is(await largestBatch(100, fits * 10 + 5, async (batch) => batch * 10), fits);
});

test('auto reports its choice and why; cuda never falls back', async () => {
  await using device = await openDevice();
  assert.ok(['cpu', 'cuda'].includes(device.kind));
  assert.ok(device.reason.length > 0);
  if (device.kind === 'cuda') return;
  assert.match(device.reason, /no CUDA device|has no NVIDIA GPU/);
  const error = await outcome(openDevice('cuda'));
  assert.instance(error, DeviceError);
  assert.is((error as DeviceError).code, 'device/unavailable');
});

test('unknown options are refused, with the expected ones', async () => {
  for (const kind of ['tpu', 'cpu:1', 'cuda:', 'cuda:-1'])
    assert.instance(await outcome(openDevice(kind as 'cpu')), ArgumentError);
  assert.instance(await outcome(openDevice('cpu', { threads: 0 })), ArgumentError);
  assert.instance(await outcome(openDevice('cpu', { memoryLimit: -1 })), ArgumentError);
  await using device = await openDevice('cpu');
  for (const wrong of [{ batch: 0 }, { batch: 1.5 }, { precision: 'half' as 'float16' }])
    assert.instance(await outcome(device.load({ ...files, ...wrong })), ArgumentError);
});

test('a precision that the CPU devices do not support is refused, with those that they or others do', async () => {
  const refusal = async (work: Promise<unknown>, message: RegExp) => {
    const error = (await outcome(work)) as DeviceError;
    assert.is(error.code, 'device/unsupported');
    assert.match(error.message, message);
  };
  for (const kind of ['cpu', 'reference'] as const) {
    await using device = await openDevice(kind);
    for (const precision of ['tf32', 'float16'] as const)
      await refusal(device.load({ ...files, precision }), /no tf32 and no float16, .* CUDA.*"bfloat16"/);
    assert.is(device.memory().total, 0);
  }
  await using reference = await openDevice('reference');
  await refusal(reference.load({ ...files, precision: 'bfloat16' }), /"bfloat16".*on the cpu device/);
  await using device = await openDevice('cpu');
  await refusal(device.train({ ...files, update: null, precision: 'bfloat16' }), /trains in float32.*CUDA/);
});

test('a residual that the user requests survives the last operation', async () => {
  const layer = (name: string, bottom: string[], rest: object) => ({ name, bottom, top: [name], ...rest });
  const convolution = {
    type: 'Convolution',
    convolution_param: { num_output: 16, kernel_size: [1], weight_filler: { type: 'xavier' } },
  };
  const net = {
    name: 'residual',
    layer: [
      { name: 'data', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [1, 16, 4, 4] }] } },
      layer('a', ['data'], convolution),
      layer('b', ['data'], convolution),
      layer('sum', ['a', 'b'], { type: 'Eltwise' }),
    ],
  };
  const data = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i));
  const results = [];
  for (const kind of ['reference', 'cpu'] as const) {
    await using device = await openDevice(kind);
    await using model = await device.load({ model: net, outputs: ['a', 'sum'] });
    results.push((await model.run({ data })).a!.data);
  }
  const [expected, actual] = results as [Float32Array, Float32Array];
  for (let i = 0; i < 256; i++) assert.ok(Math.abs(actual[i]! - expected[i]!) < 1e-6);
});

test('the summary names layers as they run, and its totals are those of the net', async () => {
  await using device = await openDevice('cpu');
  await using model = await device.load(files);
  const { layers, parameters, macs } = model.summary();
  assert.is(macs, model.plan().macs);
  assert.is(
    layers.reduce((sum, row) => sum + row.parameters, 0),
    parameters,
  );
  assert.ok(layers.some((row) => row.layers.length > 1));
});

test('disposing twice, or while a shape is being compiled, is safe', async () => {
  await using device = await openDevice('cpu');
  const model = await device.load(files);
  const running = outcome(model.run({ data: pixels(5) }));
  model.dispose();
  model.dispose();
  assert.is(((await running) as DeviceError).code, 'device/disposed');
  assert.is(device.memory().total, 0);
});

test('weights whose BatchNorm never stored statistics give a warning if a net uses them', async () => {
  const model = readNet(
    `input: "data" input_shape { dim: 1 dim: 2 dim: 3 dim: 3 }
     layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }`,
    { file: 'bn.prototxt' },
  );
  const weightsOf = (mean: number, factor: number) => ({
    file: 'bn.caffemodel',
    name: '',
    layers: [
      {
        name: 'bn',
        type: 'BatchNorm',
        blobs: [[mean, mean], [mean, mean], [factor]].map((values) =>
          blobFromFloats([values.length], Float32Array.from(values)),
        ),
      },
    ],
  });
  const seen: string[] = [];
  await using device = await openDevice('cpu', { threads: 1, onWarning: ({ code }) => seen.push(code) });
  for (const [mean, factor, phase, expected] of [
    [0, 0, 'TEST', ['net/empty-statistics']],
    [1, 0, 'TEST', ['net/empty-statistics']],
    [1, 1, 'TEST', []],
    [0, 0, 'TRAIN', []],
  ] as const) {
    using _ = await device.load({ model, weights: weightsOf(mean, factor), phase });
    assert.equal(seen.splice(0), expected, `${mean} ${factor} ${phase}`);
  }
});

test.run();
