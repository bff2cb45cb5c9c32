/**
 * `resnode quantize` for detectors and segmenters: they see whole images, prepared as `detect` and `segment` prepare
 * them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openSegmenter } from '../../ts/api/images.ts';
import { ArgumentError } from '../../ts/base/errors.ts';
import { quantize } from '../../ts/cli/quantize.ts';
import { readCalibration } from '../../ts/compile/calibration.ts';
import {
  shadeNet,
  squareCascade,
  squareMsCnn,
  squareRegions,
  squareSsd,
  writeModelFolder,
  writePatches,
} from '../support/task-nets.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-quantize-whole-'));
test.after(() => rmSync(folder, { recursive: true }));
const filesOf = (net: string) => [
  ...['--model', join(net, 'model.prototxt'), '--weights', join(net, 'model.caffemodel')],
];

/** Calibrated by the largest magnitude. */
async function quantized(net: string, images: readonly string[], ...more: readonly string[]) {
  const out = join(net, 'calibration.json');
  const { log, error } = console;
  Object.assign(console, { log: () => {}, error: () => {} });
  try {
    await quantize().parseAsync(
      [
        ...filesOf(net),
        '--images',
        ...images,
        '--method',
        'min-max',
        '--device',
        'reference',
        '--out',
        out,
        ...more,
      ],
      { from: 'user' },
    );
  } finally {
    Object.assign(console, { log, error });
  }
  return readCalibration(out);
}

// The bright part is in a corner, outside a centre crop.
const corner = (name: string, width: number, height: number, side: number, grey = 255) =>
  writePatches(join(folder, `${name}.png`), width, height, [
    { x: width - side, y: height - side, width: side, height: side, grey },
  ]);

test('a fully convolutional net sees images at their own sizes, one after the other', async () => {
  const images = [await corner('wide', 64, 32, 4, 102), await corner('tall', 24, 48, 4, 204)];
  const { images: count, ranges } = await quantized(shadeNet(join(folder, 'shades')), images);
  assert.is(count, 2);
  assert.ok(Math.abs(ranges['mean@mean']! - 0.8) < 1e-6, `${ranges['mean@mean']}`);
  // If all images get the same size, they run in one batch.
  const small = await quantized(
    shadeNet(join(folder, 'small')),
    images,
    '--resize',
    '16x16',
    '--mean',
    'none',
  );
  assert.is(small.images, 2);
  assert.ok(small.ranges['mean@mean']! < 0.8);
});

test('the segmenter then runs in int8 at any size', async () => {
  const net = shadeNet(join(folder, 'int8'));
  const image = await corner('seen', 64, 32, 8);
  await quantized(net, [image]);
  const source = {
    model: join(net, 'model.prototxt'),
    weights: join(net, 'model.caffemodel'),
    preprocess: join(net, 'preprocess.json'),
    calibration: join(net, 'calibration.json'),
  };
  await using segmenter = await openSegmenter(source, { device: 'cpu', precision: 'int8', threads: 1 });
  assert.ok(segmenter.model.plan().operations.some(({ implementation }) => implementation.includes('int8')));
  for (const [name, width, height] of [
    ['other', 40, 24],
    ['more', 20, 60],
  ] as const) {
    const found = await segmenter.segment(await corner(name, width, height, 8));
    assert.is(found.kind, 'classes');
    if (found.kind === 'classes') assert.is(found.map.at(-1), 2);
  }
});

test("detectors see whole images at detect's size, with im_info if they take it", async () => {
  for (const [net, side, name] of [
    [squareSsd(join(folder, 'ssd')), 32, 'mean@mean'],
    [squareRegions(join(folder, 'regions')), 64, 'mean@mean'],
    [squareMsCnn(join(folder, 'mscnn')), 64, 'mean@mean'],
    [squareCascade(join(folder, 'cascade')), 64, 'mean@mean'],
  ] as const) {
    const image = await corner(`at-${side}`, 2 * side, 2 * side, 32);
    const { ranges } = await quantized(net, [image, image]);
    assert.ok(Math.abs(ranges[name]! - 1) < 1e-3, `${net}: ${ranges[name]}`);
  }
});

test('an unreadable image is left out if requested', async () => {
  const broken = join(folder, 'broken.png');
  writeFileSync(broken, 'no picture');
  const images = [broken, await corner('whole', 32, 32, 8)];
  const net = squareSsd(join(folder, 'skipping'));
  assert.is((await quantized(net, images, '--skip-broken', '--batch', '1')).images, 1);
});

test('an image whose size the net cannot take is left out by name, and the others count', async () => {
  const images = [await corner('strip', 64, 2, 2), await corner('fits', 32, 32, 8)];
  const net = shadeNet(join(folder, 'strips'));
  assert.is((await quantized(net, images, '--skip-broken')).images, 1);
});

test('sizes for whole images are refused for a net that takes a crop', async () => {
  const net = writeModelFolder(
    join(folder, 'classifier'),
    `name: "classifier"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param { num_output: 2 kernel_size: 8 } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }`,
    {
      score: [
        [[2, 1, 8, 8], Array<number>(128).fill(0)],
        [[2], [0, 0]],
      ],
    },
  );
  const image = await corner('cropped', 32, 32, 8);
  for (const flag of [
    ['--longest-side', '20'],
    ['--pad', '32x32'],
  ])
    try {
      await quantized(net, [image], '--mean', 'none', ...flag);
      assert.unreachable(flag.join(' '));
    } catch (error) {
      assert.instance(error, ArgumentError);
      assert.match(
        (error as Error).message,
        new RegExp(`^${flag[0]}: expected a detector or a segmenter.*, but`),
      );
    }
});

test.run();
