/** The DetectionOutput of the first forks for YOLO 2, against its definition in float64 (arXiv:1612.08242, section 2). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ssdBoxes } from '../../ts/images/detect/boxes.ts';
import { findDetectorHead } from '../../ts/images/detect/head.ts';
import { graphFromCaffe } from '../../ts/index.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const [ROWS, COLUMNS, CLASSES] = [3, 4, 2];
const BIASES = [1, 1.5, 0.5, 0.4];
const text = (
  param = '',
  shape = [1, 2 * (5 + CLASSES), ROWS, COLUMNS],
  classes = 'classes',
) => `${input('map', shape)}
  layer { name: "out" type: "DetectionOutput" bottom: "map" top: "out" detection_output_param {
    ${classes}: ${CLASSES} num_box: 2 ${BIASES.map((bias) => `biases: ${bias}`).join(' ')} ${param} } }`;

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
type Four = [number, number, number, number];
function overlap(a: Four, b: Four) {
  const ends = ([x, y, w, h]: Four) =>
    [x - w / 2, y - h / 2, x + w / 2, y + h / 2].map((end) => Math.min(1, Math.max(0, end))) as Four;
  const [p, q] = [ends(a), ends(b)];
  const side = (i: 0 | 1) => Math.max(0, Math.min(p[i + 2]!, q[i + 2]!) - Math.max(p[i]!, q[i]!));
  const area = (box: Four) => (box[2] - box[0]) * (box[3] - box[1]);
  const both = side(0) * side(1);
  return both === 0 ? 0 : both / (area(p) + area(q) - both);
}

/** Boxes in the order of cells, and of two that overlap the one that is less an object dropped, pair by pair. */
function expectedRows(map: Float32Array, threshold: number, most: number) {
  const plane = ROWS * COLUMNS;
  const all: { object: number; row: number[]; box: Four; gone: boolean }[] = [];
  for (let cell = 0; cell < plane; cell++)
    for (let n = 0; n < 2; n++) {
      const v = (k: number) => map[(n * (5 + CLASSES) + k) * plane + cell]!;
      const shares = [0, 1].map((c) => Math.exp(v(5 + c)) / (Math.exp(v(5)) + Math.exp(v(6))));
      const label = shares[1]! > shares[0]! ? 1 : 0;
      const object = sigmoid(v(4));
      const box: Four = [
        ((cell % COLUMNS) + sigmoid(v(0))) / COLUMNS,
        (Math.floor(cell / COLUMNS) + sigmoid(v(1))) / ROWS,
        (Math.exp(v(2)) * BIASES[2 * n]!) / COLUMNS,
        (Math.exp(v(3)) * BIASES[2 * n + 1]!) / ROWS,
      ];
      const score = object * shares[label]!;
      if (score >= threshold) all.push({ object, row: [0, label, score, ...box], box, gone: false });
    }
  all.forEach((a, i) => {
    for (const b of all.slice(i + 1)) {
      if (a.gone || b.gone || overlap(a.box, b.box) < most) continue;
      if (a.object > b.object) b.gone = true;
      else a.gone = true;
    }
  });
  return all.filter(({ gone }) => !gone).map(({ row }) => row);
}

for (const device of await openPlainDevices())
  test(`rows have a class from 0, a score and a centre with a size, on ${device.kind}`, async () => {
    const map = draw(2 * (5 + CLASSES) * ROWS * COLUMNS, 5, -2, 2);
    for (const [threshold, most] of [
      [0.3, 0.2],
      [0.01, 0.45],
    ] as const) {
      const usual = threshold === 0.01 ? '' : `confidence_threshold: ${threshold} nms_threshold: ${most}`;
      using model = await device.load({ model: net(text(usual)) });
      const { out } = await model.run({ map });
      const expected = expectedRows(map, threshold, most);
      assert.ok(expected.length > 2 && expected.length < 24);
      assert.equal(out!.shape, [1, 1, expected.length, 7]);
      expected
        .flat()
        .forEach((value, i) => assert.ok(Math.abs(out!.data[i]! - value) < 1e-5, `${i}: ${value}`));
    }
    using strict = await device.load({ model: net(text('confidence_threshold: 1')) });
    assert.equal([...(await strict.run({ map })).out!.data], [0, -1, -1, -1, -1, -1, -1]);
  });

test('a detector reads the rows as centres and sizes, and the classes by either name', () => {
  for (const classes of ['classes', 'num_classes']) {
    const model = net(text('', undefined, classes));
    const head = findDetectorHead(model, graphFromCaffe(model));
    assert.equal(head, {
      kind: 'ssd',
      layer: 'out',
      classes: CLASSES,
      background: null,
      detections: 'out',
      scores: ['map'],
      form: 'centred',
    });
  }
  const size = { width: 100, height: 50 };
  const placement = { image: size, input: size, scale: { x: 1, y: 1 } };
  const [found] = ssdBoxes(
    Float32Array.of(0, 1, 0.9, 0.5, 0.5, 0.5, 0.25),
    0.1,
    placement as never,
    'centred',
  );
  assert.equal(found, {
    index: 1,
    score: Math.fround(0.9),
    box: { x: 25, y: 18.75, width: 50, height: 12.5 },
  });
});

test('other numbers of channels, images, sides and biases are refused', () => {
  assertRefused(
    net(text('', [1, 13, 3, 4])),
    /2 boxes of 2 classes take a bottom of 1×14×H×W.*found 1×13×3×4/,
  );
  assertRefused(net(text('', [2, 14, 3, 4])), /take a bottom of 1×14×H×W/);
  assertRefused(net(text('side: 13')), /side must be the height and width of the bottom, 3 and 4; found 13/);
  assertRefused(net(text('coords: 5')), /coords must be 4, found 5/);
  assertRefused(net(text('num_box: 3').replace('num_box: 2', '')), /3 boxes|take a bottom/);
});

test.run();
