/** Reports that were written with earlier schemas are read as today's; what is no report is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareReports } from '../../ts/bench/compare.ts';
import { readReport } from '../../ts/bench/read-report.ts';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-report-'));
test.after(() => rmSync(folder, { recursive: true }));
const file = (text: string) => {
  writeFileSync(join(folder, 'a.json'), text);
  return join(folder, 'a.json');
};
const recorded = (name: string) => join(repositoryFolder, 'bench/results', name);

test('a file that is no report is refused with what was found', () => {
  const refused = (text: string, pattern: RegExp) => assert.throws(() => readReport(file(text)), pattern);
  refused('{', /a\.json: expected a report of schema resnode-bench\/3, .*, found/);
  refused('{"schema":"resnode-bench/4"}', /found schema "resnode-bench\/4"/);
  refused('{"schema":"toString","results":[]}', /found schema "toString"/);
  refused('[]', /found schema undefined/);
  refused('null', /found schema undefined/);
  refused('{"schema":"resnode-bench/1"}', /found no results/);
  assert.throws(() => readReport(join(folder, 'none.json')), /ENOENT/);
});

test('before training came into the runner a result was forward, and an operation had one candidate', () => {
  const time = { name: 'softmax', nets: [], implementation: 'x', macs: 0, bytes: 8, milliseconds: [1, 2] };
  const caffe = { net: 'ResNet-50', batch: 1, time: { averageForward: 3 }, recordedOn: null };
  const old = {
    schema: 'resnode-bench/2',
    bandwidth: 20,
    results: [{ engine: 'resnode', net: 'ResNet-50', batch: 1, quiet: [[1]] }],
    operations: { batch: 1, times: [time] },
    caffe: [caffe],
  };
  const report = readReport(file(JSON.stringify(old)));
  assert.equal(report.results, [{ task: 'forward', ...old.results[0] }]);
  assert.equal(report.caffe, [{ task: 'forward', ...caffe }]);
  assert.equal(report.operations!.times, [
    { ...time, candidates: [{ implementation: 'x', milliseconds: [1, 2] }] },
  ]);
  assert.is(readReport(file(JSON.stringify({ ...old, operations: null }))).operations, null);
});

test('the recorded runs of the first schemas are read', () => {
  const first = readReport(recorded('2026-11-24-amd-epyc-resnet-50.json'));
  assert.equal(
    first.results.map(({ task, engine, batch }) => `${task} ${engine} ${batch}`),
    ['forward resnode 1', 'forward onnxruntime-node 1', 'forward resnode 8', 'forward onnxruntime-node 8'],
  );
  assert.equal([first.bandwidth, first.operations, first.caffe], [null, null, []]);
  const steps = readReport(recorded('2026-11-25-amd-epyc-train-step.json'));
  assert.equal(
    steps.results.map(({ task, net, engine, quiet }) => `${task} ${net} ${engine} ${quiet.flat().length}`),
    ['ResNet-50', 'CIFAR-20'].flatMap((net) =>
      ['resnode', 'torch', 'torch channels_last'].map((engine) => `training ${net} ${engine} 16`),
    ),
  );
  assert.ok(compareReports(steps, steps).comparisons.every(({ ratio }) => ratio === 1));
});

test.run();
