/** examples/batch-folder: one line per file, a bad file costs one line, and a second run continues. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';
import { startExample } from './start-example.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const folder = mkdtempSync(join(tmpdir(), 'resnode-batch-'));
test.after(() => rmSync(folder, { recursive: true }));
const images = join(folder, 'images');
const results = join(folder, 'results.jsonl');
mkdirSync(join(images, 'inner'), { recursive: true });
const names = ['0000.png', '0001.png', '0002.png', '0003.png'];
for (const [i, name] of names.entries())
  copyFileSync(join(fashion, 'images', name), join(images, i % 2 === 0 ? 'inner' : '.', name));
writeFileSync(join(images, 'broken.png'), 'no image');
writeFileSync(join(images, 'notes.txt'), 'no image either, and not meant to be one');

const batch = async () => {
  const { match, ended } = await startExample(
    'batch-folder/batch.mjs',
    [fashion, images, results],
    /.*were done before/,
  );
  return { printed: match[0], code: (await ended).code };
};
const lines = () =>
  readFileSync(results, 'utf8')
    .trimEnd()
    .split('\n')
    .map(
      (line) => JSON.parse(line) as { file: string; classes?: { label: string }[]; error?: { code: string } },
    );

test('every image has a line, a broken one its error, and the status shows it', async () => {
  assert.equal(await batch(), { printed: '4 images classified, 1 failed, 0 were done before', code: 1 });
  const broken = lines().filter(({ error }) => error !== undefined);
  assert.equal(
    broken.map(({ file, error }) => [file, error!.code]),
    [[join(images, 'broken.png'), 'image/unreadable']],
  );
  const boot = lines().find(({ file }) => file.endsWith('0000.png'));
  assert.is(boot!.classes![0]!.label, 'Ankle boot');
});

test('a run that was cut off in a line continues, and answers no file twice', async () => {
  const whole = readFileSync(results, 'utf8');
  writeFileSync(results, whole.slice(0, whole.lastIndexOf('\n', whole.length - 2) - 20));
  const { printed } = await batch();
  assert.match(printed, /3 were done before/);
  const files = lines().map(({ file }) => file);
  assert.is(files.length, 5);
  assert.is(new Set(files).size, 5);
});

test.run();
