/** openSegmenter: maps of nets with known answers, in the images' own sizes; the content of its PNG files. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type ClassMap,
  decodeImage,
  type Image,
  openSegmenter,
  segmentationPicture,
  segmentationPng,
} from '../../ts/api/images.ts';
import { decodeIndexedPng, encodeIndexedPng } from '../../ts/images/indexed-png.ts';
import { inputToMap } from '../../ts/images/segment/score-map.ts';
import type { ResnodeError } from '../../ts/index.ts';
import { edgeNet, SHADE_ENDS, shadeNet, writeModelFolder, writePatches } from '../support/task-nets.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-segment-'));
test.after(() => rmSync(folder, { recursive: true }));
const cpu = { device: 'cpu', threads: 1 } as const;
const failure = (promise: Promise<unknown>): Promise<ResnodeError> =>
  promise.then(
    () => assert.unreachable('it was not refused') as never,
    (error: ResnodeError) => error,
  );
const at = ({ map, width }: ClassMap, x: number, y: number) => map[y * width + x];
const grey = { x: 8, y: 0, width: 16, height: 12, grey: 128 };
const white = { x: 24, y: 16, width: 16, height: 16 };

test("scores, Softmax, ArgMax, its flat list and a Deconvolution give the same classes at the image's size", async () => {
  const file = await writePatches(join(folder, 'shades.png'), 40, 32, [grey, white]);
  for (const end of Object.keys(SHADE_ENDS) as (keyof typeof SHADE_ENDS)[]) {
    await using segmenter = await openSegmenter(shadeNet(join(folder, end), end), cpu);
    assert.is(segmenter.preprocess.resize, null, `${end}: fully convolutional`);
    const found = (await segmenter.segment(file)) as ClassMap;
    assert.equal([found.kind, found.width, found.height, found.map.length], ['classes', 40, 32, 1280], end);
    assert.equal(
      [at(found, 10, 3), at(found, 30, 24), at(found, 2, 20), at(found, 39, 31)],
      [1, 2, 0, 2],
      end,
    );
    const area = (label: string) => found.areas.find((each) => each.label === label)?.pixels ?? 0;
    // Where scores are interpolated, the border between two squares is uncertain by up to two pixels.
    const slack = end === 'none' || end === 'softmax' ? 64 : 0;
    for (const [label, pixels] of [
      ['grey', 192],
      ['white', 256],
    ] as const)
      assert.ok(Math.abs(area(label) - pixels) <= slack, `${end} ${label}: ${area(label)}`);
    assert.is(found.areas.reduce((sum, { share }) => sum + share, 0).toFixed(9), '1.000000000');
  }
});

test("images of other sizes follow each other, and each map has its image's size", async () => {
  await using segmenter = await openSegmenter(join(folder, 'argmax'), cpu);
  const sizes = [
    [40, 32],
    [32, 40],
    [17, 23],
    [40, 32],
  ] as const;
  const files = await Promise.all(
    sizes.map(([width, height], i) => writePatches(join(folder, `size-${i}.png`), width, height, [])),
  );
  const maps = await Promise.all(files.map((file) => segmenter.segment(file)));
  assert.equal(
    maps.map(({ width, height }) => [width, height]),
    sizes,
  );
});

test("a resize, a longest side and a pad are mapped back to the image's pixels", async () => {
  const file = await writePatches(join(folder, 'large.png'), 80, 64, [
    { x: 48, y: 32, width: 32, height: 32 },
  ]);
  for (const preprocess of [
    { resize: { width: 40, height: 32 } },
    { resize: { width: 32, height: 64 } },
    { resize: { longestSide: 40 } },
    { resize: { longestSide: 40 }, pad: { width: 64, height: 48 } },
  ]) {
    await using segmenter = await openSegmenter(
      shadeNet(join(folder, 'sized'), 'deconvolution', { preprocess }),
      { ...cpu, maxBatch: 2 },
    );
    const found = (await segmenter.segment(file)) as ClassMap;
    assert.equal([found.width, found.height], [80, 64]);
    const rows = Array.from({ length: 64 }, (_, y) => at(found, 79, y) === 2);
    const columns = Array.from({ length: 80 }, (_, x) => at(found, x, 63) === 2);
    assert.ok(Math.abs(rows.indexOf(true) - 32) <= 4, JSON.stringify(preprocess));
    assert.ok(Math.abs(columns.indexOf(true) - 48) <= 4, JSON.stringify(preprocess));
    assert.equal([rows.lastIndexOf(true), columns.lastIndexOf(true)], [63, 79]);
  }
  const small = shadeNet(join(folder, 'sized'), 'none', { preprocess: { pad: { width: 64, height: 48 } } });
  await using segmenter = await openSegmenter(small, cpu);
  const error = await failure(segmenter.segment(file));
  assert.is(error.code, 'image/too-large');
  assert.match(error.message, /larger than 64×48.*--longest-side/);
});

test('a net with an inner product is not fully convolutional, so images get the size of its input', async () => {
  const fixed = writeModelFolder(
    join(folder, 'fixed'),
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
     layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 8 } }
     layer { name: "map" type: "Reshape" bottom: "ip" top: "map" reshape_param { shape { dim: 0 dim: 2 dim: 2 dim: 2 } } }`,
    {},
    { preprocess: {} },
  );
  const weights = Array.from({ length: 8 * 16 }, (_, i) => (i % 17 === 0 ? 1 : 0));
  writeModelFolder(fixed, readFileSync(join(fixed, 'model.prototxt'), 'utf8'), {
    ip: [
      [[8, 16], weights],
      [[8], [0, 0, 0, 0, 1, 1, 1, 1]],
    ],
  });
  await using segmenter = await openSegmenter(fixed, cpu);
  assert.equal(segmenter.preprocess.resize, { width: 4, height: 4 });
  const found = (await segmenter.segment(join(folder, 'size-2.png'))) as ClassMap;
  assert.equal([found.width, found.height, found.areas[0]!.index], [17, 23, 1]);
});

test('edges are the fused map, or another one by name, with values from 0 to 1', async () => {
  const net = edgeNet(join(folder, 'edges'));
  const file = await writePatches(join(folder, 'half.png'), 24, 20, [{ x: 12, y: 0, width: 12, height: 20 }]);
  for (const [options, strongest] of [
    [{}, 1 / (1 + Math.exp(-10))],
    [{ output: 'side' }, 1 / (1 + Math.exp(-5))],
  ] as const) {
    await using segmenter = await openSegmenter(net, { ...cpu, ...options });
    const { kind, map } = await segmenter.segment(file);
    assert.is(kind, 'edges');
    for (const y of [0, 10, 19]) {
      assert.ok(Math.abs(map[y * 24 + 12]! - strongest) < 1e-5);
      assert.ok(map[y * 24 + 5]! < 0.01 && map[y * 24 + 18]! < 0.01);
    }
  }
  const none = await failure(openSegmenter(net, { ...cpu, output: 'absent' }));
  assert.match(
    none.message,
    /output: expected .*a blob of the net, but received "absent".*"sigmoid-fuse" 1×1×16×16 \(Sigmoid\)/,
  );
});

test('a classifier is refused as a segmenter, with its outputs', async () => {
  const plain = writeModelFolder(
    join(folder, 'plain'),
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
     layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
     layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }`,
    {},
    { preprocess: {} },
  );
  const error = await failure(openSegmenter(plain, cpu));
  assert.is(error.code, 'segmenter/no-map');
  assert.match(error.message, /"prob" is 1×3; the outputs are "prob" 1×3 \(Softmax\)$/);
});

test("a map as PNG keeps its indices in PASCAL VOC's palette, and other readers see the same", async () => {
  const map = Uint8Array.from({ length: 256 }, (_, i) => i);
  const bytes = await encodeIndexedPng(map, 16, 16);
  assert.equal(await decodeIndexedPng(bytes, 'map.png'), { width: 16, height: 16, map });
  const { data, info } = await sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  assert.equal([info.width, info.height, info.channels], [16, 16, 3]);
  const colour = (index: number) => [...data.subarray(3 * index, 3 * index + 3)];
  // aeroplane, bicycle, person, tvmonitor, and the border of objects.
  assert.equal([0, 1, 2, 15, 20, 255].map(colour), [
    [0, 0, 0],
    [128, 0, 0],
    [0, 128, 0],
    [192, 128, 128],
    [0, 64, 128],
    [224, 224, 192],
  ]);
});

test('label maps of other writers are read: grey, few bits, filtered rows; others are refused by name', async () => {
  const width = 37;
  const map = Uint8Array.from({ length: width * 21 }, (_, i) => (i % width > 15 ? 3 : i % 2));
  const raw = { raw: { width, height: 21, channels: 1 } } as const;
  const grey = await sharp(map, raw).toColourspace('b-w').png({ adaptiveFiltering: true }).toBuffer();
  assert.equal((await decodeIndexedPng(grey, 'grey.png')).map, map);
  const refuse = async (bytes: Uint8Array) => failure(decodeIndexedPng(bytes, 'x.png'));
  const colours = await sharp(map, raw).toColourspace('srgb').png().toBuffer();
  for (const bytes of [
    colours,
    grey.subarray(0, 60),
    Buffer.from('no png'),
    Buffer.from(grey).fill(7, 60, 70),
  ]) {
    const error = await refuse(bytes);
    assert.is(error.code, 'image/label-map');
    assert.match(error.message, /^x\.png: expected a PNG with a palette/);
  }
});

test('the picture overlays the image, with a legend below if there are classes', async () => {
  const image = (await decodeImage(join(folder, 'shades.png'))) as Image;
  await using segmenter = await openSegmenter(join(folder, 'deconvolution'), cpu);
  const found = await segmenter.segment(image);
  const picture = await decodeImage(await segmentationPicture(image, found));
  assert.ok(picture.width === 40 && picture.height > 32);
  const pixel = [...picture.data.subarray(3 * (24 * 40 + 30), 3 * (24 * 40 + 30) + 3)];
  assert.equal(pixel, [102, 179, 102], 'white under 60% of class 2, green');
  const file = join(folder, 'map.png');
  writeFileSync(file, await segmentationPng(found));
  assert.equal((await decodeIndexedPng(readFileSync(file), file)).map, found.map);
});

test('a map of (n − 1)/s + 1 values is aligned with the corners of the input, and others with its area', () => {
  assert.equal(inputToMap(513, 65), { scale: 64 / 512, offset: 0 });
  assert.equal(inputToMap(473, 473), { scale: 1, offset: 0 });
  assert.equal(inputToMap(320, 10), { scale: 1 / 32, offset: 0.5 / 32 - 0.5 });
});

test('an image whose size the net cannot take is refused by name', async () => {
  await using segmenter = await openSegmenter(shadeNet(join(folder, 'strip')), cpu);
  const file = await writePatches(join(folder, 'strip.png'), 64, 2, []);
  const error = await failure(segmenter.segment(file));
  assert.is(error.code, 'image/size');
  assert.match(error.message, /strip\.png: is 64×2, 64×2 as the net's input: .*4×4 kernel.*multipleOf/);
  const preprocess = { resize: { longestSide: 64, multipleOf: 4 } };
  await using rounded = await openSegmenter(shadeNet(join(folder, 'rounded'), 'none', { preprocess }), cpu);
  const { width, height } = await rounded.segment(file);
  assert.equal([width, height], [64, 2]);
});

test.run();
