/** The values of fillers depend on the seed and the blob's name only. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { type Device, openDevice, readNet, type UpdateRule } from '../../ts/index.ts';

const layers = {
  input:
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }',
  a: 'layer { name: "a" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }',
  unused:
    'layer { name: "u" type: "InnerProduct" bottom: "a" top: "u" inner_product_param { num_output: 5 weight_filler { type: "gaussian" std: 1 } } }',
  b: 'layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 2 weight_filler { type: "xavier" } bias_filler { type: "uniform" } } }',
};
const net = (...names: (keyof typeof layers)[]) =>
  readNet(names.map((name) => layers[name]).join('\n'), { file: 'net.prototxt' });
const whole = net('input', 'a', 'unused', 'b');
const data = Float32Array.from({ length: 96 }, (_, i) => Math.sin(i));

const update: UpdateRule = { type: 'SGD' };

async function scores(device: Device, options: object): Promise<number[]> {
  await using model = await device.load({ model: whole, outputs: ['b'], ...options });
  return [...(await model.run({ data })).b!.data];
}

async function trained(device: Device, model = whole, seed = 1): Promise<Record<string, number[]>> {
  await using trainer = await device.train({ model, update, seed });
  const weights = await trainer.weights();
  return Object.fromEntries(
    weights.layers.flatMap(({ name, blobs }) =>
      blobs.map((blob, i) => [`${name}/${i}`, [...toFloat32(blob)]]),
    ),
  );
}

test('weights do not depend on the requested outputs', async () => {
  await using device = await openDevice('cpu', { threads: 1 });
  assert.equal(await scores(device, { outputs: ['b', 'u'] }), await scores(device, { outputs: ['b'] }));
  assert.equal(
    await scores(device, { optimize: false }),
    await scores(device, { optimize: false, outputs: ['b', 'a'] }),
  );
});

test('weights do not depend on other layers or their order', async () => {
  await using device = await openDevice('cpu', { threads: 1 });
  assert.equal(
    await scores(device, { model: net('input', 'a', 'b') }),
    await scores(device, { model: whole }),
  );
  const [one, other] = [await trained(device, net('input', 'a', 'b')), await trained(device)];
  for (const [place, values] of Object.entries(one)) assert.equal(values, other[place], place);
  assert.equal(await trained(device, net('input', 'a', 'b', 'unused')), await trained(device));
});

test('one seed gives the same weights on every device, for inference and training', async () => {
  await using cpu = await openDevice('cpu', { threads: 1 });
  await using reference = await openDevice('reference');
  const filled = await trained(cpu);
  assert.equal(await trained(reference), filled);
  await using model = await cpu.load({ model: whole, phase: 'TRAIN', outputs: ['b', 'u'] });
  for (const [place, values] of Object.entries(filled)) {
    const [layer, index] = place.split('/') as [string, string];
    assert.equal([...(await model.parameter(layer, Number(index)))!], values, place);
  }
});

test('another seed, another layer and another blob give other values', async () => {
  await using device = await openDevice('cpu', { threads: 1 });
  const [one, two] = [await trained(device), await trained(device, whole, 2)];
  assert.not.equal(one['a/0'], two['a/0']);
  assert.not.equal(one['b/0']!.slice(0, 2), one['b/1']);
});

test.run();
