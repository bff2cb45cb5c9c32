/**
 * DetectionEvaluate: the rows that SSD's code computes from found and true boxes, and the precision that its solver
 * computes from them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PrototxtError } from '../../ts/base/errors.ts';
import { checkSolver } from '../../ts/caffe/check-solver.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import { openDevice, readNet } from '../../ts/index.ts';
import { averagePrecision } from '../../ts/train/detection-precision.ts';
import { detectionOutputs, testNet } from '../../ts/train/test-net.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-evaluate-'));
test.after(() => rmSync(folder, { recursive: true }));
const device = await openDevice('reference');
test.after(() => device.dispose());

const shape = (...dims: number[]) =>
  `input_param { shape { ${dims.map((dim) => `dim: ${dim}`).join(' ')} } }`;
const net = (found: number, truths: number, param: string) =>
  readNet(
    `layer { name: "d" type: "Input" top: "d" ${shape(1, 1, found, 7)} }
layer { name: "t" type: "Input" top: "t" ${shape(1, 1, truths, 8)} }
layer { name: "e" type: "DetectionEvaluate" bottom: "d" bottom: "t" top: "e" detection_evaluate_param { ${param} } }`,
    { file: join(folder, 'net.prototxt') },
  );
async function rowsOf(found: number[][], truths: number[][], param: string): Promise<number[][]> {
  using model = await device.load({ model: net(found.length, truths.length, param) });
  const { e } = await model.run({ d: Float32Array.from(found.flat()), t: Float32Array.from(truths.flat()) });
  assert.equal([e!.shape[0], e!.shape[1], e!.shape[3]], [1, 1, 5]);
  return Array.from({ length: e!.shape[2]! }, (_, i) => [...e!.data.subarray(5 * i, 5 * i + 5)]);
}

const half = [0.25, 0.25, 0.75, 0.75];
const NONE = [-1, -1, -1, -1, -1, -1, -1];
const FOUND = [
  [1, 2, 0.75, ...half], // another image: a class that it does not contain
  [0, 1, 0.25, ...half], // the next one found it before
  [0, 1, 0.5, 0.25, 0.25, 0.75, 0.7],
  [0, 1, 0.125, 0, 0, 0.1, 0.1], // beside it
  [0, 2, 0.5, 0, 0, 0.25, 0.25], // difficult
  NONE,
];
const TRUTHS = [
  [0, 1, 0, ...half, 0],
  [0, 2, 0, 0, 0, 0.25, 0.25, 1],
  [1, 1, 0, ...half, 0],
  [-1, -1, -1, -1, -1, -1, -1, -1],
];

test('rows count the true boxes of each class, then rate found boxes by image, class and score', async () => {
  assert.equal(await rowsOf(FOUND, TRUTHS, 'num_classes: 3 evaluate_difficult_gt: false'), [
    [-1, 1, 2, -1, -1],
    [-1, 2, 0, -1, -1],
    [0, 1, 0.5, 1, 0],
    [0, 1, 0.25, 0, 1],
    [0, 1, 0.125, 0, 1],
    [0, 2, 0.5, 0, 0],
    [1, 2, 0.75, 0, 1],
  ]);
  const difficult = await rowsOf(FOUND, TRUTHS, 'num_classes: 3');
  assert.equal(difficult[1], [-1, 2, 1, -1, -1]);
  assert.equal(difficult[5], [0, 2, 0.5, 1, 0]);
  const strict = await rowsOf(FOUND, TRUTHS, 'num_classes: 3 overlap_threshold: 0.95');
  assert.equal(strict.slice(2, 4), [
    [0, 1, 0.5, 0, 1],
    [0, 1, 0.25, 1, 0],
  ]);
});

test('if nothing is found, the counts of true boxes remain', async () => {
  const nothing = [[0, -1, -1, -1, -1, -1, -1], NONE];
  assert.equal(await rowsOf(nothing, TRUTHS, 'num_classes: 3'), [
    [-1, 1, 2, -1, -1],
    [-1, 2, 1, -1, -1],
  ]);
});

test('name_size_file converts boxes to pixels, which include both ends', async () => {
  writeFileSync(join(folder, 'sizes.txt'), 'a 4 4\nb 400 400\n');
  // 2×2 of 4 pixels, one pixel apart: the overlap is 3·2 of 9 + 9 − 6 if both ends count, 2·1 of 4 + 4 − 2 if not.
  const found = [[0, 1, 0.5, 0.25, 0.25, 0.75, 0.75]];
  const truths = [[0, 1, 0, 0.5, 0.25, 1, 0.75, 0]];
  const param = 'num_classes: 2 overlap_threshold: 0.4';
  assert.equal((await rowsOf(found, truths, param))[1], [0, 1, 0.5, 0, 1]);
  assert.equal((await rowsOf(found, truths, `${param} name_size_file: "sizes.txt"`))[1], [0, 1, 0.5, 1, 0]);
  using model = await device.load({ model: net(1, 1, `${param} name_size_file: "sizes.txt"`) });
  const right: number[] = [];
  for (let i = 0; i < 3; i++) {
    const { e } = await model.run({
      d: Float32Array.from(found.flat()),
      t: Float32Array.from(truths.flat()),
    });
    right.push(e!.data[8]!);
  }
  assert.equal(right, [1, 0, 1], 'sizes follow each other, and begin again');
  writeFileSync(join(folder, 'broken.txt'), 'a 4 4\nb four 4\n');
  await rowsOf(found, truths, `${param} name_size_file: "broken.txt"`).then(
    () => assert.unreachable('it was read'),
    (error: Error) =>
      assert.match(error.message, /broken\.txt:2: expected a name, a height and a width, found "b four 4"/),
  );
});

test('wrong bottoms and fields are refused with their position', async () => {
  for (const [param, words] of [
    ['', /num_classes must be given/],
    ['num_classes: 2 overlap_threshold: 0', /net\.prototxt:3:\d+: .*overlap_threshold must be above 0/],
    ['num_classes: 2 resize_param { resize_mode: FIT_SMALL_SIZE }', /only with resize_mode WARP/],
  ] as const)
    await rowsOf([NONE], TRUTHS, param).then(
      () => assert.unreachable(param),
      (error: Error) => assert.match(error.message, words),
    );
  await rowsOf([[0, 0, 0.5, ...half]], TRUTHS, 'num_classes: 3').then(
    () => assert.unreachable('the background was found'),
    (error: Error) => assert.match(error.message, /class 0, which is background_label_id/),
  );
});

test('a test of the net reports mean average precision over all batches, by ap_version, and for each class if requested', async () => {
  const model = net(1, 2, 'num_classes: 2');
  using loaded = await device.load({ model });
  const truths = [
    [0, 1, 0, ...half, 0],
    [0, 1, 0, 0, 0, 0.2, 0.2, 0],
  ];
  const batches = [
    [0, 1, 0.9, ...half],
    [0, 1, 0.8, 0.8, 0.8, 0.9, 0.9],
    [0, 1, 0.7, 0, 0, 0.2, 0.2],
  ].map((row) => ({ d: Float32Array.from(row), t: Float32Array.from(truths.flat()) }));
  // Right, wrong, right, of six boxes: precision 1 at recall 1/6, 2/3 at 2/6.
  for (const [apVersion, expected] of [
    ['Integral', (1 + 2 / 3) / 6],
    ['MaxIntegral', (1 + 2 / 3) / 6],
    ['11point', (2 * 1 + 2 * (2 / 3)) / 11],
  ] as const) {
    const left = [...batches];
    const source = { shapes: loaded.inputs, next: async () => left.shift()!, dispose: async () => {} };
    const result = await testNet(loaded, source as never, {
      iterations: 3,
      lossWeights: {},
      detections: detectionOutputs(model),
      apVersion,
      perClass: apVersion === '11point',
    });
    assert.is(result!.outputs.length, 1);
    assert.equal(
      result!.outputs[0]!.classes,
      apVersion === '11point' ? [{ label: 1, precision: result!.outputs[0]!.values[0] }] : undefined,
    );
    assert.is(result!.outputs[0]!.name, 'e');
    assert.ok(
      Math.abs(result!.outputs[0]!.values[0]! - expected) < 1e-9,
      `${apVersion}: ${result!.outputs[0]!.values}`,
    );
  }
});

test('MaxIntegral takes the best precision from each recall on, and gives 0 for a class that is never found', () => {
  const found = [false, true, true].map((isRight, i) => ({ score: 1 - i / 10, isRight }));
  assert.ok(Math.abs(averagePrecision(found, 2, 'Integral') - (1 / 2 + 2 / 3) / 2) < 1e-12);
  assert.ok(Math.abs(averagePrecision(found, 2, 'MaxIntegral') - 2 / 3) < 1e-12);
  assert.ok(Math.abs(averagePrecision(found, 2, '11point') - 2 / 3) < 1e-12);
  assert.is(averagePrecision([], 3, '11point'), 0);
});

test("SSD's fields of the solver are read, and other values for them refused", () => {
  const solver = (more: string) =>
    checkSolver(
      readSolver(`net: "n.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 ${more}`, {
        file: 'solver.prototxt',
      }),
    ).parameters;
  assert.is(solver('').ap_version, 'Integral');
  assert.is(
    solver('eval_type: "detection" ap_version: "11point" show_per_class_result: true').ap_version,
    '11point',
  );
  for (const more of ['eval_type: "detect"', 'ap_version: "11points"'])
    assert.throws(
      () => solver(more),
      (error: Error) => error instanceof PrototxtError && /did you mean/.test(error.message),
    );
});

test.run();
