import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../ts/base/errors.ts';
import { type Split, splitClassFolders, splitLabelLists } from '../../ts/train/finetune/split.ts';
import { sharedFolder } from '../support/golden.ts';

/** A folder with empty files at these paths. */
function folderWith(...paths: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-split-'));
  for (const path of paths) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), '');
  }
  return folder;
}
const numbered = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${name}/${String(i).padStart(3, '0')}.jpg`);
const countOf = (images: Split['train'], label: number) =>
  images.filter((each) => each.label === label).length;
const refused = async (promise: Promise<unknown>, words: string) => {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.instance(error, ArgumentError);
  assert.ok((error as Error).message.includes(words), (error as Error).message);
};

test('every class gives the same share, every image is on one side, and the seed decides which', async () => {
  const folder = folderWith(
    ...numbered('cats', 50),
    ...numbered('ants', 10),
    ...numbered('bees', 3),
    'notes/readme.txt',
  );
  const split = await splitClassFolders(folder, { valShare: 0.2, seed: 7 });
  assert.equal(split.classes, ['ants', 'bees', 'cats']);
  assert.is(split.from, 'drawn');
  assert.equal(
    [0, 1, 2].map((label) => [countOf(split.train, label), countOf(split.val, label)]),
    [
      [8, 2],
      [2, 1],
      [40, 10],
    ],
  );
  const all = [...split.train, ...split.val].map(({ image }) => image);
  assert.is(new Set(all).size, 63);
  for (const { image, label } of [...split.train, ...split.val])
    assert.is(dirname(image), join(folder, split.classes[label]!));
  assert.equal(await splitClassFolders(folder, { valShare: 0.2, seed: 7 }), split);
  const other = await splitClassFolders(folder, { valShare: 0.2, seed: 8 });
  assert.not.equal(other.val, split.val);
  // However small the share, each class has a validation image and a training image.
  for (const valShare of [0.001, 0.999]) {
    const edge = await splitClassFolders(folder, { valShare });
    for (const label of [0, 1, 2])
      assert.ok(countOf(edge.train, label) >= 1 && countOf(edge.val, label) >= 1);
  }
});

test('train/ and val/ are used as they are; a class may be missing only in val', async () => {
  const folder = folderWith(
    ...numbered('train/ants', 3),
    ...numbered('train/bees', 2),
    ...numbered('val/bees', 4),
  );
  const split = await splitClassFolders(folder, { valShare: 0.9 });
  assert.is(split.from, 'folders');
  assert.equal(split.classes, ['ants', 'bees']);
  assert.equal([split.train.length, split.val.length, countOf(split.val, 1)], [5, 4, 4]);
  await refused(
    splitClassFolders(folderWith(...numbered('train/a', 2), ...numbered('train/b', 2), 'val/c/1.jpg')),
    'received "c"',
  );
  await refused(
    splitClassFolders(folderWith(...numbered('train/a', 2), ...numbered('train/b', 2), 'val/a/notes.txt')),
    'no folder with images',
  );
});

const hymenoptera = join(sharedFolder() ?? '', 'data/hymenoptera');
if (existsSync(hymenoptera))
  test('ants and bees: the known numbers', async () => {
    const split = await splitClassFolders(hymenoptera);
    assert.equal(split.classes, ['ants', 'bees']);
    assert.equal([countOf(split.train, 0), countOf(split.train, 1)], [123, 121]);
    assert.equal([countOf(split.val, 0), countOf(split.val, 1)], [70, 83]);
  });
else console.log('skipped: no photographs at shared/data/hymenoptera beside the checkout');

test('a folder that is no set of classes is refused with what is needed', async () => {
  await refused(splitClassFolders(folderWith('a/1.jpg', 'a/2.jpg')), 'it has only a');
  await refused(splitClassFolders(folderWith('1.jpg')), 'it has none');
  await refused(splitClassFolders(folderWith('a/1.jpg', 'a/2.jpg', 'b/1.jpg')), 'two images of each class');
  await refused(splitClassFolders('/nowhere'), 'a folder with a folder of images for each class');
  for (const valShare of [0, 1, Number.NaN, -0.5])
    await refused(splitClassFolders(folderWith(...numbered('a', 2)), { valShare }), 'valShare: expected');
});

test('a class whose images cannot be read is named, not silently left out', async () => {
  const folder = folderWith(...numbered('a', 4), ...numbered('b', 3), ...numbered('c', 2));
  const broken = new Set(numbered('c', 2).map((name) => join(folder, name)));
  await refused(splitClassFolders(folder, { broken }), 'a readable image in the folder of each class');
  await refused(splitClassFolders(folder, { broken }), `"${join(folder, 'c')}"; its 2 images cannot be read`);
});

test('a list with several labels is split at random, or by train.txt and val.txt; broken images are left out', async () => {
  const folder = folderWith(...numbered('x', 10));
  const lines = numbered('x', 10).map((name, i) => `${name} ${['0', '0,1', '-'][i % 3]}\n`);
  writeFileSync(join(folder, 'all.txt'), lines.join(''));
  const drawn = await splitLabelLists(join(folder, 'all.txt'), { valShare: 0.3 });
  assert.equal([drawn.train.length, drawn.val.length, drawn.from, drawn.several], [7, 3, 'drawn', true]);
  assert.equal(drawn.classes, ['class 0', 'class 1']);
  assert.equal(await splitLabelLists(join(folder, 'all.txt'), { valShare: 0.3 }), drawn);
  writeFileSync(join(folder, 'train.txt'), lines.slice(0, 6).join(''));
  writeFileSync(join(folder, 'val.txt'), lines.slice(6).join(''));
  const broken = new Set([join(folder, numbered('x', 10)[9]!)]);
  const given = await splitLabelLists(folder, { labels: ['mass', 'nodule, small'], broken });
  assert.equal([given.train.length, given.val.length, given.from], [6, 3, 'lists']);
  assert.equal(given.train[1]!.labels, [0, 1]);
  assert.equal(given.train[2]!.labels, []);
});

test.run();
