/** A loaded net's weights change on every device, and parts of it run separately. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { netBetween } from '../../ts/api/train.ts';
import {
  ArgumentError,
  blobFromFloats,
  type Device,
  DeviceError,
  graphFromCaffe,
  type Inputs,
  type Model,
  toFloat32,
  WeightsError,
  type WeightsFile,
} from '../../ts/index.ts';
import { randomWeights } from './random-weights.ts';
import { noise } from './run-program.ts';
import { batch, model as net, open, refuses } from './trainer-cases.ts';

/** Without its loss, so that it needs only an image. */
const deploy = { ...net, layer: net.layer!.filter(({ name }) => name !== 'label' && name !== 'loss') };
const graph = graphFromCaffe(net, { phase: 'TEST' });
const first = randomWeights(graph);
/** Other weights of the same net. */
const second: WeightsFile = {
  ...first,
  layers: first.layers.map((layer, i) => ({
    ...layer,
    blobs: layer.blobs.map((blob, index) => {
      const isFactor = layer.type === 'BatchNorm' && index === 2;
      const values = toFloat32(blob).map((value, at) => value * (isFactor ? 2 : 1.25 + ((at + i) % 3) / 8));
      return blobFromFloats(blob.shape, values);
    }),
  })),
};
const data = noise(4 * 3 * 8 * 8, 1);
const load = (device: Device, weights: WeightsFile, more: object = {}): Promise<Model> =>
  device.load({ model: deploy, phase: 'TEST', weights, outputs: ['fc'], ...more });
const fc = async (model: Model, inputs: Inputs = { data }) => (await model.run(inputs)).fc!.data;
const blobsOf = ({ layers }: WeightsFile, name: string) =>
  layers.find((layer) => layer.name === name)!.blobs.map(toFloat32);

/** @param precisions Those in which results with later weights have the same bits. */
export function testLiveWeights(device: Device, precisions: readonly string[] = ['float32']): void {
  for (const precision of precisions)
    test(`${device.name}, ${precision}: a net whose weights were set computes the same as a net loaded with them`, async () => {
      using model = await load(device, first, { precision });
      using other = await load(device, second, { precision });
      const before = await fc(model);
      const wanted = await fc(other);
      assert.not.equal(before, wanted);
      await model.setWeights(second);
      assert.equal(await fc(model), wanted);
      const larger = { data: noise(7 * 3 * 64, 2) };
      assert.equal(await fc(model, larger), await fc(other, larger), 'another batch size');
      await model.setWeights(first);
      assert.equal(await fc(model), before);
    });

  test(`${device.name}: setting one of several blobs that are folded together takes effect separately`, async () => {
    using model = await load(device, first);
    for (const [layer, index] of [
      ['conv', 1],
      ['a_conv1', 0],
      ['a_bn1', 1],
      ['a_bn1', 2],
      ['a_scale1', 0],
      ['d_scale2', 1],
      ['fc', 1],
    ] as const) {
      const values = blobsOf(second, layer)[index]!;
      const blobs = Array.from({ length: index + 1 }, (_, i) => (i === index ? values : null));
      await model.setWeights({ [layer]: blobs });
      const changed: WeightsFile = {
        ...first,
        layers: (await model.weights()).layers,
      };
      assert.equal(blobsOf(changed, layer)[index], values, `${layer}/${index} is read back`);
      using other = await load(device, changed);
      assert.equal(await fc(model), await fc(other), `${layer}/${index}`);
    }
  });

  test(`${device.name}: weights() returns all blobs, including those of fillers and folded ones`, async () => {
    using model = await load(device, first);
    for (const layer of first.layers)
      assert.equal(blobsOf(await model.weights(), layer.name), layer.blobs.map(toFloat32));
    using filled = await device.load({ model: deploy, phase: 'TEST', outputs: ['fc'], seed: 3 });
    using again = await load(device, await filled.weights());
    assert.equal(await fc(again), await fc(filled));
  });

  test(`${device.name}: runs called before a change compute with the old weights, later ones with the new`, async () => {
    using model = await load(device, first);
    using other = await load(device, second);
    const [before, after] = [await fc(model), await fc(other)];
    for (let round = 0; round < 3; round++) {
      const reused = data.slice();
      const results = [fc(model)];
      const changing = model.setWeights(second);
      results.push(fc(model, { data: reused }));
      reused.fill(0);
      const back = model.setWeights(first);
      results.push(fc(model));
      const [a, b, c] = await Promise.all(results);
      await Promise.all([changing, back]);
      assert.equal([a, b, c], [before, after, before]);
    }
  });

  test(`${device.name}: weights that do not fit are refused by name, and change nothing`, async () => {
    using model = await load(device, first);
    const before = await fc(model);
    const w = (count: number) => new Float32Array(count);
    for (const [weights, text] of [
      [{ conw: [w(1)] }, /weights: expected .*layers with weights, but received "conw".*did you mean "conv"/],
      [{ conv: [w(3)] }, /the weights of layer "conv", blob 0: expected 216 values \(8×3×3×3\)/],
      [
        { conv: [{ shape: [216], data: w(216) }] },
        /the weights of layer "conv", blob 0: expected the shape 8×3×3×3/,
      ],
      [{ conv: [w(216), w(8), w(8)] }, /the weights of layer "conv": expected 2 blobs at most/],
      [{ fc: [w(40), w(5)], conv: [w(1)] }, /layer "conv", blob 0/],
      [{ relu: [w(1)] }, /layers with weights/],
      [{ conv: [[1, 2, 3]] }, /expected/],
    ] as const)
      await refuses(() => model.setWeights(weights as never), ArgumentError, text);
    const foreign = { ...first, layers: [{ ...first.layers[0]!, name: 'elsewhere' }] };
    const error = await model.setWeights(foreign).catch((thrown: unknown) => thrown);
    assert.instance(error, WeightsError);
    assert.is((error as WeightsError).code, 'weights/none-matched');
    assert.equal(await fc(model), before);
    assert.equal(blobsOf(await model.weights(), 'fc'), blobsOf(first, 'fc'));
    model.dispose();
    await refuses(() => model.setWeights(second), DeviceError, /disposed/);
    await refuses(() => model.weights(), DeviceError, /disposed/);
  });

  test(`${device.name}: a trainer continues with the new weights and its existing history`, async () => {
    using trainer = await open(device);
    using other = await open(device);
    const schedule = (iteration: number) => ({ rate: 0.05, iteration });
    await trainer.step(batch(0), schedule(0));
    await other.step(batch(0), schedule(0));
    const kept = await trainer.weights();
    const stepping = trainer.setWeights({ fc: [new Float32Array(40).fill(0.25), null] });
    const { loss } = await trainer.step(batch(1), schedule(1));
    await stepping;
    using opened = await open(device, {
      weights: {
        ...kept,
        layers: kept.layers.map((layer) =>
          layer.name === 'fc'
            ? { ...layer, blobs: [blobFromFloats([5, 8], new Float32Array(40).fill(0.25)), layer.blobs[1]!] }
            : layer,
        ),
      },
      history: await other.history(),
    });
    const reopened = await opened.step(batch(1), schedule(1));
    assert.equal(loss!.data, reopened.loss!.data);
    assert.equal((await trainer.weights()).layers, (await opened.weights()).layers);
    await refuses(() => trainer.setWeights({ fc: [new Float32Array(3)] }), ArgumentError, /40 values/);
  });

  test(`${device.name}: a net that runs in two parts gives the same as the whole`, async () => {
    using model = await device.load({ model: net, phase: 'TEST', weights: first });
    using whole = await device.load({
      model: net,
      phase: 'TEST',
      weights: first,
      outputs: ['fc', 'b', 'conv@conv'],
      optimize: false,
    });
    const inputs = { data, label: batch(1).label! };
    const blobs = await whole.run(inputs);
    const near = (a: Float32Array, b: Float32Array, what: string) => {
      assert.is(a.length, b.length);
      const scale = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const [i, value] of a.entries())
        assert.ok(Math.abs(value - b[i]!) <= 1e-5 * scale, `${what}[${i}]: ${value}, ${b[i]}`);
    };
    // To the middle of a fused group: conv before its ReLU.
    const { conv } = await model.run({ data }, { end: 'conv' });
    near(conv!.data, blobs['conv@conv']!.data, 'conv');
    const { b } = await model.run({ conv: conv! }, { start: 'relu', end: 'b_relu' });
    near(b!.data, blobs.b!.data, 'b');
    const { fc } = await model.run({ b: b!.data }, { start: 'c_conv1', end: 'fc' });
    near(fc!.data, blobs.fc!.data, 'fc');
    const { loss } = await model.run({ b: b!.data, label: inputs.label }, { start: 'c_conv1' });
    near(loss!.data, (await model.run(inputs)).loss!.data, 'loss');
    const two = await model.run({ b: b!.data.subarray(0, 2 * 8 * 64) }, { start: 'c_conv1', end: 'fc' });
    near(two.fc!.data, blobs.fc!.data.subarray(0, 10), 'half the batch');
    await model.setWeights({ fc: [new Float32Array(40), Float32Array.of(1, 2, 3, 4, 5)] });
    const after = await model.run({ b: b!.data }, { start: 'c_conv1', end: 'fc' });
    assert.equal([...after.fc!.data.subarray(0, 5)], [1, 2, 3, 4, 5], 'with the weights of now');
  });

  test(`${device.name}: a part requires its inputs, and refuses unknown layers`, async () => {
    using model = await device.load({ model: net, phase: 'TEST', weights: first });
    for (const [inputs, range, text] of [
      [{ data }, { start: 'c_conv1', end: 'fc' }, /inputs: expected names of the net's inputs \(b\)/],
      [{}, { start: 'c_conv1', end: 'fc' }, /input "b"/],
      [{ b: data }, { start: 'c_conv' }, /start: expected a layer of the net.*did you mean "c_conv1"/s],
      [{ data }, { end: 'fcc' }, /end: expected a layer of the net.*did you mean "fc"/s],
      [{ data }, { start: 'fc', end: 'conv' }, /end: expected .*does not come before "fc"/],
      [{ data }, { start: 7 as never }, /start: expected a string/],
    ] as const)
      await refuses(() => model.run(inputs, range), ArgumentError, text);
  });

  test(`${device.name}: a diff propagates from one layer to another as in the whole net`, async () => {
    const inputs = batch(1);
    using whole = await open(device, { weights: first, update: null, diffs: ['b@b_relu'], outputs: ['b'] });
    const { outputs, blobs } = await whole.gradients(inputs);
    const tail = netBetween(net, { start: 'c_conv1', phase: 'TRAIN' });
    using part = await device.train({
      model: tail,
      phase: 'TRAIN',
      weights: first,
      update: null,
      diffs: ['b'],
    });
    const back = await part.gradients({ b: outputs.b!.data, label: inputs.label! });
    assert.equal(back.blobs.b!.data, blobs['b@b_relu']!.data);
  });
}
