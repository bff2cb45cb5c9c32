/** PriorBox of forks that have more boxes for each cell than SSD: FaceBoxes and TextBoxes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeOnnxFile } from '../../ts/api/convert.ts';
import { onnxRuntime } from '../../ts/convert/onnx-files.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { assertRefused, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

const priors = (param: string, map: readonly number[]) =>
  `${input('x', [1, 1, ...map])}${input('image', [1, 3, 64, 96])}
  layer { name: "p" type: "PriorBox" bottom: "x" bottom: "image" top: "p" prior_box_param { ${param} } }`;
const heads = (boxes: number, classes: number) =>
  ['loc', 'conf']
    .map(
      (name, i) => `layer { name: "${name}" type: "Convolution" bottom: "x" top: "${name}" convolution_param {
        num_output: ${(i === 0 ? 4 : classes) * boxes} kernel_size: 1 } }
      layer { name: "${name}_flat" type: "Flatten" bottom: "${name}" top: "${name}_flat" }`,
    )
    .join('\n');
const detections = (classes: number) => `layer { name: "out" type: "DetectionOutput"
  bottom: "loc_flat" bottom: "conf_flat" bottom: "p" top: "out"
  detection_output_param { num_classes: ${classes} nms_param { nms_threshold: 0.5 } code_type: CENTER_SIZE } }`;

/** The fractions of an image of 64×96 for boxes given by centre and size. */
const fractions = (boxes: readonly (readonly [x: number, y: number, width: number, height: number])[]) =>
  boxes.flatMap(([x, y, w, h]) => [(x - w / 2) / 96, (y - h / 2) / 64, (x + w / 2) / 96, (y + h / 2) / 64]);

/** FaceBoxes, section 3.3: 16 squares of 32, 4 of 64 and 1 of 128 for each cell of 32 pixels, rows first. */
function faces(column: number, row: number) {
  const [left, top] = [32 * column + 16, 32 * row + 16];
  const grid = (from: number, step: number, size: number) =>
    Array.from({ length: (-2 * from) / step }, (_, i) =>
      Array.from(
        { length: (-2 * from) / step },
        (_, j) => [left + from + step * j, top + from + step * i, size, size] as const,
      ),
    ).flat();
  return [...grid(-16, 8, 31), ...grid(-16, 16, 63), [left, top, 127, 127] as const];
}

function assertClose(found: Float32Array, expected: readonly number[]) {
  assert.is(found.length, 2 * expected.length);
  expected.forEach((value, i) =>
    assert.ok(Math.abs(found[i]! - value) < 2e-6, `${i}: ${found[i]}, ${value}`),
  );
}

const given = (map: readonly number[]) => ({
  x: new Float32Array(map[0]! * map[1]!),
  image: new Float32Array(3 * 64 * 96),
});

const FACES = 'min_size: 32 min_size: 64 min_size: 128 step: 32 faceboxes: true';
const facesOf = (rows: number, columns: number) =>
  Array.from({ length: rows * columns }, (_, cell) =>
    faces(cell % columns, Math.floor(cell / columns)),
  ).flat();
const TEXT =
  'min_size: 9 max_size: 16 aspect_ratio: 4 flip: false step_h: 10 step_w: 20 denser_prior_boxes: true';
/** Of a map of 1×2. */
const TEXTS = [10, 30].flatMap((x) =>
  [
    [9, 9],
    [12, 12],
    [18, 4.5],
  ].flatMap(([w, h]) => [5, 10].map((y) => [x, y, w!, h!] as const)),
);

for (const device of devices) {
  test(`${device.name}: a faceboxes PriorBox has FaceBoxes' grids of squares`, async () => {
    using model = await device.load({ model: net(priors(FACES, [2, 3])) });
    const { p } = await model.run(given([2, 3]));
    assertClose(p!.data as Float32Array, fractions(facesOf(2, 3)));
  });

  test(`${device.name}: denser_prior_boxes repeats each box at the lower edge of its cell`, async () => {
    using model = await device.load({ model: net(priors(TEXT, [1, 2])) });
    const { p } = await model.run(given([1, 2]));
    assertClose(p!.data as Float32Array, fractions(TEXTS));
  });
}

for (const device of devices) {
  const boxesOf = async (param: string) => {
    using model = await device.load({ model: net(priors(param, [1, 2])) });
    return (await model.run(given([1, 2]))).p!.data as Float32Array;
  };
  const clipped = (values: readonly number[]) => values.map((value) => Math.min(1, Math.max(0, value)));

  test(`${device.name}: fixed_size has a grid of density × density boxes in each cell, clipped to the image`, async () => {
    // Sizes 32 and 17 with densities 4 and 2: grids 8 pixels apart from −12, and ⌊17/2⌋ = 8 apart from 4 − 8.
    const cell = (x: number) => [
      ...[-12, -4, 4, 12].flatMap((down) =>
        [-12, -4, 4, 12].map((right) => [x + right, 16 + down, 32, 32] as const),
      ),
      ...[-4, 4].flatMap((down) => [-4, 4].map((right) => [x + right, 16 + down, 17, 17] as const)),
    ];
    assertClose(
      await boxesOf('fixed_size: 32 fixed_size: 17 density: 4 density: 2 step: 32'),
      clipped(fractions([16, 48].flatMap(cell))),
    );
  });

  test(`${device.name}: fixed_ratio replaces the square of fixed_size, aspect_ratio follows it`, async () => {
    const [wide, square, tall] = [
      [16, 4],
      [8, 8],
      [4, 16],
    ] as const;
    const expected = (extents: readonly (readonly [number, number])[]) =>
      clipped(fractions([16, 48].flatMap((x) => extents.map(([w, h]) => [x, 16, w, h] as const))));
    const text = 'fixed_size: 8 density: 1 step: 32';
    assertClose(await boxesOf(`${text} fixed_ratio: 4`), expected([wide]));
    assertClose(await boxesOf(`${text} aspect_ratio: 4`), expected([square, wide, tall]));
  });
}

test('a fixed_size needs its density, and is not mixed with what it would change', () => {
  const refused = (param: string, said: RegExp) => assertRefused(net(priors(param, [1, 1])), said);
  refused('fixed_size: 8', /one density for each fixed_size, found 0 and 1/);
  refused('fixed_size: 8 density: 9', /density 9 makes no boxes/);
  refused('fixed_size: 8 density: 1 fixed_ratio: 2 aspect_ratio: 2', /keep one/);
  refused('fixed_size: 8 density: 1 min_size: 9', /only with clip: true/);
});

test('ONNX Runtime has the same boxes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-priors-'));
  const file = join(folder, 'priors.onnx');
  try {
    for (const [param, map, boxes] of [
      [FACES, [2, 3], facesOf(2, 3)],
      [TEXT, [1, 2], TEXTS],
    ] as const) {
      const weights = { file: '', name: '', layers: [] };
      writeOnnxFile(file, { net: net(priors(param, map)), weights });
      const runtime = await onnxRuntime(file);
      if (runtime === null) return console.log('skipped: onnxruntime-node is not installed');
      const { x, image } = given(map);
      const { p } = await runtime.run({
        x: { shape: [1, 1, ...map], data: x },
        image: { shape: [1, 3, 64, 96], data: image },
      });
      await runtime.dispose();
      assertClose(p!, fractions(boxes));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const topOf = (text: string) => {
  const graph = graphFromCaffe(net(text));
  return graph.values[graph.blobs.get('p')!]!.shape[2]! / 4;
};

test('the convolutions of a map show whether its boxes are those of SSD, TextBoxes or FaceBoxes', () => {
  const text = 'min_size: 30 aspect_ratio: 2 aspect_ratio: 5 flip: false';
  const face = 'min_size: 32 min_size: 64 min_size: 128';
  const head = (param: string, boxes: number, classes: number) =>
    priors(param, [1, 1]) + heads(boxes, classes) + detections(classes);
  assert.is(topOf(head(text, 3, 2)), 3);
  assert.is(topOf(head(text, 6, 2)), 6);
  // 12 and 24 channels, as TextBoxes has them for two classes, are SSD's for eight.
  assert.is(topOf(head(text, 3, 8)), 3);
  // Other convolutions beside SSD's do not matter.
  const twice = heads(6, 2).replaceAll('"loc', '"other_loc').replaceAll('"conf', '"other_conf');
  assert.is(topOf(head(text, 3, 2) + twice), 3);
  assert.is(topOf(head(face, 3, 2)), 3);
  assert.is(topOf(head(face, 21, 2)), 21);
});

test('FaceBoxes has no other sizes beside those of its grids, no ratios and no maximum sizes', () => {
  const param = 'min_size: 32 min_size: 128 faceboxes: true';
  for (const wrong of [
    param,
    `${param} max_size: 40 max_size: 150`,
    'faceboxes: true',
    'min_size: 256 aspect_ratio: 2 faceboxes: true',
  ])
    assertRefused(net(priors(wrong, [1, 1])), /FaceBoxes has min_size alone/);
});

test.run();
