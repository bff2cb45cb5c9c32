/** openDetector: boxes of nets with known answers, in pixels of images of other sizes; refusals. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Detection,
  decodeImage,
  detectionPicture,
  loadPreprocess,
  openDetector,
  saveWholePreprocess,
} from '../../ts/api/images.ts';
import { openDevice, type ResnodeError } from '../../ts/index.ts';
import { sharedFolder } from '../support/golden.ts';
import { squareRegions, squareSsd, writeModelFolder, writePatches } from '../support/task-nets.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-detect-'));
test.after(() => rmSync(folder, { recursive: true }));
const cpu = { device: 'cpu', threads: 1 } as const;
const failure = (promise: Promise<unknown>): Promise<ResnodeError> =>
  promise.then(
    () => assert.unreachable('it was not refused') as never,
    (error: ResnodeError) => error,
  );
const rounded = (found: readonly Detection[]) =>
  found.map(({ label, index, box: { x, y, width, height } }) => [
    label,
    index,
    ...[x, y, width, height].map((value) => Math.round(value * 100) / 100),
  ]);
const ssd = squareSsd(join(folder, 'ssd'));
const regions = squareRegions(join(folder, 'regions'));

test("an SSD's boxes are in pixels of the original image, whatever its size and aspect", async () => {
  await using detector = await openDetector(ssd, cpu);
  assert.equal([...detector.labels, detector.background], ['background', 'square', 0]);
  const small = await writePatches(join(folder, 'small.png'), 64, 48, [
    { x: 16, y: 24, width: 16, height: 12 },
  ]);
  assert.equal(rounded(await detector.detect(small)), [['square', 1, 16, 24, 16, 12]]);
  const wide = await writePatches(join(folder, 'wide.png'), 320, 32, [
    { x: 0, y: 0, width: 80, height: 8 },
    { x: 240, y: 24, width: 80, height: 8 },
  ]);
  assert.equal(rounded(await detector.detect(wide)).sort(), [
    ['square', 1, 0, 0, 80, 8],
    ['square', 1, 240, 24, 80, 8],
  ]);
  const [best] = await detector.detect(small);
  assert.ok(best!.score > 0.99 && best!.score <= 1);
});

test('images of one size run in batches, each with its own boxes, or without any', async () => {
  await using detector = await openDetector(ssd, { ...cpu, maxBatch: 4, maxDelay: 200 });
  const files = await Promise.all(
    [0, 1, 2, 3].map((cell) =>
      writePatches(join(folder, `cell-${cell}.png`), 32, 32, [{ x: 8 * cell, y: 8, width: 8, height: 8 }]),
    ),
  );
  const empty = await writePatches(join(folder, 'empty.png'), 32, 32, []);
  const answers = await Promise.all([...files, empty, ...files].map((file) => detector.detect(file)));
  const expected = [0, 1, 2, 3].map((cell) => [['square', 1, 8 * cell, 8, 8, 8]]);
  assert.equal(answers.map(rounded), [...expected, [], ...expected]);
  const { served, batches } = detector.stats();
  assert.is(served, 9);
  assert.ok(batches[4]! >= 2, JSON.stringify(batches));
});

test('top keeps the most confident objects, and minScore drops the others', async () => {
  await using detector = await openDetector(ssd, cpu);
  const file = await writePatches(join(folder, 'shades.png'), 32, 32, [
    { x: 0, y: 0, width: 8, height: 8, grey: 140 },
    { x: 24, y: 24, width: 8, height: 8 },
  ]);
  const at = async (options: object) => (await detector.detect(file, options)).map(({ box }) => box.x);
  assert.equal(await at({}), [24, 0]);
  assert.equal(await at({ top: 1 }), [24]);
  assert.equal(await at({ minScore: 0.99 }), [24]);
  assert.is((await detector.detect(file, { minScore: 0 })).length > 0, true);
});

test('Faster R-CNN: the shorter side follows the options, boxes are in pixels of the image, and each class moves them', async () => {
  const image = await writePatches(join(folder, 'regions.png'), 160, 128, [
    { x: 32, y: 64, width: 32, height: 32 },
    { x: 96, y: 0, width: 32, height: 32, grey: 115 },
  ]);
  // An anchor of pixels 16 to 21 of the input is 6 wide. With a zero regression it ends 6 further, at 22, as in
  // py-faster-rcnn. In the image, which is twice as large, that is 32 to 44, 13 pixels; with a zero regression 32 to
  // 45, both of which belong to the box.
  for (const shift of [0, 0.25]) {
    const net = shift === 0 ? regions : squareRegions(join(folder, 'shifted'), { shift });
    await using detector = await openDetector(net, cpu);
    assert.equal(rounded(await detector.detect(image)).sort(), [
      ['grey', 1, 96, 0, 14, 14],
      ['white', 2, 32 + 13 * shift, 64, 14, 14],
    ]);
  }
});

test('boxStds and boxMeans denormalise regressions; nms keeps boxes that overlap less', async () => {
  const shifted = squareRegions(join(folder, 'normalised'), { shift: 1 });
  const image = await writePatches(join(folder, 'one.png'), 64, 64, [
    { x: 16, y: 16, width: 16, height: 16 },
  ]);
  const left = async (options: object) => {
    await using detector = await openDetector(shifted, { ...cpu, ...options });
    return (await detector.detect(image)).map(({ box }) => Math.round(box.x));
  };
  assert.equal(await left({}), [23]);
  assert.equal(await left({ boxStds: [0.25, 1, 1, 1] }), [18]);
  assert.equal(await left({ boxStds: [0.25, 1, 1, 1], boxMeans: [0.25, 0, 0, 0] }), [20]);
});

test("labels may omit the background, and may be SSD's label map; another number is refused, and so is a preprocessing that crops", async () => {
  const copy = join(folder, 'copy');
  squareSsd(copy);
  writeFileSync(join(copy, 'labels.txt'), 'background\nsquare\n');
  await (await openDetector(copy, cpu)).close();
  writeFileSync(join(copy, 'labels.txt'), 'a\nb\nc\n');
  assert.match(
    (await failure(openDetector(copy, cpu))).message,
    /labels: expected 2 names, one for each class of the net, or 1 without the background's, but received ".*labels\.txt with 3"/,
  );
  writeFileSync(
    join(copy, 'labels.txt'),
    `# as SSD has it
item { name: "none_of_the_above" label: 0 display_name: "background" }
item { name: "n01" label: 1 }`,
  );
  const mapped = await openDetector(copy, cpu);
  await mapped.close();
  assert.equal(mapped.labels, ['background', 'n01']);
  writeFileSync(join(copy, 'labels.txt'), 'square\n');
  const file = (content: object) =>
    writeFileSync(
      join(copy, 'preprocess.json'),
      JSON.stringify({ format: 'resnode-preprocess/1', mean: [0], ...content }),
    );
  file({ resize: { shorterSide: 40 }, crop: { width: 32, height: 32 } });
  assert.match(
    (await failure(openDetector(copy, cpu))).message,
    /crop: expected null, since detectors and segmenters see whole images/,
  );
  file({ resize: { width: 32, height: 32 }, crop: { width: 32, height: 32 } });
  await (await openDetector(copy, cpu)).close();
  rmSync(join(copy, 'preprocess.json'));
  assert.match(
    (await failure(openDetector(copy, cpu))).message,
    /saveWholePreprocess wrote.*there is none beside/,
  );
});

test('a net that is no detector is refused with its outputs', async () => {
  const plain = writeModelFolder(
    join(folder, 'plain'),
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
     layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
     layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }`,
    {},
    { preprocess: {} },
  );
  const error = await failure(openDetector(plain, cpu));
  assert.is(error.code, 'detector/no-head');
  assert.match(error.message, /its outputs are "prob" 1×3 \(Softmax\)$/);
});

test('weights that are not finite give an error, not an empty answer', async () => {
  const copy = squareSsd(join(folder, 'nan'));
  const { model, labels } = { model: join(copy, 'model.prototxt'), labels: ['square'] };
  const weights = readFileSync(join(copy, 'model.caffemodel'));
  const at = weights.indexOf(Buffer.from(Float32Array.of(-10).buffer));
  weights.writeFloatLE(Number.NaN, at);
  writeFileSync(join(copy, 'model.caffemodel'), weights);
  const files = { model, weights: join(copy, 'model.caffemodel'), labels, preprocess: { mean: [0] } };
  await using detector = await openDetector(files, cpu);
  const error = await failure(detector.detect(join(folder, 'small.png')));
  assert.is(error.code, 'detector/not-finite');
});

test('a full queue, a closed detector and an aborted request are refused with their own codes', async () => {
  using device = await openDevice('cpu', { threads: 1 });
  const detector = await openDetector(ssd, { device, maxQueue: 2 });
  const file = join(folder, 'small.png');
  const waiting = [detector.detect(file), detector.detect(file)];
  assert.is((await failure(detector.detect(file))).code, 'detector/busy');
  await Promise.all(waiting);
  const reason = new Error('the client has gone');
  assert.is(await failure(detector.detect(file, { signal: AbortSignal.abort(reason) })), reason as never);
  await detector.close();
  assert.is((await failure(detector.detect(file))).code, 'detector/closed');
  using model = await device.load({ model: join(ssd, 'model.prototxt') });
  assert.ok(model.inputs.data, "a caller's device stays open");
});

test("saved preprocessing for whole images is read again, and the picture has the image's size", async () => {
  await using detector = await openDetector(ssd, cpu);
  const path = join(folder, 'kept.json');
  saveWholePreprocess(path, detector.preprocess);
  assert.throws(
    () => loadPreprocess(path),
    /belongs to detectors and segmenters: .*--resize WxH.*--mean-value B,G,R/,
  );
  saveWholePreprocess(path, { ...detector.preprocess, pad: { width: 32, height: 32 } });
  const files = {
    ...{ model: join(ssd, 'model.prototxt'), weights: join(ssd, 'model.caffemodel') },
    preprocess: path,
  };
  await using again = await openDetector(files, cpu);
  assert.equal(again.preprocess.pad, { width: 32, height: 32 });
  const image = await decodeImage(join(folder, 'small.png'));
  const found = await again.detect(image as never);
  const png = await decodeImage(await detectionPicture(image as never, found));
  assert.equal([png.width, png.height, png.channels], [64, 48, 3]);
});

test('a real face detector finds the three faces in a photograph that look at the camera: Ultra-Light-Fast followed by SSD layers', async () => {
  const shared = sharedFolder();
  const golden = shared === null ? '' : join(shared, 'golden/forks/real_rfb320_face');
  if (!existsSync(golden)) return console.log('skipped: no shared/golden, whose weights it needs');
  const faces = join(folder, 'faces');
  writeModelFolder(
    faces,
    faceNet(readFileSync(join(golden, 'net.prototxt'), 'utf8')),
    {},
    { labels: ['face'] },
  );
  copyFileSync(join(golden, 'weights.caffemodel'), join(faces, 'model.caffemodel'));
  saveWholePreprocess(join(faces, 'preprocess.json'), { mean: [127], scale: 1 / 128, order: 'RGB' });
  await using detector = await openDetector(faces, cpu);
  const found = await detector.detect(join(shared!, 'data/imagenet-samples/n10148035_groom.JPEG'), {
    minScore: 0.7,
  });
  // As seen in the picture.
  const seen = [
    [152, 162, 33, 41],
    [221, 119, 45, 63],
    [270, 91, 54, 84],
  ];
  assert.is(found.length, 3, JSON.stringify(found));
  const boxes = found.map(({ box }) => [box.x, box.y, box.width, box.height]).sort((a, b) => a[0]! - b[0]!);
  for (const [i, box] of boxes.entries())
    box.forEach((value, k) => assert.ok(Math.abs(value - seen[i]![k]!) < 3, `${box}`));
});

/** The priors and decoding of its Python code: vision/ssd/config/fd_config.py. */
function faceNet(net: string): string {
  const maps = [...net.matchAll(/type: "Permute"\s+bottom: "(\d+)"/g)].map(([, name]) => name!);
  const sizes = [
    [10, 16, 24],
    [32, 48],
    [64, 96],
    [128, 192, 256],
  ];
  const priors = sizes.map(
    (
      least,
      i,
    ) => `layer { name: "prior${i}" type: "PriorBox" bottom: "${maps[2 * i]}" bottom: "input" top: "prior${i}"
  prior_box_param { ${least.map((size) => `min_size: ${size}`).join(' ')} variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }`,
  );
  return `${net}
${priors.join('\n')}
layer { name: "priors" type: "Concat" ${sizes.map((_, i) => `bottom: "prior${i}"`).join(' ')} top: "priors" concat_param { axis: 2 } }
layer { name: "box_rows" type: "Flatten" bottom: "boxes" top: "box_rows" }
layer { name: "score_rows" type: "Flatten" bottom: "scores" top: "score_rows" }
layer { name: "faces" type: "DetectionOutput" bottom: "box_rows" bottom: "score_rows" bottom: "priors" top: "faces"
  detection_output_param { num_classes: 2 nms_param { nms_threshold: 0.3 top_k: 400 } code_type: CENTER_SIZE keep_top_k: 200 confidence_threshold: 0.5 } }
`;
}

test.run();
