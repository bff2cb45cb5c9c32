/**
 * Files with the smallest possible items of a format: each is refused with an error that names the limit, before memory
 * is allocated.
 */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ResnodeError } from '../../ts/base/errors.ts';
import {
  MAX_FIELDS,
  MAX_JSON_BYTES,
  MAX_LABELS_BYTES,
  MAX_LAYERS,
  MAX_LINE,
  MAX_LIST_BYTES,
  MAX_PICKLE_OPCODES,
  MAX_PROTOTXT_BYTES,
  MAX_PROTOTXT_MESSAGES,
  MAX_PROTOTXT_TOKENS,
  MAX_SAFETENSORS_HEADER,
} from '../../ts/base/files.ts';
import { readBinaryproto, readCaffemodel } from '../../ts/caffe/caffemodel.ts';
import { readNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { readSolverState } from '../../ts/caffe/solver-state.ts';
import { readCalibration } from '../../ts/compile/calibration.ts';
import { readOnnx } from '../../ts/convert/onnx-proto.ts';
import { readTorchFile } from '../../ts/convert/resnet/read-torch-resnet.ts';
import { readSafetensors } from '../../ts/convert/safetensors.ts';
import { readAugment } from '../../ts/data/augment.ts';
import { readDatum } from '../../ts/data/datum.ts';
import { readImageList } from '../../ts/data/image-list.ts';
import { readLabels } from '../../ts/images/labels.ts';
import { loadPreprocess } from '../../ts/images/preprocess-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-limits-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
/** A file of this size that takes no space on disk. */
function sparse(name: string, bytes: number, head = ''): string {
  writeFileSync(path(name), head);
  truncateSync(path(name), bytes);
  return path(name);
}

async function refused(work: () => unknown, code: string, message: RegExp): Promise<void> {
  let error: unknown;
  try {
    await work();
  } catch (thrown) {
    error = thrown;
  }
  assert.instance(error, ResnodeError, String((error as Error | undefined)?.stack ?? 'nothing was thrown'));
  assert.is((error as ResnodeError).code, code, (error as Error).message);
  assert.match((error as Error).message, message);
}
const file = 'x';
/** The same bytes `count` times. */
const many = (count: number, ...bytes: number[]) => Buffer.alloc(count * bytes.length, Buffer.from(bytes));
/** Field 2 (or another) of a message, with a varint as its length. */
function field(number: number, payload: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = payload.length; ; rest = Math.floor(rest / 128)) {
    length.push(rest > 127 ? (rest % 128) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), payload]);
}

test('a prototxt has limits for its text, tokens, messages and unquoted text', async () => {
  const net = (text: string) => () => readNet(text, { file });
  const pieces = `name: ${'"a" '.repeat(MAX_PROTOTXT_TOKENS)}`;
  await refused(net(pieces), 'prototxt/limit', /x:1:\d+: the text has more than 1000000 tokens/);
  await refused(
    net('layer{}'.repeat(MAX_PROTOTXT_MESSAGES + 1)),
    'prototxt/limit',
    /more than 60000 messages/,
  );
  await refused(net(`name: "${'\\'.repeat(MAX_PROTOTXT_BYTES)}"`), 'prototxt/limit', /at most 16777216/);
  await refused(
    net(`layer { name: "a" ${'b'.repeat(5000)}: 1 }`),
    'prototxt/limit',
    /of 5000 characters; at most 4096/,
  );
  await refused(
    net(`force_backward: ${'1'.repeat(5000)}`),
    'prototxt/limit',
    /of 5000 characters; at most 4096/,
  );
  const large = sparse('large.prototxt', MAX_PROTOTXT_BYTES + 1, 'name: "a"\n');
  await refused(
    () => readNetFile(large),
    'file/too-large',
    /large\.prototxt: has 16777217 bytes; prototxts have at most/,
  );
});

test('a string of escapes is read into one piece of its size', () => {
  const before = process.memoryUsage().rss;
  const { name } = readNet(`name: "${'\\x41\\102\\u00e9é'.repeat(200_000)}"`, { file });
  assert.is(name, 'ABéé'.repeat(200_000));
  assert.ok(process.memoryUsage().rss - before < 200e6, `${(process.memoryUsage().rss - before) / 1e6} MB`);
});

test('binary weights have limits for layers, fields and dimensions', async () => {
  const model = (bytes: Buffer) => () => readCaffemodel(bytes, { file });
  const named = Buffer.from([0x0a, 1, 0x61]);
  const layers = Buffer.concat([named, many(MAX_LAYERS + 1, 0xa2, 6, 0)]);
  await refused(model(layers), 'weights/limit', /more than 100000 layers/);
  const v1 = Buffer.concat([named, many(MAX_LAYERS + 1, 0x12, 0)]);
  await refused(model(v1), 'weights/limit', /more than 100000 layers/);
  const unknown = Buffer.concat([named, many(MAX_FIELDS + 1, 0x18, 1)]);
  await refused(model(unknown), 'weights/limit', /more than 1000000 fields/);
  // The fields of all layers count together.
  const layer = field(2, many(MAX_FIELDS / 10, 0x40, 1));
  await refused(
    model(Buffer.concat([named, ...Array.from({ length: 11 }, () => layer)])),
    'weights/limit',
    /fields/,
  );
  const shape = field(7, field(1, many(100_000, 1)));
  await refused(() => readBinaryproto(shape, { file }), 'weights/shape', /more than 64 dimensions/);
  writeFileSync(path('x.solverstate'), Buffer.concat([Buffer.from([8, 1]), many(MAX_FIELDS + 1, 0x28, 1)]));
  await refused(() => readSolverState(path('x.solverstate')), 'weights/limit', /more than 1000000 fields/);
  const datum = many(MAX_FIELDS + 1, 0x35, 0, 0, 0, 0);
  await refused(() => readDatum(datum, { file, key: 'k' }), 'data/datum', /more than 1000000 fields/);
});

test('an ONNX model has a limit for fields of any kind', async () => {
  const onnx = (graph: Buffer) => () => {
    const producer = Buffer.from([8, 8, 0x12, 5, ...Buffer.from('torch')]);
    return readOnnx(Buffer.concat([producer, field(7, graph)]), { file });
  };
  await refused(onnx(many(MAX_FIELDS, 0x0a, 0x80, 0)), 'weights/limit', /more than 1000000 fields/);
  await refused(onnx(many(MAX_FIELDS, 0x2a, 0x80, 0)), 'weights/limit', /more than 1000000 fields/);
  await refused(onnx(field(1, many(MAX_FIELDS, 0x0a, 0x80, 0))), 'weights/limit', /more than 1000000 fields/);
  const dims = field(5, field(1, many(MAX_FIELDS + 1, 1)));
  await refused(onnx(dims), 'weights/limit', /a list of more than 1000000 numbers/);
});

test('a pickle has a limit for its steps, and a safetensors file for its header and the nesting in it', async () => {
  const pickle = Buffer.concat([Buffer.from([0x80, 2]), many(MAX_PICKLE_OPCODES, 0x7d)]);
  await refused(() => readTorchFile(pickle, file), 'torch/limit', /more than 2000000 steps/);
  const safetensors = (header: string, length = header.length) => {
    const bytes = Buffer.alloc(8 + length, ' ');
    bytes.writeBigUInt64LE(BigInt(length));
    bytes.write(header, 8);
    return () => readSafetensors(bytes, { file });
  };
  await refused(
    safetensors('{}', MAX_SAFETENSORS_HEADER + 1),
    'safetensors/limit',
    /header of 16777217 bytes; at most/,
  );
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  await refused(
    safetensors(`{"a":{"dtype":${deep}}}`),
    'safetensors/format',
    /values are a list of 1, expected/,
  );
  await refused(
    safetensors(`{"a":{"dtype":"F32","shape":${deep}}}`),
    'safetensors/format',
    /found a list of 1/,
  );
});

test('an image list is read line by line, with a limit for each line, whatever the file is', async () => {
  const list = sparse('list.txt', 600e6, 'a.jpg 1\n');
  await refused(
    () => readImageList(list),
    'file/line-too-long',
    /list\.txt:2: the line is longer than 65536 bytes/,
  );
  writeFileSync(path('long.txt'), `a.jpg 1\n${'b'.repeat(MAX_LINE + 1)} 2\nc.jpg 3\n`);
  await refused(() => readImageList(path('long.txt')), 'file/line-too-long', /long\.txt:2:/);
  writeFileSync(path('ends.txt'), 'a.jpg 1\r\n\r\nb é.jpg 2\nc.jpg 3');
  assert.equal(
    (await readImageList(path('ends.txt'))).map(({ path, label, line }) => [path, label, line]),
    [
      ['a.jpg', 1, 1],
      ['b é.jpg', 2, 3],
      ['c.jpg', 3, 4],
    ],
  );
});

test('a file that is read at once is refused by its size before it is read', async () => {
  const labels = sparse('labels.txt', MAX_LABELS_BYTES + 1, 'cat\n');
  await refused(() => readLabels(labels), 'file/too-large', /label files have at most 16777216/);
  const json = sparse('x.json', MAX_JSON_BYTES + 1, '{');
  await refused(() => loadPreprocess(json), 'file/too-large', /JSON files have at most/);
  await refused(() => readCalibration(json), 'file/too-large', /JSON files have at most/);
  await refused(() => readAugment(json, 'TRAIN'), 'file/too-large', /JSON files have at most/);
  assert.ok(MAX_LIST_BYTES < 2 ** 29, 'a string of Node');
});

test('a length beyond the largest possible file is reported as such', () => {
  const length = [...new Array(9).fill(0x80), 0x01];
  assert.throws(
    () => readCaffemodel(Buffer.from([0xa2, 0x06, ...length]), { file: 'net' }),
    /field 100 says it has more than 2\^53 bytes, but 0 are left/,
  );
});

test.run();
