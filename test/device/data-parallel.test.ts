/** Several processes on the CPU: what they learn together (data-parallel-cases.ts), and what each draws. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testDataParallel } from '../support/data-parallel-cases.ts';
import { hasMpirun, inProcesses } from '../support/in-processes.ts';

if (hasMpirun()) for (const device of ['cpu', 'reference']) testDataParallel(device);

if (hasMpirun())
  test('each process draws its own dropout', async () => {
    const { status, stdout, stderr } = await inProcesses(
      2,
      fileURLToPath(new URL('processes/dropout.ts', import.meta.url)),
    );
    assert.is(status, 0, stderr);
    const [none, one, both] = JSON.parse(stdout) as [number, number, number];
    // Two independent halves give a quarter, a half and a quarter, within four standard deviations.
    for (const [found, expected] of [
      [none, 250],
      [one, 500],
      [both, 250],
    ] as const)
      assert.ok(Math.abs(found - expected) < 64, `${none}, ${one}, ${both}`);
  });

test.run();
