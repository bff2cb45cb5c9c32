/** Folders and lists with classes, in every form, and which are refused. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../../ts/base/errors.ts';
import { type DatasetOptions, readLabelledImages } from '../../../ts/images/evaluate/dataset.ts';

const labels = ['n00000001 cat, house cat', 'n00000002 crane', 'n00000003 sea dog', 'n00000004 crane'];

function folder(...files: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'resnode-'));
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), '');
  }
  return root;
}
const read = (root: string, options: DatasetOptions) => {
  const { matchedBy, files } = readLabelledImages(root, options);
  return [matchedBy, ...files.map(({ image, label }) => `${relative(root, image)} ${label}`)];
};
const refused = (root: string, options: DatasetOptions, message: RegExp) => {
  try {
    readLabelledImages(root, options);
  } catch (error) {
    assert.instance(error, ArgumentError);
    assert.match((error as Error).message, message);
    return;
  }
  assert.unreachable(`${message}`);
};

test('folders are matched by synset id, by name, or by their order', () => {
  assert.equal(
    read(folder('n00000003/a.png', 'n00000001/b.JPEG', 'n00000001/x.txt'), { classes: 4, labels }),
    ['synset id', 'n00000001/b.JPEG 0', 'n00000003/a.png 2'],
  );
  assert.equal(read(folder('Sea_dog/a.png', 'house cat/deep/b.png'), { classes: 4, labels }), [
    'name',
    'Sea_dog/a.png 2',
    'house cat/deep/b.png 0',
  ]);
  assert.equal(read(folder('b/1.png', 'a/2.png'), { classes: 2 }), [
    'sorted order',
    'a/2.png 0',
    'b/1.png 1',
  ]);
});

test('files that begin with a synset id are matched with the labels', () => {
  assert.equal(read(folder('n00000002_x.JPEG', 'n00000001.png'), { classes: 4, labels }), [
    'synset id',
    'n00000001.png 0',
    'n00000002_x.JPEG 1',
  ]);
});

test("a list is Caffe's: the last space separates, and paths are relative to the list", () => {
  const root = folder();
  const list = join(root, 'val.txt');
  writeFileSync(list, '\uFEFFa b.png 1\r\n\n/c.png 0\n');
  assert.equal(readLabelledImages(list, { classes: 2 }).files, [
    { image: join(root, 'a b.png'), label: 1 },
    { image: '/c.png', label: 0 },
  ]);
  writeFileSync(list, 'a.png 1\nb.png 2\n');
  refused(list, { classes: 2 }, /val\.txt:2: expected .*from 0 to 1, but/);
  writeFileSync(list, 'a.png\n');
  refused(list, { classes: 2 }, /val\.txt:1/);
  writeFileSync(list, '\n');
  refused(list, { classes: 2 }, /"path label" lines/);
});

test('an ambiguous class is refused', () => {
  refused('/nowhere', { classes: 2 }, /there is no such file/);
  refused(folder(), { classes: 2 }, /a folder with images/);
  refused(folder('a/1.png', '2.png'), { classes: 2 }, /2\.png/);
  refused(folder('a/1.png'), { classes: 2 }, /exactly 2 folders/);
  refused(folder('cat/1.png', 'dog/2.png'), { classes: 4, labels }, /dog/);
  refused(folder('cat/1.png', 'crane/2.png'), { classes: 4, labels }, /crane"; it names several labels/);
  refused(folder('1.png'), { classes: 4, labels }, /synset id/);
  refused(folder('n00000009_1.png'), { classes: 4, labels }, /n00000009_1\.png/);
  refused(folder('n00000001_1.png'), { classes: 4 }, /--labels synset_words\.txt/);
});

test.run();
