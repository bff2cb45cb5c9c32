/** What a command accepts as images: files, folders, lists, patterns and the standard input. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DataError } from '../../ts/base/errors.ts';
import { imageSources } from '../../ts/cli/image-files.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const boot = join(fashion, 'images/0000.png');
const root = mkdtempSync(join(tmpdir(), 'resnode-images-'));
test.after(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, 'photos/more'), { recursive: true });
for (const name of ['photos/a.png', 'photos/more/b.png', 'photos/[1].png'])
  copyFileSync(boot, join(root, name));
writeFileSync(join(root, 'list.txt'), '\uFEFFphotos/a.png 3\r\n\r\nphotos/more/b.png\n');
const at = (...names: string[]) => names.map((name) => join(root, name));
const files = async (...words: string[]) =>
  (await imageSources(at(...words), '--images')).map(({ file }) => file);

test('a folder stands for the images below it, a list for its paths, a pattern for its matches, and a file for itself', async () => {
  const all = at('photos/[1].png', 'photos/a.png', 'photos/more/b.png');
  assert.equal(await files('photos'), all);
  assert.equal(await files('list.txt'), all.slice(1));
  assert.equal(await files('photos/**/*.png'), all);
  assert.equal(await files('photos/*'), all);
  assert.equal(await files('photos/a.png', 'none.png'), at('photos/a.png', 'none.png'));
  assert.equal(await files('photos/[1].png'), all.slice(0, 1));
});

test('arguments without images are refused by their flag', async () => {
  mkdirSync(join(root, 'empty'));
  writeFileSync(join(root, 'none.txt'), '\n');
  writeFileSync(join(root, 'binary.lst'), readFileSync(boot));
  const refusal = (word: string) => imageSources(at(word), '--images').catch((error: unknown) => error);
  for (const word of ['empty', 'none.txt', 'photos/*.gif']) {
    const error = await refusal(word);
    assert.instance(error, ArgumentError, word);
    assert.match((error as Error).message, /--images: expected .+, but received/);
  }
  assert.instance(await refusal('binary.lst'), DataError);
});

const classify = (input: string | Buffer, ...more: string[]) =>
  spawnSync(
    process.execPath,
    [...COMMAND, 'classify', '-', '--model', fashion, '--top', '1', '--json', ...more],
    { input, encoding: 'utf8', cwd: root },
  );
const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('- is an image if the standard input starts like one, else a list of paths; empty input is refused', () => {
  const [image] = lines(classify(readFileSync(boot)).stdout);
  assert.equal([image.file, image.top[0].label], ['-', 'Ankle boot']);
  const { status, stdout } = classify('photos/a.png\nphotos/none.png\n');
  const [first, second] = lines(stdout);
  assert.equal([first.file, first.top[0].label], ['photos/a.png', 'Ankle boot']);
  assert.equal([second.file, second.error.code, status], ['photos/none.png', 'image/not-found', 1]);
  const nothing = classify('');
  assert.is(nothing.status, 2);
  assert.match(nothing.stderr, /the images: expected .*from standard input \(-\), but received nothing\n/);
});

test('--crops 10 averages ten crops; progress is printed on stderr if requested', () => {
  const wide = ['--mean-value', '73', '--shorter-side', '32'];
  const [one] = lines(classify(readFileSync(boot), ...wide).stdout);
  const { stdout, stderr } = classify(readFileSync(boot), ...wide, '--crops', '10', '--progress');
  const [ten] = lines(stdout);
  assert.is(ten.top[0].label, 'Ankle boot');
  assert.not.equal(ten.top[0].probability, one.top[0].probability);
  assert.match(stderr, /^1 of 1 images, [\d.]+ a second$/m);
  const small = classify(readFileSync(boot), '--mean-value', '73', '--no-resize', '--crops', '10');
  assert.is(small.status, 1);
  assert.match(JSON.parse(small.stdout).error.message, /28×28, which does not allow ten different crops/);
});

test.run();
