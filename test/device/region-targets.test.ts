/**
 * The training targets and detections of MS-CNN's and Cascade R-CNN's stages, against the forks' rules written out in
 * float64: ProposalTarget, DecodeBBox in training, BboxAccuracy, HardMining, FrcnnOutput and the DetectionEvaluate that
 * follows it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, filterNet, readNet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);
const folder = mkdtempSync(join(tmpdir(), 'resnode-targets-'));
test.after(() => rmSync(folder, { recursive: true }));

const list = (name: string, values: readonly number[]) => values.map((each) => `${name}: ${each}`).join(' ');
const [MEANS, STDS] = [
  [0.01, -0.02, 0.1, 0.05],
  [0.1, 0.2, 0.5, 0.4],
] as const;
const reg = (more = '') => `bbox_reg_param { ${list('bbox_mean', MEANS)} ${list('bbox_std', STDS)} ${more} }`;

type Box = readonly [x1: number, y1: number, x2: number, y2: number];

/**
 * Both corners are pixels.
 * @param pixel Whether an overlap of less than one pixel counts as none, as in Cascade R-CNN.
 */
function overlap(a: Box, b: Box, pixel: boolean): number {
  const [w, h] = [0, 1].map((k) => Math.min(a[k + 2]!, b[k + 2]!) + 1 - Math.max(a[k]!, b[k]!)) as [
    number,
    number,
  ];
  if (w <= 0 || h <= 0 || (pixel && (w < 1 || h < 1))) return 0;
  const area = ([x1, y1, x2, y2]: Box) => (x2 - x1 + 1) * (y2 - y1 + 1);
  return (w * h) / (area(a) + area(b) - w * h);
}

const near = (found: Iterable<number>, expected: readonly number[], what = '') => {
  const values = [...found];
  assert.is(values.length, expected.length, what);
  values.forEach((value, i) =>
    assert.ok(
      Math.abs(value - expected[i]!) <= 1e-5 * Math.max(1, Math.abs(expected[i]!)),
      `${what} ${i}: ${value}, not ${expected[i]}`,
    ),
  );
};

const TOPS = ['rois', 'labels', 'targets', 'inside', 'outside', 'matches', 'weights'] as const;
const targetNet = (regions: number, truths: number, width: 7 | 8, param: string, more = '', tops = 7) =>
  net(`${input('regions', [regions, 5])}${input('gt', [truths, width])}
layer { name: "t" type: "ProposalTarget" bottom: "regions" bottom: "gt" ${TOPS.slice(0, tops)
    .map((top) => `top: "${top}"`)
    .join(' ')} ${reg(more)}
  proposal_target_param { cls_num: 4 num_img_per_batch: 2 img_width: 128 img_height: 96 ${param} } }`);

/**
 * Image 0: on the first object; two pixels off; half on it; elsewhere; on the ignored one. Image 1: background. Then no
 * region.
 */
const REGIONS = [
  [0, 10, 10, 41, 29],
  [0, 12, 10, 43, 29],
  [0, 22, 12, 60, 40],
  [0, 80, 60, 100, 90],
  [0, 60, 50, 79, 80],
  [1, 4, 4, 30, 30],
  [-1, -1, -1, -1, -1],
];
const TRUTHS = [
  [0, 10, 10, 41, 29, 3, 0],
  [0, 60, 50, 79, 81, 2, 1],
  [1, 50, 50, 90, 80, 1, 0],
];
const boxOf = (row: readonly number[]): Box => row.slice(1, 5) as unknown as Box;

/** The normalised regression from a region to an object. */
function deltas(from: Box, to: Box): number[] {
  const size = (box: Box) => [box[2] - box[0] + 1, box[3] - box[1] + 1] as const;
  const [[w, h], [wide, tall]] = [size(from), size(to)];
  return [
    (to[0] + wide / 2 - from[0] - w / 2) / w,
    (to[1] + tall / 2 - from[1] - h / 2) / h,
    Math.log(wide / w),
    Math.log(tall / h),
  ].map((each, k) => (each - MEANS[k]!) / STDS[k]!);
}

async function run(
  device: Device,
  model: ReturnType<typeof net>,
  inputs: Record<string, readonly (readonly number[])[]>,
) {
  using loaded = await device.load({ model });
  return loaded.run(
    Object.fromEntries(Object.entries(inputs).map(([name, rows]) => [name, Float32Array.from(rows.flat())])),
  );
}

for (const device of devices) {
  test(`ProposalTarget takes all regions with batch_size: -1, objects first, then repeats them, on ${device.kind}`, async () => {
    const truths = TRUTHS.map((row) => [...row, 0]);
    const found = await run(device, targetNet(7, 3, 8, 'batch_size: -1 bg_thr_lw: 0.2', 'cls_aware: false'), {
      regions: REGIONS,
      gt: truths,
    });
    // Objects' own boxes count as regions. Regions on the ignored object, or with too little overlap, do not.
    const objects = [
      [REGIONS[0]!, TRUTHS[0]!],
      [REGIONS[1]!, TRUTHS[0]!],
      [TRUTHS[0]!, TRUTHS[0]!],
      [TRUTHS[2]!, TRUTHS[2]!],
    ] as const;
    const other = REGIONS[2]!;
    const share = overlap(boxOf(other), boxOf(TRUTHS[0]!), true);
    assert.ok(share >= 0.2 && share < 0.5, `${share}`);
    const rows = Array.from({ length: 10 }, (_, row) => row % 5);
    near(
      found.rois!.data,
      rows.flatMap((row) => (row < 4 ? objects[row]![0] : other).slice(0, 5)),
      'rois',
    );
    near(
      found.labels!.data,
      rows.map((row) => (row < 4 ? objects[row]![1][5]! : 0)),
      'labels',
    );
    const moved = (row: number) => deltas(boxOf(objects[row]![0]), boxOf(objects[row]![1]));
    near(
      found.targets!.data,
      rows.flatMap((row) => [0, 0, 0, 0, ...(row < 4 ? moved(row) : [0, 0, 0, 0])]),
      'targets',
    );
    for (const name of ['inside', 'outside'])
      near(
        found[name]!.data,
        rows.flatMap((row) => [0, 0, 0, 0, ...Array<number>(4).fill(row < 4 ? 1 : 0)]),
        name,
      );
    near(
      found.matches!.data,
      rows.flatMap((row) =>
        row < 4
          ? [
              objects[row]![1][5]!,
              ...boxOf(objects[row]![1]),
              overlap(boxOf(objects[row]![0]), boxOf(objects[row]![1]), true),
            ]
          : [0, 0, 0, 0, 0, 0],
      ),
      'matches',
    );
    // A quarter of all rows, eight of which are objects; the other two share the rest.
    near(
      found.weights!.data,
      rows.map((row) => (row < 4 ? (0.25 * 10) / 8 : (0.75 * 10) / 2)),
      'weights',
    );
  });

  test(`ProposalTarget with cls_aware learns in the columns of the class, and by overlap if set, on ${device.kind}`, async () => {
    const found = await run(
      device,
      targetNet(
        7,
        3,
        8,
        'batch_size: -1 bg_thr_lw: 0.2 iou_weighted: true bbox_thr_hg: 0.95 append_gtbox: false',
      ),
      { regions: REGIONS, gt: TRUTHS.map((row) => [...row, 0]) },
    );
    const share = overlap(boxOf(REGIONS[1]!), boxOf(TRUTHS[0]!), true);
    assert.equal(found.targets!.shape, [7, 16, 1, 1]);
    const [first, second] = [0, 1].map((row) => [...found.inside!.data.subarray(16 * row, 16 * row + 16)]);
    // The region that is the object's own box does not affect regressions.
    near(first!, Array<number>(16).fill(0));
    near(second!, [...Array<number>(12).fill(0), 1, 1, 1, 1]);
    near(found.targets!.data.subarray(28, 32), deltas(boxOf(REGIONS[1]!), boxOf(TRUTHS[0]!)));
    // Rows repeat: two objects and one of the background, three and a half times; the seventh is the first again.
    const sum = 3 * 1 + 2 * share;
    near(
      found.weights!.data,
      [1, share, 0, 1, share, 0, 1].map((each) => (each === 0 ? (0.75 * 7) / 2 : (each * 0.25 * 7) / sum)),
      'weights',
    );
  });

  test(`ProposalTarget of a batch takes a share of objects, then background, then, in MS-CNN, random boxes, on ${device.kind}`, async () => {
    const found = await run(
      device,
      targetNet(7, 3, 7, 'batch_size: 16 bg_thr_lw: 0.2', 'cls_aware: false', 6),
      {
        regions: REGIONS,
        gt: TRUTHS,
      },
    );
    const labels = [...found.labels!.data];
    assert.equal(labels.filter((label) => label > 0).sort(), [1, 3, 3, 3]);
    const rows = Array.from({ length: 16 }, (_, row) => [...found.rois!.data.subarray(5 * row, 5 * row + 5)]);
    // Background, then regions with too little overlap, in order.
    near(rows.slice(4, 7).flat(), [REGIONS[2]!, REGIONS[3]!, REGIONS[5]!].flat());
    for (const row of rows.slice(7)) {
      const [image, x1, y1, x2, y2] = row as [number, ...Box];
      assert.ok(image === 0 || image === 1);
      assert.ok(x1 >= 0 && y1 >= 0 && x2 - x1 >= 31 && y2 - y1 >= 31, String(row));
      for (const truth of TRUTHS)
        if (truth[0] === image) assert.ok(overlap(boxOf(row), boxOf(truth), false) < 0.5, String(row));
    }
    const few = await run(
      device,
      targetNet(7, 3, 7, 'batch_size: 4 fg_fraction: 0.5', 'cls_aware: false', 6),
      {
        regions: REGIONS,
        gt: TRUTHS,
      },
    );
    assert.equal(
      [...few.labels!.data].map((label) => label > 0),
      [true, true, false, false],
    );
  });

  test(`in training, DecodeBBox drops inverted boxes and those that were an object's own box, on ${device.kind}`, async () => {
    const text = `${input('delta', [4, 8])}${input('rois', [4, 5])}${input('matched', [4, 6])}
layer { name: "d" type: "DecodeBBox" bottom: "delta" bottom: "rois" bottom: "matched" top: "next" ${reg()} decode_bbox_param { gt_iou_thr: 0.9 } }`;
    const moves = [0.1, -0.2, 0.3, 0.1];
    const delta = Array.from({ length: 4 }, (_, row) => [
      9,
      9,
      9,
      9,
      ...(row === 2 ? [0, 0, -20, 0] : moves),
    ]);
    const rois = [
      [0, 2, 3, 20, 33],
      [1, 0, 0, 9, 9],
      [0, 5, 5, 60, 25],
      [1, 5, 6, 30, 25],
    ];
    const matched = [0, 0.95, 0.7, 0.8].map((share) => [1, 0, 0, 9, 9, share]);
    const { next } = await run(
      device,
      filterNet(readNet(text, { file: 'net.prototxt' }), { phase: 'TRAIN' }),
      {
        delta,
        rois,
        matched,
      },
    );
    const decoded = ([image, x1, y1, x2, y2]: readonly number[]) => {
      const [dx, dy, dw, dh] = moves.map((each, k) => each * STDS[k]! + MEANS[k]!) as [
        number,
        number,
        number,
        number,
      ];
      const [w, h] = [x2! - x1! + 1, y2! - y1! + 1];
      const [x, y] = [(x1! + x2!) / 2 + dx * w, (y1! + y2!) / 2 + dy * h];
      const [a, b] = [(w * Math.exp(dw) - 1) / 2, (h * Math.exp(dh) - 1) / 2];
      return [image!, x - a, y - b, x + a, y + b];
    };
    assert.equal(next!.shape, [2, 5]);
    near(next!.data, [...decoded(rois[0]!), ...decoded(rois[3]!)]);
  });

  test(`BboxAccuracy gives the overlap of objects with regions before and after regression, on ${device.kind}`, async () => {
    const text = (classes: number, aware: boolean) =>
      net(`${input('delta', [3, 4 * classes])}${input('rois', [3, 5])}${input('matched', [3, 6])}
layer { name: "a" type: "BboxAccuracy" bottom: "delta" bottom: "rois" bottom: "matched" top: "after" top: "before" ${reg(`cls_aware: ${aware}`)} }`);
    const rois = [
      [0, 10, 10, 41, 29],
      [0, 12, 14, 43, 33],
      [0, 60, 50, 79, 80],
    ];
    // The last is the region itself, the second background.
    const matched = [
      [2, 12, 10, 43, 35, 0.7],
      [0, 0, 0, 0, 0, 0],
      [1, 60, 50, 79, 80, 1],
    ];
    const exact = deltas(boxOf(rois[0]!), boxOf(matched[0]!));
    const before = overlap(boxOf(rois[0]!), boxOf(matched[0]!), false);
    for (const [classes, aware, column] of [
      [3, true, 2],
      [2, false, 1],
    ] as const) {
      const delta = Array.from({ length: 3 }, () =>
        Array.from({ length: 4 * classes }, (_, i) => (Math.floor(i / 4) === column ? exact[i % 4]! : 7)),
      );
      const found = await run(device, text(classes, aware), { delta, rois, matched });
      near([...found.after!.data, ...found.before!.data], [1, before]);
    }
    const none = matched.map(() => [0, 0, 0, 0, 0, 0]);
    const found = await run(device, text(2, false), {
      delta: [[], [], []].map(() => Array<number>(8).fill(0)),
      rois,
      matched: none,
    });
    near([...found.after!.data, ...found.before!.data], [-1, -1]);
  });

  test(`HardMining keeps the hardest regions of each image, in order, on ${device.kind}`, async () => {
    const text = net(`${input('rank', [7])}${input('rois', [7, 5])}${input('labels', [7, 1, 1, 1])}
layer { name: "h" type: "HardMining" bottom: "rank" bottom: "rois" bottom: "labels" top: "hard" top: "l"
  hard_mining_param { num_image: 2 num_roi_per_image: 3 } }`);
    const rois = [0, 0, 1, 0, 0, 0, 1].map((image, row) => [image, row, row, row + 1, row + 1]);
    // Image 0 has five; image 1 has only two, so the next hardest of image 0 is taken.
    const rank = [0.5, 0.9, 0.1, 0.2, 0.9, 0.7, 0.3];
    const found = await run(device, text, {
      rank: [rank],
      rois,
      labels: rois.map((_, row) => [row]),
    });
    assert.equal([...found.l!.data], [0, 1, 2, 4, 5, 6]);
    near(
      found.hard!.data,
      [0, 1, 2, 4, 5, 6].flatMap((row) => rois[row]!),
    );
  });

  for (const aware of [true, false])
    test(`FrcnnOutput with cls_aware: ${aware} finds boxes that no better box of their class overlaps, on ${device.kind}`, async () => {
      const [count, classes, threshold, least, most] = [12, 3, 0.4, 0.2, 5];
      const model =
        net(`${input('prob', [count, classes])}${input('delta', [count, aware ? 4 * classes : 8, 1, 1])}
${input('rois', [count, 5, 1, 1])}${input('size', [1, 2, 1, 1])}
layer { name: "f" type: "FrcnnOutput" bottom: "prob" bottom: "delta" bottom: "rois" bottom: "size" top: "f" ${reg(`cls_aware: ${aware}`)}
  frcnn_output_param { conf_thr: ${least} iou_thr: ${threshold} nms_type: "IOU" max_det_num: ${most} } }`);
      const prob = draw(count * classes, 50, 0, 1);
      const delta = draw(count * (aware ? 12 : 8), 51, -0.5, 0.5);
      const corners = draw(count * 4, 52, 0, 1);
      const rois = Array.from({ length: count }, (_, row): number[] => {
        if (row === 11) return [-1, -1, -1, -1, -1];
        const [x, y, w, h] = corners.subarray(4 * row) as unknown as Box;
        return [0, 40 * x, 30 * y, 40 * x + 20 + 20 * w, 30 * y + 15 + 15 * h];
      });
      const found: { label: number; score: number; box: Box }[] = [];
      for (let label = 1; label < classes; label++) {
        const boxes = rois
          .map((roi, row) => {
            const at = row * (aware ? 12 : 8) + 4 * (aware ? label : 1);
            const [dx, dy, dw, dh] = [0, 1, 2, 3].map(
              (k) => delta[at + k]! * STDS[k]! + MEANS[k]!,
            ) as unknown as Box;
            const [x1, y1, x2, y2] = boxOf(roi);
            const [w, h] = [x2 - x1 + 1, y2 - y1 + 1];
            const [x, y] = [(x1 + x2) / 2 + dx * w, (y1 + y2) / 2 + dy * h];
            const [a, b] = [(w * Math.exp(dw) - 1) / 2, (h * Math.exp(dh) - 1) / 2];
            const box: Box = [
              Math.max(0, x - a),
              Math.max(0, y - b),
              Math.min(64, x + a),
              Math.min(48, y + b),
            ];
            return { label, score: prob[row * classes + label]!, box };
          })
          .filter(({ score }, row) => row !== 11 && score >= least)
          .sort((a, b) => b.score - a.score);
        const kept: typeof boxes = [];
        for (const each of boxes)
          if (!kept.some(({ box }) => overlap(box, each.box, false) > threshold)) kept.push(each);
        found.push(...kept);
      }
      assert.ok(found.length > most, `${found.length}`);
      const best = [...found].sort((a, b) => b.score - a.score).slice(0, most);
      const expected = found.filter((each) => best.includes(each));
      using loaded = await device.load({ model });
      const { f } = await loaded.run({
        prob,
        delta,
        rois: Float32Array.from(rois.flat()),
        size: Float32Array.of(48, 64),
      });
      assert.equal(f!.shape, [most + 1, 7, 1, 1]);
      near(f!.data, [
        ...[0, -1, -1, -1, -1, -1, -1],
        ...expected.flatMap(({ label, score, box }) => [0, ...box, label, score]),
      ]);
    });
}

test('DetectionEvaluate with three bottoms compares boxes in pixels of the original images', async () => {
  writeFileSync(join(folder, 'sizes.txt'), 'a 200 100\nb 50 80\n');
  const model = readNet(
    `${input('found', [5, 7, 1, 1])}${input('truth', [4, 8, 1, 1])}${input('size', [1, 2, 1, 1])}
layer { name: "e" type: "DetectionEvaluate" bottom: "found" bottom: "truth" bottom: "size" top: "e"
  detection_evaluate_param { num_classes: 3 overlap_threshold: 0.6 evaluate_difficult_gt: false name_size_file: "sizes.txt" } }`,
    { file: join(folder, 'net.prototxt') },
  );
  using loaded = await devices[0]!.load({ model });
  const truth = [
    [0, 0, 0, 1, 9, 1, 0, 0],
    [0, 20, 20, 29, 29, 2, 0, 1],
    [0, 20, 0, 29, 9, 2, 0, 0],
    [-1, -1, -1, -1, -1, -1, -1, -1],
  ];
  const found = [
    [0, -1, -1, -1, -1, -1, -1],
    [0, 0, 0, 0.5, 9, 1, 0.5],
    [0, 20, 20, 29, 29, 2, 0.4],
    [0, 20, 0, 29, 9, 2, 0.3],
    [0, 20, 0, 29, 9, 2, 0.7],
  ];
  const { e } = await loaded.run({
    found: Float32Array.from(found.flat()),
    truth: Float32Array.from(truth.flat()),
    size: Float32Array.of(20, 10),
  });
  // The image was 10 times as large: the first boxes are 11 and 6 pixels wide there, which overlap too little; here
  // they are 2 and 1.5.
  near(e!.data, [
    ...[-1, 1, 1, -1, -1, -1, 2, 1, -1, -1],
    ...[0, 1, 0.5, 0, 1],
    ...[0, 2, 0.7, 1, 0, 0, 2, 0.4, 0, 0, 0, 2, 0.3, 0, 1],
  ]);
  assert.equal(e!.shape, [6, 5, 1, 1]);
});

test('HardMining of more images than can be counted keeps those with regions', async () => {
  using model = await devices[0]!.load({
    model: net(`${input('rank', [2])}${input('rois', [2, 5])}
layer { name: "h" type: "HardMining" bottom: "rank" bottom: "rois" top: "hard"
  hard_mining_param { num_image: 4294967295 num_roi_per_image: 1 } }`),
  });
  const rois = Float32Array.of(0, 1, 2, 3, 4, 4e9, 5, 6, 7, 8);
  const { hard } = await model.run({ rank: Float32Array.of(1, 2), rois });
  assert.equal(hard!.data, rois);
});

test('parameters and shapes that do not fit are refused, with what was found and what is expected', () => {
  const refused = (param: string, said: RegExp, more = '') =>
    assertRefused(targetNet(7, 3, 8, param, more), said);
  refused('batch_size: 0', /batch_size must be at least 1, or -1 for all, found 0/);
  refused('bg_thr_hg: 0.7', /bg_thr_hg must be at most fg_thr, 0.5; found 0.7/);
  refused('', /four bbox_mean and four bbox_std, found 5 and 4/, 'bbox_mean: 1');
  assertRefused(
    net(`${input('r', [7, 5])}${input('g', [3, 6])}
layer { name: "t" type: "ProposalTarget" bottom: "r" bottom: "g" ${'abcdef'.replace(/./g, (top) => `top: "${top}" `)}
  proposal_target_param { cls_num: 4 } }`),
    /takes boxes of ground truth second, G×7 .*G×8 .*found 3×6/,
  );
  assertRefused(
    net(`${input('d', [4, 8])}${input('r', [4, 5])}${input('m', [4, 6])}
layer { name: "d" type: "DecodeBBox" bottom: "d" bottom: "r" bottom: "m" top: "n" }`),
    /takes two bottoms in phase TEST/,
  );
  assertRefused(
    net(`${input('p', [4, 3])}${input('d', [4, 8])}${input('r', [4, 5])}${input('s', [1, 2])}
layer { name: "f" type: "FrcnnOutput" bottom: "p" bottom: "d" bottom: "r" bottom: "s" top: "f" }`),
    /takes probabilities R×C, regressions R×4·C, .*found 4×3, 4×8, 4×5, 1×2/,
  );
  assertRefused(
    net(`${input('f', [4, 7])}${input('t', [4, 8])}${input('s', [1, 2])}
layer { name: "e" type: "DetectionEvaluate" bottom: "f" bottom: "t" bottom: "s" top: "e" detection_evaluate_param { num_classes: 3 } }`),
    /name_size_file must be given/,
  );
});

test('regions and boxes without an image in the batch are errors that name the layer', async () => {
  for (const [regions, truths, said] of [
    [
      REGIONS.with(0, [2, 0, 0, 9, 9]),
      TRUTHS,
      /layer "t" \(ProposalTarget\): a region belongs to image 2, but num_img_per_batch is 2/,
    ],
    [
      REGIONS,
      TRUTHS.with(1, [0, 0, 0, 9, 9, 4, 0]),
      /box 1 of the ground truth has image 0 and class 4; expected .* a class from 1 to 3/,
    ],
  ] as const)
    try {
      await run(devices[0]!, targetNet(7, 3, 7, 'batch_size: 4', 'cls_aware: false', 6), {
        regions,
        gt: truths,
      });
      assert.unreachable('it was accepted');
    } catch (error) {
      assert.match((error as Error).message, said);
    }
});

test.run();
