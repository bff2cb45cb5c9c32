/**
 * The losses and accuracies of region proposals in MS-CNN and Cascade R-CNN, compared with the forks' layers written
 * out in float64, and their gradients compared with differences.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Device } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [IMAGES, CLASSES, ROWS, COLUMNS] = [2, 3, 4, 5] as const;
const AREA = ROWS * COLUMNS;
const [MEANS, STDS] = [
  [0.01, -0.02, 0.1, 0.05],
  [0.1, 0.2, 0.5, 0.4],
] as const;
const list = (name: string, values: readonly number[]) => values.map((each) => `${name}: ${each}`).join(' ');
const REG = `bbox_reg_param { ${list('bbox_mean', MEANS)} ${list('bbox_std', STDS)} }`;

interface Field {
  readonly width: number;
  readonly height: number;
}

/** What a data layer provides: the class, box and overlap of each item, with some of each kind. */
function labelsOf(items: number, fields: readonly Field[], stride: number, seed: number): Float32Array {
  const noise = draw(items * AREA * 6, seed, 0, 1);
  const labels = new Float32Array(items * 6 * AREA);
  for (let item = 0; item < items; item++)
    for (let place = 0; place < AREA; place++) {
      const field = fields[item % fields.length]!;
      const at = (plane: number) => (item * 6 + plane) * AREA + place;
      const random = (k: number) => noise[(item * AREA + place) * 6 + k]!;
      const isObject = random(0) < 0.3;
      labels[at(0)] = isObject ? 1 + Math.floor(random(1) * (CLASSES - 1)) : 0;
      labels[at(5)] = isObject ? 0.5 + random(5) / 2 : random(5);
      if (!isObject) continue;
      labels[at(1)] = ((place % COLUMNS) + 0.5 + random(2) - 0.5) * stride;
      labels[at(2)] = (Math.floor(place / COLUMNS) + 0.5 + random(3) - 0.5) * stride;
      labels[at(3)] = field.width * (0.7 + 0.6 * random(4));
      labels[at(4)] = field.height * (0.7 + 0.6 * random(2));
    }
  return labels;
}

interface Said {
  readonly items: number;
  readonly fields: readonly Field[];
  readonly stride: number;
  readonly score: (item: number, k: number, place: number) => number;
  readonly box: (item: number, k: number, place: number) => number;
  readonly labels: Float32Array;
}

interface Options {
  /** Whether a background position counts. */
  readonly keeps: (item: number, place: number) => boolean;
  readonly lambda: number;
  /** bg_multiple, if it weights both; null: all have the same weight. */
  readonly multiple: number | null;
  readonly byOverlap: boolean;
  readonly smooth: boolean;
  readonly bounds: { readonly xy: number; readonly wh: number } | null;
}

const softmax = (scores: readonly number[]) => {
  const powers = scores.map(Math.exp);
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
};

/** The loss, its second part, and the diffs of scores [item][k][position] and of regressions [item][k][position]. */
function reference(said: Said, { keeps, lambda, multiple, byOverlap, smooth, bounds }: Options) {
  const label = (item: number, plane: number, place: number) =>
    said.labels[(item * 6 + plane) * AREA + place]!;
  const all = Array.from({ length: said.items * AREA }, (_, i) => [Math.floor(i / AREA), i % AREA] as const);
  const objects = all.filter(([item, place]) => label(item, 0, place) > 0);
  const others = all.filter(([item, place]) => label(item, 0, place) === 0 && keeps(item, place));
  const own = ([item, place]: readonly [number, number]) => (byOverlap ? label(item, 5, place) : 1);
  const count = objects.length + others.length;
  const sum = objects.reduce((total, each) => total + own(each), 0);
  const weigh = (each: readonly [number, number], isObject: boolean) => {
    if (multiple === null) return isObject ? own(each) : 1;
    const share = 1 / (1 + multiple);
    return isObject ? (own(each) * share * count) / sum : ((1 - share) * count) / others.length;
  };
  const scores = new Map<string, number>();
  const boxes = new Map<string, number>();
  let classLoss = 0;
  for (const [isObject, places] of [
    [true, objects],
    [false, others],
  ] as const)
    for (const [item, place] of places) {
      const shares = softmax(Array.from({ length: CLASSES }, (_, k) => said.score(item, k, place)));
      const right = label(item, 0, place);
      const weight = weigh([item, place], isObject);
      classLoss -= (Math.log(shares[right]!) * weight) / count;
      shares.forEach((share, k) => {
        scores.set(`${item} ${k} ${place}`, ((share - (k === right ? 1 : 0)) * weight) / count);
      });
    }
  const bound = (k: number) => {
    if (bounds === null) return [-1e9, 1e9] as const;
    const most = k < 2 ? 1 / bounds.xy : Math.log(bounds.wh);
    const first = k < 2 ? 0 : 2;
    const mean = (MEANS[first]! + MEANS[first + 1]!) / 2;
    const std = Math.sqrt(STDS[first]! * STDS[first + 1]!);
    return [(-most - mean) / std, (most - mean) / std] as const;
  };
  let boxLoss = 0;
  for (const [item, place] of objects) {
    const field = said.fields[item % said.fields.length]!;
    const middle = [(place % COLUMNS) + 0.5, Math.floor(place / COLUMNS) + 0.5].map((at) => at * said.stride);
    const wanted = [
      (label(item, 1, place) - middle[0]!) / field.width,
      (label(item, 2, place) - middle[1]!) / field.height,
      Math.log(label(item, 3, place) / field.width),
      Math.log(label(item, 4, place) / field.height),
    ];
    wanted.forEach((each, k) => {
      const [least, most] = bound(k);
      const off = Math.max(least, Math.min(most, said.box(item, k, place))) - (each - MEANS[k]!) / STDS[k]!;
      const isFar = smooth && Math.abs(off) > 1;
      boxLoss += (isFar ? Math.abs(off) - 0.5 : off ** 2 / 2) / (4 * objects.length);
      boxes.set(`${item} ${k} ${place}`, (lambda * (isFar ? Math.sign(off) : off)) / (4 * objects.length));
    });
  }
  return { loss: [classLoss + lambda * boxLoss, lambda * boxLoss], scores, boxes };
}

const near = (found: number, expected: number, what: string) =>
  assert.ok(
    Math.abs(found - expected) <= 1e-5 * Math.max(1, Math.abs(expected)),
    `${what}: ${found}, not ${expected}`,
  );

/** The later position comes first if ranks are equal. */
const hardest = (places: readonly number[], rank: (place: number) => number, count: number) =>
  new Set([...places].sort((a, b) => rank(b) - rank(a) || b - a).slice(0, count));

const FIELD = { width: 30, height: 24 };
const single = (param: string, more = '') => `${input('said', [IMAGES, CLASSES + 4, ROWS, COLUMNS])}
${input('label', [IMAGES, 6, ROWS, COLUMNS])}
layer { name: "loss" type: "DetectionLoss" bottom: "said" bottom: "label" top: "loss" loss_weight: 0.75 ${REG} ${more}
  detection_loss_param { cls_num: ${CLASSES} field_w: ${FIELD.width} field_h: ${FIELD.height} downsample_rate: 8
    bg_threshold: 0.6 ${param} } }`;

/** Many values are equal. */
const said = draw(IMAGES * (CLASSES + 4) * AREA, 5, -3, 3).map(Math.round);
const label = labelsOf(IMAGES, [FIELD], 8, 7);
const asMaps = (): Said => ({
  items: IMAGES,
  fields: [FIELD],
  stride: 8,
  score: (item, k, place) => said[(item * (CLASSES + 4) + k) * AREA + place]!,
  box: (item, k, place) => said[(item * (CLASSES + 4) + CLASSES + k) * AREA + place]!,
  labels: label,
});
const backgroundOf = (item: number) =>
  Array.from({ length: AREA }, (_, place) => place).filter(
    (place) =>
      label[item * 6 * AREA + place] === 0 && label[(item * 6 + 5) * AREA + place]! < Math.fround(0.6),
  );
const all = (item: number, place: number) => backgroundOf(item).includes(place);
const defaults: Options = {
  keeps: all,
  lambda: 1,
  multiple: null,
  byOverlap: false,
  smooth: true,
  bounds: { xy: 2, wh: 2 },
};

/** For each class, as many as it has objects, but at least four. */
const hard = (item: number, place: number) =>
  [1, 2].some((k) => {
    const count = Array.from({ length: AREA }, (_, at) => label[item * 6 * AREA + at]).filter(
      (each) => each === k,
    ).length;
    const rank = (at: number) => said[(item * (CLASSES + 4) + k) * AREA + at]!;
    return hardest(backgroundOf(item), rank, Math.max(4, count)).has(place);
  });

const SINGLE: readonly (readonly [text: string, Options])[] = [
  ['sample_mode: "all"', defaults],
  [
    'sample_mode: "all" lambda: 0.5 bb_smooth: false field_whr: 3 field_xyr: 1',
    { ...defaults, lambda: 0.5, smooth: false, bounds: { xy: 1, wh: 3 } },
  ],
  ['sample_mode: "bootstrap" bg_multiple: 1', { ...defaults, keeps: hard }],
  [
    'sample_mode: "bootstrap" bg_multiple: 1 pos_neg_weighted: true iou_weighted: true',
    { ...defaults, keeps: hard, multiple: 1, byOverlap: true },
  ],
];

async function gradientsOf(device: Device, text: string, inputs: Record<string, Float32Array>) {
  const names = Object.keys(inputs).filter((name) => name !== 'label');
  using trainer = await device.train({
    model: { ...net(text), force_backward: true },
    update: null,
    diffs: names,
  });
  return trainer.gradients(inputs);
}

for (const device of devices) {
  for (const [param, options] of SINGLE)
    test(`DetectionLoss with ${param} gives the fork's results, forward and backward, on ${device.kind}`, async () => {
      const expected = reference(asMaps(), options);
      const { outputs, blobs } = await gradientsOf(device, single(param), { said, label });
      assert.equal(outputs.loss!.shape, [1, 1, 1, 2]);
      expected.loss.forEach((each, i) => near(outputs.loss!.data[i]!, each, `loss ${i}`));
      let nonzero = 0;
      for (let item = 0; item < IMAGES; item++)
        for (let k = 0; k < CLASSES + 4; k++)
          for (let place = 0; place < AREA; place++) {
            const diff = blobs.said!.data[(item * (CLASSES + 4) + k) * AREA + place]!;
            const key = (of: number) => `${item} ${of} ${place}`;
            const wanted =
              (k < CLASSES ? expected.scores.get(key(k)) : expected.boxes.get(key(k - CLASSES))) ?? 0;
            near(diff, 0.75 * wanted, `diff ${key(k)}`);
            if (wanted !== 0) nonzero++;
          }
      assert.ok(nonzero > 60, `${nonzero}`);
    });

  test(`random DetectionLoss keeps all objects and some of the background, the same in both passes, on ${device.kind}`, async () => {
    for (const [mode, most] of [
      ['random', (objects: number) => Math.max(2 * objects, 4 * (CLASSES - 1))],
      ['mixture', (objects: number) => Math.max(objects, 4 * (CLASSES - 1)) + 2 * Math.max(4, objects)],
    ] as const) {
      const { outputs, blobs } = await gradientsOf(
        device,
        single(`sample_mode: "${mode}" bg_multiple: 2`).replace('loss_weight: 0.75', ''),
        { said, label },
      );
      // Positions that are kept have a diff.
      const kept = (item: number, place: number) =>
        blobs.said!.data[item * (CLASSES + 4) * AREA + place] !== 0;
      const expected = reference(asMaps(), {
        ...defaults,
        keeps: (item, place) => all(item, place) && kept(item, place),
      });
      near(outputs.loss!.data[0]!, expected.loss[0]!, mode);
      for (let item = 0; item < IMAGES; item++) {
        const places = Array.from({ length: AREA }, (_, place) => place);
        const others = places.filter((place) => label[item * 6 * AREA + place] === 0);
        const keptOthers = others.filter((place) => kept(item, place));
        assert.ok(
          keptOthers.length > 0 && keptOthers.length <= most(AREA - others.length),
          `${mode}: ${keptOthers.length}`,
        );
        assert.ok(
          keptOthers.every((place) => all(item, place)),
          mode,
        );
      }
    }
  });
}

const GROUP: readonly Field[] = [FIELD, { width: 16, height: 40 }];
const ITEMS = IMAGES * GROUP.length;
const grouped = (param: string, type = 'DetectionGroupLoss', field = 'detection_group_loss_param') =>
  `${input('scores', [ITEMS, CLASSES, ROWS, COLUMNS])}${input('boxes', [ITEMS, 4, ROWS, COLUMNS])}
${input('label', [ITEMS, 6, ROWS, COLUMNS])}
layer { name: "l" type: "${type}" bottom: "scores" bottom: "boxes" bottom: "label" top: "l" ${type.endsWith('Accuracy') ? 'top: "iou"' : ''} ${REG}
  ${field} { cls_num: ${CLASSES} ${list(
    'field_w',
    GROUP.map(({ width }) => width),
  )}
    ${list(
      'field_h',
      GROUP.map(({ height }) => height),
    )} stride: 8 bg_threshold: 0.6 ${param} } }`;
const scores = draw(ITEMS * CLASSES * AREA, 11, -2, 2).map(Math.round);
const boxes = draw(ITEMS * 4 * AREA, 12, -3, 3);
const groupLabel = labelsOf(ITEMS, GROUP, 8, 13);
const asGroups = (): Said => ({
  items: ITEMS,
  fields: GROUP,
  stride: 8,
  score: (item, k, place) => scores[(item * CLASSES + k) * AREA + place]!,
  box: (item, k, place) => boxes[(item * 4 + k) * AREA + place]!,
  labels: groupLabel,
});
/** The positions of an image, for both kinds of boxes. */
const ofImage = (image: number) =>
  Array.from({ length: GROUP.length * AREA }, (_, i) => image * GROUP.length * AREA + i);
const groupBackground = (image: number) =>
  ofImage(image).filter((i) => {
    const [item, place] = [Math.floor(i / AREA), i % AREA];
    return (
      groupLabel[item * 6 * AREA + place] === 0 &&
      groupLabel[(item * 6 + 5) * AREA + place]! < Math.fround(0.6)
    );
  });
const groupObjects = (image: number) =>
  ofImage(image).filter((i) => groupLabel[Math.floor(i / AREA) * 6 * AREA + (i % AREA)]! > 0);
const hardInImage = (item: number, place: number, count: (image: number) => number) => {
  const image = Math.floor(item / GROUP.length);
  const rank = (i: number) => {
    const [of, at] = [Math.floor(i / AREA), i % AREA];
    // If equal scores are summed in another order, the last bits differ.
    return -Math.fround(softmax(Array.from({ length: CLASSES }, (_, k) => asGroups().score(of, k, at)))[0]!);
  };
  return hardest(groupBackground(image), rank, count(image)).has(item * AREA + place);
};
const GROUPS: readonly (readonly [text: string, Options])[] = [
  // More than exist.
  [
    'min_num_neg: 100',
    {
      ...defaults,
      bounds: null,
      keeps: (item, place) => groupBackground(Math.floor(item / 2)).includes(item * AREA + place),
    },
  ],
  [
    'neg_mining_type: "bootstrap" bg_multiple: 1 field_xyr: 2 field_whr: 2 bbox_loss_type: "Euclidean_L2" lambda: 2',
    {
      ...defaults,
      lambda: 2,
      smooth: false,
      keeps: (item, place) => hardInImage(item, place, (image) => Math.max(5, groupObjects(image).length)),
    },
  ],
  [
    'neg_mining_type: "bootstrap" neg_ranking_type: "conf_prob" bg_multiple: 1 pos_neg_weighted: true',
    {
      ...defaults,
      bounds: null,
      multiple: 1,
      keeps: (item, place) => hardInImage(item, place, (image) => Math.max(5, groupObjects(image).length)),
    },
  ],
];

for (const device of devices) {
  for (const [param, options] of GROUPS)
    test(`DetectionGroupLoss with ${param} gives the fork's results, forward and backward, on ${device.kind}`, async () => {
      const expected = reference(asGroups(), options);
      const found = await gradientsOf(device, grouped(param), { scores, boxes, label: groupLabel });
      assert.equal(found.outputs.l!.shape, [1, 1, 1, 2]);
      expected.loss.forEach((each, i) => near(found.outputs.l!.data[i]!, each, `loss ${i}`));
      for (const [name, planes] of [
        ['scores', CLASSES],
        ['boxes', 4],
      ] as const)
        found.blobs[name]!.data.forEach((diff, i) => {
          const key = `${Math.floor(i / (planes * AREA))} ${Math.floor(i / AREA) % planes} ${i % AREA}`;
          near(diff, expected[name].get(key) ?? 0, `${name} ${key}`);
        });
    });

  test(`DetectionGroupLoss keeps batch_size positions per image, on ${device.kind}`, async () => {
    for (const mining of ['random', 'mixture']) {
      const text = grouped(`batch_size: 12 bg_multiple: 2 neg_mining_type: "${mining}"`);
      const { blobs } = await gradientsOf(device, text, { scores, boxes, label: groupLabel });
      for (let image = 0; image < IMAGES; image++) {
        const isKept = (i: number) =>
          blobs.scores!.data[Math.floor(i / AREA) * CLASSES * AREA + (i % AREA)] !== 0;
        assert.is(groupObjects(image).filter(isKept).length, 4);
        assert.is(groupBackground(image).filter(isKept).length, 8);
        assert.is(ofImage(image).filter(isKept).length, 12);
      }
    }
  });

  test(`the gradients agree with the losses, on ${device.kind}`, async () => {
    const near0 = (name: string, count: number) =>
      name === 'label' ? (count === label.length ? label : groupLabel) : draw(count, 3, -0.4, 0.4);
    for (const text of [single('sample_mode: "all" bb_smooth: false'), grouped('min_num_neg: 100')]) {
      // Caffe's loss reads both values of the top, but the gradient is that of the first only.
      const { compared } = await checkGradients(device, {
        net: `${text
          .replace(/top: "(loss|l)"/, 'top: "both"')
          .replace('loss_weight: 0.75', '')
          .replace('bbox_reg', 'loss_weight: 0 bbox_reg')}
layer { name: "parts" type: "Slice" bottom: "both" top: "first" top: "second" slice_param { axis: 3 } }
layer { name: "loss" type: "Reduction" bottom: "first" top: "total" loss_weight: 1 }
layer { name: "rest" type: "Silence" bottom: "second" }`,
        fill: near0,
        seed: 1,
      });
      assert.ok(compared >= 8, `${compared}`);
    }
  });

  test(`DetectionAccuracy and DetectionGroupAccuracy give the shares of correct classes, and overlaps, on ${device.kind}`, async () => {
    for (const [text, maps, inputs, more] of [
      [
        single('')
          .replace('DetectionLoss', 'DetectionAccuracy')
          .replace('detection_loss_param', 'detection_accuracy_param')
          .replace('top: "loss" loss_weight: 0.75', 'top: "l" top: "iou"'),
        asMaps(),
        { said, label },
        0,
      ],
      [
        grouped('', 'DetectionGroupAccuracy', 'detection_group_accuracy_param'),
        asGroups(),
        { scores, boxes, label: groupLabel },
        1,
      ],
    ] as const) {
      using model = await device.load({ model: net(text) });
      const { l, iou } = await model.run(inputs);
      const found = { right: 0, all: 0, rightObjects: 0, objects: 0, overlap: 0 };
      for (let item = 0; item < maps.items; item++)
        for (let place = 0; place < AREA; place++) {
          const at = (plane: number) => maps.labels[(item * 6 + plane) * AREA + place]!;
          if (at(0) === 0 && at(5) >= Math.fround(0.6)) continue;
          const own = Array.from({ length: CLASSES }, (_, k) => maps.score(item, k, place));
          const best = Math.max(...own);
          // With equal scores, MS-CNN's pairs put the later class first.
          const winner = more === 0 ? own.lastIndexOf(best) : own.indexOf(best);
          const isRight = winner === at(0) ? 1 : 0;
          found.all++;
          found.right += isRight;
          if (at(0) === 0) continue;
          found.objects++;
          found.rightObjects += isRight;
          const field = maps.fields[item % maps.fields.length]!;
          const bounded = (k: number, most: number) =>
            Math.max(-most, Math.min(most, maps.box(item, k, place) * STDS[k]! + MEANS[k]!));
          const [w, h] = [
            field.width * Math.exp(bounded(2, Math.log(2))),
            field.height * Math.exp(bounded(3, Math.log(2))),
          ];
          const x = ((place % COLUMNS) + 0.5) * 8 + bounded(0, 1 / 4) * field.width;
          const y = (Math.floor(place / COLUMNS) + 0.5) * 8 + bounded(1, 1 / 4) * field.height;
          const shared = (a: number, b: number, c: number, d: number) =>
            Math.min(a + b / 2, c + d / 2) - Math.max(a - b / 2, c - d / 2);
          const [wide, tall] = [shared(x, w, at(1), at(3)), shared(y, h, at(2), at(4))];
          if (wide >= more && tall >= more && wide > 0 && tall > 0)
            found.overlap += (wide * tall) / (w * h + at(3) * at(4) - wide * tall);
        }
      near(l!.data[0]!, found.right / found.all, 'all');
      near(l!.data[1]!, found.rightObjects / found.objects, 'objects');
      near(iou!.data[0]!, found.overlap / found.objects, 'overlap');
    }
  });
}

test('if the background has fewer positions than are drawn, all count', async () => {
  const losses = [];
  for (const param of ['bg_multiple: 4294967295', 'sample_mode: "all"']) {
    using model = await devices[0]!.load({ model: net(single(param)) });
    losses.push((await model.run({ said, label })).loss!.data);
  }
  assert.equal(losses[0], losses[1]);
});

test('an invalid label is an error that names the layer, the position and the classes', async () => {
  using model = await devices[0]!.load({ model: net(single('')) });
  const wrong = label.with(AREA * 6 + 7, 3);
  try {
    await model.run({ said, label: wrong });
    assert.unreachable('it was accepted');
  } catch (error) {
    assert.match(
      (error as Error).message,
      /layer "loss" \(DetectionLoss\): the label of item 1, row 1, column 2 is 3; it must be a class, from 0 to 2/,
    );
  }
});

test('parameters and shapes that do not fit are refused, with what was found and what is expected', () => {
  for (const [from, to, said] of [
    [
      `cls_num: ${CLASSES}`,
      'cls_num: 1',
      /cls_num must be at least 2, the background and an object, found 1/,
    ],
    [
      `cls_num: ${CLASSES}`,
      'cls_num: 4',
      /4 classes and 1 kinds of boxes take scores followed by four regressions.* 2×8×4×5, 2×6×4×5; found 2×7×4×5/,
    ],
    [
      'downsample_rate: 8',
      '',
      /takes as many field_w as field_h, one at least, and a downsample_rate; found 1, 1 and 0/,
    ],
    ['bg_threshold: 0.6', 'objectness: true', /cls_num must be 2 with objectness: true, found 3/],
    ['bg_threshold: 0.6', 'coord_num: 5', /coord_num must be 4, found 5/],
    ['bbox_std: 0.1', '', /takes four bbox_mean and four bbox_std, found 4 and 3/],
    ['bg_threshold: 0.6', 'field_xyr: 0', /field_xyr must be above 0, found 0/],
  ] as const)
    assertRefused(net(single('').replace(from, to)), said);
  for (const [to, said] of [
    ['neg_mining_type: "hard"', /neg_mining_type must be "random" or "bootstrap" or "mixture", found "hard"/],
    ['bbox_loss_type: "L1"', /bbox_loss_type must be "Smooth_L1" or "Euclidean_L2", found "L1"/],
    ['batch_size: 0', /batch_size must be at least 1, or -1 for all objects, found 0/],
    ['field_w: 5', /takes as many field_w as field_h, one at least, and a stride; found 3, 2 and 8/],
  ] as const)
    assertRefused(net(grouped(to)), said);
});

test.run();
