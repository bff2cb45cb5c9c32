/** --model takes a model folder: net, weights, labels and preprocessing, in every command that has them. */
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNpy } from '../../ts/caffe/npy.ts';
import { runProgram } from '../../ts/cli/program.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const image = join(fashion, 'images/0000.png');
const folder = mkdtempSync(join(tmpdir(), 'resnode-model-folder-'));
test.after(() => rmSync(folder, { recursive: true }));

/** In this process, which is quicker than one each. */
async function resnode(...words: string[]): Promise<string> {
  const { log, error } = console;
  let printed = '';
  console.log = (line: string) => (printed += `${line}\n`);
  console.error = () => {};
  try {
    await runProgram(words);
    return printed;
  } finally {
    Object.assign(console, { log, error });
  }
}
const cpu = ['--device', 'cpu', '--threads', '1'];

test('a folder stands for its files', async () => {
  assert.match(await resnode('classify', image, '--model', fashion, ...cpu), /^ {2}0\.9\d+ {2}Ankle boot$/m);
  const output = join(folder, 'prob.npy');
  await resnode('features', '--model', fashion, '--images', image, '--blob', 'prob', '--out', output, ...cpu);
  const { shape, bytes } = readNpy(readFileSync(output), { file: output });
  assert.equal([shape, bytes.length], [[1, 10], 40]);
});

test('every command that reads a net takes a folder in its place', async () => {
  for (const words of [
    ['summary', fashion, '--json'],
    ['summary', '--model', fashion, '--json'],
    ['plan', fashion, '--json', ...cpu],
    ['lint', fashion, '--json'],
    ['time', '--model', fashion, '--iterations', '1', '--json', ...cpu],
  ])
    assert.ok(JSON.parse(await resnode(...words)) !== null, words.join(' '));
  const page = join(folder, 'page.html');
  await resnode('view', fashion, '--image', image, '--out', page, ...cpu);
  assert.match(readFileSync(page, 'utf8'), /Ankle boot/);
  const write = process.stdout.write;
  let printed = '';
  process.stdout.write = (text) => {
    printed += text;
    return true;
  };
  await resnode('print', fashion).finally(() => {
    process.stdout.write = write;
  });
  assert.match(printed, /^name: /);
});

test('the calibration of a folder is taken for int8 alone', async () => {
  const whole = join(folder, 'whole');
  cpSync(fashion, whole, { recursive: true });
  await resnode(
    'quantize',
    '--model',
    whole,
    '--images',
    image,
    '--out',
    join(whole, 'calibration.json'),
    ...cpu,
  );
  for (const precision of ['float32', 'int8'])
    assert.match(
      await resnode('classify', image, '--model', whole, '--precision', precision, ...cpu),
      /Ankle boot/,
    );
});

test('what is given by name takes the place of its file, before the folder or behind it', async () => {
  const labels = join(folder, 'other.txt');
  writeFileSync(labels, 'abcdefghij'.split('').join('\n'));
  for (const words of [
    ['--labels', labels, '--model', fashion],
    ['--model', fashion, '--labels', labels],
  ])
    assert.match(await resnode('classify', image, ...words, ...cpu), /^ {2}0\.9\d+ {2}j$/m);
});

test('a folder without weights is refused with the file that it lacks', async () => {
  copyFileSync(join(fashion, 'deploy.prototxt'), join(folder, 'deploy.prototxt'));
  const error = await resnode('classify', image, '--model', folder).then(
    () => null,
    (thrown: Error) => thrown,
  );
  assert.match(error!.message, /which lacks model\.caffemodel/);
});

test.run();
