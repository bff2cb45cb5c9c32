/**
 * YOLO's boxes against the papers' equations in float64, with each class of each box a candidate; Reorg against
 * darknet's indices.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { findDetectorHead } from '../../ts/images/detect/head.ts';
import { filterNet, GraphError, graphFromCaffe, readNet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const CLASSES = 3;
const [SCORE, OVERLAP] = [0.3, 0.45];
/** Height and width of each map. */
const MAPS = [
  [3, 4],
  [6, 8],
] as const;

interface Case {
  readonly type: 'YoloDetectionOutput' | 'Yolov3DetectionOutput';
  readonly boxes: number;
  readonly param: string;
  /** Width and height of a box of a map, relative to the image. */
  readonly size: (map: number, box: number) => readonly [number, number];
  readonly softmax: boolean;
}

const SECOND = [1.1, 0.9, 2.3, 1.6];
const THIRD = [10, 13, 33, 23, 62, 45, 30, 61];
const SCALES = [32, 16];
const MASK = [3, 1, 0, 2];
const list = (name: string, values: readonly number[]) =>
  values.map((value) => `${name}: ${value}`).join(' ');

const cases: readonly Case[] = [
  {
    type: 'YoloDetectionOutput',
    boxes: 2,
    param: `yolo_detection_output_param { num_box: 2 ${list('biases', SECOND)}`,
    size: (map, box) => [SECOND[2 * box]! / MAPS[map]![1], SECOND[2 * box + 1]! / MAPS[map]![0]],
    softmax: true,
  },
  {
    type: 'Yolov3DetectionOutput',
    boxes: 2,
    param: `yolov3_detection_output_param { num_box: 2 mask_group_num: 2 ${list('mask', MASK)} ${list('anchors_scale', SCALES)} ${list('biases', THIRD)}`,
    size: (map, box) => {
      const anchor = MASK[2 * map + box]!;
      const [height, width] = MAPS[map]!.map((side) => side * SCALES[map]!) as [number, number];
      return [THIRD[2 * anchor]! / width, THIRD[2 * anchor + 1]! / height];
    },
    softmax: false,
  },
];

const netOf = (c: Case, images: number, more = '') =>
  readNet(
    `${MAPS.map(([h, w], i) => `layer { name: "m${i}" type: "Input" top: "m${i}" input_param { shape { dim: ${images} dim: ${c.boxes * (5 + CLASSES)} dim: ${h} dim: ${w} } } }`).join('\n')}
    layer { name: "det" type: "${c.type}" bottom: "m0" bottom: "m1" top: "det"
      ${c.param} num_classes: ${CLASSES} confidence_threshold: ${SCORE} nms_threshold: ${OVERLAP} ${more} } }`,
    { file: 'net.prototxt' },
  );

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

function expected(c: Case, maps: readonly Float32Array[], images: number): number[][] {
  return Array.from({ length: images }, (_, image) => {
    const found = maps
      .flatMap((data, map) => {
        const [h, w] = MAPS[map]!;
        return Array.from({ length: h * w * c.boxes }, (_, i) => {
          const [cell, box] = [Math.floor(i / c.boxes), i % c.boxes];
          const said = (k: number) => data[((image * c.boxes + box) * (5 + CLASSES) + k) * h * w + cell]!;
          const x = ((cell % w) + sigmoid(said(0))) / w;
          const y = (Math.floor(cell / w) + sigmoid(said(1))) / h;
          const [wide, tall] = c.size(map, box).map((size, k) => size * Math.exp(said(2 + k))) as [
            number,
            number,
          ];
          const exps = Array.from({ length: CLASSES }, (_, k) => Math.exp(said(5 + k)));
          const sum = exps.reduce((a, b) => a + b);
          const corners = [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2];
          return exps.map((each, label) => ({
            label: label + 1,
            score: sigmoid(said(4)) * (c.softmax ? each / sum : sigmoid(said(5 + label))),
            corners,
          }));
        }).flat();
      })
      .filter(({ score }) => score > SCORE)
      .sort((a, b) => b.score - a.score);
    const area = ([x1, y1, x2, y2]: readonly number[]) => (x2! - x1!) * (y2! - y1!);
    const overlap = (a: readonly number[], b: readonly number[]) => {
      const [wide, tall] = [0, 1].map((k) => Math.min(a[k + 2]!, b[k + 2]!) - Math.max(a[k]!, b[k]!));
      if (wide! <= 0 || tall! <= 0) return 0;
      return (wide! * tall!) / (area(a) + area(b) - wide! * tall!);
    };
    const kept: typeof found = [];
    for (const each of found)
      if (kept.every((other) => overlap(other.corners, each.corners) < OVERLAP)) kept.push(each);
    return kept.map(({ label, score, corners }) => [image, label, score, ...corners]);
  }).flat();
}

for (const device of devices)
  for (const c of cases)
    for (const images of [1, 2])
      test(`${c.type} of ${images} images finds what the paper's equations give, on ${device.kind}`, async () => {
        using net = await device.load({ model: netOf(c, images) });
        const random = seededRandom(images);
        const maps = MAPS.map(([h, w]) =>
          Float32Array.from({ length: images * c.boxes * (5 + CLASSES) * h * w }, () => 3 * random() - 1.5),
        );
        const rows = expected(c, maps, images);
        assert.ok(rows.length > 2 * images);
        const { det } = await net.run({ m0: maps[0]!, m1: maps[1]! });
        assert.equal(det!.shape, [1, 1, rows.length, 7]);
        rows
          .flat()
          .forEach((value, i) =>
            assert.ok(Math.abs(det!.data[i]! - value) < 1e-5, `${i}: ${det!.data[i]}, not ${value}`),
          );
        const none = await net.run({ m0: maps[0]!.fill(-9), m1: maps[1]!.fill(-9) });
        assert.equal(
          [...none.det!.data],
          Array.from({ length: images }, (_, image) => [image, -1, -1, -1, -1, -1, -1]).flat(),
        );
      });

test('a net that ends in YOLO boxes is a detector, whose classes count from 1', () => {
  for (const c of cases) {
    const net = filterNet(netOf(c, 1));
    const head = findDetectorHead(net, graphFromCaffe(net));
    assert.equal(
      [
        head.kind,
        head.classes,
        head.background,
        ...(head.kind === 'ssd' ? [head.detections, head.scores] : []),
      ],
      // All its maps are searched for values that are not finite.
      ['ssd', CLASSES + 1, 0, 'det', net.layer!.at(-1)!.bottom],
    );
  }
});

test('parameters that do not fit the maps are refused with their position', () => {
  const refusal = (c: Case, from: string, to: string) => {
    try {
      const text = JSON.stringify(netOf(c, 1));
      graphFromCaffe(filterNet(JSON.parse(text.replace(from, to))));
    } catch (error) {
      if (error instanceof GraphError && error.code === 'graph/yolo') return error.message;
      throw error;
    }
    return assert.unreachable('it was accepted') as never;
  };
  const [second, third] = cases as [Case, Case];
  assert.match(refusal(second, '"num_box":2', '"num_box":3'), /3 boxes take 6 biases.*found 4/);
  assert.match(refusal(second, '"num_classes":3', '"num_classes":4'), /take bottoms of 1×18×H×W/);
  assert.match(refusal(third, '"mask_group_num":2', '"mask_group_num":3'), /number of bottoms, 2; found 3/);
  assert.match(refusal(third, '"mask":[3', '"mask":[4'), /mask 4 has no biases/);
  assert.match(refusal(third, '"num_box":2', '"gaussian_box":true,"num_box":2'), /not supported/);
});

for (const device of devices)
  test(`Reorg rearranges positions as darknet does, and back; pixelshuffler spreads channels, on ${device.kind}`, async () => {
    const [n, channels, h, w, stride] = [2, 8, 4, 6, 2];
    using net = await device.load({
      model: readNet(
        `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: ${n} dim: ${channels} dim: ${h} dim: ${w} } } }
         layer { name: "a" type: "Reorg" bottom: "x" top: "a" reorg_param { stride: ${stride} } }
         layer { name: "b" type: "Reorg" bottom: "x" top: "b" reorg_param { stride: ${stride} reverse: true } }
         layer { name: "c" type: "Reshape" bottom: "x" top: "c" reshape_param { pixelshuffler: ${stride} } }`,
        { file: 'net.prototxt' },
      ),
    });
    const x = Float32Array.from({ length: n * channels * h * w }, (_, i) => i);
    const { a, b, c } = await net.run({ x });
    assert.equal(
      [a!.shape, b!.shape, c!.shape],
      [
        [n, 32, 2, 3],
        [n, 2, 8, 12],
        [n, 2, 8, 12],
      ],
    );
    // yolo9000's fork has a default, and omits reorg_param if it is meant.
    const bare = `layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 8 dim: 4 dim: 6 } } }
      layer { name: "a" type: "Reorg" bottom: "x" top: "a" }`;
    using other = await device.load({ model: readNet(bare, { file: 'bare.prototxt' }) });
    assert.equal((await other.run({ x })).a!.data, a!.data);
    const fewer = channels / stride ** 2;
    for (let item = 0; item < n; item++)
      for (let k = 0; k < channels; k++)
        for (let row = 0; row < h; row++)
          for (let column = 0; column < w; column++) {
            const small = ((item * channels + k) * h + row) * w + column;
            const place = (offset: number, channel: number) =>
              ((item * fewer + channel) * h * stride + row * stride + Math.floor(offset / stride)) *
                w *
                stride +
              column * stride +
              (offset % stride);
            const large = place(Math.floor(k / fewer), k % fewer);
            assert.is(a!.data[small], x[large]);
            assert.is(b!.data[large], x[small]);
            assert.is(c!.data[place(k % stride ** 2, Math.floor(k / stride ** 2))], x[small]);
          }
  });

test.run();
