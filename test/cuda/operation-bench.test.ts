/** `bench --device cuda` on the emulated runtime: every way to compute an operation gives its numbers, times are there. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { benchDevice, problemsOf } from '../../ts/bench/bench-device.ts';
import { deviceTable } from '../../ts/bench/device-report.ts';
import { benchNet } from '../../ts/bench/nets.ts';
import { median } from '../../ts/bench/statistics.ts';
import { openDevice } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';

const small = { nets: ['CIFAR-20'], batches: [1], runs: 2, caffe: null, rotatedBytes: 1, copyBytes: 2 ** 16 };

test("ResNet-50's operations are told once each, with how often it has them", () => {
  const problems = problemsOf([benchNet('ResNet-50')], 1);
  const count = (kind: string) =>
    problems.filter(({ problem }) => problem.kind === kind).reduce((sum, each) => sum + each.count, 0);
  assert.is(count('batchNormScaleRelu'), 53);
  assert.is(count('addRelu'), 16);
  assert.ok(count('convolution') >= 50);
  assert.is(new Set(problems.map(({ problem }) => JSON.stringify(problem))).size, problems.length);
});

const device = await openEmulated();
if (device !== null) {
  for (const precision of ['float32', 'float16'] as const)
    test(`each way of each operation computes the same, in ${precision}`, async () => {
      const report = await benchDevice(device, { ...small, task: 'forward', precision, operations: true });
      assert.is(report.schema, 'resnode-device-bench/1');
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
      // Where a way computes nothing, or something else, the difference is of the order of the values.
      for (const { name, ways: list } of report.shapes)
        for (const way of list) {
          const rounding = precision === 'float16' && !/Caffe/.test(way.name) ? 4e-3 : 1e-5;
          assert.ok(way.worst <= rounding, `${name}, ${way.name}: ${way.worst}`);
          assert.ok(way.microseconds.length === 2 && way.microseconds.every((time) => time >= 0));
        }
      const [net] = report.nets;
      assert.ok(net!.layerByLayer!.operations > net!.operations);
      assert.ok(net!.layerByLayer!.difference < (precision === 'float32' ? 1e-4 : 2e-2));
      const text = deviceTable(report);
      assert.match(text, /fused is [\d.]+ times as fast; that flatters Caffe/);
      assert.match(text, /GB\/s +\d+% of copy/);
    });

  test('a training step says its losses and how many updates were skipped', async () => {
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
    assert.match(deviceTable(report), /training step: .*\n {2}first losses .*; 0 updates skipped/);
  });

  test('an operation that there is not is refused', async () => {
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

test('a device that is no GPU says so', async () => {
  using cpu = await openDevice('cpu');
  await benchDevice(cpu, { ...small, task: 'forward', precision: 'float32', operations: true }).then(
    () => assert.unreachable(),
    (error: { code: string }) => assert.is(error.code, 'device/unsupported'),
  );
});

test.run();
