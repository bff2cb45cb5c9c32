/** DetectionOutput with four and five bottoms, against RefineDet's rules written out in float64. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { GraphError, readNet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

const [PRIORS, CLASSES] = [12, 3];
const [SCORE, OVERLAP, OBJECT] = [0.4, 0.3, 0.25];
const VARIANCES = [0.1, 0.1, 0.2, 0.2];

const shapes = (images: number): Readonly<Record<string, readonly number[]>> => ({
  loc: [images, PRIORS * 4],
  conf: [images, PRIORS * CLASSES],
  prior: [1, 2, PRIORS * 4],
  arm_conf: [images, PRIORS * 2],
  arm_loc: [images, PRIORS * 4],
});
const netOf = (images: number, bottoms: readonly string[], param: string) =>
  readNet(
    `${bottoms.map((name) => `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${(shapes(images)[name] ?? [images, 3, 5, 5]).map((dim) => `dim: ${dim}`).join(' ')} } } }`).join('\n')}
layer { name: "det" type: "DetectionOutput" ${bottoms.map((name) => `bottom: "${name}"`).join(' ')} top: "det"
  detection_output_param { num_classes: ${CLASSES} code_type: CENTER_SIZE confidence_threshold: ${SCORE} nms_param { nms_threshold: ${OVERLAP} } ${param} } }`,
    { file: 'net.prototxt' },
  );

type Box = readonly [number, number, number, number];

/** Liu et al., "SSD" (2016), section 2.2, with the variances of its code. */
function decoded([x1, y1, x2, y2]: Box, said: ArrayLike<number>, at: number): Box {
  const [w, h] = [x2 - x1, y2 - y1];
  const [x, y] = [
    (x1 + x2) / 2 + VARIANCES[0]! * said[at]! * w,
    (y1 + y2) / 2 + VARIANCES[1]! * said[at + 1]! * h,
  ];
  const [wide, tall] = [
    w * Math.exp(VARIANCES[2]! * said[at + 2]!),
    h * Math.exp(VARIANCES[3]! * said[at + 3]!),
  ];
  return [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2];
}

function overlap(a: Box, b: Box): number {
  const [w, h] = [0, 1].map((i) => Math.min(a[i + 2]!, b[i + 2]!) - Math.max(a[i]!, b[i]!)) as [
    number,
    number,
  ];
  if (w <= 0 || h <= 0) return 0;
  const area = (box: Box) => (box[2] - box[0]) * (box[3] - box[1]);
  return (w * h) / (area(a) + area(b) - w * h);
}

/**
 * Zhang et al., "RefineDet" (2018), section 3.4: boxes with a low objectness are dropped, and anchors are refined
 * before use.
 */
function refined(given: Record<string, Float32Array>, images: number, moves: boolean): number[][] {
  const rows: number[][] = [];
  for (let image = 0; image < images; image++)
    for (let label = 1; label < CLASSES; label++) {
      const found = Array.from({ length: PRIORS }, (_, i) => {
        const prior = [...given.prior!.subarray(i * 4, i * 4 + 4)] as unknown as Box;
        const at = (image * PRIORS + i) * 4;
        const anchor = moves ? decoded(prior, given.arm_loc!, at) : prior;
        const isObject = given.arm_conf![(image * PRIORS + i) * 2 + 1]! >= OBJECT;
        return {
          score: isObject ? given.conf![(image * PRIORS + i) * CLASSES + label]! : 0,
          box: decoded(anchor, given.loc!, at),
        };
      })
        .filter(({ score }) => score > SCORE)
        .sort((a, b) => b.score - a.score);
      const kept: typeof found = [];
      for (const each of found)
        if (kept.every(({ box }) => overlap(box, each.box) <= OVERLAP)) kept.push(each);
      rows.push(...kept.map(({ score, box }) => [image, label, score, ...box]));
    }
  return rows;
}

function draw(images: number): Record<string, Float32Array> {
  const random = seededRandom(images + 5);
  const count = (name: string) => shapes(images)[name]!.reduce((a, b) => a * b);
  const uniform = (name: string, low: number, high: number) =>
    Float32Array.from({ length: count(name) }, () => low + (high - low) * random());
  const prior = new Float32Array(count('prior'));
  for (let i = 0; i < PRIORS; i++) {
    const [x, y, size] = [random() * 0.7, random() * 0.7, 0.2 + 0.1 * random()];
    prior.set([x, y, x + size, y + 0.8 * size], i * 4);
    prior.set(VARIANCES, (PRIORS + i) * 4);
  }
  return {
    prior,
    loc: uniform('loc', -1, 1),
    conf: uniform('conf', 0, 1),
    arm_conf: uniform('arm_conf', 0, 1),
    arm_loc: uniform('arm_loc', -1, 1),
  };
}

for (const device of devices)
  for (const images of [1, 3])
    for (const bottoms of [
      ['loc', 'conf', 'prior', 'arm_conf'],
      ['loc', 'conf', 'prior', 'arm_conf', 'arm_loc'],
    ])
      test(`RefineDet's ${bottoms.length} bottoms of ${images} images give its boxes, on ${device.kind}`, async () => {
        using net = await device.load({ model: netOf(images, bottoms, `objectness_score: ${OBJECT}`) });
        const given = draw(images);
        const expected = refined(given, images, bottoms.length === 5);
        assert.ok(expected.length > images);
        const { det } = await net.run(Object.fromEntries(bottoms.map((name) => [name, given[name]!])));
        assert.equal(det!.shape, [1, 1, expected.length, 7]);
        expected
          .flat()
          .forEach((value, i) =>
            assert.ok(Math.abs(det!.data[i]! - value) < 1e-5, `${i}: ${det!.data[i]}, not ${value}`),
          );
      });

test("a fourth bottom without objectness_score is the picture that SSD's `visualize` shows", async () => {
  const [device] = devices;
  const given = draw(1);
  const run = async (bottoms: readonly string[]) => {
    using net = await device!.load({ model: netOf(1, bottoms, '') });
    const all: Record<string, Float32Array> = { ...given, data: new Float32Array(75) };
    const { det } = await net.run(Object.fromEntries(bottoms.map((name) => [name, all[name]!])));
    return [...det!.data];
  };
  const three = ['loc', 'conf', 'prior'];
  assert.equal(await run([...three, 'data']), await run(three));
});

test("objectness scores without objectness_score are compared with RefineDet's default, 0.01", async () => {
  const given = draw(1);
  const bottoms = ['loc', 'conf', 'prior', 'arm_conf'];
  const run = async (param: string) => {
    using net = await devices[0]!.load({ model: netOf(1, bottoms, param) });
    const { det } = await net.run(Object.fromEntries(bottoms.map((name) => [name, given[name]!])));
    return [...det!.data];
  };
  assert.equal(await run(''), await run('objectness_score: 0.01'));
  assert.not.equal(await run(''), await run(`objectness_score: ${OBJECT}`));
});

test("bottoms that do not fit RefineDet's are refused, with the expected ones", async () => {
  const refusal = async (bottoms: readonly string[], param: string) => {
    try {
      using net = await devices[0]!.load({ model: netOf(1, bottoms, param) });
      return assert.unreachable(`it was accepted: ${net.outputs}`) as never;
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      assert.is(error.code, 'graph/detection-output');
      return error.message;
    }
  };
  const three = ['loc', 'conf', 'prior'];
  assert.match(
    await refusal([...three, 'data'], 'objectness_score: 0.01'),
    /12 priors need 1×24 scores of being an object .*found 1×3×5×5/,
  );
  assert.match(await refusal([...three, 'arm_conf', 'data'], ''), /12 priors need 1×48 locations/);
  assert.match(
    await refusal([...three, 'arm_conf', 'arm_loc'], 'background_label_id: 1'),
    /background_label_id must be 0/,
  );
});

test.run();
