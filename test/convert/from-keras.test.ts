/** Keras's .h5 → Caffe: files that h5py wrote in Keras's layout, compared with PyTorch's operators (make_torch.py). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import h5wasm from 'h5wasm/node';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readKerasResnet } from '../../ts/convert/resnet/keras-resnet.ts';
import { openDevice, ResnodeError, readNpy } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/convert/fixtures');
const folder = mkdtempSync(join(tmpdir(), 'resnode-keras-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const npy = (name: string) => toFloat32(readNpy(readFileSync(join(fixtures, name)), { file: name }));
const shape = [2, 3, 33, 33];
const inputShapes = { data: shape };

for (const name of ['keras-new', 'keras-old', 'keras-whole'])
  writeFileSync(path(`${name}.h5`), gunzipSync(readFileSync(join(fixtures, `${name}.h5.gz`))));

for (const [name, eps, pool] of [
  ['keras-new', 1.001e-5, { pad: 1, round_mode: 'FLOOR' }],
  ['keras-old', 1e-3, { pad: 1, round_mode: 'FLOOR' }],
  ['keras-whole', 0.25, { round_mode: 'FLOOR' }],
] as const)
  test(`${name}.h5 gives the results of Keras's layers`, async () => {
    const { net, weights, preprocess } = await readKerasResnet(path(`${name}.h5`), { inputShapes });
    const named = (wanted: string) => net.layer!.find((layer) => layer.name === wanted)!;
    assert.is(named('bn_conv1').batch_norm_param!.eps, Math.fround(eps));
    assert.equal(named('pool1').pooling_param, { pool: 'MAX', kernel_size: 3, stride: 2, ...pool });
    assert.equal(preprocess!.mean, [103.939, 116.779, 123.68]);
    using device = await openDevice('cpu');
    using model = await device.load({
      model: { ...net, layer: net.layer!.filter(({ type }) => type !== 'Softmax') },
      weights,
      strict: true,
    });
    const data = npy('input.npy').map((value) => value * 50);
    const [output] = Object.values(await model.run({ data: { shape, data } }));
    const expected = npy(`${name}.npy`);
    const largest = Math.max(...expected.map(Math.abs));
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - output!.data[i]!)));
    assert.ok(worst / largest < 1e-5, `${worst} of ${largest}`);
  });

for (const name of ['keras-resnet8', 'keras-odd', 'keras-sequential'])
  test(`${name}.h5 with other names gives the net that its model_config describes`, async () => {
    writeFileSync(path(`${name}.h5`), gunzipSync(readFileSync(join(fixtures, `${name}.h5.gz`))));
    const { net, weights } = await readKerasResnet(path(`${name}.h5`));
    using device = await openDevice('cpu');
    using model = await device.load({ model: net, weights, strict: true });
    const [input] = Object.keys(model.inputs) as [string];
    const [output] = Object.values(await model.run({ [input]: { shape, data: npy('input.npy') } }));
    const expected = npy(`${name}.npy`);
    const largest = Math.max(...expected.map(Math.abs));
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - output!.data[i]!)));
    assert.ok(worst / largest < 1e-5, `${worst} of ${largest}`);
    const result = await convert(path(`${name}.h5`), path('described.caffemodel'));
    assert.ok(result.check!.ok);
  });

test('a model_config that describes no net, or unsupported layers, is refused by name', async () => {
  const config = (layers: unknown[]) =>
    JSON.stringify({ class_name: 'Functional', config: { name: 'm', layers } });
  const input = {
    class_name: 'InputLayer',
    config: { name: 'in', batch_shape: [null, 8, 8, 3] },
    inbound_nodes: [],
  };
  const layer = (class_name: string, own: object, from = 'in') => ({
    class_name,
    config: { name: 'a', ...own },
    inbound_nodes: [[[from, 0, 0, {}]]],
  });
  const cases: [string, RegExp][] = [
    ['{', /its model_config is not JSON/],
    [config([]), /its model_config has 0 layers/],
    [config([input, layer('Lambda', {})]), /layer "a": layers of type Lambda are not converted/],
    [config([input, layer('constructor', {})]), /layers of type constructor are not converted/],
    [
      config([input, layer('Activation', { activation: 'swish' })]),
      /layer "a": its activation "swish" is not converted/,
    ],
    [config([input, layer('Conv2D', {})]), /layer "a": its kernel is missing among the weights/],
    [config([input, layer('ReLU', {}, 'b')]), /layer "a": its input "b" is not a layer before it/],
    [
      config([{ ...input, config: { name: 'in', batch_shape: [null, null, null, 3] } }]),
      /--input-shape in=1x3x224x224/,
    ],
  ];
  for (const [text, message] of cases) {
    const file = made('config.h5', (h5) => {
      h5.create_attribute('layer_names', ['a']);
      h5.create_group('a').create_attribute('weight_names', []);
      h5.create_attribute('model_config', text);
    });
    const error = await readKerasResnet(file).catch((thrown: unknown) => thrown);
    assert.instance(error, ResnodeError, `${error}`);
    assert.match((error as Error).message, message);
  }
});

test('the command converts it and describes the input', async () => {
  const result = await convert(path('keras-new.h5'), path('net.caffemodel'), { inputShapes });
  assert.ok(result.check!.ok);
  assert.is(result.preprocess!.order, 'BGR');
  assert.equal(result.files, ['net.caffemodel', 'net.prototxt', 'net.preprocess.json'].map(path));
});

await h5wasm.ready;
function made(name: string, fill: (file: InstanceType<typeof h5wasm.File>) => void): string {
  const file = new h5wasm.File(path(name), 'w');
  fill(file);
  file.close();
  return path(name);
}

test('other layouts, other nets and damaged files are refused with what to do', async () => {
  const whole = readFileSync(path('keras-new.h5'));
  writeFileSync(path('short.h5'), whole.subarray(0, 30_000));
  writeFileSync(path('text.h5'), 'no HDF5');
  const cases: [string, RegExp][] = [
    [
      made('keras3.h5', (file) => file.create_group('layers')),
      /weights of Keras 3, .*model\.save\("model\.h5"\)/,
    ],
    [made('caffe.h5', (file) => file.create_group('data')), /name it \.caffemodel\.h5/],
    [made('none.h5', (file) => file.create_group('x')), /no attribute layer_names/],
    [
      made('lost.h5', (file) => file.create_attribute('layer_names', ['conv1_conv'])),
      /layer "conv1_conv" is listed, but its group is missing/,
    ],
    [
      made('other.h5', (file) => {
        file.create_attribute('layer_names', ['block1_conv1']);
        file.create_group('block1_conv1').create_attribute('weight_names', []);
      }),
      /not named as a ResNet of Keras Applications .* but block1_conv1/,
    ],
    [
      made('part.h5', (file) => {
        file.create_attribute('layer_names', ['conv1_conv']);
        const layer = file.create_group('conv1_conv');
        layer.create_attribute('weight_names', ['conv1_conv/kernel:0']);
        layer
          .create_group('conv1_conv')
          .create_dataset({ name: 'kernel:0', data: new Float32Array(7 * 7 * 3 * 2), shape: [7, 7, 3, 2] });
      }),
      /needs "conv1_bn\/mean" of 2, which is missing/,
    ],
    [path('short.h5'), /the HDF5 data is damaged|is missing|cannot be read/],
    [path('text.h5'), /this is text; here an HDF5 file is needed/],
    [path('absent.h5'), /cannot be read/],
  ];
  for (const [file, message] of cases) {
    const error = await readKerasResnet(file, { inputShapes }).catch((thrown: unknown) => thrown);
    assert.instance(error, ResnodeError, `${file}: ${error}`);
    assert.match((error as Error).message, message);
  }
});

test.run();
