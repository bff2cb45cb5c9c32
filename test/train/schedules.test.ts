import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../ts/base/errors.ts';
import { checkSolver } from '../../ts/caffe/check-solver.ts';
import { readSolver, readSolverFile } from '../../ts/caffe/solver-parameter.ts';
import { Schedule, type ScheduleExtensions } from '../../ts/train/schedules.ts';
import { goldenCases, readJson } from '../support/golden.ts';

const rates = (schedule: Schedule, count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => schedule.rate(from + i));
const settings = (text: string) =>
  checkSolver(readSolver(`net: "n" base_lr: 0.1 max_iter: 500 lr_policy: "multistep" ${text}`, { file: 's' }))
    .parameters;

for (const group of ['solver', 'train']) {
  for (const folder of goldenCases(group)) {
    const { case: name, lr } = readJson<{ case: string; lr?: number[] }>(join(folder, 'manifest.json'));
    if (lr === undefined) continue;
    test(`${group}/${name}: every rate is Caffe's, bit for bit`, () => {
      const { parameters } = checkSolver(readSolverFile(join(folder, 'solver.prototxt')));
      assert.equal(rates(new Schedule(parameters), lr.length), lr);
    });
  }
}

test('the step in a snapshot is where the next run starts', () => {
  const solver = settings('gamma: 0.5 stepvalue: 3 stepvalue: 3 stepvalue: 6');
  const whole = new Schedule(solver);
  const first = rates(whole, 4);
  const step = whole.currentStep;
  assert.is(step, 1);
  assert.equal(rates(new Schedule(solver, {}, step), 6, 4), rates(whole, 6, 4));
  assert.is(first.at(-1), Math.fround(0.05));
});

test('a warm-up is a constant rate, and the policy counts its iterations', () => {
  const warm = new Schedule(settings('gamma: 0.5 stepvalue: 2'), { warmup: { iterations: 3, rate: 0.01 } });
  assert.equal(rates(warm, 5), [0.01, 0.01, 0.01, 0.05, 0.05].map(Math.fround));
  assert.is(warm.currentStep, 1);
  const later = new Schedule(settings('gamma: 0.5 stepvalue: 4'), { warmup: { iterations: 3, rate: 0.01 } });
  assert.equal(rates(later, 5), [0.01, 0.01, 0.01, 0.1, 0.05].map(Math.fround));
});

test('cosine starts with base_lr, has half of it in the middle and ends near 0', () => {
  const cosine = new Schedule(settings(''), { cosine: true });
  assert.is(cosine.rate(0), Math.fround(0.1));
  assert.is(cosine.rate(250), Math.fround(0.05));
  assert.ok(cosine.rate(499) > 0 && cosine.rate(499) < 1e-5);
});

test('an invalid warm-up is refused', () => {
  const solver = settings('');
  for (const warmup of [
    { iterations: -1, rate: 0.1 },
    { iterations: 1.5, rate: 0.1 },
    { iterations: 5, rate: Number.NaN },
    { iterations: 5, rate: -1 },
  ] satisfies ScheduleExtensions['warmup'][])
    assert.throws(
      () => new Schedule(solver, { warmup }),
      (error: Error) => error instanceof ArgumentError,
    );
});

test.run();
