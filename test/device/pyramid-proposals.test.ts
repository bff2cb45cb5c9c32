/** The proposals of a feature pyramid and their maps, against definitions in float64. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const MAPS = [
  { stride: 8, height: 6, width: 5 },
  { stride: 16, height: 3, width: 3 },
];
const anchored = (channels: number) =>
  MAPS.map(({ height, width }, i) => ({
    name: `${channels === 4 ? 'd' : 's'}${i}`,
    shape: [1, channels * 6, height, width],
  }));
const blobs = [...anchored(4), ...anchored(2)];
const text = (param = "'feat_stride': 8,16, 'RPN_POST_NMS_TOP_N': 12, 'RPN_PRE_NMS_TOP_N': 80") =>
  `${input('info', [1, 3])}${blobs.map(({ name, shape }) => input(name, shape)).join('')}
  layer { name: "p" type: "Python" bottom: "info" ${blobs.map(({ name }) => `bottom: "${name}"`).join(' ')} top: "rois"
    python_param { module: "rpn.proposal_layer" layer: "ProposalLayer" param_str: "${param}" } }`;

type Box = readonly [number, number, number, number];
const overlap = (a: Box, b: Box) => {
  const side = (i: 0 | 1) => Math.max(0, Math.min(a[i + 2]!, b[i + 2]!) - Math.max(a[i]!, b[i]!) + 1);
  const area = (box: Box) => (box[2] - box[0] + 1) * (box[3] - box[1] + 1);
  const both = side(0) * side(1);
  return both / (area(a) + area(b) - both);
};

/** generate_anchors.py for squares of `stride` pixels, ratios 0.5, 1 and 2, scales 16 and 32. */
function anchors(stride: number): Box[] {
  const centre = (stride - 1) / 2;
  return [0.5, 1, 2].flatMap((ratio) => {
    const w = Math.round(Math.sqrt((stride * stride) / ratio));
    const h = Math.round(w * ratio);
    return [16, 32].map((scale): Box => {
      const [x, y] = [(w * scale - 1) / 2, (h * scale - 1) / 2];
      return [centre - x, centre - y, centre + x, centre + y];
    });
  });
}

for (const device of await openPlainDevices()) {
  test(`anchors of all maps that lie in the image compete, by score and overlap, on ${device.kind}`, async () => {
    using model = await device.load({ model: net(text()) });
    const [tall, wide] = [41, 38];
    const given = Object.fromEntries(
      blobs.map(({ name, shape }, i) => [
        name,
        draw(
          shape.reduce((a, b) => a * b, 1),
          7 + i,
          -0.4,
          0.4,
        ),
      ]),
    );
    const found = MAPS.flatMap(({ stride, height, width }, map) => {
      const boxes: { score: number; box: Box }[] = [];
      for (let row = 0; row < Math.floor(tall / stride); row++)
        for (let column = 0; column < Math.floor(wide / stride); column++)
          anchors(stride).forEach((anchor, a) => {
            const at = row * width + column;
            const value = (name: string, channel: number) =>
              given[`${name}${map}`]![channel * height * width + at]!;
            const size = [anchor[2] - anchor[0] + 1, anchor[3] - anchor[1] + 1];
            const middle = [column, row].map(
              (cell, i) => anchor[i]! + cell * stride + size[i]! / 2 + value('d', 4 * a + i) * size[i]!,
            );
            const half = size.map((length, i) => (length * Math.exp(value('d', 4 * a + 2 + i))) / 2);
            const clip = (to: number, most: number) => Math.min(most - 1, Math.max(0, to));
            const box: Box = [
              clip(middle[0]! - half[0]!, wide),
              clip(middle[1]! - half[1]!, tall),
              clip(middle[0]! + half[0]!, wide),
              clip(middle[1]! + half[1]!, tall),
            ];
            // The least side is 16 pixels of the image before it was scaled by 1.5.
            if (box[2] - box[0] + 1 >= 24 && box[3] - box[1] + 1 >= 24)
              boxes.push({ score: value('s', 6 + a), box });
          });
      return boxes;
    });
    const kept: Box[] = [];
    for (const { box } of found.sort((a, b) => b.score - a.score).slice(0, 80))
      if (kept.every((better) => overlap(better, box) <= 0.7)) kept.push(box);
    const { rois } = await model.run({ info: Float32Array.of(tall, wide, 1.5), ...given });
    assert.equal(rois!.shape, [12, 5]);
    assert.ok(kept.length > 1);
    for (let row = 0; row < 12; row++) {
      const expected = [0, ...kept.slice(0, 12)[row % Math.min(12, kept.length)]!];
      expected.forEach((value, i) =>
        assert.ok(
          Math.abs(rois!.data[5 * row + i]! - value) < 1e-4,
          `${row}: ${rois!.data[5 * row + i]}, ${value}`,
        ),
      );
    }
  });

  test(`a region goes to the map of its size, in order, and the rest of a map's rows are 0, on ${device.kind}`, async () => {
    using model = await device.load({
      model: net(`${input('r', [5, 5])}layer { name: "split" type: "Python" bottom: "r"
        top: "all" top: "p2" top: "p3" top: "p4" top: "p5"
        python_param { module: "rpn.as_rois" layer: "As_roisLayer" } }`),
    });
    // Equation 1: 224 pixels belong to the fourth map, half of that to the third, and so on within the bounds.
    const sides = [224, 112, 5, 300, 1000];
    const rows = sides.map((side) => [0, 1, 2, 1 + side, 2 + side]);
    const top = await model.run({ r: Float32Array.from(rows.flat()) });
    const zeros = (count: number) => Array.from({ length: count }, () => [0, 0, 0, 0, 0]);
    const maps = [
      [rows[2]!, ...zeros(4)],
      [rows[1]!, ...zeros(4)],
      [rows[0]!, rows[3]!, ...zeros(3)],
      [rows[4]!, ...zeros(4)],
    ];
    maps.forEach((map, i) => assert.equal([...top[`p${i + 2}`]!.data], map.flat()));
    assert.equal([...top.all!.data], maps.flat(2));
  });
}

test('another number of strides than maps is refused', () => {
  assertRefused(net(text("'feat_stride': 8")), /param_str must give a feat_stride for each of 2 maps/);
});

test.run();
