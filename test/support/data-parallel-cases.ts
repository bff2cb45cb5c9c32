/** Two processes with half a batch each learn the same as one process with the whole batch. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { difference } from '../../ts/tools/parity/difference.ts';
import { inProcesses } from './in-processes.ts';

const script = fileURLToPath(new URL('../device/processes/train.ts', import.meta.url));

/** Runs processes/train.ts. */
export const trainIn = (processes: number, words: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
  inProcesses(processes, script, words, environment);

async function weightsOf(processes: number, words: readonly string[], environment: NodeJS.ProcessEnv) {
  const { status, stdout, stderr } = await trainIn(processes, words, environment);
  assert.is(status, 0, `${stdout}${stderr}`);
  const { same, values } = JSON.parse(stdout) as { same: boolean; values: Record<string, string> };
  assert.ok(same, 'the processes have different weights');
  const floats = (text: string) => {
    const bytes = Buffer.from(text, 'base64');
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  };
  return new Map(Object.entries(values).map(([name, text]) => [name, floats(text)]));
}

/** @param words - The arguments of processes/train.ts after the device and BatchNorm's mode. */
export function testDataParallel(
  device: string,
  words: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): void {
  for (const mode of ['frozen', 'synchronised'])
    test(`${mode} BatchNorm on the ${device} device: the same weights, up to the order of a sum`, async () => {
      const all = [device, mode, ...words];
      const [one, two] = [await weightsOf(1, all, environment), await weightsOf(2, all, environment)];
      assert.equal([...one.keys()], [...two.keys()]);
      for (const [name, expected] of one) {
        const { relative } = difference(two.get(name)!, expected);
        assert.ok(relative < 2e-5, `${name}: ${relative}`);
      }
      // Moving sums are equal, too; without synchronisation they would be those of half a batch.
      assert.ok(one.has('bn_conv1/0'));
    });
}
