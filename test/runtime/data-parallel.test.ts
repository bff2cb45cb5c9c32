/** Two processes with half a batch each learn what one learns with the whole. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { difference } from '../../ts/parity/difference.ts';
import { hasMpirun, inProcesses } from '../support/in-processes.ts';

const script = fileURLToPath(new URL('processes/train.ts', import.meta.url));

async function train(processes: number, ...words: string[]) {
  const { status, stdout, stderr } = await inProcesses(processes, script, words);
  assert.is(status, 0, stderr);
  const { same, values } = JSON.parse(stdout) as { same: boolean; values: Record<string, string> };
  assert.ok(same, 'the processes have different weights');
  const floats = (text: string) => {
    const bytes = Buffer.from(text, 'base64');
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  };
  return new Map(Object.entries(values).map(([name, text]) => [name, floats(text)]));
}

if (hasMpirun())
  for (const device of ['cpu', 'reference'])
    for (const mode of ['frozen', 'synchronised'])
      test(`${mode} BatchNorm on the ${device} device: the same weights within what the order of a sum changes`, async () => {
        const [one, two] = [await train(1, device, mode), await train(2, device, mode)];
        assert.equal([...one.keys()], [...two.keys()]);
        for (const [name, expected] of one) {
          const { relative } = difference(two.get(name)!, expected);
          assert.ok(relative < 2e-5, `${name}: ${relative}`);
        }
        // Running sums are equal too: without synchronising they would be those of half a batch.
        assert.ok(one.has('bn_conv1/0'));
      });

if (hasMpirun())
  test('each process drops for itself', async () => {
    const { status, stdout, stderr } = await inProcesses(
      2,
      fileURLToPath(new URL('processes/dropout.ts', import.meta.url)),
    );
    assert.is(status, 0, stderr);
    const [none, one, both] = JSON.parse(stdout) as [number, number, number];
    // Of two independent halves: a quarter, a half and a quarter, within four standard deviations.
    for (const [found, expected] of [
      [none, 250],
      [one, 500],
      [both, 250],
    ] as const)
      assert.ok(Math.abs(found - expected) < 64, `${none}, ${one}, ${both}`);
  });

test.run();
