/**
 * `bench --device cuda` on the emulated runtime: every variant of an operation computes the same numbers and has times.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withFigures } from '../../bench/figures.ts';
import { openDevice } from '../../ts/index.ts';
import { benchDevice, problemsOf } from '../../ts/tools/bench/bench-device.ts';
import { compareReports } from '../../ts/tools/bench/compare.ts';
import { devicePage } from '../../ts/tools/bench/device-page.ts';
import { type DeviceReport, deviceTable } from '../../ts/tools/bench/device-report.ts';
import { benchNet } from '../../ts/tools/bench/nets.ts';
import { readReport } from '../../ts/tools/bench/read-report.ts';
import { median } from '../../ts/tools/bench/statistics.ts';
import { openEmulated } from '../support/emulated.ts';

const small = { nets: ['CIFAR-20'], batches: [1], runs: 2, caffe: null, rotatedBytes: 1, copyBytes: 2 ** 16 };

test("ResNet-50's operations are listed once each, with how often it has them", () => {
  const problems = problemsOf([benchNet('ResNet-50')], 1);
  const count = (kind: string) =>
    problems.filter(({ problem }) => problem.kind === kind).reduce((sum, each) => sum + each.count, 0);
  assert.is(count('batchNormScaleRelu'), 53);
  assert.is(count('addRelu'), 16);
  assert.ok(count('convolution') >= 50);
  assert.is(new Set(problems.map(({ problem }) => JSON.stringify(problem))).size, problems.length);
});

const folder = mkdtempSync(join(tmpdir(), 'resnode-device-bench-'));
test.after(() => rmSync(folder, { recursive: true }));

/** A fake Python whose torch gives this output (JSON's null: NaN) and takes 2 ms. */
function fakePython(output: readonly (number | null)[], skippedUpdates = 0): string {
  const file = join(folder, 'python');
  const first = { answer: { output, versions: {}, skippedUpdates }, processorMilliseconds: 0 };
  const run = { answer: { milliseconds: [2, 2], eventLoop: null }, processorMilliseconds: 0 };
  const [one, other] = [first, run].map((answer) => JSON.stringify(answer));
  writeFileSync(file, `#!/bin/sh\ncase "$2" in *firstAnswer*) echo '${one}' ;; *) echo '${other}' ;; esac\n`);
  chmodSync(file, 0o755);
  return file;
}

const device = await openEmulated();
if (device !== null) {
  for (const precision of ['float32', 'float16'] as const)
    test(`all variants of an operation compute the same, in ${precision}`, async () => {
      const soFar: DeviceReport[] = [];
      const onMeasured = (part: DeviceReport) => soFar.push(part);
      const report = await benchDevice(device, {
        ...small,
        task: 'forward',
        precision,
        operations: true,
        onMeasured,
      });
      // If it is killed in the middle, it keeps what was measured before.
      assert.equal(
        soFar.map(({ shapes, nets }) => [shapes.length, nets.length]),
        [...report.shapes.map((_, i) => [i + 1, 0]), [report.shapes.length, 1]],
      );
      assert.equal(soFar.at(-1), report);
      assert.is(report.schema, 'resnode-device-bench/2');
      assert.ok(report.copyGigabytes! > 0);
      const ways = (operation: string) =>
        report.shapes.filter((shape) => shape.operation === operation).map((shape) => shape.ways);
      assert.ok(ways('batchNormScaleRelu').length >= 3 && ways('addRelu').length >= 3);
      for (const list of ways('batchNormScaleRelu')) {
        assert.equal(
          list.map(({ name, launches }) => [name, launches]),
          [
            ['fused', 1],
            ['three launches', 3],
            ["Caffe's schedule, float32", 13],
          ],
        );
        assert.is(list[1]!.bytes, 3 * list[0]!.bytes);
      }
      for (const list of ways('addRelu'))
        assert.equal(
          list.map(({ launches }) => launches),
          [1, 2, 4],
        );
      for (const list of ways('convolution')) assert.match(list[0]!.name, /^fused: /);
      // If a variant computes nothing, or something else, the difference is of the order of the values.
      for (const { name, ways: list } of report.shapes)
        for (const way of list) {
          const rounding = precision === 'float16' && !/Caffe/.test(way.name) ? 4e-3 : 1e-5;
          assert.ok(way.worst <= rounding, `${name}, ${way.name}: ${way.worst}`);
          assert.ok(way.microseconds.length === 2 && way.microseconds.every((time) => time >= 0));
        }
      const [net] = report.nets;
      assert.ok(net!.layerByLayer!.operations > net!.operations!);
      assert.ok(net!.layerByLayer!.difference < (precision === 'float32' ? 1e-4 : 2e-2));
      if (precision === 'float16') await checkReaders(report);
      const text = deviceTable(report);
      assert.match(text, /fused is [\d.]+ times as fast; this flatters Caffe/);
      assert.match(text, /GB\/s +\d+% of copy/);
    });

  test('a training step reports its losses and how many updates were skipped', async () => {
    const report = await benchDevice(device, {
      ...small,
      task: 'training',
      precision: 'float32',
      operations: false,
    });
    const [step] = report.nets;
    assert.is(step!.losses!.length, 4);
    assert.ok(step!.losses!.every(Number.isFinite));
    assert.is(step!.skippedUpdates, 0);
    assert.ok(median(step!.milliseconds) > 0);
    assert.match(deviceTable(report), /training step, float32: .*\n {2}first losses .*; 0 updates skipped/);
  });

  const step = { ...small, task: 'training', precision: 'float32', operations: false } as const;

  test("torch's losses are compared with resnode's, and losses that are not finite or differ are not timed", async () => {
    const own = (await benchDevice(device, step)).nets[0]!.losses!;
    const beside = async (python: string) => {
      const report = await benchDevice(device, { ...step, python, torchDevice: 'cpu' });
      assert.match(deviceTable(report), /\n {2}torch, eager, channels_last: /);
      return report.nets[0]!.peers[0]!;
    };
    const same = await beside(fakePython(own));
    assert.equal([same.refusal, same.milliseconds, same.losses], [null, [2, 2], [...own]]);
    assert.ok(same.difference! <= 1e-6);
    const lost = await beside(fakePython([own[0]!, null, null, null], 3));
    assert.match(lost.refusal!, /^not timed: 3 of its 4 values are not finite$/);
    assert.equal([lost.milliseconds, lost.difference, lost.skippedUpdates], [[], null, 3]);
    const other = await beside(fakePython(own.map((loss) => 2 * loss)));
    assert.match(other.refusal!, /^not timed: its values differ from resnode's by 1\.0 of the largest/);
    assert.equal(other.milliseconds, []);
    const none = await beside(join(folder, 'no-such-python'));
    assert.match(none.refusal!, /^not timed: .*ENOENT/);
  });

  if (process.env.RESNODE_TEST_TORCH === undefined)
    console.log('skipped: RESNODE_TEST_TORCH names no Python that has torch');
  else
    test('a real torch on the CPU computes the same as the device, forward and in training', async () => {
      const torch = { python: process.env.RESNODE_TEST_TORCH!, torchDevice: 'cpu' };
      for (const [task, precision] of [
        ['forward', 'float32'],
        ['forward', 'bfloat16'],
        ['training', 'float32'],
        ['training', 'float16'],
      ] as const) {
        const report = await benchDevice(device, { ...step, ...torch, task, precision });
        const [peer] = report.nets[0]!.peers;
        assert.is(peer!.refusal, null, `${task}, ${precision}`);
        assert.ok(peer!.milliseconds.length === 2 && peer!.milliseconds.every((time) => time > 0));
        if (task === 'training') assert.is(peer!.losses!.length, 5);
      }
    });

  test('an unknown operation is refused', async () => {
    const bench = { n: 1, c: 1, h: 1, w: 1, outputs: 1, kernel: 1, stride: 1, pad: 0, runs: 1, tune: true };
    await device
      .benchOperation({ ...bench, kind: 'pooling' as 'copy', precision: 'float32', rotatedBytes: 0 })
      .then(
        () => assert.unreachable(),
        (error: { code: string; message: string }) => {
          assert.match(error.message, /There is no benchmark of "pooling"/);
        },
      );
  });

  test.after(() => device.dispose());
}

test('a device that is no GPU is refused', async () => {
  using cpu = await openDevice('cpu');
  await benchDevice(cpu, { ...small, task: 'forward', precision: 'float32', operations: true }).then(
    () => assert.unreachable(),
    (error: { code: string }) => assert.is(error.code, 'device/unsupported'),
  );
});

/** A GPU's report passes every reader of reports. */
async function checkReaders(report: DeviceReport): Promise<void> {
  const file = join(folder, 'gpu.json');
  writeFileSync(file, JSON.stringify(report));
  const read = readReport(file);
  assert.equal(read, JSON.parse(JSON.stringify(report)));
  const slower = structuredClone(report) as unknown as { nets: { milliseconds: number[] }[] };
  slower.nets[0]!.milliseconds = report.nets[0]!.milliseconds.map((time) => 10 * time);
  const { comparisons, warnings } = compareReports(report, slower as unknown as DeviceReport);
  assert.equal(warnings, []);
  const ways = report.shapes.reduce((sum, shape) => sum + shape.ways.length, 0);
  assert.is(comparisons.length, ways + 2);
  assert.match(comparisons[0]!.name, /^CIFAR-20, batch 1, float16, resnode$/);
  assert.ok(Math.abs(comparisons[0]!.ratio - 10) < 1e-9);
  const other = { ...report, device: 'Another', description: { ...report.description, memory: '1 GiB' } };
  assert.ok(compareReports(report, other).warnings.length === 2);
  const page = devicePage(report);
  assert.match(page, /class="bars"[\s\S]*resnode, layer by layer[\s\S]*three launches/);
  for (const { name } of report.shapes) assert.ok(page.includes(name.replace(/&/g, '&#38;')), name);
  assert.not.match(page, /<script|NaN|undefined/);
  const begin =
    '<!-- Written by `npm run speed-page` from the files that it names; not to be edited by hand. -->';
  const end = '<!-- The end of what `npm run speed-page` writes. -->';
  const figures = withFigures(`${begin}\n${end}`, ['gpu.json'], pathToFileURL(`${folder}/`));
  assert.match(figures, /\| CIFAR-20, batch 1, float16 \| resnode \| [\d.]+ \| [\d.]+ \| 1\.00 \|/);
}

test.run();
