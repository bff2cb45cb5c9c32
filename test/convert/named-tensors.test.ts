/** Tensors by name: tensorpack's .npz, and arbitrary names through a map (files that numpy wrote, make_numpy.py). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readNpz } from '../../ts/convert/numpy/read-npz.ts';
import { openDevice, ResnodeError, readNpy } from '../../ts/index.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/convert/fixtures');
const fixture = (name: string) => join(fixtures, name);
const folder = mkdtempSync(join(tmpdir(), 'resnode-names-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const npy = (name: string) => toFloat32(readNpy(readFileSync(fixture(name)), { file: name }));

const layer = (name: string, type: string, bottom: string, top: string, rest = '') =>
  `layer { name: "${name}" type: "${type}" bottom: "${bottom}" top: "${top}" ${rest} }\n`;
const unit = (
  name: string,
  suffix: string,
  bottom: string,
  outputs: number,
  kernel: number,
  stride: number,
  bias = false,
) =>
  layer(
    name,
    'Convolution',
    bottom,
    name,
    `convolution_param { num_output: ${outputs} kernel_size: ${kernel} pad: ${(kernel - 1) / 2} stride: ${stride} ${bias ? '' : 'bias_term: false'} }`,
  ) +
  layer(`bn${suffix}`, 'BatchNorm', name, name, 'batch_norm_param { use_global_stats: true }') +
  layer(`scale${suffix}`, 'Scale', name, name, 'scale_param { bias_term: true }');
writeFileSync(
  path('net.prototxt'),
  'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 33 dim: 33 } } }\n' +
    unit('conv1', '_conv1', 'data', 4, 3, 2, true) +
    layer('conv1_relu', 'ReLU', 'conv1', 'conv1') +
    unit('res2a_branch1', '2a_branch1', 'conv1', 6, 1, 1) +
    unit('res2a_branch2a', '2a_branch2a', 'conv1', 6, 3, 1) +
    layer('relu2a', 'ReLU', 'res2a_branch2a', 'res2a_branch2a') +
    unit('res2a_branch2b', '2a_branch2b', 'res2a_branch2a', 6, 3, 1) +
    'layer { name: "res2a" type: "Eltwise" bottom: "res2a_branch1" bottom: "res2a_branch2b" top: "res2a" }\n' +
    layer('res2a_relu', 'ReLU', 'res2a', 'res2a') +
    layer('pool5', 'Pooling', 'res2a', 'pool5', 'pooling_param { pool: AVE global_pooling: true }') +
    layer('fc5', 'InnerProduct', 'pool5', 'fc5', 'inner_product_param { num_output: 5 }'),
);
const model = path('net.prototxt');

async function assertComputes(weights: string): Promise<void> {
  using device = await openDevice('cpu');
  using loaded = await device.load({ model, weights, strict: true });
  const [output] = Object.values(
    await loaded.run({ data: { shape: [2, 3, 33, 33], data: npy('input.npy') } }),
  );
  const expected = npy('tensorpack.npy');
  const largest = Math.max(...expected.map(Math.abs));
  const worst = Math.max(...expected.map((value, i) => Math.abs(value - output!.data[i]!)));
  assert.ok(worst / largest < 1e-5, `${worst} of ${largest}`);
}

const HWIO = [3, 2, 0, 1];
const map: Record<string, unknown> = { fc5: [{ tensor: 'out_k', transpose: [1, 0] }, 'out_c'] };
for (const [name, suffix, other] of [
  ['conv1', '_conv1', 's'],
  ['res2a_branch1', '2a_branch1', 'p'],
  ['res2a_branch2a', '2a_branch2a', 'a'],
  ['res2a_branch2b', '2a_branch2b', 'b'],
] as const) {
  map[name] = [{ tensor: `${other}_k`, transpose: HWIO }, ...(name === 'conv1' ? ['s_c'] : [])];
  map[`bn${suffix}`] = [`${other}_m`, `${other}_v`];
  map[`scale${suffix}`] = [`${other}_g`, `${other}_h`];
}
const mapFile = (name: string, content: unknown): string => {
  writeFileSync(path(name), typeof content === 'string' ? content : JSON.stringify(content));
  return path(name);
};

test("tensorpack's arrays fill a net with MSRA's names, whatever the file's name", async () => {
  writeFileSync(path('renamed.bin'), readFileSync(fixture('tensorpack.npz')));
  const result = await convert(path('renamed.bin'), path('tensorpack.caffemodel'), { model });
  assert.ok(result.check!.ok);
  await assertComputes(path('tensorpack.caffemodel'));
});

test('a map can use tensors of any names, and the command prints what it did', async () => {
  const names = mapFile('names.json', map);
  const run = spawnSync(
    process.execPath,
    [
      ...COMMAND,
      'convert',
      fixture('named.npz'),
      '--out',
      'named.caffemodel',
      '--model',
      model,
      '--map',
      names,
    ],
    { encoding: 'utf8', cwd: folder },
  );
  assert.is(run.status, 0, run.stderr);
  assert.match(run.stdout, /^wrote named\.caffemodel\nlargest difference of outputs: /);
  await assertComputes(path('named.caffemodel'));
});

for (const name of ['port-v1.ckpt', 'port-v2.ckpt', 'torch-mixed.safetensors', 'torch-checkpoint.pth'])
  test(`for a map that does not fit, the tensors of ${name} are printed`, async () => {
    const error = await convert(fixture(name), path('x.caffemodel'), {
      model,
      map: mapFile('none.json', {}),
    }).catch((thrown: unknown) => thrown);
    assert.instance(error, ResnodeError);
    assert.match(
      (error as Error).message,
      /layer "conv1" needs 4×3×3×3 and 4: expected "conv1": \["tensor", "tensor"\]; .* holds\n(?: {2}\S.*\n)* {2}\S+ +\d+×\d/,
    );
  });

test('unknown names are printed with their shapes and types, and the way to map them', async () => {
  const error = await convert(fixture('named.npz'), path('x.caffemodel'), { model }).catch(
    (thrown: unknown) => thrown,
  );
  assert.match((error as Error).message, /\(--map names\.json\); it holds\n {2}s_k +3×3×3×4 +float32\n/);
});

test('mistakes in a map are reported, with the most similar name or the order of axes', async () => {
  const cases: [unknown, RegExp][] = [
    ['{', /wrong\.json: this is not valid JSON/],
    [[], /expected an object/],
    [{ ...map, conv1: [] }, /blob 0 of layer "conv1" \(4×3×3×3\) needs a tensor: only a bias may be omitted/],
    [{ ...map, bn_conv1: ['s_m'] }, /blob 1 of layer "bn_conv1" \(4\) needs a tensor/],
    [{ ...map, fc5: [null, 'out_c'] }, /blob 0 of layer "fc5" \(5×6\) needs a tensor/],
    [{ ...map, conv2: ['a'] }, /the net has no layer "conv2" with weights, did you mean "conv1"\?/],
    [
      { ...map, fc5: ['out_q', 'out_c'] },
      /blob 0 of layer "fc5": there is no tensor "out_q", did you mean "out_k"\?/,
    ],
    [
      { ...map, fc5: ['out_k', 'out_c'] },
      /layer "fc5" needs 5×6, "out_k" gives 6×5; .*"transpose": \[1, 0\]/,
    ],
    [
      { ...map, fc5: [{ tensor: 'out_k', transpose: [0, 0] }, 'out_c'] },
      /transpose is \[0,0\], expected the axes 0 to 1/,
    ],
  ];
  const missing = await convert(fixture('named.npz'), path('x.caffemodel'), {
    model,
    map: path('missing.json'),
  }).catch((thrown: unknown) => thrown);
  assert.match((missing as Error).message, /missing\.json: there is no such file or folder$/);
  for (const [content, message] of cases) {
    const error = await convert(fixture('named.npz'), path('x.caffemodel'), {
      model,
      map: mapFile('wrong.json', content),
    }).catch((thrown: unknown) => thrown);
    assert.instance(error, ResnodeError, String(error));
    assert.match((error as Error).message, message);
  }
  const without = await convert(fixture('named.npz'), path('x.caffemodel'), {
    map: mapFile('names.json', map),
  }).catch((thrown: unknown) => thrown);
  assert.match((without as Error).message, /a net \(--model net\.prototxt\), whose layers the map names/);
});

test('damaged archives, and those that unpack to too much, give typed errors', async () => {
  const whole = readFileSync(fixture('tensorpack.npz'));
  const broken = Buffer.from(whole);
  broken.fill(0xff, 60, 120);
  // One entry of 257 MiB of zeros, built by hand: local header, data, directory, end.
  const data = deflateRawSync(Buffer.alloc(257 * 2 ** 20), { level: 1 });
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(8, 4);
  fields.writeUInt32LE(data.length, 14);
  fields.writeUInt32LE(257 * 2 ** 20, 18);
  fields.writeUInt16LE(5, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from('a.npy'), data]);
  const directory = Buffer.concat([
    Buffer.from('PK\x01\x02\x14\0'),
    fields,
    Buffer.alloc(14),
    Buffer.from('a.npy'),
  ]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(local.length, 16);
  for (const [name, bytes, message] of [
    ['cut.npz', whole.subarray(0, -40), /the archive cannot be read/],
    ['broken.npz', broken, /the archive cannot be read|no \.npy file/],
    ['bomb.npz', Buffer.concat([local, directory, end]), /take more than ten times the file/],
  ] as const) {
    writeFileSync(path(name), bytes);
    const error = await readNpz(path(name)).catch((thrown: unknown) => thrown);
    assert.instance(error, ResnodeError, `${name}: ${error}`);
    assert.match((error as Error).message, message, name);
  }
});

test.run();
