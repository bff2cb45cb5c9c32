/** Images of any size through one model: a new size needs neither measuring nor packing, and memory stays bounded. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { type Device, DeviceError, openDevice, readNet } from '../../ts/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-sizes-'));
test.after(() => rmSync(folder, { recursive: true }));
const measurements = () => readFileSync(join(folder, 'convolutions-1.txt'), 'utf8');

const convolution = (name: string, from: string, outputs: number, more = '') => `
  layer { name: "${name}" type: "Convolution" bottom: "${from}" top: "${name}"
    convolution_param { num_output: ${outputs} kernel_size: 3 pad: 1 weight_filler { type: "msra" } ${more} } }
  layer { name: "${name}_relu" type: "ReLU" bottom: "${name}" top: "${name}" }`;
/** Convolutions of every implementation, and a head that accepts any size. */
const net = readNet(
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 40 dim: 40 } } }
  ${convolution('c1', 'data', 32, 'stride: 2')}
  ${convolution('c2', 'c1', 32)}
  ${convolution('c3', 'c2', 32, 'group: 32')}
  ${convolution('c4', 'c3', 32)}
  layer { name: "pool" type: "Pooling" bottom: "c4" top: "pool" pooling_param { pool: AVE global_pooling: true } }
  layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
    inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }`,
  { file: 'any-size.prototxt' },
);

const image = (height: number, width: number) => {
  const shape = [1, 3, height, width] as const;
  return { shape, data: Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i)) };
};
const open = (options = {}) => openDevice('cpu', { threads: 2, cacheFolder: folder, ...options });
const refused = (run: Promise<unknown>) =>
  run.then(
    () => null,
    (error: unknown) => error,
  );

/** The bytes held while more and more sizes are run. */
async function heldBytes(device: Device, run: (size: number) => Promise<unknown>, sizes: readonly number[]) {
  const held: number[] = [];
  for (const size of sizes) {
    await run(size);
    held.push(device.memory().activations);
  }
  return held;
}

test('a new size measures nothing and packs no parameter: it only takes the memory of its activations', async () => {
  await using device = await open();
  await using model = await device.load({ model: net });
  const { parameters } = device.memory();
  const measured = measurements();
  for (const [height, width] of [
    [64, 48],
    [33, 90],
    [7, 5],
    [200, 120],
  ] as const) {
    const before = device.memory().activations;
    await model.run({ data: image(height, width) });
    assert.ok(device.memory().activations > before, `${height}×${width} was compiled`);
    assert.is(device.memory().parameters, parameters, `${height}×${width}: parameters`);
  }
  assert.is(measurements(), measured, 'choices that were measured');
});

test('a batch size that is requested at loading is measured', async () => {
  await using device = await open();
  await using model = await device.load({ model: net });
  const measured = measurements();
  await model.keep(3);
  assert.ok(measurements().length > measured.length);
});

test('an image of another size gets the answer of a model that is loaded with that size', async () => {
  await using device = await open({ tune: false });
  await using model = await device.load({ model: net });
  for (const [height, width] of [
    [64, 48],
    [33, 90],
    [4, 4],
  ] as const) {
    const input = image(height, width);
    await using loaded = await device.load({ model: net, inputShapes: { data: [...input.shape] } });
    assert.equal((await model.run({ data: input })).fc!.data, (await loaded.run({ data: input })).fc!.data);
  }
});

test('if sizes keep changing, only keptShapes of them are held', async () => {
  for (const keptShapes of [1, 3]) {
    await using device = await open({ tune: false });
    await using model = await device.load({ model: net, keptShapes });
    const loaded = device.memory().activations;
    const same = (size: number) => model.run({ data: image(size % 2 === 0 ? 64 : 60, 64 - (size >> 1)) });
    const held = await heldBytes(
      device,
      same,
      Array.from({ length: 12 }, (_, i) => i),
    );
    const [one] = held as [number];
    assert.ok(Math.max(...held) - loaded <= keptShapes * (one - loaded), `${keptShapes}: ${held}`);
  }
});

test('a size that does not fit beside the kept ones takes their memory', async () => {
  await using probe = await open({ tune: false });
  await using measured = await probe.load({ model: net });
  await measured.run({ data: image(160, 160) });
  const memoryLimit = probe.memory().total;
  await using device = await open({ tune: false, memoryLimit });
  await using model = await device.load({ model: net });
  for (const size of [158, 160, 156, 160]) await model.run({ data: image(size, size) });
  assert.ok(device.memory().total <= memoryLimit);
  const error = await refused(model.run({ data: image(400, 400) }));
  assert.instance(error, DeviceError);
  assert.is((error as DeviceError).code, 'device/out-of-memory');
  await model.run({ data: image(40, 40) });
});

test('a model that is disposed while a new size is compiled holds nothing', async () => {
  await using device = await open({ tune: false });
  const model = await device.load({ model: net });
  const run = refused(model.run({ data: image(50, 50) }));
  await Promise.resolve();
  model.dispose();
  assert.is(((await run) as DeviceError).code, 'device/disposed');
  await device.buffer(new Float32Array(1)).then((buffer) => buffer.dispose());
  assert.is(device.memory().total, 0);
});

test.run();
