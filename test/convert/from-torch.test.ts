/** torch.save's files and safetensors → Caffe: files that torch wrote (fixtures/make_torch.py), refusals, damage. */

import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert, type Network, type ReadResult } from '../../ts/api/convert.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { formatOf } from '../../ts/convert/formats.ts';
import { torchResnet } from '../../ts/convert/resnet/torch-resnet.ts';
import { readSafetensors } from '../../ts/convert/safetensors.ts';
import { type FloatType, sourceTensor } from '../../ts/convert/source-tensor.ts';
import { stateDict as tensorsOf } from '../../ts/convert/torch/state-dict.ts';
import { torchGlobals } from '../../ts/convert/torch/torch-objects.ts';
import { type PickleValue, unpickle } from '../../ts/convert/torch/unpickle.ts';
import { openDevice, ResnodeError, readNpy, WeightsError } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/convert/fixtures');
const folder = mkdtempSync(join(tmpdir(), 'resnode-torch-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const npy = (name: string) => toFloat32(readNpy(readFileSync(join(fixtures, name)), { file: name }));
const shape = [2, 3, 33, 33];
const read = async (file: string): Promise<ReadResult> =>
  await formatOf(file).format.read!(file, { net: null, inputShapes: { data: shape } });

// torch's input is normalised; the net's input is pixels minus the mean.
const normalised = npy('input.npy');
const plane = 33 * 33;
const input = normalised.map((value, i) => value * 255 * [0.229, 0.224, 0.225][Math.floor(i / plane) % 3]!);

/** The net without its softmax, because torch's ends there. */
async function scores({ net, weights }: Network): Promise<Float32Array> {
  using device = await openDevice('cpu');
  using model = await device.load({
    model: { ...net, layer: net.layer!.filter(({ type }) => type !== 'Softmax') },
    weights,
    strict: true,
  });
  const [output] = Object.values(await model.run({ data: { shape, data: input } }));
  return output!.data;
}

function worst(actual: Float32Array, expected: Float32Array): number {
  assert.is(actual.length, expected.length);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);
}

for (const [file, expected, name, what] of [
  ['torch-checkpoint.pth', 'torch-checkpoint', 'ResNeXt', 'a checkpoint of a grouped net in DataParallel'],
  ['torch-old.pth', 'torch-old', 'ResNet', 'the old format, with views, strides and Parameters'],
  ['torch-early.pth', 'torch-old', 'ResNet', 'Parameters as torch 0.3 pickled them'],
  ['torch-mixed.pth', 'torch-mixed', 'ResNet', '16, 32 and 64 bits in protocol 4'],
  ['torch-mixed.safetensors', 'torch-mixed', 'ResNet', 'the same as safetensors'],
  ['training.pth.tar', 'training', 'ResNet', "PyTorch's own ImageNet checkpoint, with all that scripts add"],
  ['training-legacy.pth.tar', 'training', 'ResNet', 'the same in the old format'],
  ['training-protocol-4.pth.tar', 'training', 'ResNet', 'the same in protocol 4'],
  ['counted.pth', 'training', 'ResNet', 'with the counters of thop'],
  ['transformers-basic.safetensors', 'transformers-basic', 'ResNet', "transformers' names, basic blocks"],
  [
    'transformers-bottleneck.safetensors',
    'transformers-bottleneck',
    'ResNet',
    "transformers' names, bottlenecks",
  ],
  ['torch-cifar.th', 'torch-cifar', 'ResNet', "akamaster's shortcuts without parameters"],
] as const)
  test(`${file} gives PyTorch's results: ${what}`, async () => {
    const result = await read(join(fixtures, file));
    assert.is(result.net!.name, name);
    const difference = worst(await scores(result as Network), npy(`${expected}.npy`));
    assert.ok(difference < 2e-5, `${difference}`);
  });

test('the command writes weights, net and preprocessing, and describes the input', async () => {
  const result = await convert(join(fixtures, 'torch-checkpoint.pth'), path('net.caffemodel'), {
    inputShapes: { data: shape },
  });
  assert.equal(result.files, ['net.caffemodel', 'net.prototxt', 'net.preprocess.json'].map(path));
  assert.ok(result.check!.ok && result.check!.compared === 'outputs');
  const preprocess = JSON.parse(readFileSync(path('net.preprocess.json'), 'utf8'));
  assert.equal(preprocess.mean, [123.675, 116.28, 103.53]);
  assert.is(preprocess.order, 'RGB');
  assert.equal(preprocess.crop, { width: 33, height: 33 });
  const net = readFileSync(path('net.prototxt'), 'utf8');
  assert.match(net, /round_mode: FLOOR/);
  assert.match(net, /group: 2/);
});

test('a file is read by its content, whatever its name; omitted parts are reported', async () => {
  for (const [file, name] of [
    ['counted.pth', 'pytorch_model.bin'],
    ['transformers-basic.safetensors', 'weights'],
    ['transformers-basic.safetensors', 'net.onnx'],
  ] as const) {
    copyFileSync(join(fixtures, file), path(name));
    const result = await convert(path(name), path('any.caffemodel'), { inputShapes: { data: shape } });
    assert.ok(result.check!.ok, name);
    const counters = ['10 counters of thop (total_ops, total_params) are not weights and were skipped'];
    assert.equal(result.notes, file === 'counted.pth' ? counters : []);
  }
  writeFileSync(path('any.bin'), Buffer.from([1, 2, 3, 4]));
  const error = await convert(path('any.bin'), path('any.caffemodel')).catch((thrown: unknown) => thrown);
  assert.match((error as Error).message, /^from: expected a file of one of the formats \.caffemodel/);
});

test('the first missing tensor is named as in the file', async () => {
  const { tensors } = readSafetensors(readFileSync(join(fixtures, 'transformers-basic.safetensors')), {
    file: 'a',
  });
  const without = (missing: string) => () =>
    torchResnet(new Map([...tensors].filter(([name]) => name !== missing)), { file: 'a', inputShapes: {} });
  for (const missing of [
    'resnet.embedder.embedder.normalization.running_var',
    'resnet.encoder.stages.0.layers.1.layer.0.convolution.weight',
    'resnet.encoder.stages.1.layers.0.layer.1.convolution.weight',
    'resnet.encoder.stages.1.layers.0.shortcut.normalization.weight',
    'classifier.1.bias',
  ])
    assert.throws(without(missing), new RegExp(`"${missing.replaceAll('.', '\\.')}".* is missing`), missing);
});

test('a code object is refused by name, and several state dicts are not guessed from', () => {
  // torch.save(model) stores a class of the script itself.
  const pickle = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
  const options = { file: 'a', globals: torchGlobals, persistent: () => null };
  assert.throws(
    () => unpickle(pickle('c__main__\nNet\n.'), options),
    /refers to __main__\.Net, which is code/,
  );
  for (const code of [
    'os.system',
    'builtins.eval',
    'builtins.getattr',
    'torch.load',
    'numpy.load',
    'pathlib.Path.unlink',
  ]) {
    const [, module, name] = /^(.*)\.(\w+)$/.exec(code)!;
    assert.throws(() => unpickle(pickle(`c${module}\n${name}\n.`), options), /which is code/, code);
  }
  const tensor: PickleValue = unpickle(pickle('ctorch._utils\n_rebuild_tensor\n(Pa\nI0\n(I1\nt(I1\nttR.'), {
    ...options,
    persistent: () =>
      ({
        made: 'storage',
        key: 'a',
        type: 'torch.FloatStorage',
        size: 4,
        kind: 'float32',
        offset: 0,
        count: 1,
      }) as PickleValue,
  }).value;
  const dict = (entries: [string, PickleValue][]) => new Map<PickleValue, PickleValue>(entries);
  const weights = dict([['conv1.weight', tensor]]);
  const file = { bytesOf: () => new Uint8Array(4) };
  const read = (value: PickleValue) => [...tensorsOf({ value, ...file }, 'a').keys()];
  assert.equal(
    read(
      dict([
        ['best_acc1', tensor],
        ['state_dict', weights],
      ]),
    ),
    ['conv1.weight'],
  );
  assert.equal(
    read(
      dict([
        ['epoch', 3],
        ['generator', weights],
      ]),
    ),
    ['conv1.weight'],
  );
  assert.throws(
    () =>
      read(
        dict([
          ['a', weights],
          ['b', weights],
        ]),
      ),
    /several dicts of tensors \("a", "b"\)/,
  );
  assert.throws(() => read(dict([['epoch', 3]])), /but epoch; save it with/);
});

test('hostile pickles are refused by the name that they would call, and call nothing', async () => {
  for (const file of ['hostile-zip.pth', 'hostile-legacy.pth']) {
    const error = await read(join(fixtures, file)).catch((thrown: unknown) => thrown);
    assert.instance(error, WeightsError);
    assert.is((error as WeightsError).code, 'torch/global');
    assert.match((error as Error).message, /refers to posix\.system, which is code/);
  }
  assert.not.ok(existsSync('executed') || existsSync(join(fixtures, 'executed')));
});

/** A synthetic state dict of zeros. */
const stateDict = (shapes: Record<string, number[]>, kind: FloatType | null = 'float32') =>
  new Map(
    Object.entries(shapes).map(([name, dims]) => [
      name,
      sourceTensor(
        { file: 'a.pth', name },
        'torch.LongStorage',
        kind,
        dims,
        () => new Uint8Array(4 * elementCount(dims)),
      ),
    ]),
  );
const norm = (name: string, n: number) =>
  Object.fromEntries(
    ['weight', 'bias', 'running_mean', 'running_var'].map((each) => [`${name}.${each}`, [n]]),
  );
const small: Record<string, number[]> = {
  'conv1.weight': [4, 3, 7, 7],
  ...norm('bn1', 4),
  'layer1.0.conv1.weight': [4, 4, 3, 3],
  ...norm('layer1.0.bn1', 4),
  'layer1.0.conv2.weight': [4, 4, 3, 3],
  ...norm('layer1.0.bn2', 4),
};
const recognise = (shapes: Record<string, number[]>, kind?: FloatType | null) =>
  torchResnet(stateDict(shapes, kind), { file: 'a.pth', inputShapes: {} });

test('a net without classifier ends at pool5, and one with another input has no preprocessing', () => {
  assert.is(recognise(small).net.layer!.at(-1)!.name, 'pool5');
  const grey = recognise({ ...small, 'conv1.weight': [4, 1, 7, 7] });
  assert.is(grey.preprocess, undefined);
  assert.not.ok(grey.net.layer!.some(({ name }) => name === 'data_scale'));
});

test('a net that is not a ResNet, or two of them, is refused by the tensor that does not fit', () => {
  const { 'layer1.0.bn2.running_var': _, ...without } = small;
  const prefixed = (prefix: string) =>
    Object.fromEntries(Object.entries(small).map(([name, dims]) => [prefix + name, dims]));
  const cases: [Record<string, number[]>, RegExp][] = [
    [{}, /not named as a ResNet of torchvision, timm or transformers .* there are none/],
    [{ 'features.0.weight': [4, 3, 3, 3] }, /but "features\.0\.weight"; export another net as ONNX/],
    [without, /basic blocks, 1 of them it needs "layer1\.0\.bn2\.running_var" of 4, which is missing/],
    [
      { ...small, 'layer1.0.conv2.weight': [4, 4, 1, 3] },
      /needs .*conv2\.weight" of 4×4×3×3, which is 4×4×1×3/,
    ],
    [{ ...small, 'conv1.weight': [4, 3, 5, 5] }, /"conv1\.weight" is 4×3×5×5, expected a convolution of 7×7/],
    [
      { ...small, 'layer1.0.se.fc1.weight': [2, 4, 1, 1], 'layer1.0.se.fc2.weight': [4, 2, 1, 1] },
      /"layer1\.0\.se\.fc1\.weight" and 1 more tensors do not belong to a ResNet with basic blocks/,
    ],
    [
      { ...prefixed('encoder_q.'), ...prefixed('encoder_k.') },
      /two ResNets, "encoder_q\.…" and "encoder_k\.…"/,
    ],
    [{ ...prefixed('encoder.'), queue: [2] }, /beside the ResNet "encoder\.…" it holds "queue"/],
    [
      { ...small, 'layer2.0.conv1.weight': [8, 4, 3, 3], 'layer2.0.conv2.weight': [8, 8, 3, 3] },
      /needs "layer2\.0\.downsample\.0\.weight" of 8×4×1×1, which is missing/,
    ],
    [
      { ...small, 'layer1.0.conv2.weight': [4, 3, 3, 3], 'layer1.0.conv3.weight': [8, 4, 1, 1] },
      /takes 3 of 4 channels, which do not form equal groups/,
    ],
  ];
  for (const [shapes, message] of cases)
    assert.throws(
      () => recognise(shapes),
      (error: unknown) =>
        error instanceof WeightsError && error.message.startsWith('a.pth: ') && message.test(error.message),
      `${message}`,
    );
  assert.throws(() => recognise(small, null), /"conv1\.weight" is torch\.LongStorage, expected floats/);
});

test('an input shape that does not fit, and a net for a file that has its own, are refused', async () => {
  const file = join(fixtures, 'torch-cifar.th');
  const model = join(repositoryFolder, 'examples/fashion/deploy.prototxt');
  for (const [options, message] of [
    [{ inputShapes: { data: [1, 1, 32, 32] } }, /expected batch×3×height×width.* received "1×1×32×32"/],
    [{ inputShapes: { image: [1, 3, 32, 32] } }, /only "data", the one input/],
    [{ model }, /nothing: PyTorch contains its own net/],
  ] as const)
    assert.match(
      await convert(file, path('x.caffemodel'), options).then(String, (error: Error) => error.message),
      message,
    );
  assert.not.ok(existsSync(path('x.caffemodel')));
});

test('truncated or damaged files give a typed error or a net, never anything else', async () => {
  const random = seededRandom(3);
  let refused = 0;
  const attempt = async (bytes: Uint8Array, extension: string, what: string) => {
    const file = path(`damaged${extension}`);
    writeFileSync(file, bytes);
    try {
      await read(file);
    } catch (error) {
      refused++;
      assert.instance(error, ResnodeError, `${what}: ${error}`);
    }
  };
  for (const name of ['torch-checkpoint.pth', 'torch-old.pth', 'torch-mixed.safetensors']) {
    const whole = readFileSync(join(fixtures, name));
    const extension = name.slice(name.lastIndexOf('.'));
    for (const percent of [0, 0.01, 0.1, 1, 5, 20, 50, 80, 99, 99.9]) {
      const before = refused;
      await attempt(
        whole.subarray(0, Math.floor((whole.length * percent) / 100)),
        extension,
        `${name} at ${percent}%`,
      );
      assert.is(refused, before + 1, `${name} at ${percent}% was taken for whole`);
    }
    for (let i = 0; i < 150; i++) {
      const damaged = Buffer.from(whole);
      // Half of the damage is near both ends, where the structure is dense.
      for (let hits = 0; hits <= i % 3; hits++) {
        const span = i % 2 === 0 ? damaged.length : Math.min(damaged.length, 4000);
        const at = Math.floor(random() * span);
        damaged[i % 4 === 1 ? damaged.length - 1 - at : at] = Math.floor(random() * 256);
      }
      await attempt(damaged, extension, `${name}, change ${i}`);
    }
  }
  assert.ok(refused > 150, `${refused}`);
});

test('files of other kinds with the same names are recognised', async () => {
  const tar = Buffer.alloc(512);
  tar.write('ustar', 257);
  for (const [bytes, message] of [
    [Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /Git LFS pointer/],
    [tar, /tar file of torch before 0\.1\.10/],
    [Buffer.from('hello'), /this is text; here a file of torch\.save is needed/],
    [Buffer.from([0x80, 2, 0x4e, 0x2e]), /it has no magic number and is not a zip file/],
    [Buffer.from('PK\x05\x06'.padEnd(22, '\0')), /a zip file without data\.pkl/],
  ] as const) {
    writeFileSync(path('other.pth'), bytes);
    const error = await read(path('other.pth')).catch((thrown: unknown) => thrown);
    assert.instance(error, WeightsError);
    assert.match((error as Error).message, message);
  }
});

test.run();
