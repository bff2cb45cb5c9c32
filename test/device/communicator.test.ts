/** Several processes compute one sum. If a process dies, the job ends. */
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DeviceError } from '../../ts/base/errors.ts';
import { openCommunicator } from '../../ts/device/communicator.ts';
import { hasMpirun, inProcesses } from '../support/in-processes.ts';

const script = fileURLToPath(new URL('processes/sum.ts', import.meta.url));

const messages = fileURLToPath(new URL('processes/messages.ts', import.meta.url));

if (hasMpirun()) {
  test('two processes get the same sum of arrays that are longer than one message', async () => {
    const { status, stdout, stderr } = await inProcesses(2, script);
    assert.is(status, 0, stderr);
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { rank: number; size: number; first: number[]; same: boolean });
    assert.equal(answers.map(({ rank }) => rank).sort(), [0, 1]);
    for (const { size, first, same } of answers) {
      assert.is(size, 2);
      assert.equal(first, [0, Math.fround(0.1 + 0.2), Math.fround(Math.fround(0.2) + Math.fround(0.4))]);
      assert.ok(same);
    }
  });

  test('if one process dies, the others are ended with a message', async () => {
    const { status, stderr } = await inProcesses(2, script, ['die']);
    assert.is(status, 3);
    assert.match(stderr, /rank 1|exit code/i);
  });

  test('messages arrive complete and in the order in which they were sent, from every process to every other', async () => {
    const { status, stdout, stderr } = await inProcesses(3, messages);
    assert.is(status, 0, stderr);
    assert.equal(JSON.parse(stdout), { 1: [0, 1, 100_000, 70_000_000], 2: [0, 1, 100_000, 70_000_000] });
  });

  test('without a launcher there is a single process, and MPI can be entered once', async () => {
    const communicator = await openCommunicator();
    assert.equal([communicator.rank, communicator.size], [0, 1]);
    assert.equal(await communicator.sum(Float32Array.of(1.5, 2)), Float32Array.of(1.5, 2));
    const nobody = await communicator.receive(0).catch((thrown: unknown) => thrown);
    assert.match((nobody as Error).message, /another of the 1 processes/);
    await communicator.finish();
    const error = await openCommunicator().catch((thrown: unknown) => thrown);
    assert.instance(error, DeviceError);
    assert.match((error as Error).message, /only once per process/);
    assert.instance(
      await communicator.sum(Float32Array.of(1)).catch((thrown: unknown) => thrown),
      DeviceError,
    );
  });
}

test('another kind is refused', async () => {
  const error = await openCommunicator('tcp' as 'mpi').catch((thrown: unknown) => thrown);
  assert.match((error as Error).message, /kind: expected "mpi"/);
});

test.run();
