/** SSD's label maps are read by their schema: every form of the text format, and no other file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, PrototxtError } from '../../ts/base/errors.ts';
import { readLabels } from '../../ts/images/labels.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-labels-'));
test.after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'labelmap.prototxt');
const read = (text: string) => {
  writeFileSync(file, text);
  return readLabels(file);
};

test('a label map may be written in every form of the text format', () => {
  const expected = ['background', 'a } "b', 'class 2', 'c'];
  assert.equal(
    read(`# VOC
item { name: 'none' label: 0x0 display_name: "back" 'ground' } # { }
item: < label: 1, name: "n01"; display_name: "a } \\"b" >
item {
  # label: 7
  label: 3
  name: "c"
}`),
    expected,
  );
  assert.equal(read('item{name:"a"}item{name:"b"}'), ['a', 'b']);
  assert.equal(read('item { name: "none" label: -1 } item { name: "a" label: 0 }'), ['a']);
});

test('class names that only look like one remain lines', () => {
  assert.equal(read('item one\nitem two\n'), ['item one', 'item two']);
});

test('a broken label map is an error with its line, and a label that the net lacks is refused', () => {
  for (const [text, place] of [
    ['item { name: "a" label: 0 }\nitem { name: "b" label: one }', /labelmap\.prototxt:2:\d+/],
    ['item { name: "a" label: 0 }\nitem { name: "b"', /labelmap\.prototxt:2:\d+/],
    ['item { name: "a" }\nitem { nmae: "b" }', /labelmap\.prototxt:2:\d+.*nmae/],
  ] as const)
    assert.throws(
      () => read(text),
      (error: Error) => error instanceof PrototxtError && place.test(error.message),
    );
  assert.throws(
    () => read('item { name: "a" label: 2000000000 }'),
    (error: Error) => error instanceof ArgumentError && /labels below 1000000/.test(error.message),
  );
});

test.run();
