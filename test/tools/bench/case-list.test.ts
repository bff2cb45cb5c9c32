/** The timed operations are those of the nets, and compute the same as the reference loops. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileOperation } from '../../../ts/device/ops.ts';
import { openDevice } from '../../../ts/index.ts';
import { caseList } from '../../../ts/tools/bench/case-list.ts';
import { benchNet } from '../../../ts/tools/bench/nets.ts';
import { difference } from '../../../ts/tools/parity/difference.ts';

test("the convolutions are ResNet-50's 53, and their arithmetic adds up to that of the net as it runs", () => {
  const cases = caseList([benchNet('ResNet-50')], 1);
  const convolutions = cases.filter(({ name }) => name.startsWith('convolution'));
  const count = ({ nets }: { nets: readonly string[] }) => Number(/^(\d+) in ResNet-50$/.exec(nets[0]!)![1]);
  assert.is(
    convolutions.reduce((sum, each) => sum + count(each), 0),
    53,
  );
  const macs = cases.reduce((sum, each) => sum + each.macs * count(each), 0);
  // 3.86 GMAC as published; 3.48 after the strides have moved up (decision 4 of the design).
  assert.ok(Math.abs(macs / 3.48e9 - 1) < 0.005, `${macs}`);
});

test('each operation of CIFAR-20 on the CPU device equals the reference within 1e-5', async () => {
  await using cpu = await openDevice('cpu', { threads: 2 });
  await using reference = await openDevice('reference');
  const cases = caseList([benchNet('CIFAR-20')], 2);
  assert.ok(cases.length > 15, `${cases.length} cases`);
  for (const { name, make } of cases) {
    const operation = make();
    const inputs = Object.fromEntries(Object.entries(operation.inputs).map(([key, { data }]) => [key, data]));
    const [actual, expected] = await Promise.all(
      [cpu, reference].map(async (device) => {
        await using model = await compileOperation(device, operation);
        return Object.values(await model.run(inputs))[0]!.data;
      }),
    );
    const { ok, relative } = difference(actual!, expected!, 5e-7);
    assert.ok(ok || relative < 1e-5, `${name}: ${relative}`);
  }
});

test.run();
