import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNpy } from '../../ts/caffe/npy.ts';
import { COMMAND } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const folder = mkdtempSync(join(tmpdir(), 'resnode-'));
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });
const model = join(fashion, 'deploy.prototxt');
const files = ['--model', model, '--weights', join(fashion, 'model.caffemodel')];
const prepared = ['--preprocess', join(fashion, 'preprocess.json')];
const image = join(fashion, 'images/0000.png');

test('view writes one page with times, filters and activations', () => {
  const time = join(folder, 'time.json');
  writeFileSync(time, resnode('time', ...files, '--iterations', '1', '--json').stdout);
  const output = join(folder, 'net.html');
  const run = resnode(
    'view',
    ...files,
    ...prepared,
    '--image',
    image,
    '--time',
    time,
    '--out',
    output,
    '--json',
  );
  assert.is(run.status, 0, run.stderr);
  const result = JSON.parse(run.stdout);
  assert.is(result.notRunnable, 0);
  const text = readFileSync(output, 'utf8');
  assert.is(Buffer.byteLength(text), result.bytes);
  for (const part of ['"activation"', '"filters"', '"measured":{']) assert.ok(text.includes(part), part);
});

test('misuse and failures of view give one sentence and leave no page', () => {
  const output = join(folder, 'none.html');
  for (const [status, words] of [
    [2, ['view']],
    [2, ['view', model, '--image', image, '--out', output]],
    [2, ['view', model, '--input-shape', 'data', '--out', output]],
    [1, ['view', 'none.prototxt', '--out', output]],
    [1, ['view', model, '--weights', 'none.caffemodel', '--out', output]],
    [2, ['view', model, '--time', model, '--out', output]],
  ] as const) {
    const run = resnode(...words);
    if (words[1] === 'none.prototxt') assert.ok(run.status !== 0);
    else assert.is(run.status, status, `${words.join(' ')}: ${run.stderr}`);
    assert.match(run.stderr, /^resnode: [^\n]+\n$/, words.join(' '));
  }
  assert.not(existsSync(output));
});

test('features writes the array and the list of its images', () => {
  const output = join(folder, 'prob.npy');
  const images = join(fashion, 'images');
  const run = resnode(
    'features',
    ...files,
    ...prepared,
    '--blob',
    'prob',
    '--images',
    images,
    '--out',
    output,
  );
  assert.is(run.status, 0, run.stderr);
  const { shape, dtype } = readNpy(readFileSync(output), { file: output });
  const count = readdirSync(images).filter((name) => name.endsWith('.png')).length;
  assert.equal([dtype, ...shape], ['float32', count, 10]);
  const list = readFileSync(`${output}.txt`, 'utf8').trimEnd().split('\n');
  assert.is(list.length, count);
  assert.is(list[0], join(images, '0000.png'));
  const empty = resnode('features', ...files, '--blob', 'prob', '--images', folder, '--out', output);
  assert.match(empty.stderr, /^resnode: .+: expected image files/);
  const unknown = resnode(
    'features',
    ...files,
    ...prepared,
    '--blob',
    'prop',
    '--images',
    image,
    '--out',
    output,
  );
  assert.is(unknown.stderr, 'resnode: the net has no blob "prop"; did you mean "prob"?\n');
});

test('cam writes an overlay and names what it shows', () => {
  const output = join(folder, 'cam.png');
  const run = resnode(
    'cam',
    image,
    ...files,
    ...prepared,
    '--out',
    output,
    '--labels',
    join(fashion, 'labels.txt'),
    '--json',
  );
  assert.is(run.status, 0, run.stderr);
  const { label, map } = JSON.parse(run.stdout);
  assert.is(label, 'Ankle boot');
  assert.equal(map.shape, [7, 7]);
  assert.is(readFileSync(output).subarray(1, 4).toString(), 'PNG');
});

test.run();
