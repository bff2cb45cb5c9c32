/** Torch7's .t7 → Caffe: files in the format of File.lua, compared with PyTorch's operators (make_torch7.py). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { convert } from '../../ts/api/convert.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { readTorch7 } from '../../ts/convert/torch7/read-torch7.ts';
import { openDevice, ResnodeError, readNetFile, readNpy } from '../../ts/index.ts';
import { repositoryFolder } from '../support/golden.ts';

const fixtures = join(repositoryFolder, 'test/convert/fixtures');
const folder = mkdtempSync(join(tmpdir(), 'resnode-torch7-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const npy = (name: string) => toFloat32(readNpy(readFileSync(join(fixtures, name)), { file: name }));
const inputShapes = { data: [2, 3, 33, 33] };

for (const [name, what] of [
  ['fb-b', 'bottlenecks, shortcuts B and C, a DataParallelTable, an old BatchNorm'],
  ['fb-a-ascii', 'basic blocks, shortcut A, ASCII'],
  ['nngraph', 'a gModule, zeros by nn.Padding'],
])
  test(`${name}.t7 gives the results of its modules: ${what}`, async () => {
    const { net, weights, notes } = await readTorch7(join(fixtures, `${name}.t7`), { inputShapes });
    assert.equal(notes, ['the net ends in scores; a Softmax "prob" is added']);
    using device = await openDevice('cpu');
    using model = await device.load({
      model: { ...net, layer: net.layer!.filter(({ type }) => type !== 'Softmax') },
      weights,
      strict: true,
    });
    const [output] = Object.values(
      await model.run({ data: { shape: inputShapes.data, data: npy('input.npy') } }),
    );
    const expected = npy(`${name}.npy`);
    const largest = Math.max(...expected.map(Math.abs));
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - output!.data[i]!)));
    assert.ok(worst / largest < 1e-5, `${worst} of ${largest}`);
  });

test('the format is recognised by content, and images are prepared as in fb.resnet.torch', async () => {
  writeFileSync(path('renamed.bin'), readFileSync(join(fixtures, 'nngraph.t7')));
  const small = await convert(path('renamed.bin'), path('net.caffemodel'), { inputShapes });
  assert.ok(small.check!.ok);
  assert.is(small.preprocess, null);
  assert.ok(readNetFile(path('net.prototxt')).layer!.some(({ type }) => type === 'Eltwise'));
  const { preprocess } = await readTorch7(join(fixtures, 'fb-b.t7'), { inputShapes });
  assert.equal(preprocess!.std, [58.395, 57.12, 57.375]);
});

const ints = (...values: number[]) =>
  Buffer.concat(values.map((value) => Buffer.from(Int32Array.of(value).buffer)));
const text = (value: string) => Buffer.concat([ints(value.length), Buffer.from(value)]);
const object = (index: number, name: string) => Buffer.concat([ints(4, index), text('V 1'), text(name)]);
const word = (value: string) => Buffer.concat([ints(2), text(value)]);
const number = (value: number) => Buffer.concat([ints(1), Buffer.from(Float64Array.of(value).buffer)]);

test('damaged, hostile and foreign files give typed errors', async () => {
  const whole = readFileSync(join(fixtures, 'fb-b.t7'));
  // Modules that occur twice in modules that occur twice, and so on: a thousand bytes that describe 2^60 modules.
  const modules: Buffer[] = [];
  for (let i = 0; i < 60; i++)
    modules.push(
      object(3 * i + 1, 'nn.Sequential'),
      ints(3, 3 * i + 2, 1),
      word('modules'),
      ints(3, 3 * i + 3, 2),
      number(1),
    );
  modules.push(object(1000, 'nn.Identity'), ints(3, 1001, 0));
  for (let i = 60; i-- > 0; ) modules.push(number(2), i === 59 ? ints(4, 1000) : ints(4, 3 * i + 4));
  const itself = Buffer.concat([
    object(1, 'nn.Sequential'),
    ints(3, 2, 1),
    word('modules'),
    ints(3, 3, 1),
    number(1),
    ints(4, 1),
  ]);
  const deep = Buffer.concat(
    Array.from({ length: 400 }, (_, i) => ints(3, i + 1, 1)).flatMap((table) => [table, number(1)]),
  );
  const cases: [string, Buffer, RegExp][] = [
    [
      'short.t7',
      whole.subarray(0, 30_000),
      /(?:bytes are needed, \d+ are left|a table of \d+ pairs).*\(byte \d+\); the file is truncated/,
    ],
    ['many.t7', Buffer.concat(modules), /more than 100000 modules|nested deeper/],
    ['itself.t7', itself, /modules are nested deeper than 100/],
    ['deep.t7', deep, /its objects are nested deeper than 250/],
    ['huge.t7', Buffer.concat([ints(3, 1, 2 ** 30)]), /a table of 1073741824 pairs/],
    [
      'kind.t7',
      Buffer.concat([object(1, 'nn.SpatialCrossMapLRN'), ints(3, 2, 0)]),
      /modules of nn\.SpatialCrossMapLRN are not converted/,
    ],
    ['number.t7', number(7), /it holds no module of nn/],
    ['unknown.t7', ints(99), /an object of kind 99/],
    ['word.t7', Buffer.from('4\n1\n3\nV 1\nx\n'), /"x" is not a number/],
  ];
  for (const [name, bytes, message] of cases) {
    writeFileSync(path(name), bytes);
    const error = await readTorch7(path(name)).catch((thrown: unknown) => thrown);
    assert.instance(error, ResnodeError, `${name}: ${error}`);
    assert.match((error as Error).message, message, `${name}: ${(error as Error).message}`);
  }
});

test.run();
