/**
 * The proposals of MS-CNN and Cascade R-CNN against their papers' rules in float64, with all pairs of candidates
 * compared.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError, graphFromCaffe } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const list = (name: string, values: readonly number[]) =>
  values.map((value) => `${name}: ${value}`).join(' ');

interface Candidate {
  readonly score: number;
  /** x, y, width, height, in pixels including both corners. */
  readonly box: readonly [number, number, number, number];
}

const [MEANS, STDS] = [
  [0.01, -0.02, 0.1, 0.05],
  [0.1, 0.2, 0.5, 0.4],
];
const REG = `bbox_reg_param { ${list('bbox_mean', MEANS)} ${list('bbox_std', STDS)} }`;

/**
 * Section 3.2 of MS-CNN: the centre moves by fractions of the field, and the sides grow exponentially, both within
 * bounds.
 */
function boxOf(
  said: readonly number[],
  field: readonly [number, number],
  centre: readonly [number, number],
  bound: { xy: number; wh: number },
) {
  const [dx, dy, dw, dh] = said.map((value, k) => value * STDS[k]! + MEANS[k]!) as [
    number,
    number,
    number,
    number,
  ];
  const clamp = (value: number, most: number) => Math.max(-most, Math.min(most, value));
  const [w, h] = [
    field[0] * Math.exp(clamp(dw, Math.log(bound.wh))),
    field[1] * Math.exp(clamp(dh, Math.log(bound.wh))),
  ];
  const x = centre[0] + field[0] * clamp(dx, 1 / bound.xy) - w / 2;
  const y = centre[1] + field[1] * clamp(dy, 1 / bound.xy) - h / 2;
  return [x, y, w, h] as const;
}

/** Best first; a candidate is dropped if it overlaps a better kept one by more than the threshold. */
function suppressed(candidates: readonly Candidate[], threshold: number): Candidate[] {
  const sorted = candidates.toSorted((a, b) => b.score - a.score);
  const stays: boolean[] = [];
  sorted.forEach(({ box: [x, y, w, h] }, i) => {
    stays[i] = !sorted.slice(0, i).some(({ box: [u, v, p, q] }, j) => {
      if (!stays[j]) return false;
      const [wide, tall] = [Math.min(x + w, u + p) - Math.max(x, u), Math.min(y + h, v + q) - Math.max(y, v)];
      if (wide <= 0 || tall <= 0) return false;
      return (wide * tall) / (w * h + p * q - wide * tall) > threshold;
    });
  });
  return sorted.filter((_, i) => stays[i]);
}

function assertRows(
  found: { shape: readonly number[]; data: Float32Array },
  expected: readonly (readonly number[])[],
  width: number,
) {
  assert.equal(found.shape, [expected.length, width, 1, 1]);
  expected
    .flat()
    .forEach((value, i) =>
      assert.ok(
        Math.abs(found.data[i]! - value) <= 1e-4 * Math.max(1, Math.abs(value)),
        `${i}: ${found.data[i]}, not ${value}`,
      ),
    );
}

const [IMAGES, CLASSES, OVERLAP, LEAST] = [2, 3, 0.4, 12];
const MAPS = [
  { size: [4, 6], field: [24, 30], stride: 8 },
  { size: [2, 3], field: [48, 60], stride: 16 },
] as const;
const multi = (
  more = '',
) => `${MAPS.map(({ size }, map) => input(`m${map}`, [IMAGES, CLASSES + 4, ...size])).join('')}
layer { name: "p" type: "BoxOutput" bottom: "m0" bottom: "m1" top: "rois" top: "scored" ${REG}
  box_output_param { fg_thr: 0.2 iou_thr: ${OVERLAP} field_whr: 2 field_xyr: 2 min_size: ${LEAST} max_nms_num: 40 ${more}
  ${MAPS.map(({ field, stride }) => `field_w: ${field[0]} field_h: ${field[1]} downsample_rate: ${stride}`).join(' ')} } }`;

for (const device of devices) {
  test(`BoxOutput proposes the regions of each image, best first, on ${device.kind}`, async () => {
    using loaded = await device.load({ model: net(multi()) });
    const maps = MAPS.map(({ size }, map) => draw(IMAGES * (CLASSES + 4) * size[0] * size[1], 10 + map));
    const expected: number[][] = [];
    for (let image = 0; image < IMAGES; image++) {
      const candidates = MAPS.flatMap(({ size: [rows, columns], field, stride }, map): Candidate[] =>
        Array.from({ length: rows * columns }, (_, place): Candidate => {
          const at = (k: number) => maps[map]![(image * (CLASSES + 4) + k) * rows * columns + place]!;
          const centre = [
            ((place % columns) + 0.5) * stride,
            (Math.floor(place / columns) + 0.5) * stride,
          ] as const;
          const [x, y, w, h] = boxOf(
            [0, 1, 2, 3].map((k) => at(CLASSES + k)),
            field,
            centre,
            { xy: 2, wh: 2 },
          );
          const [left, top] = [Math.max(0, x), Math.max(0, y)];
          return {
            score: Math.max(at(1), at(2)) - at(0),
            box: [left, top, Math.min(w, columns * stride - left), Math.min(h, rows * stride - top)],
          };
        }),
      ).filter(({ score, box }) => score >= 0.2 && box[2] >= LEAST && box[3] >= LEAST);
      for (const {
        score,
        box: [x, y, w, h],
      } of suppressed(candidates, OVERLAP))
        expected.push([image, x, y, x + w, y + h, score]);
    }
    assert.ok(expected.length > 4 && expected.length < 30, `${expected.length}`);
    const { rois, scored } = await loaded.run({ m0: maps[0]!, m1: maps[1]! });
    assertRows(
      rois!,
      expected.map((row) => row.slice(0, 5)),
      5,
    );
    assertRows(scored!, expected, 6);
  });

  test(`if nothing is proposed, there is the region that the forks write, on ${device.kind}`, async () => {
    using loaded = await device.load({ model: net(multi()) });
    const zeros = MAPS.map(({ size }) => new Float32Array(IMAGES * (CLASSES + 4) * size[0] * size[1]));
    const { rois, scored } = await loaded.run({ m0: zeros[0]!, m1: zeros[1]! });
    assert.equal(
      [[...rois!.data], [...scored!.data]],
      [
        [0, 1, 1, 10, 10],
        [0, 0, 0, 0, 0, 0],
      ],
    );
  });

  test(`BoxGroupOutput proposes several kinds of boxes, whose corners are pixels, on ${device.kind}`, async () => {
    const [kinds, rows, columns, stride] = [3, 3, 4, 16];
    const [widths, heights] = [
      [44, 22, 32],
      [22, 44, 32],
    ];
    const area = rows * columns;
    using loaded = await device.load({
      model:
        net(`${input('prob', [IMAGES * kinds, 2, rows, columns])}${input('box', [IMAGES * kinds, 4, rows, columns])}
layer { name: "p" type: "BoxGroupOutput" bottom: "prob" bottom: "box" top: "rois" ${REG}
  box_group_output_param { fg_thr: 0.3 iou_thr: ${OVERLAP} field_whr: 8 field_xyr: 1 min_size: ${LEAST} max_post_nms_num: 12
  box_group_param { ${list('field_w', widths)} ${list('field_h', heights)} stride: ${stride} } } }`),
    });
    const prob = draw(IMAGES * kinds * 2 * area, 20, 0, 1);
    const box = draw(IMAGES * kinds * 4 * area, 21);
    const expected: number[][] = [];
    for (let image = 0; image < IMAGES; image++) {
      const candidates: Candidate[] = [];
      for (let kind = 0; kind < kinds; kind++)
        for (let place = 0; place < area; place++) {
          const item = image * kinds + kind;
          const centre = [
            ((place % columns) + 0.5) * stride,
            (Math.floor(place / columns) + 0.5) * stride,
          ] as const;
          const said = [0, 1, 2, 3].map((k) => box[(item * 4 + k) * area + place]!);
          const [x, y, w, h] = boxOf(said, [widths[kind]!, heights[kind]!], centre, { xy: 1, wh: 8 });
          const [left, top] = [Math.max(0, x), Math.max(0, y)];
          const [right, bottom] = [Math.min(x + w - 1, columns * stride), Math.min(y + h - 1, rows * stride)];
          const score = 1 - prob[item * 2 * area + place]!;
          const each: Candidate = { score, box: [left, top, right - left + 1, bottom - top + 1] };
          if (score >= 0.3 && each.box[2] >= LEAST && each.box[3] >= LEAST) candidates.push(each);
        }
      for (const {
        box: [x, y, w, h],
      } of suppressed(candidates, OVERLAP).slice(0, 12))
        expected.push([image, x, y, x + w - 1, y + h - 1]);
    }
    assert.ok(expected.length > 8);
    const { rois } = await loaded.run({ prob, box });
    assertRows(rois!, expected, 5);
  });

  test(`DecodeBBox moves regions by the object's regressions, on ${device.kind}`, async () => {
    using loaded = await device.load({
      model: net(
        `${input('delta', [3, 8])}${input('rois', [3, 5])}layer { name: "d" type: "DecodeBBox" bottom: "delta" bottom: "rois" top: "next" ${REG} }`,
      ),
    });
    const delta = draw(24, 30);
    const rois = Float32Array.from([0, 2, 3, 20, 33, 1, 0, 0, 9, 9, 0, 5, 5, 60, 25]);
    const { next } = await loaded.run({ delta, rois });
    for (let row = 0; row < 3; row++) {
      const [image, x1, y1, x2, y2] = rois.subarray(5 * row) as unknown as [
        number,
        number,
        number,
        number,
        number,
      ];
      const [dx, dy, dw, dh] = [0, 1, 2, 3].map((k) => delta[8 * row + 4 + k]! * STDS[k]! + MEANS[k]!) as [
        number,
        number,
        number,
        number,
      ];
      const [w, h] = [x2 - x1 + 1, y2 - y1 + 1];
      const [centreX, centreY] = [(x1 + x2) / 2 + dx * w, (y1 + y2) / 2 + dy * h];
      const [halfW, halfH] = [(w * Math.exp(dw) - 1) / 2, (h * Math.exp(dh) - 1) / 2];
      [image, centreX - halfW, centreY - halfH, centreX + halfW, centreY + halfH].forEach((value, i) =>
        assert.ok(Math.abs(next!.data[5 * row + i]! - value) < 1e-4, `${row} ${i}`),
      );
    }
  });

  for (const type of ['ROIPooling', 'ROIAlign'])
    test(`${type} with pad_ratio includes the surroundings of its regions, on ${device.kind}`, async () => {
      const pooled = (ratio: string) =>
        net(
          `${input('x', [1, 2, 12, 14])}${input('rois', [2, 5])}layer { name: "y" type: "${type}" bottom: "x" bottom: "rois" top: "y" roi_pooling_param { pooled_h: 3 pooled_w: 3 spatial_scale: 0.5 ${ratio} } }`,
        );
      const x = draw(2 * 12 * 14, 40);
      const rois = Float32Array.from([0, 6, 5, 13, 12, 0, 2, 4, 9, 7]);
      const wider = Float32Array.from([0, 4, 3, 15, 14, 0, 0, 3, 11, 8]);
      using padded = await device.load({ model: pooled('pad_ratio: 0.25') });
      using plain = await device.load({ model: pooled('') });
      const [found, expected] = [await padded.run({ x, rois }), await plain.run({ x, rois: wider })];
      assert.equal([...found.y!.data], [...expected.y!.data]);
    });
}

test('parameters that do not fit are refused with the reason', () => {
  const refusal = (text: string) => {
    try {
      graphFromCaffe(net(text));
    } catch (error) {
      if (error instanceof GraphError) return error.message;
      throw error;
    }
    return assert.unreachable('it was accepted') as never;
  };
  assert.match(
    refusal(multi('field_w: 3')),
    /2 bottoms take as many field_h, field_w and downsample_rate, found 2, 3 and 2/,
  );
  assert.match(refusal(multi('nms_type: "AREA"')), /nms_type must be "IOU", "IOMU" or "IOFU".*found "AREA"/);
  assert.match(
    refusal(multi().replace('bbox_mean: 0.01', '')),
    /four bbox_mean and four bbox_std, found 3 and 4/,
  );
  assert.match(
    refusal(multi().replace('iou_thr: 0.4', 'iou_thr: nan')),
    /iou_thr must be at least 0, found NaN/,
  );
  assert.match(
    refusal(
      `${input('prob', [4, 2, 3, 3])}${input('box', [4, 4, 3, 3])}layer { name: "p" type: "BoxGroupOutput" bottom: "prob" bottom: "box" top: "rois" box_group_output_param { box_group_param { ${list('field_w', [1, 2, 3])} ${list('field_h', [1, 2, 3])} stride: 4 } } }`,
    ),
    /3 kinds of boxes take probabilities of/,
  );
});

test.run();
