/** `resnode evaluate --task detect` and `--task segment`: known figures, unknown figures, misuse. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeIndexedPng } from '../../ts/images/indexed-png.ts';
import { COMMAND } from '../support/command.ts';
import { hasMpirun, inProcesses } from '../support/in-processes.ts';
import { shadeNet, squareSsd, writePatches } from '../support/task-nets.ts';

const root = mkdtempSync(join(tmpdir(), 'resnode-evaluate-task-'));
test.after(() => rmSync(root, { recursive: true }));
squareSsd(join(root, 'ssd'));
shadeNet(join(root, 'shades'), 'deconvolution');
for (const name of ['images', 'annotations', 'maps']) mkdirSync(join(root, name));
const run = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, 'evaluate', ...words], { encoding: 'utf8', cwd: root });

/** Three images of 32×32: one marked square is found, one is hardly visible, one is elsewhere. */
const SQUARES = [
  { name: 'a', seen: { x: 8, y: 8 }, marked: { x: 8, y: 8 } },
  { name: 'b', seen: { x: 0, y: 0 }, marked: { x: 0, y: 0 } },
  { name: 'c', seen: { x: 24, y: 8 }, marked: { x: 8, y: 24 } },
];
for (const { name, seen, marked } of SQUARES) {
  await writePatches(join(root, `images/${name}.png`), 32, 32, [{ ...seen, width: 8, height: 8 }]);
  writeFileSync(
    join(root, `annotations/${name}.xml`),
    `<annotation><object><name>square</name><bndbox><xmin>${marked.x + 1}</xmin><ymin>${marked.y + 1}</ymin><xmax>${marked.x + 8}</xmax><ymax>${marked.y + 8}</ymax></bndbox></object></annotation>`,
  );
}
writeFileSync(
  join(root, 'coco.json'),
  JSON.stringify({
    images: SQUARES.map(({ name }, id) => ({ id, file_name: `${name}.png` })),
    categories: [{ id: 7, name: 'square' }],
    annotations: SQUARES.map(({ marked }, i) => ({
      ...{ image_id: i, category_id: 7, bbox: [marked.x, marked.y, 8, 8], area: 64, iscrowd: 0 },
    })),
  }),
);

test('two of three squares are found: VOC XML and COCO JSON give the same figures, on the terminal and in a file', () => {
  for (const truth of ['annotations', 'coco.json']) {
    const { stdout, stderr, status } = run(
      ...['--task', 'detect', '--model', 'ssd', '--images', 'images', '--truth', truth],
      ...['--min-score', '0.5', '--json', '--out', `${truth}.result.json`],
    );
    assert.is(status, 0, stderr);
    const { task, scores } = JSON.parse(stdout);
    assert.is(task, 'detect');
    assert.equal([scores.images, scores.skipped], [3, []]);
    const [{ label, objects, found }] = scores.classes;
    assert.equal([label, objects, found], ['square', 3, 3]);
    // Right, right, wrong with equal scores, in the images' order: precision 1 up to recall 2/3.
    assert.ok(Math.abs(scores.voc07 - 7 / 11) < 1e-9, `${scores.voc07}`);
    assert.ok(Math.abs(scores.voc10 - 2 / 3) < 1e-9);
    assert.ok(Math.abs(scores.coco.ap50 - 67 / 101) < 1e-9);
    assert.equal([scores.coco.apLarge, scores.coco.arSmall > 0.6], [null, true]);
    assert.equal(JSON.parse(readFileSync(join(root, `${truth}.result.json`), 'utf8')).scores, scores);
  }
});

test('without --json there is a table; images without annotations are named and left out', async () => {
  await writePatches(join(root, 'images/unknown.png'), 32, 32, []);
  const { stdout, stderr, status } = run(
    '--task',
    'detect',
    '--model',
    'ssd',
    '--images',
    'images',
    '--truth',
    'coco.json',
  );
  rmSync(join(root, 'images/unknown.png'));
  assert.is(status, 0);
  assert.match(
    stderr,
    /1 of 4 images are not evaluated, because coco\.json does not mention them: images\/unknown\.png/,
  );
  assert.match(
    stdout,
    /^3 images; mean average precision in percent\nVOC 2007 \(11 recalls\) {2}63\.64\nVOC 2010 \(area\) {8}66\.67\n/,
  );
  assert.match(stdout, / VOC 2007 {2}VOC 2010 {3}COCO {2}objects {2}found {2}class\n/);
});

test('maps: pixel accuracy and mean IU without pixels of class 255, or of another class with --ignore-label', async () => {
  for (const [name, white] of [
    ['a', 8],
    ['b', 16],
    ['c', 8],
  ] as const) {
    await writePatches(join(root, `images/${name}.png`), 32, 32, [{ x: 0, y: 0, width: 32, height: 8 }]);
    const map = new Uint8Array(1024);
    map.fill(2, 0, 32 * white);
    if (name === 'c') map.fill(255, 512);
    writeFileSync(join(root, `maps/${name}.png`), await encodeIndexedPng(map, 32, 32));
  }
  const words = ['--task', 'segment', '--model', 'shades', '--images', 'images', '--truth', 'maps'];
  const { stdout, stderr, status } = run(...words, '--json');
  assert.is(status, 0, stderr);
  const { scores } = JSON.parse(stdout);
  // Of the 2,560 pixels that count, 256 are white in the ground truth and black in the result.
  assert.equal([scores.images, scores.pixels], [3, 2560]);
  assert.ok(Math.abs(scores.pixelAccuracy - 0.9) < 1e-9);
  assert.ok(Math.abs(scores.classes[2].iu - 768 / 1024) < 1e-9);
  assert.ok(Math.abs(scores.meanIu - (1536 / 1792 + 768 / 1024) / 2) < 1e-9);
  const table = run(...words, '--ignore-label', '2');
  assert.match(table.stdout, /^3 images, 1536 pixels; in percent\npixel accuracy {9}100\.00\n/);
});

test('a broken image or map is reported in a line and in the exit status, and so is a map of another size or with an unknown class', async () => {
  writeFileSync(join(root, 'images/broken.png'), 'no image');
  writeFileSync(join(root, 'maps/broken.png'), 'no map');
  await writePatches(join(root, 'images/wide.png'), 40, 32, []);
  writeFileSync(join(root, 'maps/wide.png'), await encodeIndexedPng(new Uint8Array(1024), 32, 32));
  await writePatches(join(root, 'images/nine.png'), 32, 32, []);
  writeFileSync(
    join(root, 'maps/nine.png'),
    await encodeIndexedPng(new Uint8Array(1024).fill(9, 512), 32, 32),
  );
  const words = ['--task', 'segment', '--model', 'shades', '--images', 'images', '--truth', 'maps'];
  const { status, stderr } = run(...words);
  assert.is(status, 1);
  assert.match(stderr, /maps\/broken\.png: expected a PNG with a palette/);
  assert.match(stderr, /maps\/wide\.png: expected the classes of an image of 40×32, found 32×32/);
  assert.match(
    stderr,
    /maps\/nine\.png: expected classes from 0 to 2, .*found 9 at row 16, column 0 \(512 such/,
  );
  assert.match(stderr, /skipped 3 of 6 images/);
  assert.is(run(...words, '--skip-broken').status, 0);
  for (const name of ['broken', 'nine', 'wide'])
    for (const folder of ['images', 'maps']) rmSync(join(root, folder, `${name}.png`));
});

test('misuse is refused with the cure', () => {
  const base = ['--model', 'ssd', '--images', 'images'];
  const refusals: readonly (readonly [words: readonly string[], says: RegExp])[] = [
    [
      ['--task', 'detect', ...base],
      /--truth: expected .*PASCAL VOC's \.xml files, or COCO's \.json, but received nothing/,
    ],
    [
      ['--task', 'detect', ...base, '--truth', 'annotations', '--crops', '10'],
      /--crops: expected .*--task classify, which alone takes it, but received "--task detect"/,
    ],
    [
      ['--task', 'segment', ...base, '--truth', 'maps', '--nms', '0.3'],
      /--nms: expected --task detect, which alone takes it/,
    ],
    [[...base, '--truth', 'maps'], /--truth: expected --task detect or segment, which alone takes it/],
    [['--task', 'detect', ...base, '--truth', 'ssd'], /found none in it/],
    [
      ['--task', 'segment', '--model', 'shades', '--images', 'images', '--truth', 'annotations'],
      /annotations without images\/a\.png/,
    ],
  ];
  for (const [words, says] of refusals) {
    const { status, stderr } = run(...words);
    assert.ok(status === 2 || status === 1, words.join(' '));
    assert.match(stderr, says);
  }
  writeFileSync(join(root, 'others.txt'), 'sqare\n');
  const named = run('--task', 'detect', ...base, '--truth', 'annotations', '--labels', 'others.txt');
  assert.match(
    named.stderr,
    /\.xml: image ".*", object 1: "square" is not a class of the detector; did you mean "sqare"\?/,
  );
});

test('images with the same name belong to the truth of their folder, and are refused where it has only the name', async () => {
  for (const [name, x] of [
    ['left', 8],
    ['right', 16],
  ] as const) {
    mkdirSync(join(root, `both/${name}`), { recursive: true });
    await writePatches(join(root, `both/${name}/a.png`), 32, 32, [{ x, y: 8, width: 8, height: 8 }]);
  }
  writeFileSync(
    join(root, 'both.json'),
    JSON.stringify({
      images: ['left', 'right'].map((name, id) => ({ id, file_name: `${name}/a.png` })),
      categories: [{ id: 1, name: 'square' }],
      annotations: [8, 16].map((x, id) => ({ image_id: id, category_id: 1, bbox: [x, 8, 8, 8] })),
    }),
  );
  const words = ['--images', 'both', '--min-score', '0.5', '--json'];
  const detect = run('--task', 'detect', '--model', 'ssd', ...words, '--truth', 'both.json');
  assert.is(detect.status, 0, detect.stderr);
  const { scores } = JSON.parse(detect.stdout);
  assert.equal([scores.images, scores.voc10], [2, 1]);
  for (const [task, model, truth] of [
    ['detect', 'ssd', 'annotations'],
    ['segment', 'shades', 'maps'],
  ]) {
    const { status, stderr } = run(
      '--task',
      task!,
      '--model',
      model!,
      ...words.slice(0, 2),
      '--truth',
      truth!,
    );
    assert.is(status, 2);
    assert.match(
      stderr,
      /--images: expected images of different names, .* but received both\/left\/a\.png and both\/right\/a\.png/,
    );
  }
});

if (hasMpirun())
  for (const [task, model, truth] of [
    ['detect', 'ssd', 'annotations'],
    ['segment', 'shades', 'maps'],
  ] as const)
    test(`${task}: three processes with one image each get the same figures as one process`, async () => {
      const words = [
        ...['--task', task, '--model', join(root, model), '--images', join(root, 'images')],
        ...['--truth', join(root, truth), '--batch', '1', '--json', '--device', 'cpu', '--threads', '1'],
      ];
      const one = run(...words);
      const three = await inProcesses(3, 'ts/cli/main.ts', ['evaluate', ...words]);
      assert.is(one.status, 0, one.stderr);
      assert.is(three.status, 0, three.stderr);
      const [{ imagesPerSecond: _, ...alone }, { imagesPerSecond: __, ...shared }] = [
        JSON.parse(one.stdout),
        JSON.parse(three.stdout),
      ];
      assert.equal(shared, alone);
    });

test.run();
