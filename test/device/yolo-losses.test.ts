/**
 * RegionLoss of both forks, Yolov3 and EvalDetection, against the forks' layers written out in float64 with loops over
 * their maps.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [IMAGES, CLASSES, SIDE] = [2, 3, 4];
const AREA = SIDE * SIDE;
const LENGTH = 5 + CLASSES;
const BIASES = [1.1, 1.3, 2.5, 1.6, 0.7, 2.2, 3.1, 3.3, 1.9, 0.6];
const list = (name: string, values: readonly number[]) => values.map((each) => `${name}: ${each}`).join(' ');

/** Class, centre, width and height, for each image. */
const TRUTHS = [
  [
    [2, 0.3, 0.4, 0.35, 0.3],
    [0, 0.8, 0.1, 0.7, 0.8],
    // In the first one's cell, of another class, and similar.
    [1, 0.32, 0.45, 0.36, 0.31],
  ],
  [[1, 0.55, 0.9, 0.2, 0.5]],
];
const ROWS = 6;
const centred = new Float32Array(IMAGES * ROWS * 5);
TRUTHS.forEach((rows, image) => rows.forEach((row, i) => centred.set(row, (image * ROWS + i) * 5)));
const corners = Float32Array.from([
  ...TRUTHS.flatMap((rows, image) =>
    rows.flatMap(([label, x, y, w, h]) => [
      ...[image, label! + 1, 0],
      ...[x! - w! / 2, y! - h! / 2, x! + w! / 2, y! + h! / 2, 0],
    ]),
  ),
  ...Array<number>(8).fill(-1),
]);
/** What each layout holds in float32, converted back. */
const truthsIn = (layout: 'centred' | 'corners') =>
  TRUTHS.map((rows, image) =>
    rows.map((_, i) => {
      if (layout === 'centred')
        return [...centred.subarray((image * ROWS + i) * 5, (image * ROWS + i) * 5 + 5)];
      const at = 8 * (TRUTHS.slice(0, image).flat().length + i);
      const [label, x1, y1, x2, y2] = [1, 3, 4, 5, 6].map((k) => corners[at + k]!);
      return [label! - 1, (x1! + x2!) / 2, (y1! + y2!) / 2, x2! - x1!, y2! - y1!];
    }),
  );

const logistic = (x: number) => 1 / (1 + Math.exp(-x));

/** For boxes given by centre and sides. */
function iou(a: readonly number[], b: readonly number[]): number {
  const w = Math.min(a[0]! + a[2]! / 2, b[0]! + b[2]! / 2) - Math.max(a[0]! - a[2]! / 2, b[0]! - b[2]! / 2);
  const h = Math.min(a[1]! + a[3]! / 2, b[1]! + b[3]! / 2) - Math.max(a[1]! - a[3]! / 2, b[1]! - b[3]! / 2);
  return w < 0 || h < 0 ? 0 : (w * h) / (a[2]! * a[3]! + b[2]! * b[3]! - w * h);
}

const [OBJECT, CLASS, NONE, COORD, THRESHOLD] = [5, 1.5, 0.7, 2, 0.25];
const SCALES = `object_scale: ${OBJECT} class_scale: ${CLASS} noobject_scale: ${NONE} coord_scale: ${COORD} thresh: ${THRESHOLD}`;

/** The diffs of a map, plane by plane, as an array by index, before the division by the images. */
function regionDiffs(x: Float32Array, boxes: number, isIntel: boolean, rescore: boolean, biasMatch: boolean) {
  const diff = new Float64Array(x.length);
  const at = (image: number, n: number, k: number, s: number) =>
    ((image * boxes + n) * LENGTH + k) * AREA + s;
  const boxOf = (image: number, n: number, s: number) => [
    ((s % SIDE) + logistic(x[at(image, n, 0, s)]!)) / SIDE,
    (Math.floor(s / SIDE) + logistic(x[at(image, n, 1, s)]!)) / SIDE,
    (Math.exp(x[at(image, n, 2, s)]!) * BIASES[2 * n]!) / SIDE,
    (Math.exp(x[at(image, n, 3, s)]!) * BIASES[2 * n + 1]!) / SIDE,
  ];
  truthsIn(isIntel ? 'corners' : 'centred').forEach((truths, image) => {
    for (let n = 0; n < boxes; n++)
      for (let s = 0; s < AREA; s++) {
        const p = logistic(x[at(image, n, 4, s)]!);
        const best = Math.max(0, ...truths.map((row) => iou(boxOf(image, n, s), row.slice(1))));
        if (!(best > THRESHOLD)) diff[at(image, n, 4, s)] = NONE * p * p * (1 - p);
      }
    for (const [label, tx, ty, tw, th] of truths as [number, number, number, number, number][]) {
      const s = Math.floor(ty * SIDE) * SIDE + Math.floor(tx * SIDE);
      let [bestN, best] = [0, 0];
      for (let n = 0; n < boxes; n++) {
        const own = boxOf(image, n, s);
        const [w, h] = biasMatch ? [BIASES[2 * n]! / SIDE, BIASES[2 * n + 1]! / SIDE] : [own[2]!, own[3]!];
        const like = iou([0, 0, w, h], [0, 0, tw, th]);
        if (like > best) [bestN, best] = [n, like];
      }
      const overlap = iou(boxOf(image, bestN, s), [tx, ty, tw, th]);
      const wanted = [
        tx * SIDE - (s % SIDE),
        ty * SIDE - Math.floor(s / SIDE),
        Math.log((tw * SIDE) / BIASES[2 * bestN]!),
        Math.log((th * SIDE) / BIASES[2 * bestN + 1]!),
      ];
      const scale = COORD * (isIntel || rescore ? 1 : 2 - tw * th);
      wanted.forEach((each, k) => {
        const said = x[at(image, bestN, k, s)]!;
        const value = k < 2 ? logistic(said) : said;
        let off = value - each;
        if (isIntel) off = off > 1 ? 1 : Math.max(off, -1);
        diff[at(image, bestN, k, s)] = scale * off * (k < 2 ? value * (1 - value) : 1);
      });
      const p = logistic(x[at(image, bestN, 4, s)]!);
      const off = isIntel ? -2 * (1 - p) ** 3 : rescore ? p - overlap : p - 1;
      diff[at(image, bestN, 4, s)] = OBJECT * off * p * (1 - p);
      const powers = Array.from({ length: CLASSES }, (_, k) => Math.exp(x[at(image, bestN, 5 + k, s)]!));
      const sum = powers.reduce((a, b) => a + b);
      powers.forEach((power, k) => {
        diff[at(image, bestN, 5 + k, s)] = CLASS * (power / sum - (k === label ? 1 : 0));
      });
    }
  });
  return diff;
}

const MASK = [1, 2, 4];
const SCALE = 8;
interface V3 {
  readonly logic: boolean;
  readonly focal: boolean;
  readonly smoothing: number;
  readonly like: number;
}

/** @returns The diffs before the sigmoids' own gradient. */
function yolov3Diffs(x: Float32Array, rows: number, columns: number, { logic, focal, smoothing, like }: V3) {
  const area = rows * columns;
  const diff = new Float64Array(x.length);
  const at = (image: number, n: number, k: number, s: number) =>
    ((image * MASK.length + n) * LENGTH + k) * area + s;
  const sizes = Array.from({ length: BIASES.length / 2 }, (_, b) => [
    (10 * BIASES[2 * b]!) / (columns * SCALE),
    (10 * BIASES[2 * b + 1]!) / (rows * SCALE),
  ]);
  const said = (image: number, n: number, k: number, s: number) => x[at(image, n, k, s)]!;
  truthsIn('centred').forEach((truths, image) => {
    for (let n = 0; n < MASK.length; n++)
      for (let s = 0; s < area; s++) {
        const box = [
          ((s % columns) + logistic(said(image, n, 0, s))) / columns,
          (Math.floor(s / columns) + logistic(said(image, n, 1, s))) / rows,
          Math.exp(said(image, n, 2, s)) * sizes[MASK[n]!]![0]!,
          Math.exp(said(image, n, 3, s)) * sizes[MASK[n]!]![1]!,
        ];
        if (!truths.some((row) => iou(box, row.slice(1)) > THRESHOLD))
          diff[at(image, n, 4, s)] = logistic(said(image, n, 4, s));
      }
    for (const [label, tx, ty, tw, th] of truths as [number, number, number, number, number][]) {
      const s = Math.floor(ty * rows) * columns + Math.floor(tx * columns);
      const learn = (n: number) => {
        const [w, h] = sizes[MASK[n]!]! as [number, number];
        const wanted = [
          tx * columns - (s % columns),
          ty * rows - Math.floor(s / columns),
          Math.log(tw / w),
          Math.log(th / h),
        ];
        wanted.forEach((each, k) => {
          const value = k < 2 ? logistic(said(image, n, k, s)) : said(image, n, k, s);
          diff[at(image, n, k, s)] = COORD * (2 - tw * th) * (value - each);
        });
        diff[at(image, n, 4, s)] = (logic ? OBJECT : 1) * (logistic(said(image, n, 4, s)) - 1);
        const own = (k: number) => logistic(said(image, n, 5 + k, s));
        const target = (k: number) => (k === label ? 1 - smoothing : 0) + smoothing / 2;
        if (diff[at(image, n, 5 + label, s)] !== 0) {
          diff[at(image, n, 5 + label, s)] = CLASS * (own(label) - target(label));
          return;
        }
        const pt = own(label);
        for (let k = 0; k < CLASSES; k++)
          diff[at(image, n, 5 + k, s)] = focal
            ? CLASS * (own(k) - (k === label ? 1 : 0)) * 0.5 * -(1 - pt) * (2 * pt * Math.log(pt) + pt - 1)
            : CLASS * (own(k) - target(k));
      };
      const alike = sizes.map(([w, h]) => iou([0, 0, w!, h!], [0, 0, tw, th]));
      let best = alike.indexOf(Math.max(...alike));
      if (MASK.includes(best)) {
        best = MASK.indexOf(best);
        learn(best);
      }
      for (let b = 0; b < sizes.length; b++)
        if (MASK.includes(b) && b !== best && like < 1 && alike[b]! > like) learn(MASK.indexOf(b));
    }
  });
  return diff;
}

const near = (found: ArrayLike<number>, expected: ArrayLike<number>, what: string) => {
  assert.is(found.length, expected.length, what);
  for (let i = 0; i < found.length; i++)
    assert.ok(
      Math.abs(found[i]! - expected[i]!) <= 1e-5 * Math.max(1, Math.abs(expected[i]!)),
      `${what} ${i}: ${found[i]}, not ${expected[i]}`,
    );
};

async function gradientsOf(device: Device, text: string, inputs: Record<string, Float32Array>) {
  using trainer = await device.train({
    model: { ...net(text), force_backward: true },
    update: null,
    diffs: ['x'],
  });
  return trainer.gradients(inputs);
}
const squares = (values: Float64Array) => values.reduce((sum, value) => sum + value * value, 0);

const layer = (
  type: string,
  field: string,
  map: readonly number[],
  label: readonly number[],
  param: string,
) =>
  `${input('x', map)}${input('label', label)}
layer { name: "l" type: "${type}" bottom: "x" bottom: "label" top: "l" loss_weight: 0.5 ${field} { num_class: ${CLASSES} ${param} } }`;
const region = (label: readonly number[], param: string) =>
  layer(
    'RegionLoss',
    'region_loss_param',
    [IMAGES, 5 * LENGTH, SIDE, SIDE],
    label,
    `num: 5 ${SCALES} ${list('biases', BIASES)} ${param}`,
  );
const CENTRED = [IMAGES, 1, ROWS, 5];
const CORNERS = [1, 1, corners.length / 8, 8];

for (const device of devices) {
  for (const [rescore, match] of [
    [1, 1],
    [0, 1],
    [1, 0],
  ] as const)
    test(`RegionLoss of MobileNet-YOLO with rescore: ${rescore} bias_match: ${match} gives the fork's results, on ${device.kind}`, async () => {
      const x = draw(IMAGES * 5 * LENGTH * AREA, 2, -1.5, 1.5);
      const diffs = regionDiffs(x, 5, false, rescore === 1, match === 1);
      const { outputs, blobs } = await gradientsOf(
        device,
        region(CENTRED, `rescore: ${rescore} bias_match: ${match}`),
        {
          x,
          label: centred,
        },
      );
      near(outputs.l!.data, [squares(diffs) / IMAGES], 'loss');
      near(
        blobs.x!.data,
        diffs.map((diff) => (0.5 * diff) / IMAGES),
        'diff',
      );
      assert.equal(outputs.l!.shape, []);
    });

  test(`RegionLoss of Intel's fork with SSD's rows gives the fork's results, on ${device.kind}`, async () => {
    const x = draw(IMAGES * 5 * LENGTH * AREA, 3, -2.5, 2.5);
    const diffs = regionDiffs(x, 5, true, true, true);
    const { outputs, blobs } = await gradientsOf(device, region(CORNERS, ''), { x, label: corners });
    near(outputs.l!.data, [squares(diffs)], 'loss');
    near(
      blobs.x!.data,
      diffs.map((diff) => (0.5 * diff) / IMAGES),
      'diff',
    );
  });

  for (const options of [
    { logic: false, focal: false, smoothing: 0.1, like: 0.5 },
    { logic: true, focal: false, smoothing: 0, like: 0.3 },
    { logic: false, focal: true, smoothing: 0.1, like: 0.3 },
  ])
    test(`Yolov3 with ${JSON.stringify(options)} gives the fork's results, on ${device.kind}`, async () => {
      const [rows, columns] = [3, 5];
      const x = draw(IMAGES * MASK.length * LENGTH * rows * columns, 4, -1.5, 1.5);
      const diffs = yolov3Diffs(x, rows, columns, options);
      const text = layer(
        'Yolov3',
        'yolov3_param',
        [IMAGES, MASK.length * LENGTH, rows, columns],
        CENTRED,
        `num: 3 ${SCALES} anchors_scale: ${SCALE} ${list(
          'biases',
          BIASES.map((each) => 10 * each),
        )} ${list('mask', MASK)}
        use_logic_gradient: ${options.logic} use_focal_loss: ${options.focal} iou_thresh: ${options.like} label_smooth_eps: ${options.smoothing}`,
      );
      const { outputs, blobs } = await gradientsOf(device, text, { x, label: centred });
      near(outputs.l!.data, [squares(diffs) / IMAGES], 'loss');
      const passed = diffs.map((diff, i) => {
        const k = Math.floor(i / (rows * columns)) % LENGTH;
        const p = logistic(x[i]!);
        return (0.5 * diff * (options.logic && k !== 2 && k !== 3 ? p * (1 - p) : 1)) / IMAGES;
      });
      near(blobs.x!.data, passed, 'diff');
    });

  test(`EvalDetection counts true boxes and rates found ones, best first by class, on ${device.kind}`, async () => {
    const x = draw(IMAGES * 5 * LENGTH * AREA, 6, -2, 2);
    // A correct box: the third kind in the cell of the second image's object.
    const s = 3 * SIDE + 2;
    const set = (k: number, value: number) => {
      x[((5 + 2) * LENGTH + k) * AREA + s] = value;
    };
    [0.2, 0.6].forEach((share, k) => {
      set(k, Math.log(share / (1 - share)));
    });
    set(2, Math.log((0.2 * SIDE) / BIASES[4]!));
    set(3, Math.log((0.5 * SIDE) / BIASES[5]!));
    set(4, 6);
    [-4, 4, -4].forEach((score, k) => {
      set(5 + k, score);
    });
    const text = `${input('x', [IMAGES, 5 * LENGTH, SIDE, SIDE])}${input('label', CORNERS)}
layer { name: "e" type: "EvalDetection" bottom: "x" bottom: "label" top: "e" eval_detection_param {
  side: ${SIDE} num_class: ${CLASSES} num_object: 5 threshold: 0.3 nms: 0.45 ${list('biases', BIASES)} } }`;
    using model = await device.load({ model: net(text) });
    const { e } = await model.run({ x, label: corners });
    const width = CLASSES + 5 * AREA * 4;
    assert.equal(e!.shape, [IMAGES, width]);
    let right = 0;
    truthsIn('corners').forEach((truths, image) => {
      const at = (n: number, k: number, cell: number) => x[((image * 5 + n) * LENGTH + k) * AREA + cell]!;
      const all = Array.from({ length: 5 * AREA }, (_, i) => {
        const [cell, n] = [Math.floor(i / 5), i % 5];
        const powers = Array.from({ length: CLASSES }, (_, k) => Math.exp(at(n, 5 + k, cell)));
        const most = Math.max(...powers);
        const score = (logistic(at(n, 4, cell)) * most) / powers.reduce((a, b) => a + b);
        const box = [
          ((cell % SIDE) + logistic(at(n, 0, cell))) / SIDE,
          (Math.floor(cell / SIDE) + logistic(at(n, 1, cell))) / SIDE,
          (Math.exp(at(n, 2, cell)) * BIASES[2 * n]!) / SIDE,
          (Math.exp(at(n, 3, cell)) * BIASES[2 * n + 1]!) / SIDE,
        ];
        return { label: powers.indexOf(most), score, box };
      }).sort((a, b) => b.score - a.score);
      const kept: typeof all = [];
      for (const each of all) if (!kept.some(({ box }) => iou(box, each.box) >= 0.45)) kept.push(each);
      const expected = [0, 1, 2].map((label) => truths.filter((row) => row[0] === label).length);
      for (let label = 0; label < CLASSES; label++) {
        const own = truths.filter((row) => row[0] === label);
        const taken = new Set<number>();
        for (const { score, box } of kept.filter((each) => each.label === label && each.score >= 0.005)) {
          const overlaps = own.map((row) => iou(box, row.slice(1)));
          const best = overlaps.indexOf(Math.max(...overlaps));
          const isFound = own.length > 0 && overlaps[best]! >= 0.3;
          const isRight = isFound && !taken.has(best);
          if (isFound) taken.add(best);
          if (isRight) right++;
          expected.push(label, score, isRight ? 1 : 0, own.length === 0 || (isFound && !isRight) ? 1 : 0);
        }
      }
      expected.push(...Array<number>(width - expected.length).fill(0));
      near(e!.data.subarray(image * width, (image + 1) * width), expected, `image ${image}`);
    });
    assert.ok(right >= 1, `${right}`);
  });
}

test('a box without a class, or outside the image, is an error that names the layer, the row and what is expected', async () => {
  const x = draw(IMAGES * 5 * LENGTH * AREA, 2);
  using model = await devices[0]!.load({ model: net(region(CENTRED, '')) });
  for (const [label, said] of [
    [
      centred.with(0, 3),
      /layer "l" \(RegionLoss\): row 0 of the label has image 0, class 3 .*a class from 0 to 2/,
    ],
    [
      centred.with(5 * ROWS + 2, 1.25),
      /row 0 of the label has image 1, class 1 and centre 0.55\d*, 1.25; expected .*a centre from 0 to below 1/,
    ],
    [
      centred.with(3, -0.25),
      /row 0 of the label has a width of -0.25 and a height of 0.3\d*; expected .*above 0/,
    ],
    [centred.with(4, 0), /row 0 of the label has a width of 0.3\d* and a height of 0; expected .*above 0/],
  ] as const)
    try {
      await model.run({ x, label });
      assert.unreachable('it was accepted');
    } catch (error) {
      assert.match((error as Error).message, said);
    }
});

test('a map that has diverged gives a NaN loss, as in the forks', async () => {
  const text = region(CENTRED, 'bias_match: 0');
  using model = await devices[0]!.load({ model: net(text) });
  const x = draw(IMAGES * 5 * LENGTH * AREA, 2).fill(Number.NaN);
  const { l } = await model.run({ x, label: centred });
  assert.ok(Number.isNaN(l!.data[0]!));
});

test('unsupported and unfitting settings are refused, with what was found and what is expected', () => {
  for (const [text, said] of [
    [region([2, 1, 6, 4], ''), /the label must be 2×1×K×5 .*or 1×1×K×8 .*found 2×1×6×4/],
    [region(CENTRED, 'coords: 5'), /coords must be 4, found 5/],
    [region(CENTRED, 'softmax_tree: "9k.tree"'), /softmax_tree, a file .*is not supported/],
    [
      region(CENTRED, '').replace('num: 5', 'num: 4'),
      /4 boxes of 3 classes take a first bottom of N×32×H×W .*found 2×40×4×4/,
    ],
    [
      region(CENTRED, '').replace('biases: 1.1', ''),
      /5 boxes take 10 biases, a width and a height each; found 9/,
    ],
    [region(CENTRED, '').replace('biases: 1.1', 'biases: -1'), /biases 1 of 10 must be above 0, found -1/],
    [
      layer('Yolov3', 'yolov3_param', [2, 8, 4, 4], CENTRED, 'num: 1 mask: 2 biases: 1 biases: 2'),
      /mask 2 has no biases: there are 2, two for each box/,
    ],
    [
      layer(
        'Yolov3',
        'yolov3_param',
        [2, 8, 4, 4],
        CENTRED,
        'num: 1 mask: 0 biases: 1 biases: 2 iou_loss: GIOU',
      ),
      /iou_loss is supported only with MSE.*found GIOU/,
    ],
    [layer('Yolov3', 'yolov3_param', [2, 8, 4, 4], CENTRED, 'num: 1'), /1 boxes take as many mask, found 0/],
    [
      layer('EvalDetection', 'eval_detection_param', [2, 40, 4, 4], CORNERS, 'num_object: 2').replace(
        'loss_weight: 0.5',
        '',
      ),
      /num_object must be 5, because the fork reads five boxes; found 2/,
    ],
  ] as const)
    assertRefused(net(text), said);
});

test.run();
