/** CTPN's proposals, against the formulas of arXiv:1609.03605, section 3.1, in float64. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const [HEIGHT, WIDTH, STRIDE, ANCHORS] = [3, 4, 16, 10];
const text = (scores = [1, 2 * ANCHORS, HEIGHT, WIDTH]) => `${input('scores', scores)}
  ${input('deltas', [1, 2 * ANCHORS, HEIGHT, WIDTH])}${input('info', [1, 3])}
  layer { name: "p" type: "Python" bottom: "scores" bottom: "deltas" bottom: "info" top: "boxes" top: "best"
    python_param { module: "layers.text_proposal_layer" layer: "ProposalLayer" param_str: "'feat_stride': ${STRIDE}" } }`;

/** src/anchor.py, evaluated: the upper and the lower pixel of each anchor in the first cell. */
const ROWS = [
  [2, 12],
  [0, 15],
  [-3, 18],
  [-8, 23],
  [-16, 31],
  [-26, 41],
  [-40, 55],
  [-61, 76],
  [-91, 106],
  [-133, 148],
] as const;

for (const device of await openPlainDevices()) {
  test(`every anchor becomes a row: its place and height are predicted, its sides are those of its column, on ${device.kind}`, async () => {
    using model = await device.load({ model: net(text()) });
    const plane = HEIGHT * WIDTH;
    const scores = draw(2 * ANCHORS * plane, 1);
    const deltas = draw(2 * ANCHORS * plane, 2);
    const [tall, wide] = [45, 60];
    const { boxes, best } = await model.run({ scores, deltas, info: Float32Array.of(tall, wide, 1) });
    assert.equal(
      [boxes!.shape, best!.shape],
      [
        [ANCHORS * plane, 4],
        [ANCHORS * plane, 1],
      ],
    );
    const clip = (at: number, size: number) => Math.min(Math.max(at, 0), size - 1);
    for (let row = 0; row < HEIGHT; row++)
      for (let column = 0; column < WIDTH; column++)
        ROWS.forEach(([from, to], anchor) => {
          const place = row * WIDTH + column;
          const index = place * ANCHORS + anchor;
          const h = to - from + 1;
          const centre = deltas[2 * anchor * plane + place]! * h + STRIDE * row + (from + to) / 2;
          const half = (Math.exp(deltas[(2 * anchor + 1) * plane + place]!) * h) / 2;
          const expected = [
            clip(STRIDE * column, wide),
            clip(centre - half, tall),
            clip(STRIDE * column + 15, wide),
            clip(centre + half, tall),
          ];
          expected.forEach((value, side) =>
            assert.ok(Math.abs(boxes!.data[4 * index + side]! - value) < 1e-4, `${index}: ${value}`),
          );
          assert.is(best!.data[index], scores[(ANCHORS + anchor) * plane + place]);
        });
  });
}

test('scores of another number of anchors are refused', () => {
  assertRefused(
    net(text([1, 18, HEIGHT, WIDTH])),
    /10 anchors need scores and deltas of 1×20×H×W, found 1×18/,
  );
});

test.run();
