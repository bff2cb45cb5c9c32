/** The memory of a GPU in a list: the driver's management library knows it without a context, except that of MIG's instances. */
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emulatedBuild } from '../support/emulated.ts';

const library = emulatedBuild('resnode_cuda');
const nvml = emulatedBuild('fake-nvml');
if (library !== null && nvml !== null) {
  const GPU = 4 * 2 ** 30;
  const script = fileURLToPath(new URL('processes/list.ts', import.meta.url));
  const memoryWith = (bytes: number) => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, dirname(library)], {
      encoding: 'utf8',
      env: {
        ...process.env,
        LD_LIBRARY_PATH: dirname(nvml),
        RESNODE_EMULATED_BYTES: String(GPU),
        RESNODE_FAKE_NVML_BYTES: String(bytes),
      },
    });
    assert.ok(stdout, stderr);
    return JSON.parse(stdout) as { free: number; total: number };
  };

  test('the whole GPU, with what the driver reserves', () => {
    const bytes = 1.02 * GPU;
    assert.equal(memoryWith(bytes), { free: Math.floor(bytes / 2), total: Math.floor(bytes) });
  });

  test('an instance of a GPU has its own memory, not that of the GPU', () => {
    assert.equal(memoryWith(7 * GPU), { free: GPU, total: GPU });
  });
}

test.run();
