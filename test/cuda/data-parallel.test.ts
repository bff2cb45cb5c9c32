/**
 * Several processes with one GPU each and NCCL: on emulated GPUs, with a fake NCCL (host/libraries/fake-nccl.cc) that
 * averages when a lazy stream reaches it, also in replayed graphs.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testDataParallel, trainIn } from '../support/data-parallel-cases.ts';
import { emulatedBuild } from '../support/emulated.ts';
import { hasMpirun, inProcesses } from '../support/in-processes.ts';

const library = emulatedBuild('resnode_cuda');
const nccl = emulatedBuild('fake-nccl');
if (library !== null && nccl !== null && hasMpirun()) {
  const environment = {
    RESNODE_EMULATED_STREAMS: 'lazy',
    RESNODE_EMULATED_DEVICES: '2',
    RESNODE_NCCL: nccl,
  };
  const folder = dirname(library);
  testDataParallel('cuda', [folder], environment);

  /** Every process's last message, by rank. */
  async function failures(kind: string, more: NodeJS.ProcessEnv) {
    const { status, stdout, stderr } = await trainIn(2, [kind, 'synchronised', folder], {
      ...environment,
      ...more,
    });
    assert.is(status, 1, `${stdout}${stderr}`);
    const said = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { rank: number; device: string; code: string; message: string });
    return said.sort((a, b) => a.rank - b.rank);
  }

  test('two processes on one GPU get an error before NCCL is called', async () => {
    const said = await failures('cuda:1', {});
    assert.equal(
      said.map(({ device, code }) => [device, code]),
      [
        ['cuda:1', 'communicator/unavailable'],
        ['cuda:1', 'communicator/unavailable'],
      ],
    );
    for (const { message } of said)
      assert.match(message, /Processes 0 and 1 both have cuda:1 \(Emulated GPU\), and each needs its own/);
  });

  test('without NCCL each process reports what was looked for and how to install it', async () => {
    for (const { code, message } of await failures('cuda', { RESNODE_NCCL: '/nowhere/libnccl.so.2' })) {
      assert.is(code, 'communicator/unavailable');
      assert.match(
        message,
        /pip install nvidia-nccl-cu13.*Tried:\n {2}\/nowhere\/libnccl\.so\.2: no such file/s,
      );
    }
  });

  test('a process that aborts its first pass, during it or before it, leaves none waiting: the others get the reason', async () => {
    const script = fileURLToPath(new URL('processes/leave.ts', import.meta.url));
    for (const when of ['during', 'before']) {
      const { status, stdout, stderr } = await inProcesses(2, script, [when, folder], environment);
      assert.is(status, 0, `${when}: ${stdout}${stderr}`);
      const said = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<'rank' | 'iteration' | 'code' | 'message', string | number>)
        .map(({ rank, iteration, code, message }) => [`${rank}, pass ${iteration}: ${code ?? ''}`, message]);
      const messages = Object.fromEntries(said) as Record<string, string>;
      assert.match(messages['1, pass 0: '] ?? '', /^enough$/, stdout);
      const other = messages['0, pass 0: communicator/failed'] ?? '';
      assert.match(
        other,
        /process 1 left a pass: (layer "pause": )?The run was aborted\. Resume from the last snapshot/,
        stdout,
      );
      assert.match(messages['0, pass 1: communicator/failed'] ?? '', 'process 1 left a pass', stdout);
    }
  });

  test('a process whose GPU lacks the memory leaves none waiting: the others learn that it ended', async () => {
    const script = fileURLToPath(new URL('processes/no-memory.ts', import.meta.url));
    const { status, stdout, stderr } = await inProcesses(2, script, [folder], environment);
    assert.is(status, 0, `${stdout}${stderr}`);
    const said = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<'rank' | 'code' | 'message', string | number>)
      .sort((a, b) => Number(a.rank) - Number(b.rank));
    assert.equal(
      said.map(({ code }) => code),
      ['communicator/other-failed', 'device/out-of-memory'],
    );
    assert.match(`${said[0]!.message}`, /^Process 1 of 2 ended its run/);
  });

  test('the loss of a process is an error for the others, not an endless wait: in the first step, and in a replayed one', async () => {
    // A step has 27: for diffs, and for the statistics of its BatchNorms, forward and backward.
    for (const number of ['1', '40']) {
      const said = await failures('cuda', { RESNODE_FAKE_NCCL_LOSE: number });
      assert.equal(
        said.map(({ device, code }) => [device, code]),
        [
          ['cuda:0', 'communicator/failed'],
          ['cuda:1', 'communicator/failed'],
        ],
      );
      for (const { message } of said)
        assert.match(message, /lost each other: remote process exited .*last snapshot/);
    }
  });
}

test.run();
