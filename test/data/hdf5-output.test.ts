/** HDF5Output: the file of a run, which is written as a whole or not at all. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import h5wasm, { type Dataset } from 'h5wasm/node';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError } from '../../ts/base/errors.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { openDevice, writeCaffemodel } from '../../ts/index.ts';
import { hdf5Outputs } from '../../ts/layers/sinks.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-hdf5-output-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const resnode = (words: readonly string[], node: readonly string[] = []) =>
  spawnSync(process.execPath, [...node, ...COMMAND, ...words], { encoding: 'utf8', cwd: folder });
await h5wasm.ready;
function read(name: string): Record<string, { shape: number[]; values: number[] }> {
  const file = new h5wasm.File(path(name), 'r');
  try {
    return Object.fromEntries(
      file.keys().map((key) => {
        const { shape, value } = file.get(key) as Dataset;
        return [key, { shape: shape!, values: [...(value as Float32Array)] }];
      }),
    );
  } finally {
    file.close();
  }
}

/** ip is the sum of 2 · data, twice; the ReLU does not change it. */
const net = (output: string) => `name: "n"
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 2 dim: 1 dim: 1 dim: 3 } shape { dim: 2 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { lr_mult: 0 } inner_product_param { num_output: 2 bias_term: false weight_filler { type: "constant" value: 2 } } }
${output}
layer { name: "relu" type: "ReLU" bottom: "ip" top: "relu" }
layer { name: "fc" type: "InnerProduct" bottom: "relu" top: "fc" inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
`;
const output = (file: string, more = '') =>
  `layer { name: "out" type: "HDF5Output" bottom: "ip" bottom: "label" hdf5_output_param { file_name: "${file}" } ${more} }`;
writeFileSync(path('net.prototxt'), net(output('out.h5')));
writeCaffemodel(path('empty.caffemodel'), { name: 'n', layers: [] });
const TEST = ['test', '--weights', 'empty.caffemodel', '--partial-weights', '--device', 'cpu'];

test('resnode test writes the rows of all batches as num × channels × height × width', () => {
  const { status, stderr, stdout } = resnode([
    ...TEST,
    '--model',
    'net.prototxt',
    '--iterations',
    '3',
    '--json',
  ]);
  assert.is(status, 0, stderr);
  assert.equal(
    JSON.parse(stdout).outputs.map(({ name }: { name: string }) => name),
    ['loss'],
    'no outputs of the net',
  );
  const { data, label } = read('out.h5');
  assert.equal(
    [data!.shape, label!.shape, label!.values],
    [
      [6, 2, 1, 1],
      [6, 1, 1, 1],
      [1, 1, 1, 1, 1, 1],
    ],
  );
  assert.ok(
    data!.values.some((value) => value < 0),
    'before the ReLU that works in place',
  );
  assert.is(new Set(data!.values).size, 6, 'two equal values a row, another in each');
});

test('resnode run writes the rows of its batch, besides the requested blobs', () => {
  const inputs = { data: Float32Array.of(1, 2, 3, -1, -2, -3), label: Float32Array.of(0, 1) };
  for (const [name, values] of Object.entries(inputs))
    writeFileSync(path(`${name}.f32`), new Uint8Array(values.buffer));
  const { status, stderr, stdout } = resnode([
    ...['run', '--model', 'net.prototxt', '--input', 'data=data.f32:2x1x1x3', '--input', 'label=label.f32:2'],
    ...['--out', 'blobs', '--device', 'cpu', '--json'],
  ]);
  assert.is(status, 0, stderr);
  assert.equal(Object.keys(JSON.parse(stdout).blobs), ['loss']);
  const { data, label } = read('out.h5');
  assert.equal(
    [data!.values, label!.values],
    [
      [12, 12, -12, -12],
      [0, 1],
    ],
  );
});

test('resnode train writes the rows of every pass of the training net and of the last test', () => {
  writeFileSync(
    path('both.prototxt'),
    net(`${output('train.h5', 'include { phase: TRAIN }')} ${output('test.h5', 'include { phase: TEST }')}`),
  );
  writeFileSync(
    path('solver.prototxt'),
    'net: "both.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 3 iter_size: 2 test_iter: 2 test_interval: 2 random_seed: 1 snapshot_after_train: false',
  );
  const { status, stderr } = resnode(['train', '--solver', 'solver.prototxt', '--device', 'cpu']);
  assert.is(status, 0, stderr);
  assert.not.match(stderr, /does not write/);
  const shapes = (name: string) => Object.values(read(name)).map(({ shape }) => shape);
  assert.equal(shapes('train.h5'), [
    [12, 2, 1, 1],
    [12, 1, 1, 1],
  ]);
  assert.equal(shapes('test.h5'), [
    [4, 2, 1, 1],
    [4, 1, 1, 1],
  ]);
});

test('an HDF5Data layer reads the written file', () => {
  writeFileSync(path('list.txt'), 'test.h5\n');
  writeFileSync(
    path('again.prototxt'),
    `layer { name: "d" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "list.txt" batch_size: 4 } }
layer { name: "sum" type: "Reduction" bottom: "label" top: "sum" }
layer { name: "silence" type: "Silence" bottom: "data" }`,
  );
  const { status, stderr, stdout } = resnode([
    ...[...TEST, '--model', 'again.prototxt', '--iterations', '1', '--json'],
  ]);
  assert.is(status, 0, stderr);
  assert.is(JSON.parse(stdout).outputs[0].values[0], 4);
});

test('two layers, or two phases, that write to one file are refused before anything runs', () => {
  writeFileSync(
    path('twice.prototxt'),
    'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 test_iter: 1 test_interval: 1',
  );
  const { status, stderr } = resnode(['train', '--solver', 'twice.prototxt', '--device', 'cpu']);
  assert.is(status, 1);
  assert.match(stderr, /layer "out".*writes out\.h5, as layer "out" does; .*include \{ phase: TEST \}/);
});

test('a missing folder is reported before anything runs, and a failed run leaves nothing behind', () => {
  writeFileSync(path('nowhere.prototxt'), net(output('none/out.h5')));
  const { status, stderr } = resnode([...TEST, '--model', 'nowhere.prototxt']);
  assert.is(status, 1);
  assert.match(stderr, /none\/out\.h5: .*folder/);
  assert.equal(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('without h5wasm, the command that installs it is printed before anything runs', () => {
  writeFileSync(
    path('hooks.mjs'),
    'export async function resolve(name, context, next) { if (name.startsWith("h5wasm")) throw new Error("none"); return next(name, context); }',
  );
  writeFileSync(
    path('register.mjs'),
    `import { register } from "node:module"; register(${JSON.stringify(pathToFileURL(path('hooks.mjs')).href)});`,
  );
  rmSync(path('out.h5'), { force: true });
  const { status, stderr } = resnode(
    [...TEST, '--model', 'net.prototxt'],
    ['--import', path('register.mjs')],
  );
  assert.is(status, 1, stderr);
  assert.match(
    stderr,
    /needs the package h5wasm, which is not installed; install it: npm install h5wasm@/,
    stderr,
  );
  assert.not.ok(existsSync(path('out.h5')));
});

const refuse = (text: string, pattern: RegExp) => {
  try {
    graphFromCaffe(readNet(net(text), { file: 'net.prototxt' }));
  } catch (error) {
    assert.instance(error, GraphError);
    assert.match((error as Error).message, pattern);
    return;
  }
  assert.unreachable(text);
};

test('an HDF5Output without a file, with different rows, or with other bottoms and tops is refused by its layer', () => {
  const layer = (more: string) => `layer { name: "out" type: "HDF5Output" ${more} }`;
  const file = 'hdf5_output_param { file_name: "o.h5" }';
  refuse(layer('bottom: "ip" bottom: "label"'), /out.*hdf5_output_param has no file_name/);
  refuse(layer(`bottom: "ip" ${file}`), /takes 2 bottoms, found 1/);
  refuse(layer(`bottom: "ip" bottom: "label" top: "o" ${file}`), /takes 0 tops, found 1/);
  refuse(
    `layer { name: "r" type: "Reshape" bottom: "label" top: "r" reshape_param { shape { dim: 1 dim: 2 } } } ${layer(`bottom: "ip" bottom: "r" ${file}`)}`,
    /as many rows of data as of label; its bottoms are 2×2 and 1×2/,
  );
});

test('a net loaded in code warns that it writes nothing, unless the blobs are requested', async () => {
  const model = readNet(net(output('code.h5')), { file: 'net.prototxt' });
  assert.equal(hdf5Outputs(model), [{ layer: 'out', file: 'code.h5', data: 'ip', label: 'label' }]);
  const warnings: string[] = [];
  await using device = await openDevice('cpu', { onWarning: ({ message }) => warnings.push(message) });
  (await device.load({ model })).dispose();
  assert.match(warnings.join('\n'), /layer "out" \(HDF5Output\) does not write code\.h5 here.*"ip","label"/);
  warnings.length = 0;
  using asked = await device.load({ model, outputs: ['ip', 'label'] });
  const blobs = await asked.run({ data: Float32Array.of(1, 0, 0, -1, 0, 0), label: Float32Array.of(1, 0) });
  assert.equal([...blobs.ip!.data], [2, 2, -2, -2]);
  assert.equal(warnings, []);
});

test.run();
