/** `--layers`: functions of a module implement a net's Python layers. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-layers-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

writeFileSync(
  path('net.prototxt'),
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }
layer { name: "twice" type: "Python" bottom: "data" top: "twice" python_param { module: "m" layer: "Double" } }`,
);
writeFileSync(path('data.f32'), new Float32Array([1, -2, 3, 0.5]));

function run(code: string) {
  writeFileSync(path('layers.mjs'), code);
  const out = mkdtempSync(path('out-'));
  const words = ['run', '--model', path('net.prototxt'), '--input', `data=${path('data.f32')}`];
  const { status, stderr } = spawnSync(
    process.execPath,
    [...COMMAND, ...words, '--layers', path('layers.mjs'), '--out', join(out, 'blobs')],
    { encoding: 'utf8' },
  );
  return { status, stderr, out: join(out, 'blobs') };
}
const double = (forward: string) =>
  `export default { 'm.Double': { shapes: ({ bottoms }) => bottoms, forward: ${forward} } };`;

test('a net with a Python layer runs with a function from a module', () => {
  const { status, stderr, out } = run(double('async ([x]) => [x.data.map((value) => 2 * value)]'));
  assert.is(status, 0, stderr);
  const bytes = readFileSync(join(out, 'twice.f32'));
  assert.equal([...new Float32Array(new Uint8Array(bytes).buffer)], [2, -4, 6, 1]);
});

for (const [what, code, status, words] of [
  ['is no object', 'export default 3;', 2, /--layers: expected a module with /],
  ['does not parse', 'export default {', 2, /--layers: expected a JavaScript module that can be imported/],
  ['lacks the layer', 'export default {};', 1, /layer "twice" \(Python\).*--layers FILE/],
  ['throws', double("() => { throw new Error('no weights'); }"), 1, /no weights/],
  ['gives too few values', double('([x]) => [x.data.slice(1)]'), 1, /expected a Float32Array of 4 values/],
] as const)
  test(`a module that ${what} is refused with a message`, () => {
    const refused = run(code);
    assert.is(refused.status, status, refused.stderr);
    assert.match(refused.stderr, words);
    assert.not.match(refused.stderr, /^ {4}at /m);
  });

test.run();
