/**
 * int8 convolutions on the CUDA device: the bits of the loops with which the CPU's kernels are compared; floating-point
 * results are rounded to float16.
 */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { type Calibration, calibrationOf } from '../../ts/compile/calibration.ts';
import { type Device, DeviceError, type LayerParameter, openDevice, readNetFile } from '../../ts/index.ts';
import { calibrate } from '../../ts/quantize/calibrate.ts';
import { openEmulated } from '../support/emulated.ts';
import { goldenCases, readFloats, readJson } from '../support/golden.ts';
import { dataOf, expected, INT8_CASES, type Int8Case, netOf, RANGES, random } from '../support/int8-cases.ts';
import { convolve, halfToEven, poolMaximum, quantise } from '../support/int8-loops.ts';

/** The nearest float16, ties to even. */
function toHalf(value: number): number {
  if (value === 0) return 0;
  const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 10);
  return Math.sign(value) * halfToEven(Math.abs(value) / unit) * unit;
}
const calibrationWith = (ranges: Record<string, number>): Calibration =>
  calibrationOf({ net: '', method: 'min-max', percentile: null, images: 1, ranges });
const steps = (model: { plan(): { operations: readonly { layer: string; implementation: string }[] } }) =>
  model.plan().operations.map(({ layer: name, implementation }) => `${name}: ${implementation}`);

function assertHalves(found: Float32Array, wanted: Float32Array): void {
  assert.is(found.length, wanted.length);
  found.forEach((value, i) => {
    const half = toHalf(wanted[i]!);
    if (value !== half) assert.unreachable(`value ${i} is ${value}, expected ${half}, of ${wanted[i]}`);
  });
}

const device = await openEmulated();
if (device !== null) {
  test.after(() => device.dispose());
  for (const each of INT8_CASES)
    test(`int8, bit by bit: ${JSON.stringify(each)}`, () => sameBits(device, each));
  test('a max pooling in between keeps the integers', () => poolsIntegers(device));
  test('floating-point values before a pooling become integers after it', () => poolsNumbers(device));
  test('other layers read the numbers that the integers represent', () => otherReaders(device));
  test('the fastest kernel is measured, and each operation is timed', () => measuresKernels());
  test('a value that is not finite is refused with its layer and blob', () => refusesNotFinite(device));
  test('a residual net of 50 layers: the cost of int8, and the plan states what is held', () =>
    residualNet(device));
}

test('int8 needs a device that supports it, and a calibration', async () => {
  const { net, weights, ranges } = netOf(INT8_CASES[0]!);
  await using reference = await openDevice('reference');
  const load = { model: net, weights, precision: 'int8' } as const;
  for (const [on, calibration, message] of [
    [reference, calibrationWith(ranges), /no int8; use the cpu or a cuda device/],
    ...(device === null
      ? []
      : [[device, undefined, /a file that `resnode quantize` wrote, which int8 needs/] as const]),
  ] as const)
    try {
      await on.load({ ...load, ...(calibration && { calibration }) });
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, message);
    }
});

async function sameBits(on: Device, each: Int8Case): Promise<void> {
  const { net, weights, ranges } = netOf(each);
  // The first layer, whose result is quantized, computes in float16, which is exact if its input is.
  const data = dataOf(each).map(toHalf);
  await using model = await on.load({
    model: net,
    weights,
    precision: 'int8',
    calibration: calibrationWith(ranges),
  });
  const conv = steps(model).find((step) => /^(conv|sum): /.test(step))!;
  assert.match(conv, /: int8 (mma-\d|direct)/);
  const [output] = Object.values(await model.run({ in: data }));
  assertHalves(output!.data, expected(each, data));
}

const pool = (bottom: string) =>
  ({
    name: 'pool',
    type: 'Pooling',
    bottom: [bottom],
    top: ['pool'],
    pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2 },
  }) as LayerParameter;

/** The case's net with a pooling before its last layer. */
function pooledNet() {
  const each: Int8Case = { input: [1, 32, 7, 7], outputs: 32, kernel: [1, 1], made: 'unsigned' };
  const { net, weights, ranges } = netOf(each);
  const last = net.layer.at(-1)!;
  const layers = [...net.layer.slice(0, -1), pool('conv'), { ...last, bottom: ['pool'] } as LayerParameter];
  return { each, net: { layer: layers }, weights, ranges };
}

/** The result of the net's first ReLU, as levels. */
const sourceOf = ({ input }: Int8Case, data: Float32Array) =>
  quantise(
    data.map((x) => Math.max(0, x)),
    input,
    RANGES.source,
    true,
  );

/** The head of pooledNet after the pooling of these levels. */
function assertPooledHead(found: Float32Array, levels: Parameters<typeof poolMaximum>[0]): void {
  const behind = convolve(
    poolMaximum(levels, 3, 2),
    random(8 * 32, 3),
    random(8, 4),
    { outputs: 8, kernel: [1, 1] },
    { range: null, isUnsigned: false },
  );
  assertHalves(found, behind.values);
}

async function poolsIntegers(on: Device): Promise<void> {
  const { each, net, weights, ranges } = pooledNet();
  const data = dataOf(each).map(toHalf);
  await using model = await on.load({
    model: net,
    weights,
    precision: 'int8',
    calibration: calibrationWith({ ...ranges, 'pool@pool': RANGES.made }),
  });
  assert.ok(steps(model).includes('pool: max pooling of int8'), steps(model).join('\n'));
  const [output] = Object.values(await model.run({ in: data }));
  const source = sourceOf(each, data);
  const { levels } = convolve(source, random(32 * 32, 1), random(32, 2), each, {
    range: RANGES.made,
    isUnsigned: true,
  });
  assertPooledHead(output!.data, levels);
}

async function poolsNumbers(on: Device): Promise<void> {
  const { each, net, weights } = pooledNet();
  const layers = net.layer.filter(({ name }) => name !== 'conv' && name !== 'conv_relu');
  const pooled = layers.map((of) => (of.name === 'pool' ? pool('source') : of));
  const data = dataOf(each).map(toHalf);
  await using model = await on.load({
    model: { layer: pooled },
    weights,
    precision: 'int8',
    calibration: calibrationWith({ 'source@source_relu': 9, 'pool@pool': RANGES.source }),
  });
  assert.ok(steps(model).includes('pool: max pooling to int8'), steps(model).join('\n'));
  const [output] = Object.values(await model.run({ in: data }));
  const source = sourceOf(each, data);
  assertPooledHead(output!.data, source);
  await refused(
    model.run({ in: data.map((value, i) => (i === 9 ? 1e6 : value)) }),
    /layer "pool": a value of "pool"/,
  );
  assertPooledHead(Object.values(await model.run({ in: data }))[0]!.data, source);
}

async function refused(run: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await run.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.instance(error, DeviceError);
  assert.is((error as DeviceError).code, 'int8/not-finite');
  assert.match((error as Error).message, message);
}

async function otherReaders(on: Device): Promise<void> {
  const each: Int8Case = { input: [2, 20, 6, 7], outputs: 20, kernel: [3, 3], pad: [1, 1] };
  const { net, weights, ranges } = netOf(each);
  const of = (name: string, type: string, bottom: string[], more: object = {}) =>
    ({ name, type, bottom, top: [name], ...more }) as LayerParameter;
  const layers = [
    ...net.layer,
    of('sigmoid', 'Sigmoid', ['source']),
    of('scores', 'InnerProduct', ['source'], { inner_product_param: { num_output: 5 } }),
    of('mean', 'Pooling', ['source'], { pooling_param: { pool: 'AVE', global_pooling: true } }),
    of('most', 'Pooling', ['source'], { pooling_param: { pool: 'MAX', kernel_size: 2, stride: 2 } }),
    of('both', 'Concat', ['source', 'conv']),
    of('product', 'Eltwise', ['source', 'conv'], { eltwise_param: { operation: 'PROD' } }),
    of('flat', 'Flatten', ['source']),
  ];
  const outputs = ['sigmoid', 'scores', 'mean', 'most', 'both', 'product', 'flat'];
  const scores = {
    name: 'scores',
    type: 'InnerProduct',
    blobs: [blobFromFloats([5, 20 * 42], random(5 * 20 * 42, 6)), blobFromFloats([5], random(5, 7))],
  };
  const load = {
    model: { layer: layers },
    weights: { ...weights, layers: [...weights.layers, scores] },
    precision: 'int8',
    calibration: calibrationWith(ranges),
    outputs,
  } as const;
  const data = dataOf(each).map(toHalf);
  await using cpu = await openDevice('cpu', { threads: 2 });
  await using onCpu = await cpu.load(load);
  await using model = await on.load(load);
  assert.is(steps(model).filter((step) => / int8 /.test(step)).length, 1, steps(model).join('\n'));
  const [found, wanted] = [await model.run({ in: data }), await onCpu.run({ in: data })];
  for (const name of outputs) {
    const [ours, theirs] = [found[name]!.data, wanted[name]!.data];
    const most = theirs.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    assert.is(ours.length, theirs.length, name);
    // Float16 rounds the numbers, and their products.
    ours.forEach((value, i) => {
      if (!(Math.abs(value - theirs[i]!) <= 2 ** -9 * most))
        assert.unreachable(`${name}: value ${i} is ${value}, the CPU's ${theirs[i]}`);
    });
  }
}

async function measuresKernels(): Promise<void> {
  const each = INT8_CASES[1]!;
  const { net, weights, ranges } = netOf(each);
  await using tuning = (await openEmulated({ tune: true }))!;
  await using model = await tuning.load({
    model: net,
    weights,
    precision: 'int8',
    calibration: calibrationWith(ranges),
  });
  const data = dataOf(each).map(toHalf);
  assert.equal(
    (await model.time({ in: data })).map(({ layer }) => layer),
    model.plan().operations.map(({ layer }) => layer),
  );
  assertHalves(Object.values(await model.run({ in: data }))[0]!.data, expected(each, data));
}

async function refusesNotFinite(on: Device): Promise<void> {
  const { net, weights, ranges } = netOf(INT8_CASES[0]!);
  await using model = await on.load({
    model: net,
    weights,
    precision: 'int8',
    calibration: calibrationWith(ranges),
  });
  const data = random(elementCount(INT8_CASES[0]!.input), 5);
  const first = Object.values(await model.run({ in: data }))[0]!.data.slice();
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 1e6]) {
    await refused(
      model.run({ in: data.map((value, i) => (i === 7 ? bad : value)) }),
      /a value of "source" is NaN or infinite/,
    );
    assert.equal(Object.values(await model.run({ in: data }))[0]!.data, first);
  }
}

interface Manifest {
  weights: string;
  passes: { inputs: Record<string, { file: string }>; blobs: Record<string, { file: string }> }[];
}

async function residualNet(on: Device): Promise<void> {
  const folder = goldenCases('mini-resnet').find((path) => path.endsWith('r50w8'));
  if (folder === undefined) return;
  const manifest = readJson<Manifest>(join(folder, 'manifest.json'));
  const [pass] = manifest.passes as [Manifest['passes'][0]];
  const data = readFloats(join(folder, pass.inputs.data!.file));
  const load = { model: readNetFile(join(folder, 'net.prototxt')), weights: join(folder, manifest.weights) };
  await using cpu = await openDevice('cpu', { threads: 2 });
  const calibration = await calibrate(cpu, load, [{ data }], { method: 'min-max' });
  const options = { ...load, precision: 'int8', calibration } as const;
  const { weights: _, ...toPlan } = options;
  const planned = await on.plan(toPlan);
  const before = on.memory();
  await using model = await on.load(options);
  const names = steps(model);
  assert.is(names.filter((name) => / int8 /.test(name)).length, 52, names.join('\n'));
  assert.is(
    names.filter((name) => /: in the convolution that adds it$/.test(name)).length,
    3,
    names.join('\n'),
  );
  assert.is(planned.arenaBytes, on.memory().activations - before.activations);
  await using half = await on.load({ ...load, precision: 'float16' });
  assert.ok(
    planned.parameterBytes < half.plan().parameterBytes,
    `${planned.parameterBytes} bytes of weights, in float16 ${half.plan().parameterBytes}`,
  );
  await using onCpu = await cpu.load(options);
  const [found, alike] = [(await model.run({ data })).prob!.data, (await onCpu.run({ data })).prob!.data];
  const wanted = readFloats(join(folder, pass.blobs.prob!.file));
  const most = wanted.reduce((a, b) => Math.max(a, b), 0);
  const apart = (a: Float32Array, b: Float32Array) =>
    a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0) / most;
  // With such coarse rounding, untrained weights are far from float32, on the CPU as well.
  assert.ok(
    apart(found, wanted) < 1.2 * apart(alike, wanted),
    `${apart(found, wanted)}, the CPU's ${apart(alike, wanted)}`,
  );
}

test.run();
