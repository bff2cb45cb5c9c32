/** WindowData: which windows are drawn, and where their pixels end up, in cases computed by hand from Caffe's code. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DataError } from '../../ts/base/errors.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import type { DataLayerOptions } from '../../ts/data/layer-context.ts';
import { writeMeanImage } from '../../ts/data/mean-image.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { readWindowFile } from '../../ts/data/window-file.ts';
import { warpOf } from '../../ts/data/window-reader.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-windows-'));
test.after(() => rmSync(folder, { recursive: true }));

// 10 wide, 8 high: red is 20 x + y, green x, blue y.
const [WIDTH, HEIGHT] = [10, 8];
const red = (x: number, y: number) => 20 * x + y;
const image = Buffer.from(
  Array.from({ length: WIDTH * HEIGHT }, (_, i) => [i % WIDTH, Math.floor(i / WIDTH)] as const).flatMap(
    ([x, y]) => [red(x, y), x, y],
  ),
);
await sharp(image, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
  .png()
  .toFile(join(folder, 'image.png'));

let files = 0;
function windowFile(...windows: string[]): string {
  const name = `windows-${files++}.txt`;
  writeFileSync(
    join(folder, name),
    `# 0\nimage.png\n3\n${HEIGHT}\n${WIDTH}\n${windows.length}\n${windows.join('\n')}\n`,
  );
  return name;
}
const layer = (source: string, param: string, transform: string) =>
  `layer { name: "d" type: "WindowData" top: "data" top: "label" window_data_param { source: "${source}" ${param} } transform_param { ${transform} } }`;
const open = (source: string, param: string, transform: string, options: Partial<DataLayerOptions> = {}) =>
  openDataLayer(readNet(layer(source, param, transform), { file: 'net.prototxt' }).layer![0]!, {
    phase: 'TRAIN',
    folder,
    workers: 1,
    ...options,
  });
async function first(...given: Parameters<typeof open>) {
  const source = await open(...given);
  try {
    const { data, label } = await source.next();
    return { data: [...data!], label: [...label!], shapes: source.shapes };
  } finally {
    await source.dispose();
  }
}
const refused = async (pattern: RegExp, ...given: Parameters<typeof open>) => {
  try {
    await first(...given);
  } catch (error) {
    assert.instance(error, DataError, String((error as Error).stack));
    assert.match((error as Error).message, pattern);
    return;
  }
  assert.unreachable(`accepted: ${pattern}`);
};
const plane = (crop: number, value: (x: number, y: number) => number) =>
  Array.from({ length: crop * crop }, (_, i) => value(i % crop, Math.floor(i / crop)));

test("a window of the crop's size is cropped as B, G, R, minus the mean, times the scale", async () => {
  const file = windowFile('1 1 2 3 5 6', '0 0 2 3 5 6');
  const { data, label, shapes } = await first(
    file,
    'batch_size: 2 fg_fraction: 0.5 scale: 0.5',
    'crop_size: 4 mean_value: 1 mean_value: 2 mean_value: 3',
  );
  assert.equal(shapes, { data: [2, 3, 4, 4], label: [2] });
  const sample = [
    ...plane(4, (_, y) => (y + 3 - 1) / 2),
    ...plane(4, (x) => (x + 2 - 2) / 2),
    ...plane(4, (x, y) => (red(x + 2, y + 3) - 3) / 2),
  ];
  assert.equal(data, [...sample, ...sample]);
  assert.equal(label, [0, 1], 'background first');
});

test('a mean image is cropped at its centre', async () => {
  writeMeanImage(join(folder, 'mean.binaryproto'), {
    shape: [3, 6, 6],
    data: Float32Array.from({ length: 108 }, (_, i) => i),
  });
  const { data } = await first(
    windowFile('1 1 2 3 5 6'),
    'batch_size: 1 fg_fraction: 1',
    'crop_size: 4 mean_file: "mean.binaryproto"',
  );
  assert.equal(
    data.slice(16, 32),
    plane(4, (x, y) => x + 2 - (36 + (y + 1) * 6 + x + 1)),
  );
});

test('context_pad shows the surroundings of the window, and zeros beyond the image', async () => {
  // 3×3 at the left edge: enlarged by 6/4 it extends from −1 to 4.
  const file = windowFile('2 0.9 0 2 2 4');
  const at = { cropSize: 6, contextPad: 1, isSquare: false };
  const window = { x1: 0, y1: 2, x2: 2, y2: 4 };
  const cut = { left: 0, top: 1, width: 5, height: 6 };
  const size = { width: WIDTH, height: HEIGHT };
  assert.equal(warpOf(window, size, at, false), { cut, width: 5, height: 6, left: 1, top: 0 });
  assert.equal(warpOf(window, size, at, true), { cut, width: 5, height: 6, left: 0, top: 0 });
  const { data } = await first(
    file,
    'batch_size: 1 fg_fraction: 1 context_pad: 1',
    'crop_size: 6 mean_value: 7',
  );
  assert.equal(
    data.slice(36, 72),
    plane(6, (x) => (x === 0 ? 0 : x - 1 - 7)),
    'not the mean where nothing is',
  );
});

test('mirror flips a window with its zeros, half of the time', async () => {
  const source = await open(
    windowFile('2 0.9 0 2 2 4'),
    'batch_size: 40 fg_fraction: 1 context_pad: 1',
    'crop_size: 6 mirror: true',
  );
  const { data } = await source.next();
  await source.dispose();
  const straight = plane(6, (x) => Math.max(0, x - 1)).join();
  const mirrored = plane(6, (x) => Math.max(0, 4 - x)).join();
  const greens = Array.from({ length: 40 }, (_, i) => data!.slice(i * 108 + 36, i * 108 + 72).join());
  const turned = greens.filter((each) => each === mirrored).length;
  assert.is(greens.filter((each) => each === straight).length, 40 - turned);
  assert.ok(turned > 8 && turned < 32, `${turned} of 40`);
});

test('crop_mode square makes windows square about their centre before they are warped', () => {
  // 2 wide, 4 high, centre (3, 4): 1…5 and 2…6.
  const square = { cropSize: 5, contextPad: 0, isSquare: true };
  assert.equal(warpOf({ x1: 2, y1: 2, x2: 3, y2: 5 }, { width: WIDTH, height: HEIGHT }, square, false), {
    cut: { left: 1, top: 2, width: 5, height: 5 },
    ...{ width: 5, height: 5, left: 0, top: 0 },
  });
});

test('windows are foreground from fg_threshold on, background below bg_threshold, and unused in between', async () => {
  const file = windowFile(
    '1 0.7 0 0 0 0',
    '2 0.69 1 0 1 0',
    '3 0.5 2 0 2 0',
    '4 0.49 3 0 3 0',
    '0 0 4 0 4 0',
    '5 1 5 0 5 0',
  );
  const { data, label } = await first(
    file,
    'batch_size: 64 fg_fraction: 0.26 fg_threshold: 0.7 bg_threshold: 0.5',
    'crop_size: 1',
  );
  const places = Array.from({ length: 64 }, (_, i) => data[3 * i + 1]!);
  // floor(64 · 0.26) = 16.
  assert.equal(new Set(places.slice(0, 48)), new Set([3, 4]));
  assert.equal(new Set(places.slice(48)), new Set([0, 5]));
  assert.ok(label.slice(0, 48).every((each) => each === 0));
  assert.equal(
    label.slice(48),
    places.slice(48).map((x) => (x === 0 ? 1 : 5)),
  );
});

test('two sources with one seed draw the same windows, and a resumed one continues', async () => {
  const file = windowFile(...Array.from({ length: 8 }, (_, i) => `${i + 1} 1 ${i} 0 ${i} 0`));
  const given = [file, 'batch_size: 4 fg_fraction: 1', 'crop_size: 1'] as const;
  const one = await open(...given);
  await one.next();
  const state = one.state();
  const second = [...(await one.next()).label!];
  await one.dispose();
  const other = await open(...given);
  other.restore(JSON.parse(JSON.stringify(state)));
  assert.equal([...(await other.next()).label!], second);
  await other.dispose();
});

test('an invalid window file is refused with its line and what was expected there', async () => {
  const refuse = async (text: string, pattern: RegExp) => {
    writeFileSync(join(folder, 'odd.txt'), text);
    const error = await readWindowFile(join(folder, 'odd.txt'), { foreground: 0.5, background: 0.5 }).catch(
      (thrown: unknown) => thrown,
    );
    assert.instance(error, DataError, text);
    assert.match((error as Error).message, pattern);
  };
  const head = '# 0\nimage.png\n3 8 10\n';
  await refuse('', /odd\.txt:1: expected "# 0" and an image; found nothing/);
  await refuse('image.png 3\n', /odd\.txt:1: expected "#" .*; found image\.png/);
  await refuse('# 1\nimage.png\n', /odd\.txt:1: expected the index 0: images are numbered in their order/);
  await refuse(
    '# 0\nmy image.png\n3 8 10 0\n',
    /odd\.txt:2: expected the image's channels \(a path has no spaces\)/,
  );
  await refuse('# 0\nimage.png\n1 8 10 0\n', /odd\.txt:3: expected 3 channels.* in colour; found 1/);
  await refuse(
    `${head}2\n1 1 0 0 3 3\n`,
    /odd\.txt:5: expected the class of a window; found the end of the file/,
  );
  await refuse(`${head}1\n1 1 0 0 3\n`, /odd\.txt:5: expected y2 of a window; found the end/);
  await refuse(
    `${head}1\n1 1 0 0 3 3\n0 0 1 1 2 2\n`,
    /odd\.txt:6: expected "#" .* after the announced number of windows/,
  );
  await refuse(
    `${head}1\n1 1 3 3 0 0\n`,
    /odd\.txt:5: expected x1 y1 x2 y2 with the right and lower ends last; found 3 3 0 0/,
  );
  await refuse(`${head}1\n1 much 0 0 3 3\n`, /odd\.txt:5: expected the overlap .*; found much/);
  await refuse(
    `${head}1\n1.5 1 0 0 3 3\n`,
    /odd\.txt:5: expected the class of a window, a whole number of at least 0; found 1\.5/,
  );
  await refuse(
    `${head}1\n0 1 0 0 3 3\n`,
    /odd\.txt:5: expected a class above 0.*fg_threshold \(0\.5\).*; found class 0/,
  );
});

test('a missing window file, or one with windows outside their images, is refused when it is opened', async () => {
  await refused(/none\.txt: there is no such file or folder/, 'none.txt', 'batch_size: 2', 'crop_size: 4');
  const file = windowFile('1 1 0 0 3 3', '0 0 0 0 3 8');
  await refused(
    /txt:8: the window 0 0 3 8 is not inside its image of 10×8/,
    file,
    'batch_size: 2',
    'crop_size: 4',
  );
});

test('a batch needs windows of both kinds if it draws both', async () => {
  const file = windowFile('1 1 0 0 3 3');
  await refused(
    /has no window whose overlap is less than bg_threshold \(0\.5\), but each batch needs 3 of them/,
    file,
    'batch_size: 4',
    'crop_size: 4',
  );
  const { label } = await first(file, 'batch_size: 4 fg_fraction: 1', 'crop_size: 4');
  assert.equal(label, [1, 1, 1, 1]);
});

test('an image of another size than its file says is refused when a window of it is drawn', async () => {
  writeFileSync(join(folder, 'size.txt'), '# 0\nimage.png\n3 9 10\n1\n1 1 0 0 3 8\n');
  await refused(
    /size\.txt:5: a window of image\.png: the image is 8×10, the window file says 9×10/,
    'size.txt',
    'batch_size: 1 fg_fraction: 1',
    'crop_size: 4',
  );
});

test('settings that Caffe silently ignores, or aborts at, are refused by field', async () => {
  const file = windowFile('1 1 0 0 3 3', '0 0 0 0 3 3');
  for (const [param, transform, pattern] of [
    ['', 'crop_size: 4', /batch_size must be a positive integer/],
    ['batch_size: 2', '', /needs a crop_size in transform_param/],
    ['batch_size: 2 crop_size: 4', '', /window_data_param's crop_size has no effect in Caffe/],
    ['batch_size: 2 mirror: true', 'crop_size: 4', /window_data_param's mirror has no effect/],
    ['batch_size: 2 crop_mode: "wrap"', 'crop_size: 4', /crop_mode is "warp" or "square", found "wrap"/],
    [
      'batch_size: 2 context_pad: 2',
      'crop_size: 4',
      /context_pad 2 on both sides leaves nothing of crop_size 4/,
    ],
    [
      'batch_size: 2 fg_fraction: 1.5',
      'crop_size: 4',
      /fg_fraction must be a share of the batch, 0 to 1, found 1\.5/,
    ],
    ['batch_size: 2', 'crop_size: 4 mean_value: 1 mean_value: 2', /give mean_value once or 3 times/],
    [
      'batch_size: 2',
      'crop_size: 8 mean_file: "mean.binaryproto"',
      /mean_file is 3×6×6; expected .* at least crop_size 8/,
    ],
  ] as const)
    await refused(pattern, file, param, transform);
  await refused(/augment\.pad does not apply to WindowData/, file, 'batch_size: 2', 'crop_size: 4', {
    augment: { pad: 1 },
  });
});

test('resnode train learns from windows', () => {
  const file = windowFile('1 1 6 0 9 3', '0 0 0 0 3 3');
  writeFileSync(
    join(folder, 'net.prototxt'),
    `${layer(file, 'batch_size: 8 fg_fraction: 0.5', 'crop_size: 4')}
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 weight_filler { type: "constant" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }`,
  );
  writeFileSync(
    join(folder, 'solver.prototxt'),
    'net: "net.prototxt" base_lr: 0.0001 lr_policy: "fixed" max_iter: 20 display: 19 random_seed: 1 snapshot_after_train: false',
  );
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [...COMMAND, 'train', '--solver', join(folder, 'solver.prototxt'), '--device', 'cpu', '--json'],
    { encoding: 'utf8', cwd: tmpdir() },
  );
  assert.is(status, 0, stderr);
  const losses = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'iteration')
    .map(({ loss }) => loss as number);
  assert.ok(losses.at(-1)! < 0.1 && losses[0]! > 0.6, `${losses}`);
});

test.run();
