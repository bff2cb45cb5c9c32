/** Image lists as people write them: all readers of lists read them, or refuse them with line and cure. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readImageList } from '../../ts/api/data.ts';
import { readLabelledImages } from '../../ts/api/images.ts';
import { listClassFolders } from '../../ts/images/evaluate/dataset.ts';
import { ResnodeError } from '../../ts/index.ts';

const root = mkdtempSync(join(tmpdir(), 'resnode-list-'));
test.after(() => rmSync(root, { recursive: true }));
const list = join(root, 'list.txt');

/** By both readers: paths and labels, or the messages of the refusals. */
async function read(content: string | Buffer) {
  writeFileSync(list, content);
  const error = (thrown: unknown) => {
    assert.instance(thrown, ResnodeError);
    return (thrown as Error).message;
  };
  const training = await readImageList(list, { negative: false }).then(
    (images) => images.map(({ path, label }) => `${path}=${label}`).join(),
    error,
  );
  let evaluation: string;
  try {
    const { files } = readLabelledImages(list, { classes: 1000 });
    evaluation = files.map(({ image, label }) => `${image.slice(root.length + 1)}=${label}`).join();
  } catch (thrown) {
    evaluation = error(thrown);
  }
  return [training, evaluation];
}

for (const [name, content] of [
  ['paths with spaces and digits', 'a b 3.jpg 1\nc (2) x.png 0\n'],
  [
    'CR LF, a byte order mark, empty lines and no end of the last line',
    '\uFEFFa b 3.jpg 1\r\n\r\nc (2) x.png 0',
  ],
  ['tabs, and spaces around', '  a b 3.jpg\t1\nc (2) x.png   0  \n'],
] as const)
  test(`a list with ${name} is read`, async () => {
    const expected = 'a b 3.jpg=1,c (2) x.png=0';
    assert.equal(await read(content), [expected, expected]);
  });

for (const [name, line, cure] of [
  [
    'several labels',
    'a.jpg 1 0 1',
    /there are 3 labels, but one is expected; several labels are for nets that end in Sigmoid/,
  ],
  ['several labels, some with fractions', 'dir/a b.png 0.5 -1 7', /there are 3 labels/],
  ['no label', 'a.jpg', /no label follows the path/],
  ['no label behind a path with a space', 'my cat.jpg', /no label follows the path/],
  ['a name for a label', 'a.jpg cat', /"cat" is not a valid label; number the classes from 0/],
  [
    'a fraction for a label',
    'a.jpg 0.5',
    /"0\.5" is not a valid label; use HDF5Data for values that are not classes/,
  ],
  ['a label below 0', 'a.jpg -3', /"-3" is below 0; number the classes from 0/],
  ['a label beyond 32 bits', 'a.jpg 9999999999', /"9999999999" is not a valid label/],
  ['a comma between', 'a.jpg,3', /a space must separate them, not ","/],
  ['a semicolon between', 'a.jpg;3', /a space must separate them, not ";"/],
] as const)
  test(`a line with ${name} is refused with its number and a cure`, async () => {
    for (const message of await read(`first.jpg 0\n\n${line}\n`)) {
      assert.match(message, /list\.txt:3/);
      assert.match(message, cure);
    }
  });

test('a list in UTF-16 is refused with the command that converts it', async () => {
  for (const bytes of [
    Buffer.from('\uFEFFa.jpg 1\r\n', 'utf16le'),
    Buffer.from('\uFEFFa.jpg 1\r\n', 'utf16le').swap16(),
  ])
    for (const message of await read(bytes)) assert.match(message, /UTF-16.*iconv -f utf-16 -t utf-8/);
  for (const message of await read(Buffer.from('a.jpg 1\n', 'utf16le')))
    for (const words of [/list\.txt:1/, /UTF-16/]) assert.match(message, words);
  for (const message of await read(Buffer.from('caf\xe9.jpg 1\n', 'latin1')))
    assert.match(message, /not UTF-8/);
});

test('labels below 0 are for layers, whose loss may ignore them', async () => {
  writeFileSync(list, 'a.jpg -1\n');
  assert.is((await readImageList(list))[0]!.label, -1);
});

test('class folders: hidden folders, empty ones and other files are not classes, and are named', () => {
  const classes = join(root, 'classes');
  for (const file of [
    'b/1.jpg',
    'a/2.PPM',
    'a/._2.jpg',
    '.git/3.jpg',
    'a/.cache/4.jpg',
    'c/notes.txt',
    'top.md',
    'a/x.jpg/5.jpg',
  ]) {
    mkdirSync(join(classes, file, '..'), { recursive: true });
    writeFileSync(join(classes, file), '');
  }
  const { folders, ignored } = listClassFolders(classes);
  assert.equal(
    folders.map(({ name, files }) => [name, files.length]),
    [
      ['a', 2],
      ['b', 1],
    ],
  );
  assert.equal(ignored, ['.git/', 'a/._2.jpg', 'a/.cache/', 'c/', 'c/notes.txt', 'top.md']);
});

test.run();
