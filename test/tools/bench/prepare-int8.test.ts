/** What the engines need in int8: ranges with which the net's result stays near that in float32, and a Python for the peer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../../ts/index.ts';
import { findEngines } from '../../../ts/tools/bench/engines.ts';
import { benchNet } from '../../../ts/tools/bench/nets.ts';
import { prepare } from '../../../ts/tools/bench/prepare.ts';
import { prepareInt8 } from '../../../ts/tools/bench/prepare-int8.ts';
import { readFloats } from '../../../ts/tools/bench/read-floats.ts';
import { findDifference } from '../../../ts/tools/bench/run-bench.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-prepare-int8-'));
test.after(() => rmSync(folder, { recursive: true }));

test('with the ranges of its own input a net gives nearly the same result in int8', async () => {
  const net = benchNet('CIFAR-20');
  prepare(net, [2], folder, 'TEST');
  await prepareInt8(net, 2, folder, null);
  const file = (suffix: string) => join(folder, `CIFAR-20${suffix}`);
  const load = { model: file('.prototxt'), weights: file('.caffemodel'), batch: 2 };
  await using device = await openDevice('cpu', { threads: 2 });
  await using exact = await device.load(load);
  await using narrow = await device.load({
    ...load,
    precision: 'int8',
    calibration: file('.calibration.json'),
  });
  const implementations = narrow.plan().operations.map(({ implementation }) => implementation);
  assert.ok(implementations.some((each) => each.startsWith('int8')));
  const data = readFloats(file('-2.f32'));
  const run = async (model: typeof exact) => [...(await model.run({ data })).prob!.data];
  assert.is(findDifference('forward', await run(narrow), await run(exact), 0.2), null);
});

test('onnxruntime-node takes part in int8 only, and not without a Python that can quantize', () => {
  const named = (python: string | null, precision: 'float32' | 'int8') =>
    findEngines(python, precision).find(({ name }) => name === 'onnxruntime-node int8');
  assert.is(named(null, 'float32'), undefined);
  assert.match(named(null, 'int8')!.absent!, '--python');
  assert.match(named('/no/python', 'int8')!.absent!, '/no/python');
});

test.run();
