/** `resnode detect` and `resnode segment` as a user types them: results, pictures, broken images, misuse. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeImage } from '../../ts/api/images.ts';
import { decodeIndexedPng } from '../../ts/images/indexed-png.ts';
import { COMMAND } from '../support/command.ts';
import { edgeNet, shadeNet, squareSsd, writePatches } from '../support/task-nets.ts';

const root = mkdtempSync(join(tmpdir(), 'resnode-tasks-'));
test.after(() => rmSync(root, { recursive: true }));
squareSsd(join(root, 'ssd'));
shadeNet(join(root, 'shades'), 'deconvolution');
edgeNet(join(root, 'edges'));
mkdirSync(join(root, 'photos/more'), { recursive: true });
await writePatches(join(root, 'photos/a.png'), 64, 48, [{ x: 16, y: 24, width: 16, height: 12 }]);
await writePatches(join(root, 'photos/more/b.png'), 32, 32, []);
writeFileSync(join(root, 'photos/broken.png'), 'no image');

const run = (words: readonly string[], input: string | Buffer = '') =>
  spawnSync(process.execPath, [...COMMAND, ...words], { input, encoding: 'utf8', cwd: root });
const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('detect prints one line of JSON per image, also for a broken one, and draws the boxes of the others', async () => {
  const { stdout, stderr, status } = run([
    'detect',
    'photos',
    '--model',
    'ssd',
    '--json',
    '--out',
    'found',
    '--progress',
  ]);
  const [a, broken, b] = lines(stdout);
  assert.equal(
    [a.file, a.width, a.height, a.out, a.detections.length],
    ['photos/a.png', 64, 48, 'found/a.png', 1],
  );
  const [{ label, index, score, box }] = a.detections;
  assert.equal([label, index, box], ['square', 1, { x: 16, y: 24, width: 16, height: 12 }]);
  assert.ok(score > 0.9);
  assert.equal([broken.file, broken.error.code], ['photos/broken.png', 'image/unreadable']);
  assert.equal([b.file, b.detections], ['photos/more/b.png', []]);
  assert.is(status, 1);
  assert.match(stderr, /preparing images according to .*preprocess\.json/);
  assert.match(stderr, /^3 of 3 images/m);
  assert.equal(readdirSync(join(root, 'found')).sort(), ['a.png', 'b.png']);
  const picture = await decodeImage(join(root, 'found/a.png'));
  assert.equal([picture.width, picture.height, picture.channels], [64, 48, 3]);
});

test('detect prints a table without --json, also for an image from standard input', () => {
  const { stdout, status } = run(
    ['detect', '-', '--model', 'ssd', '--min-score', '0.9'],
    readFileSync(join(root, 'photos/a.png')),
  );
  assert.is(status, 0);
  assert.match(
    stdout,
    /^- \(64×48\)\n {3}score {5}x {5}y {2}width {2}height {2}class\n {2}[01]\.\d{4} {2}16\.0 {2}24\.0 {3}16\.0 {4}12\.0 {2}square\n$/,
  );
});

test('segment writes the classes as a PNG of indices with an overlay, and prints the share of each class', async () => {
  await writePatches(join(root, 'half.png'), 40, 32, [{ x: 20, y: 0, width: 20, height: 32 }]);
  const { stdout, status } = run(['segment', 'half.png', '--model', 'shades', '--json', '--out', 'maps']);
  assert.is(status, 0);
  const [line] = lines(stdout);
  assert.equal(line, {
    ...{ file: 'half.png', width: 40, height: 32, kind: 'classes' },
    ...{ map: 'maps/half.png', overlay: 'maps/half-overlay.png' },
    areas: [
      { label: 'black', index: 0, pixels: 640, share: 0.5 },
      { label: 'white', index: 2, pixels: 640, share: 0.5 },
    ],
  });
  const { map } = await decodeIndexedPng(readFileSync(join(root, line.map)), line.map);
  assert.equal([...map.subarray(18, 22)], [0, 0, 2, 2]);
  assert.ok(existsSync(join(root, line.overlay)));
  const edges = run(['segment', 'half.png', '--model', 'edges', '--out', 'edge-maps']);
  assert.match(
    edges.stdout,
    /^half\.png \(40×32\) → edge-maps\/half\.png, edge-maps\/half-overlay\.png\n {4}5\.00% {2}above 0\.5\n$/,
  );
  const grey = await decodeImage(join(root, 'edge-maps/half.png'));
  assert.equal([grey.channels, grey.width], [1, 40]);
});

test('two images with the same name get pictures with different names', async () => {
  mkdirSync(join(root, 'twice/x'), { recursive: true });
  for (const name of ['twice/a.png', 'twice/x/a.png']) await writePatches(join(root, name), 16, 16, []);
  assert.is(run(['detect', 'twice', '--model', 'ssd', '--out', 'twice-found']).status, 0);
  assert.equal(readdirSync(join(root, 'twice-found')).sort(), ['00001-a.png', '00002-a.png']);
});

test('misuse is refused before anything is written, with the cure', () => {
  const refusals: readonly (readonly [words: readonly string[], says: RegExp])[] = [
    [
      ['detect', 'half.png', '--model', 'ssd', '--out', 'found'],
      /--out: expected .+, but received "found"; it holds a\.png.*--overwrite/,
    ],
    [
      ['detect', 'half.png', '--model', 'ssd', '--out', 'one.png'],
      /a folder for pictures with the names of their images/,
    ],
    [['detect', 'half.png', '--model', 'ssd', '--min-score', '2'], /--min-score/],
    [
      [
        'segment',
        'half.png',
        '--model',
        'shades',
        '--resize',
        '8x8',
        '--longest-side',
        '9',
        '--mean',
        'none',
      ],
      /either --shorter-side and --longest-side, or --resize/,
    ],
    [
      ['segment', 'half.png', '--model', 'shades', '--output', 'nothing'],
      /--output: expected .*a blob of the net, but received "nothing"/,
    ],
    [
      ['detect', 'half.png', '--model', 'shades'],
      /expected a detector.*its outputs are "crop" 1×3×16×16 \(Crop\)/,
    ],
    [
      [
        'detect',
        'half.png',
        '--model',
        'ssd/model.prototxt',
        '--weights',
        'ssd/model.caffemodel',
        '--scale',
        '1',
      ],
      /expected the one that the net was trained with: --mean FILE/,
    ],
  ];
  for (const [words, says] of refusals) {
    const { status, stderr, stdout } = run(words);
    assert.ok(status === 2 || status === 1, words.join(' '));
    assert.match(stderr, says);
    assert.is(stdout, '');
  }
  assert.not.ok(existsSync(join(root, 'one.png')));
});

test('--save-preprocess saves the settings, which then give the same answers', () => {
  const files = ['--model', 'ssd/model.prototxt', '--weights', 'ssd/model.caffemodel'];
  const words = ['detect', 'photos/a.png', ...files, '--json'];
  const first = run([...words, '--mean', 'none', '--save-preprocess', 'kept.json']);
  assert.equal(JSON.parse(readFileSync(join(root, 'kept.json'), 'utf8')).resize, { width: 32, height: 32 });
  assert.is(JSON.parse(readFileSync(join(root, 'kept.json'), 'utf8')).crop, null);
  assert.is(run([...words, '--preprocess', 'kept.json']).stdout, first.stdout);
});

test.run();
