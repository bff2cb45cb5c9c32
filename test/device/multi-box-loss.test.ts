/** MultiBoxLoss against a second implementation, against differences, and in cases computed by hand. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import {
  type Device,
  type DeviceError,
  type ErrorCode,
  GraphError,
  graphFromCaffe,
  readNet,
} from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import {
  type Box,
  type MultiBoxSettings,
  multiBoxReference,
  type Truth,
} from '../support/multi-box-reference.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const DEFAULTS: MultiBoxSettings = {
  classes: 3,
  background: 0,
  shareLocation: true,
  agnostic: false,
  code: 'CENTER_SIZE',
  varianceInTarget: false,
  locLoss: 'SMOOTH_L1',
  confLoss: 'SOFTMAX',
  locWeight: 1,
  matchType: 'PER_PREDICTION',
  overlapThreshold: 0.5,
  usePrior: true,
  ignoreCrossing: false,
  bpInside: false,
  useDifficult: true,
  mining: 'MAX_NEGATIVE',
  negPosRatio: 3,
  negOverlap: 0.5,
  sampleSize: 64,
  nms: null,
  normalization: 'VALID',
};

interface Given {
  readonly images: number;
  readonly loc: Float32Array;
  readonly conf: Float32Array;
  readonly priors: readonly Box[];
  readonly variances: readonly (readonly number[])[];
  readonly truths: readonly Truth[];
}

const prototxt = (s: MultiBoxSettings) => `num_classes: ${s.classes} background_label_id: ${s.background}
  share_location: ${s.shareLocation} map_object_to_agnostic: ${s.agnostic} code_type: ${s.code}
  encode_variance_in_target: ${s.varianceInTarget} loc_loss_type: ${s.locLoss} conf_loss_type: ${s.confLoss}
  loc_weight: ${s.locWeight} match_type: ${s.matchType} overlap_threshold: ${s.overlapThreshold}
  use_prior_for_matching: ${s.usePrior} ignore_cross_boundary_bbox: ${s.ignoreCrossing} bp_inside: ${s.bpInside}
  use_difficult_gt: ${s.useDifficult} mining_type: ${s.mining} neg_pos_ratio: ${s.negPosRatio}
  neg_overlap: ${s.negOverlap} sample_size: ${s.sampleSize}
  ${s.nms === null ? '' : `nms_param { nms_threshold: ${s.nms.threshold} top_k: ${s.nms.topK} } use_prior_for_nms: ${s.nms.byPrior}`}`;

const input = (name: string, ...shape: number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;

const netOf = (s: MultiBoxSettings, { images, priors }: Given, rows: number, more = prototxt(s)) => {
  const P = priors.length;
  return `${input('loc', images, P * (s.shareLocation ? 1 : s.classes) * 4)}${input('conf', images, P * s.classes)}
    ${input('label_prior', 1, 2, P * 4)}${input('label', 1, 1, rows, 8)}
    layer { name: "loss" type: "MultiBoxLoss" bottom: "loc" bottom: "conf" bottom: "label_prior" bottom: "label" top: "loss"
      loss_param { normalization: ${s.normalization} } multibox_loss_param { ${more} } }`;
};

const inputsOf = ({ loc, conf, priors, variances, truths }: Given, rows: number) => {
  const label = new Float32Array(rows * 8).fill(-1);
  truths.forEach(({ image, label: of, box, difficult = false }, i) => {
    label.set([image, of, 0, ...box, Number(difficult)], 8 * i);
  });
  return { loc, conf, label_prior: Float32Array.from([...priors, ...variances].flat()), label };
};

async function gradients(device: Device, s: MultiBoxSettings, given: Given, more?: string) {
  // Rows without a box follow the others.
  const rows = given.truths.length + 2;
  const model = readNet(netOf(s, given, rows, more), { file: 'net.prototxt' });
  using trainer = await device.train({ model, update: null, diffs: ['loc', 'conf'] });
  const { outputs, blobs } = await trainer.gradients(inputsOf(given, rows));
  return { loss: outputs.loss!.data[0]!, dLoc: blobs.loc!.data, dConf: blobs.conf!.data };
}

const isClose = (found: ArrayLike<number>, wanted: ArrayLike<number>, what: string, tolerance = 2e-5) => {
  assert.is(found.length, wanted.length, what);
  for (let i = 0; i < wanted.length; i++)
    assert.ok(
      Math.abs(found[i]! - wanted[i]!) <= tolerance * Math.max(1, Math.abs(wanted[i]!)),
      `${what}[${i}] is ${found[i]}, not ${wanted[i]}`,
    );
};

/** Priors on a jittered grid, some of them outside the image; boxes near some of them. */
function randomCase(s: MultiBoxSettings, seed: number): Given {
  const random = seededRandom(seed);
  const images = 3;
  const round = (values: readonly number[]) => values.map((value) => Math.fround(value)) as unknown as Box;
  const priors = Array.from({ length: 30 }, (): Box => {
    const [x, y, w, h] = [random(), random(), 0.15 + 0.3 * random(), 0.15 + 0.3 * random()];
    return round([x - w / 2, y - h / 2, x + w / 2, y + h / 2]);
  });
  const truths = Array.from({ length: 7 }, (_, k): Truth => {
    const box = priors[Math.floor(random() * priors.length)]!;
    return {
      // The last image has none.
      image: k % 2,
      label: (s.background + 1 + Math.floor(random() * (s.classes - 1))) % s.classes,
      box: round(box.map((side, i) => side + 0.08 * (random() - 0.5) + (i >= 2 ? 0.05 : 0))),
      difficult: random() < 0.3,
    };
  });
  const values = (count: number, scale: number) =>
    Float32Array.from({ length: count }, () => scale * (2 * random() - 1));
  return {
    images,
    loc: values(images * priors.length * (s.shareLocation ? 1 : s.classes) * 4, 1.5),
    conf: values(images * priors.length * s.classes, 2),
    priors,
    variances: priors.map(() => round([0.1, 0.15, 0.2, 0.25])),
    truths,
  };
}

const VARIANTS: Readonly<Record<string, Partial<MultiBoxSettings>>> = {
  'by default': {},
  'with corners': { code: 'CORNER' },
  'with corners over sizes': { code: 'CORNER_SIZE', locLoss: 'L2', locWeight: 2 },
  'with variances in the target': { varianceInTarget: true, normalization: 'BATCH_SIZE' },
  'with a logistic loss': { confLoss: 'LOGISTIC', normalization: 'FULL' },
  'with a logistic loss of all priors': { confLoss: 'LOGISTIC', mining: 'NONE' },
  'with the background behind the classes': { background: 2 },
  'with one prior a box': { matchType: 'BIPARTITE', negPosRatio: 1.5 },
  'without difficult boxes': { useDifficult: false, normalization: 'NONE' },
  'of all priors': { mining: 'NONE' },
  'by predicted boxes': { usePrior: false, overlapThreshold: 0.3 },
  'with locations of each class': { shareLocation: false, mining: 'NONE' },
  'with locations of each class, by predicted boxes': {
    shareLocation: false,
    mining: 'NONE',
    usePrior: false,
    overlapThreshold: 0.2,
    bpInside: true,
  },
  'with logistic scores and locations of each class': {
    shareLocation: false,
    mining: 'NONE',
    usePrior: false,
    confLoss: 'LOGISTIC',
    overlapThreshold: 0.1,
  },
  'of objects alone': { classes: 2, agnostic: true },
  'without what crosses the border': { ignoreCrossing: true },
  'without sides beyond the border': { bpInside: true, code: 'CORNER' },
  'with hard examples': { mining: 'HARD_EXAMPLE', sampleSize: 9 },
  'with hard examples apart': {
    mining: 'HARD_EXAMPLE',
    sampleSize: 9,
    ignoreCrossing: true,
    nms: { threshold: 0.3, topK: 20, byPrior: false },
  },
  'with negatives apart': { nms: { threshold: 0.2, topK: -1, byPrior: true }, negOverlap: 0.3 },
};

for (const [name, change] of Object.entries(VARIANTS))
  test(`the loss and its gradients ${name} equal those of a second implementation`, async () => {
    const s = { ...DEFAULTS, ...change };
    for (const seed of [1, 2, 3]) {
      const given = randomCase(s, seed);
      const wanted = multiBoxReference(s, given);
      assert.ok(wanted.matches > 0, 'nothing matches: the case shows nothing');
      for (const device of devices) {
        const { loss, dLoc, dConf } = await gradients(device, s, given);
        isClose([loss], [wanted.loss], `loss on ${device.kind}, seed ${seed}`);
        isClose(dLoc, wanted.dLoc, `diff of loc on ${device.kind}, seed ${seed}`);
        isClose(dConf, wanted.dConf, `diff of conf on ${device.kind}, seed ${seed}`);
      }
    }
  });

for (const [name, change, withMoves] of [
  ['of likely objects alone', {}, false],
  ['of priors that were moved', {}, true],
  [
    'of priors that were moved, with variances in the target',
    { varianceInTarget: true, bpInside: true },
    true,
  ],
  ['of priors that were moved, all of them', { mining: 'NONE', normalization: 'FULL' }, true],
] as const)
  test(`RefineDet's loss ${name} and its gradients equal those of a second implementation`, async () => {
    const s: MultiBoxSettings = { ...DEFAULTS, ...change };
    for (const seed of [1, 2, 3]) {
      const plain = randomCase(s, seed);
      const random = seededRandom(seed + 10);
      const count = plain.images * plain.priors.length;
      const given = {
        ...plain,
        ...(withMoves
          ? { moves: Float32Array.from({ length: 4 * count }, () => 0.6 * (random() - 0.5)) }
          : {}),
        objects: Float32Array.from({ length: 2 * count }, () => Math.round(random() * 100) / 100),
        leastObject: 0.3,
      };
      const wanted = multiBoxReference(s, given);
      assert.ok(wanted.matches > 0, 'nothing matches: the case shows nothing');
      const rows = given.truths.length + 2;
      const text = `${input('objects', plain.images, 2 * plain.priors.length)}${input('moves', plain.images, 4 * plain.priors.length)}${netOf(
        s,
        given,
        rows,
        `${prototxt(s)} objectness_score: 0.3`,
      ).replace('top: "loss"', `bottom: "objects" ${withMoves ? 'bottom: "moves"' : ''} top: "loss"`)}${
        withMoves ? '' : ' layer { name: "s" type: "Silence" bottom: "moves" }'
      }`;
      for (const device of devices) {
        using trainer = await device.train({
          model: readNet(text, { file: 'net.prototxt' }),
          update: null,
          diffs: ['loc', 'conf'],
        });
        const { outputs, blobs } = await trainer.gradients({
          ...inputsOf(given, rows),
          objects: given.objects,
          moves: given.moves ?? new Float32Array(4 * count),
        });
        const on = `on ${device.kind}, seed ${seed}`;
        isClose([outputs.loss!.data[0]!], [wanted.loss], `loss ${on}`, 1e-4);
        isClose(blobs.loc!.data, wanted.dLoc, `diff of loc ${on}`, 1e-4);
        isClose(blobs.conf!.data, wanted.dConf, `diff of conf ${on}`, 1e-4);
      }
    }
  });

test('the gradients are the derivatives of the loss', async () => {
  const s = { ...DEFAULTS, mining: 'NONE' } as const;
  const given = randomCase(s, 5);
  const [device] = devices as [Device];
  const { dLoc, dConf } = await gradients(device, s, given);
  const slope = async (blob: 'loc' | 'conf', i: number) => {
    const at = async (by: number) =>
      (await gradients(device, s, { ...given, [blob]: given[blob].with(i, given[blob][i]! + by) })).loss;
    return ((await at(1e-2)) - (await at(-1e-2))) / 2e-2;
  };
  const moved = [...dLoc.keys()].filter((i) => dLoc[i] !== 0 && Math.abs(dLoc[i]!) < Math.max(...dLoc) * 0.9);
  for (const i of moved.slice(0, 8)) isClose([await slope('loc', i)], [dLoc[i]!], `loc ${i}`, 1e-3);
  for (const i of [0, 7, 40, 100, 200]) isClose([await slope('conf', i)], [dConf[i]!], `conf ${i}`, 1e-3);
});

// Four priors in a row, each a quarter of the image; every score is 0 unless it is given.
const quarters: readonly Box[] = [0, 1, 2, 3].map((i): Box => [i / 4, 0, (i + 1) / 4, 1]);
const row = (truths: readonly Truth[], scores: readonly number[] = [], images = 1): Given => ({
  images,
  loc: new Float32Array(16 * images),
  conf: Float32Array.from({ length: 8 * images }, (_, i) => scores[i] ?? 0),
  priors: quarters,
  variances: quarters.map(() => [0.1, 0.1, 0.2, 0.2]),
  truths,
});
const two = { ...DEFAULTS, classes: 2 };

for (const device of devices) {
  const on = `on ${device.kind}`;
  test(`a box that a prior predicts exactly costs only its class, plus the three worst of the others, ${on}`, async () => {
    const truths = [{ image: 0, label: 1, box: quarters[1]! }];
    const { loss, dLoc, dConf } = await gradients(device, two, row(truths));
    // Four priors with equal scores, ln 2 each, divided by one match.
    isClose([loss], [4 * Math.log(2)], 'loss');
    isClose(dLoc, new Float32Array(16), 'diff of loc');
    isClose(dConf, [-0.5, 0.5, 0.5, -0.5, -0.5, 0.5, -0.5, 0.5], 'diff of conf');
  });

  test(`the hardest negatives count, as many as the ratio says, ${on}`, async () => {
    const truths = [{ image: 0, label: 1, box: quarters[0]! }];
    // The last prior is the most confidently wrong, the third less so.
    const given = row(truths, [0, 0, 2, 0, 0, 1, 0, 3]);
    const { dConf } = await gradients(device, { ...two, negPosRatio: 2 }, given);
    assert.equal([...dConf].slice(2, 4), [0, 0], 'an easy negative');
    assert.ok(dConf[5]! > 0.7 && dConf[7]! > 0.9);
    const none = await gradients(device, { ...two, negPosRatio: 0 }, given);
    isClose([none.loss], [Math.log(2)], 'the match alone');
  });

  test(`without a box in the batch the loss and its gradients are 0, ${on}`, async () => {
    const { loss, dLoc, dConf } = await gradients(device, two, row([], [1, 2, 3, 4, 5, 6, 7, 8]));
    assert.equal(
      [loss, ...dLoc, ...dConf],
      Array.from({ length: 25 }, () => 0),
    );
    // If all priors count, they are background, and the normaliser is at least 1.
    const all = await gradients(device, { ...two, mining: 'NONE' }, row([]));
    isClose([all.loss], [4 * Math.log(2)], 'all priors');
  });

  test(`a box that no prior overlaps is not matched, ${on}`, async () => {
    const truths = [{ image: 0, label: 1, box: [2, 2, 3, 3] as Box }];
    const { loss } = await gradients(device, two, row(truths));
    assert.is(loss, 0);
  });

  test(`use_difficult_gt decides whether difficult boxes count, ${on}`, async () => {
    const truths = [{ image: 0, label: 1, box: quarters[2]!, difficult: true }];
    isClose([(await gradients(device, two, row(truths))).loss], [4 * Math.log(2)], 'they count');
    assert.is((await gradients(device, { ...two, useDifficult: false }, row(truths))).loss, 0);
  });

  test(`an image without a box has no negatives, even next to one with a box, ${on}`, async () => {
    const truths = [{ image: 1, label: 1, box: quarters[1]! }];
    const { dConf } = await gradients(device, two, row(truths, [], 2));
    assert.equal(
      [...dConf].slice(0, 8),
      Array.from({ length: 8 }, () => 0),
    );
    assert.ok([...dConf].slice(8).every((diff) => diff !== 0));
  });

  test(`each box has its own prior, even if another box overlaps it more, ${on}`, async () => {
    // Both overlap the second prior most. The wider one only gets the third, with less than overlap_threshold.
    const truths: Truth[] = [
      { image: 0, label: 1, box: [0.25, 0, 0.55, 1] },
      { image: 0, label: 1, box: [0.25, 0, 0.7, 1] },
    ];
    const s = { ...two, negPosRatio: 0, overlapThreshold: 0.95 };
    const { dConf } = await gradients(device, s, row(truths));
    assert.equal([...dConf].map(Math.sign), [0, 0, 1, -1, 1, -1, 0, 0]);
  });

  test(`boxes of the background, of no class, or of half a class are refused, ${on}`, async () => {
    for (const label of [0, 2, 1.5, -1, Number.NaN]) {
      try {
        await gradients(device, two, row([{ image: 0, label, box: quarters[0]! }]));
        assert.unreachable(`${label} was accepted`);
      } catch (error) {
        assert.is((error as DeviceError).code, 'label/invalid', `${label}: ${(error as Error).message}`);
        assert.match((error as Error).message, /layer "loss"/);
      }
    }
  });
}

const refusals: Readonly<Record<string, RegExp>> = {
  'mining_type: NONE': /num_classes must be given/,
  'num_classes: 2 do_neg_mining: true mining_type: NONE': /do_neg_mining: true contradicts mining_type: NONE/,
  'num_classes: 2 share_location: false': /needs share_location: true/,
  'num_classes: 2 background_label_id: 2': /from 0 to 1, found 2/,
  'num_classes: 3 map_object_to_agnostic: true': /num_classes must be 2, found 3/,
  'num_classes: 2 mining_type: HARD_EXAMPLE sample_size: 0': /sample_size must be at least 1/,
  'num_classes: 2 nms_param { nms_threshold: 0.5 }': /top_k/,
  'num_classes: 3': /need 1×12 scores, the second bottom is 1×8/,
};
for (const [param, message] of Object.entries(refusals))
  test(`multibox_loss_param { ${param} } is refused with its position`, async () => {
    try {
      await gradients(devices[0]!, two, row([]), param);
      assert.unreachable('it was accepted');
    } catch (error) {
      assert.instance(error, GraphError);
      assert.is((error as GraphError).code, 'graph/multi-box-loss' satisfies ErrorCode);
      assert.match((error as Error).message, message);
      assert.match((error as Error).message, /net\.prototxt:\d+:\d+: /);
    }
  });

for (const [more, message] of [
  ['objects 8 | mining_type: HARD_EXAMPLE', /mining_type must be MAX_NEGATIVE or NONE/],
  [
    'objects 8 | code_type: CORNER',
    /code_type must be CENTER_SIZE if a sixth bottom moves the priors, found CORNER/,
  ],
  ['objects 8 | use_prior_for_matching: false', /use_prior_for_matching must be true/],
  [
    'objects 8 | nms_param { nms_threshold: 0.3 top_k: 9 }',
    /nms_param is not supported with scores of being an object/,
  ],
  ['objects 6 | mining_type: NONE', /4 priors need 1×8 scores of being an object/],
] as const)
  test(`RefineDet's bottoms with ${more} are refused with their position`, () => {
    const [shape, param] = more.split(' | ') as [string, string];
    const code = param.includes('code_type') ? '' : 'code_type: CENTER_SIZE';
    const text = `${input('objects', 1, Number(shape.split(' ')[1]))}${input('moves', 1, 16)}${netOf(
      two,
      row([]),
      2,
      `num_classes: 2 ${code} ${param}`,
    ).replace('top: "loss"', 'bottom: "objects" bottom: "moves" top: "loss"')}`;
    try {
      graphFromCaffe(readNet(text, { file: 'net.prototxt' }), { phase: 'TRAIN' });
      assert.unreachable('it was accepted');
    } catch (error) {
      assert.is((error as GraphError).code, 'graph/multi-box-loss' satisfies ErrorCode);
      assert.match((error as Error).message, message);
      assert.match((error as Error).message, /net\.prototxt:\d+:\d+: /);
    }
  });

test("a normalization that only R-FCN's losses have is refused with its position", () => {
  const text = netOf(two, row([]), 2).replace('normalization: VALID', 'normalization: PRE_FIXED');
  try {
    graphFromCaffe(readNet(text, { file: 'net.prototxt' }), { phase: 'TRAIN' });
    assert.unreachable('it was accepted');
  } catch (error) {
    assert.is((error as GraphError).code, 'graph/normalize' satisfies ErrorCode);
    assert.match((error as Error).message, /net\.prototxt:\d+:\d+: .*normalization: PRE_FIXED/);
  }
});

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
