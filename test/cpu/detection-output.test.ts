/**
 * The CPU device decodes only boxes with a sufficient score, and gives the same rows, bit for bit, as the reference
 * loops.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice, readNet } from '../../ts/index.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { randomValues } from '../support/random-weights.ts';

const reference = await openDevice('reference');
const device = await openDevice('cpu', { threads: 2, ...cpuLibrary });
test.after(() => [reference, device].forEach((each) => each.dispose()));

interface Case {
  readonly images?: number;
  readonly priors: number;
  readonly classes: number;
  /** The fields of detection_output_param besides the number of classes. */
  readonly param: string;
  readonly isShared?: boolean;
}

const net = ({ images = 1, priors, classes, param, isShared = true }: Case) => {
  const blobs = [
    ['loc', images, priors * 4 * (isShared ? 1 : classes)],
    ['conf', images, priors * classes],
    ['prior', 1, 2, priors * 4],
  ] as const;
  const inputs = blobs.map(
    ([name, ...dims]) =>
      `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${dims.map((dim) => `dim: ${dim}`).join(' ')} } } }`,
  );
  const text = `${inputs.join('\n')}
    layer { name: "detection" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "detection"
      detection_output_param { num_classes: ${classes} share_location: ${isShared} ${param} } }`;
  return readNet(text, { file: 'net.prototxt' });
};

/** Ordered corners, and variances. */
function priorsOf(count: number): Float32Array {
  const corners = randomValues(count * 4, 2, 0, 3).map(Math.abs);
  for (let i = 0; i < count * 4; i += 4)
    for (const axis of [0, 1]) {
      const [a, b] = [corners[i + axis]!, corners[i + axis + 2]!];
      [corners[i + axis], corners[i + axis + 2]] = [Math.min(a, b), Math.max(a, b) + 0.1];
    }
  return Float32Array.from([...corners, ...Array.from({ length: count * 4 }, () => 0.1)]);
}

const usual = 'background_label_id: 0 code_type: CENTER_SIZE nms_param { nms_threshold: 0.45 top_k: 20 }';
const CASES: Readonly<Record<string, Case>> = {
  'few of many priors': {
    priors: 333,
    classes: 21,
    param: `${usual} confidence_threshold: 0.9 keep_top_k: 30`,
  },
  'most of them': { priors: 130, classes: 5, param: `${usual} confidence_threshold: -0.9 keep_top_k: 200` },
  'boxes of each class, in two images': {
    images: 2,
    priors: 70,
    classes: 4,
    param: `${usual} confidence_threshold: 0.8 keep_top_k: 15`,
    isShared: false,
  },
  'no background': {
    images: 3,
    priors: 65,
    classes: 2,
    param:
      'background_label_id: -1 code_type: CORNER nms_param { nms_threshold: 0.3 eta: 0.9 } confidence_threshold: 0.7',
    isShared: false,
  },
  'a background whose scores alone are high': {
    priors: 40,
    classes: 2,
    param: `${usual} confidence_threshold: 1 keep_top_k: 9`,
  },
};

for (const [name, each] of Object.entries(CASES)) {
  test(name, async () => {
    const { images = 1, priors, classes, isShared = true } = each;
    const conf = randomValues(images * priors * classes, 1, 0, 5);
    if (name.includes('alone')) for (let i = 0; i < conf.length; i += classes) conf[i] = 9;
    conf[classes] = Number.NaN;
    const inputs = {
      loc: randomValues(images * priors * 4 * (isShared ? 1 : classes), 2, 0, 4),
      conf,
      prior: priorsOf(priors),
    };
    const [expected, own] = await Promise.all(
      [reference, device].map(async (on) => {
        await using model = await on.load({ model: net(each) });
        return (await model.run(inputs)).detection!;
      }),
    );
    assert.equal(own!.shape, expected!.shape);
    assert.ok(
      own!.data.every((value, i) => Object.is(value, expected!.data[i])),
      name,
    );
    const isEmpty = own!.data[1] === -1;
    assert.is(isEmpty, name.includes('alone'));
  });
}

test.run();
