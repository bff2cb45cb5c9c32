/** Reports in earlier schemas are read as current ones; a file that is no report is refused. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareReports } from '../../../ts/tools/bench/compare.ts';
import { isDeviceReport, type RecordedReport, readReport } from '../../../ts/tools/bench/read-report.ts';
import { repositoryFolder } from '../../support/golden.ts';

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
  refused('null', /this is text; here a JSON file is needed/);
  refused('{"schema":"resnode-bench/1"}', /found no results/);
  refused('{"schema":"resnode-bench/3","results":[{}]}', /found one that is damaged/);
  refused('{"schema":"resnode-device-bench/2","shapes":[]}', /found one that is damaged/);
  refused(
    '{"schema":"resnode-device-bench/2","nets":[{"peers":[]}],"shapes":[]}',
    /times that are not numbers/,
  );
  refused('{"format":"resnode-gpu-check/1"}', /found one that is damaged/);
  refused('{"format":"resnode-gpu-bench/1","device":null}', /found one that is damaged/);
  assert.throws(() => readReport(join(folder, 'none.json')), /there is no such file/);
});

test('in reports from before training was timed, results are forward and operations have one candidate', () => {
  const time = { name: 'softmax', nets: [], implementation: 'x', macs: 0, bytes: 8, milliseconds: [1, 2] };
  const caffe = { net: 'ResNet-50', batch: 1, time: { averageForward: 3 }, recordedOn: null };
  const old = {
    schema: 'resnode-bench/2',
    bandwidth: 20,
    results: [{ engine: 'resnode', net: 'ResNet-50', batch: 1, quiet: [[1]] }],
    operations: { batch: 1, times: [time] },
    caffe: [caffe],
  };
  const report = readReport(file(JSON.stringify(old))) as RecordedReport;
  assert.equal(report.results, [{ task: 'forward', ...old.results[0] }]);
  assert.equal(report.caffe, [{ task: 'forward', ...caffe }]);
  assert.equal(report.operations!.times, [
    { ...time, candidates: [{ implementation: 'x', milliseconds: [1, 2] }] },
  ]);
  assert.is(
    (readReport(file(JSON.stringify({ ...old, operations: null }))) as RecordedReport).operations,
    null,
  );
});

test('the recorded runs in the first schemas are read', () => {
  const first = readReport(recorded('2026-11-24-amd-epyc-resnet-50.json')) as RecordedReport;
  assert.equal(
    first.results.map(({ task, engine, batch }) => `${task} ${engine} ${batch}`),
    ['forward resnode 1', 'forward onnxruntime-node 1', 'forward resnode 8', 'forward onnxruntime-node 8'],
  );
  assert.equal([first.bandwidth, first.operations, first.caffe], [null, null, []]);
  const steps = readReport(recorded('2026-11-25-amd-epyc-train-step.json')) as RecordedReport;
  assert.equal(
    steps.results.map(({ task, net, engine, quiet }) => `${task} ${net} ${engine} ${quiet.flat().length}`),
    ['ResNet-50', 'CIFAR-20'].flatMap((net) =>
      ['resnode', 'torch', 'torch channels_last'].map((engine) => `training ${net} ${engine} 16`),
    ),
  );
  assert.ok(compareReports(steps, steps).comparisons.every(({ ratio }) => ratio === 1));
});

test("a GPU's recorded run is read with each engine, and compared with itself", () => {
  const report = readReport(recorded('2026-11-27-nvidia-h200.json'));
  assert.ok(isDeviceReport(report));
  assert.is(report.device, 'NVIDIA H200');
  assert.equal(
    report.nets.map(({ task, net, batch, precision, peers }) =>
      [task, net, batch, precision, ...peers.map(({ engine }) => engine)].join(' '),
    ),
    [
      'training ResNet-50 256 float16 torch amp torch compile',
      'forward ResNet-50 256 float16 torch amp',
      'forward ResNet-50 1 float16 torch amp',
    ],
  );
  // With both peers, resnode has two times.
  assert.is(report.nets[0]!.milliseconds.length, 6);
  const { comparisons, warnings } = compareReports(report, report);
  assert.is(comparisons.length, 14);
  assert.ok(comparisons.every(({ verdict }) => verdict === 'same within noise'));
  assert.equal(warnings, []);
});

test("gpu-check's steps are read together and one by one; a refused engine keeps its reason", () => {
  const spread = { p10: 4, median: 5, p90: 6, count: 3 };
  const at = { depth: 50, batch: 8, precision: 'float16', train: true };
  const rows = [
    {
      ...at,
      engine: 'resnode',
      latency: spread,
      throughputMilliseconds: spread,
      losses: [7, 6.9],
      skippedUpdates: 0,
    },
    {
      ...at,
      engine: 'torch amp',
      reason: 'not timed: 1 of its 2 values',
      losses: [7, 'NaN'],
      skippedUpdates: 1,
    },
    { ...at, implementations: {} },
  ];
  const facts = { 'CUDA device': 'NVIDIA H100', driver: '580' };
  const step = { name: 'training', result: { rows } };
  const device = { name: 'device', result: { commit: 'abc', facts } };
  const variants = { name: 'variants', result: { rows: rows.slice(0, 1) } };
  const skipped = { name: 'operations', status: 'skipped', reason: 'no GPU' };
  const check = {
    format: 'resnode-gpu-check/1',
    date: '2026-11-28',
    steps: [device, step, variants, skipped],
  };
  const whole = readReport(file(JSON.stringify(check)));
  assert.ok(isDeviceReport(whole));
  assert.equal([whole.device, whole.commit], ['NVIDIA H100', 'abc']);
  assert.equal(
    whole.nets.map(({ net }) => net),
    ['ResNet-50', 'ResNet-50 without cuDNN'],
  );
  const [peer] = whole.nets[0]!.peers;
  assert.is(peer!.refusal, 'not timed: 1 of its 2 values');
  assert.equal(peer!.losses, [7, Number.NaN]);
  assert.is(peer!.skippedUpdates, 1);
  const single = {
    format: 'resnode-gpu-check-step/1',
    date: '2026-11-28',
    commit: 'abc',
    machine: facts,
    ...step,
  };
  const alone = readReport(file(JSON.stringify(single)));
  assert.ok(isDeviceReport(alone));
  assert.equal(alone.nets, whole.nets.slice(0, 1));
});

test("a CPU's report is not compared with a GPU's", () => {
  const [processor, gpu] = ['2026-11-27-amd-epyc-forward.json', '2026-11-27-nvidia-h200.json'].map((name) =>
    readReport(recorded(name)),
  );
  assert.throws(
    () => compareReports(processor!, gpu!),
    /two reports of the CPU, or two of a GPU.*resnode-bench\/3 and resnode-device-bench\/2/,
  );
});

test.run();
