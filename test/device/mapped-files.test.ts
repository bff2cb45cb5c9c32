/**
 * Memory that JavaScript and native code share: files larger than an array can be, files that are truncated or written
 * while they are in use, objects that are not files, and arrays for which there is no memory.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { loadPreprocess, readLabels } from '../../ts/api/images.ts';
import { readWeights } from '../../ts/caffe/read-weights.ts';
import { openDevice, ResnodeError, readNetFile, WeightsError, writeCaffemodel } from '../../ts/index.ts';
import { checkIntact, mapFile } from '../../ts/native/host-memory.ts';
import { loadBinding } from '../../ts/native/load.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-mapped-'));
test.after(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const arraysHaveALimit = Number(process.versions.node.split('.')[0]) < 22;

/** A net with 16 MiB of weights, and a file of them. */
function largeNet(name: string) {
  const model = at(`${name}.prototxt`);
  writeFileSync(
    model,
    `input: "data" input_shape { dim: 1 dim: 1024 }
     layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 4096 bias_term: false } }`,
  );
  const bytes = new Uint8Array(new Float32Array(4096 * 1024).fill(0.5).buffer);
  const weights = at(`${name}.caffemodel`);
  writeCaffemodel(weights, {
    name,
    layers: [{ name: 'fc', type: '', blobs: [{ shape: [4096, 1024], dtype: 'float32', bytes }] }],
  });
  return { model, weights };
}

async function refused(promise: unknown, code: string): Promise<Error> {
  try {
    await (typeof promise === 'function' ? promise() : promise);
  } catch (error) {
    assert.instance(error, ResnodeError);
    assert.is((error as ResnodeError).code, code, (error as Error).message);
    return error as Error;
  }
  return assert.unreachable(`expected ${code}`) as never;
}

test('a file above the limit of arrays is refused by its size, and the process continues', async () => {
  const path = at('sparse.caffemodel');
  closeSync(openSync(path, 'w'));
  truncateSync(path, 5 * 2 ** 30);
  if (!arraysHaveALimit) return assert.is(mapFile(path).length, 5 * 2 ** 30);
  for (let i = 0; i < 3; i++) {
    const error = await refused(() => mapFile(path), 'weights/too-large');
    assert.match(error.message, /sparse\.caffemodel: the file has 5368709120 bytes.*Node 22/);
  }
  using device = await openDevice('cpu');
  const { model } = largeNet('beside');
  await refused(device.load({ model, weights: path }), 'weights/too-large');
  await refused(convert(path, at('sparse.safetensors'), {}), 'weights/too-large');
  renameSync(path, at('sparse.onnx'));
  await refused(convert(at('sparse.onnx'), at('from-onnx.caffemodel')), 'weights/too-large');
});

if (arraysHaveALimit)
  test('parameters above the limit of arrays are refused by layer and size', async () => {
    const model = at('vast.prototxt');
    writeFileSync(
      model,
      `input: "data" input_shape { dim: 1 dim: 1000000 }
       layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 1100 } }`,
    );
    using device = await openDevice('cpu');
    const error = await refused(device.load({ model }), 'device/too-large');
    assert.match(error.message, /layer "fc": blob 0, 1100×1000000, has 4400000000 bytes/);
  });

test('a file that was truncated while in use reads as zeros, and this is reported', async () => {
  const { weights } = largeNet('cut');
  const bytes = mapFile(weights);
  checkIntact(bytes, weights);
  truncateSync(weights, 2 ** 20);
  assert.is(
    bytes.subarray(2 ** 21).reduce((sum, byte) => sum + byte, 0),
    0,
  );
  assert.throws(
    () => checkIntact(bytes, weights),
    (error: Error) => error instanceof WeightsError,
  );
});

test('a file that was rewritten in place is reported, and one that was replaced by renaming is safe', () => {
  const { weights } = largeNet('rewritten');
  const [rewritten, replaced] = [mapFile(weights), mapFile(weights)];
  copyFileSync(weights, at('beside.bin'));
  renameSync(at('beside.bin'), weights);
  checkIntact(replaced, weights);
  const again = mapFile(weights);
  const descriptor = openSync(weights, 'r+');
  closeSync(descriptor);
  copyFileSync(at('rewritten.prototxt'), weights);
  assert.throws(() => checkIntact(again, weights), /modified or truncated/);
  checkIntact(rewritten, weights);
});

test('a model whose weights were truncated before they were packed is refused, and the device still works', async () => {
  using device = await openDevice('cpu');
  const { model, weights } = largeNet('early');
  const { layers } = await readWeights(weights, mapFile);
  truncateSync(weights, 2 ** 20);
  const error = await refused(
    device.load({ model, weights: { file: weights, name: '', layers } }),
    'weights/changed',
  );
  assert.match(error.message, 'early.caffemodel');
  const other = largeNet('other');
  using loaded = await device.load(other);
  assert.is((await loaded.run({ data: new Float32Array(1024).fill(1) })).fc!.data[0], 512);
  // The weights are already packed, so this no longer matters.
  truncateSync(other.weights, 0);
  assert.is((await loaded.run({ data: new Float32Array(1024).fill(1) })).fc!.data[4095], 512);
});

test('another batch size of a model whose file changed gives an error, or the values with which it was loaded', async () => {
  using device = await openDevice('cpu');
  const files = largeNet('later');
  using loaded = await device.load(files);
  const later = new Date(statSync(files.weights).mtimeMs + 5000);
  truncateSync(files.weights, 2 ** 20);
  utimesSync(files.weights, later, later);
  const outcome = await loaded.run({ data: new Float32Array(2048).fill(1) }).then(
    ({ fc }) => fc!.data.every((value) => value === 512),
    (error: unknown) => error instanceof WeightsError,
  );
  assert.ok(outcome);
});

/** A test that needs a command. */
const having = (command: string) =>
  spawnSync(command, ['--version']).error === undefined
    ? test
    : (name: string) => console.log(`skipped: ${name}: ${command} was not found`);

having('prlimit')(
  'an output that cannot be allocated is an error with a code, not the end of the process',
  () => {
    // 1 GiB of pixels while the process may allocate only about 64 MiB more. In plain JavaScript, because a loader
    // needs more.
    const program = `
    const { resizeImage } = require(${JSON.stringify(loadBinding().path)});
    const size = { width: 1, height: 1, channels: 4, resizedWidth: 16384, resizedHeight: 16384, float: false };
    const kilobytes = Number(/^VmSize:\\s+(\\d+)/m.exec(require('fs').readFileSync('/proc/self/status', 'utf8'))[1]);
    require('child_process').execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (kilobytes + 65536) * 1024]);
    try { resizeImage(new Uint8Array(4), size); } catch (error) { console.log(error.code); }`;
    const child = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
    assert.is(child.status, 0, child.stderr);
    assert.is(child.stdout.trim(), 'device/out-of-memory');
  },
);

having('mkfifo')(
  'FIFOs, sockets and devices are refused before they block, for every kind of input',
  async () => {
    const fifo = at('fifo.caffemodel');
    assert.is(spawnSync('mkfifo', [fifo]).status, 0);
    using device = await openDevice('cpu');
    const { model } = largeNet('plain');
    for (const path of [fifo, '/dev/zero']) {
      await refused(() => mapFile(path), 'weights/special-file');
      await refused(device.load({ model, weights: path }), 'weights/special-file');
      await refused(() => readNetFile(path), 'file/special');
      await refused(() => readLabels(path), 'file/special');
      await refused(() => loadPreprocess(path), 'file/special');
    }
    const cli = (...words: string[]) =>
      spawnSync(process.execPath, [...COMMAND, ...words], {
        encoding: 'utf8',
        timeout: 60_000,
      });
    const summary = cli('summary', fifo);
    assert.is(summary.status, 1, summary.stderr);
    assert.match(summary.stderr, /FIFO/);
  },
);

test.run();
