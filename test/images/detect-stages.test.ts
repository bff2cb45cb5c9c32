/** openDetector with the heads of MS-CNN and Cascade R-CNN: known boxes, counted as the forks' own scripts do. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Detection, evaluateDetector, openDetector } from '../../ts/api/images.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { findDetectorHead } from '../../ts/images/detect/head.ts';
import { placementOf } from '../../ts/images/whole.ts';
import { squareCascade, squareMsCnn, squareSsd, writePatches } from '../support/task-nets.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-detect-stages-'));
test.after(() => rmSync(folder, { recursive: true }));
const cpu = { device: 'cpu', threads: 1 } as const;
const rounded = (found: readonly Detection[]) =>
  found.map(({ label, score, box: { x, y, width, height } }) => [
    label,
    ...[score, x, y, width, height].map((value) => Math.round(value * 100) / 100),
  ]);

test("MS-CNN: the image gets the size of the net's input, a side is the difference of its corners, and each class moves the proposals", async () => {
  // The input is 64×64, so a cell is 40×32 pixels of this image.
  const image = await writePatches(join(folder, 'wide.png'), 160, 128, [
    { x: 40, y: 64, width: 40, height: 32 },
    { x: 120, y: 0, width: 40, height: 32, grey: 115 },
  ]);
  const found = async (shift: number, options: object = {}) => {
    await using detector = await openDetector(squareMsCnn(join(folder, `mscnn-${shift}`), { shift }), {
      ...cpu,
      ...options,
    });
    return rounded(await detector.detect(image, { minScore: 0.9 })).sort();
  };
  assert.equal(await found(0), [
    ['grey', 0.97, 120, 0, 40, 32],
    ['white', 1, 40, 64, 40, 32],
  ]);
  assert.equal((await found(0.5))[1], ['white', 1, 60, 64, 40, 32]);
  assert.equal((await found(0.5, { boxStds: [0.5, 1, 1, 1] }))[1], ['white', 1, 50, 64, 40, 32]);
  assert.equal((await found(2.5))[1], ['white', 1, 140, 64, 20, 32], 'what lies beyond the image is cut off');
});

test('MS-CNN finds nothing if no region is proposed', async () => {
  const dark = await writePatches(join(folder, 'dark.png'), 64, 64, []);
  await using detector = await openDetector(squareMsCnn(join(folder, 'none')), cpu);
  assert.equal(await detector.detect(dark, { minScore: 0 }), []);
});

test('MS-CNN: of overlapping boxes of a class one remains, with a threshold of 0.5 unless nms is given', async () => {
  // Two neighbours, the left of which the class moves by half a width, so that they overlap by a third.
  const image = await writePatches(join(folder, 'two.png'), 64, 64, [{ x: 0, y: 0, width: 32, height: 16 }]);
  const count = async (options: object) => {
    const net = squareMsCnn(join(folder, 'near'), { shift: 0 });
    await using detector = await openDetector(net, {
      ...cpu,
      boxMeans: [0, 0, Math.LN2, 0],
      ...options,
    });
    return (await detector.detect(image, { minScore: 0.9 })).length;
  };
  // Twice as wide: 0 to 24 (clipped) and 8 to 40 overlap in 16 of 40.
  assert.is(await count({}), 2);
  assert.is(await count({ nms: 0.41 }), 2);
  assert.is(await count({ nms: 0.39 }), 1);
});

test("Cascade R-CNN: the last stage's boxes, including both corners, with the mean of the stages' probabilities", async () => {
  const image = await writePatches(join(folder, 'square.png'), 128, 128, [
    { x: 32, y: 64, width: 32, height: 32 },
  ]);
  await using detector = await openDetector(squareCascade(join(folder, 'cascade')), cpu);
  assert.equal([...detector.labels], ['background', 'bright']);
  // Pixels 16 to 31 of the input, moved by 1 twice: 18 to 33; in the image 36 to 66.
  assert.equal(rounded(await detector.detect(image)), [['bright', 0.75, 36, 64, 31, 31]]);
});

test("Cascade R-CNN keeps the aspect of an image within the sides of the net's input", async () => {
  const image = await writePatches(join(folder, 'tall.png'), 32, 64, [
    { x: 0, y: 32, width: 16, height: 16 },
  ]);
  await using detector = await openDetector(squareCascade(join(folder, 'aspect')), cpu);
  assert.equal(rounded(await detector.detect(image)), [['bright', 0.75, 2, 32, 16, 16]]);
});

test("Cascade R-CNN's sides become multiples of 32, each rounded separately, as in its script", async () => {
  // 70×128 within 64×64 is 35×64; 35 is rounded to 32.
  const image = await writePatches(join(folder, 'rounded.png'), 70, 128, [
    { x: 0, y: 64, width: 35, height: 32 },
  ]);
  await using detector = await openDetector(squareCascade(join(folder, 'rounded')), cpu);
  // Pixels 0 to 15 of the input, moved by 1 twice: 2 to 17; in the image, at a scale of 70/32, 4.38 to 37.19.
  assert.equal(rounded(await detector.detect(image)), [['bright', 0.75, 4.38, 64, 33.81, 31]]);
  const resize = { shorterSide: 800, longestSide: 1312, multipleOf: 32 };
  for (const [image, resized] of [
    [
      { width: 640, height: 427 },
      { width: 1184, height: 800 },
    ],
    [
      { width: 500, height: 375 },
      { width: 1056, height: 800 },
    ],
    [
      { width: 20, height: 2000 },
      { width: 32, height: 1312 },
    ],
  ] as const) {
    const { scale, ...placement } = placementOf(image, { resize });
    assert.equal(placement.resized, resized);
    assert.equal(scale, { x: resized.width / image.width, y: resized.height / image.height });
  }
});

test('Cascade R-CNN: a box at the edge of an image ends there', async () => {
  const image = await writePatches(join(folder, 'edge.png'), 128, 128, [
    { x: 96, y: 96, width: 32, height: 32 },
  ]);
  await using detector = await openDetector(squareCascade(join(folder, 'edge')), cpu);
  assert.equal(rounded(await detector.detect(image)), [['bright', 0.75, 100, 96, 28, 31]]);
});

test('options that denormalise regressions are refused if the net decodes its boxes itself', async () => {
  const nets = [squareCascade(join(folder, 'decodes')), squareSsd(join(folder, 'decodes-ssd'))];
  for (const net of nets)
    for (const options of [{ boxStds: [0.1, 0.1, 0.2, 0.2] }, { boxMeans: [0, 0, 0, 0] }]) {
      const refused = await openDetector(net, { ...cpu, ...options }).then(
        () => assert.unreachable(net) as never,
        (error: Error) => error.message,
      );
      assert.match(refused, /^options\.box(Stds|Means): expected nothing: .* of this net decodes its boxes/);
    }
});

test('both are evaluated like other detectors', async () => {
  const [right, wrong] = await Promise.all(
    [16, 32].map((x) =>
      writePatches(join(folder, `at-${x}.png`), 64, 64, [{ x, y: 32, width: 16, height: 16 }]),
    ),
  );
  for (const [net, label] of [
    [squareMsCnn(join(folder, 'counted')), 'white'],
    [squareCascade(join(folder, 'stages-counted')), 'bright'],
  ] as const) {
    await using detector = await openDetector(net, cpu);
    const objects = [{ label, box: { x: 16, y: 32, width: 16, height: 16 } }];
    const { voc10 } = await evaluateDetector(detector, [{ image: right!, objects }]);
    assert.is(voc10, 1);
    const half = await evaluateDetector(
      detector,
      [right!, wrong!].map((image) => ({ image, objects })),
    );
    assert.ok(half.voc10! < 1);
  }
});

test('a net with their proposals, but without scores or boxes for them, is refused with its outputs', () => {
  const refusal = (text: string) => {
    const net = readNet(text, { file: 'net.prototxt' });
    try {
      return findDetectorHead(net, graphFromCaffe(net)).kind;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const proposals = `layer { name: "said" type: "Input" top: "said" input_param { shape { dim: 1 dim: 6 dim: 4 dim: 4 } } }
layer { name: "p" type: "BoxOutput" bottom: "said" top: "p" top: "scored" box_output_param { iou_thr: 0.7 nms_type: "IOU" max_post_nms_num: 8 field_h: 16 field_w: 16 downsample_rate: 16 } }`;
  assert.match(
    refusal(proposals),
    /of its 8 regions "scored" it has no scores 8×classes with regressions of four values per class; its outputs are "p" .*"scored"/,
  );
  const decoded = `${proposals}
layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 8 dim: 8 } } }
layer { name: "boxes" type: "DecodeBBox" bottom: "d" bottom: "p" top: "boxes" }`;
  assert.match(refusal(decoded), /of the 8 boxes "boxes" it has no Softmax 8×classes; its outputs are/);
});

test.run();
