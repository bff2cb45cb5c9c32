/** Two reports: what changed, and what is only noise. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../../ts/base/errors.ts';
import { compareReports } from '../../../ts/tools/bench/compare.ts';
import type { Report, Result } from '../../../ts/tools/bench/report.ts';

const result = (quiet: number[][], batch = 1, task: Result['task'] = 'forward'): Result => ({
  task,
  engine: 'resnode',
  net: 'ResNet-50',
  batch,
  macs: 3.5e9,
  quiet,
  busy: null,
  eventLoop: null,
  firstAnswer: [400],
  peakBytes: 2e8,
});

const report = (results: Result[], changes: Partial<Report> = {}): Report => ({
  schema: 'resnode-bench/3',
  date: '2026-11-25T00:00:00Z',
  commit: null,
  machine: { processor: 'A', flags: [], cores: 2, memoryBytes: 1, system: 'linux', governor: null, load: 0 },
  othersCores: { mean: 0, max: 0 },
  versions: {},
  settings: { threads: 2, precision: 'float32', rounds: 3 },
  sgemmGflops: 200,
  bandwidth: 20,
  absent: [],
  results,
  operations: null,
  caffe: [],
  ...changes,
});

const steady = [
  [30, 30.1, 29.9],
  [30.2, 30, 30],
  [29.9, 30, 30.1],
];
const times = (factor: number, rounds: number[][]) =>
  rounds.map((round) => round.map((each) => factor * each));

test('a change beyond the noise has a direction', () => {
  const verdict = (factor: number) =>
    compareReports(report([result(steady)]), report([result(times(factor, steady))])).comparisons[0]!;
  assert.is(verdict(0.8).verdict, 'faster');
  assert.is(verdict(1.25).verdict, 'slower');
  assert.ok(Math.abs(verdict(1.25).ratio - 1.25) < 1e-9);
  assert.is(verdict(1.01).verdict, 'same within noise');
});

test('a small change is noise if the rounds differ much among themselves', () => {
  const restless = [[30], [36], [27]];
  const { comparisons } = compareReports(report([result(restless)]), report([result(times(1.15, restless))]));
  assert.is(comparisons[0]!.verdict, 'same within noise');
  assert.ok(comparisons[0]!.noise > 0.15);
});

test('operations are compared by name and batch size; those that one report lacks are left out', () => {
  const time = { name: 'softmax, 1000', nets: [], implementation: 'x', macs: 0, bytes: 1, candidates: [] };
  const operations = (milliseconds: number[]) => ({ batch: 1, times: [{ ...time, milliseconds }] });
  const { comparisons } = compareReports(
    report([result(steady, 8)], { operations: operations([1, 1, 1]) }),
    report([result(steady, 1)], { operations: operations([2, 2, 2]) }),
  );
  assert.equal(
    comparisons.map(({ name, verdict }) => [name, verdict]),
    [['softmax, 1000, batch 1', 'slower']],
  );
  assert.throws(
    () => compareReports(report([result(steady, 8)]), report([result(steady, 1)])),
    (error: unknown) => error instanceof ArgumentError,
  );
});

test('other machines, other thread counts, disturbed runs and a changed machine give warnings', () => {
  const other = report([result(steady)], {
    machine: { ...report([]).machine, processor: 'B' },
    settings: { threads: 4, precision: 'float32', rounds: 3 },
    othersCores: { mean: 0.5, max: 1.2 },
    sgemmGflops: 150,
  });
  const { warnings } = compareReports(report([result(steady)]), other);
  assert.is(warnings.length, 4);
  assert.match(
    warnings.join('\n'),
    /processors differ: A and B\nthread counts differ: 2 and 4\n.*1\.20 cores.*\n.*200 and 150/,
  );
  assert.equal(compareReports(report([result(steady)]), report([result(steady)])).warnings, []);
});

test('a training step is not compared with a forward run', () => {
  const both = (factor: number) =>
    report([result(times(factor, steady)), result(times(3 * factor * factor, steady), 1, 'training')]);
  const { comparisons } = compareReports(both(1), both(0.5));
  assert.equal(
    comparisons.map(({ name, ratio }) => [name, Number(ratio.toFixed(2))]),
    [
      ['ResNet-50, batch 1, resnode', 0.5],
      ['ResNet-50, batch 1, training step, resnode', 0.25],
    ],
  );
});

test.run();
