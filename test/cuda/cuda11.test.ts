/**
 * The CUDA library for older drivers: which of the two libraries is opened. If CUDA 11.8's headers are available
 * (build/cuda-11.8 of scripts/install-cuda-11.8.sh, or RESNODE_CUDA11_INCLUDE), the same sources are also compiled
 * against them for the emulated runtime.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { devices, openDevice } from '../../ts/index.ts';
import { loadBinding } from '../../ts/native/load.ts';
import { repositoryFolder } from '../support/golden.ts';

const CURRENT = 'libresnode_cuda.so';
const OLDER = 'libresnode_cuda11.so';

/** The library that is opened if there is a driver for CUDA `driver` (null: none) and these `libraries`. */
function chosen(driver: number | null, libraries: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-cuda11-'));
  const compile = (name: string, source: string) => {
    writeFileSync(join(folder, 'source.c'), source);
    const words = ['-shared', '-fPIC', '-o', join(folder, name), join(folder, 'source.c')];
    assert.is(spawnSync('cc', words).status, 0, name);
  };
  for (const name of libraries) {
    const needed = name === OLDER ? 11000 : 13000;
    compile(name, `int resnode_needed_driver(void) { return ${needed}; }\n`);
  }
  if (driver !== null)
    compile('libcuda.so.1', `int cuDriverGetVersion(int *version) { *version = ${driver}; return 0; }\n`);
  // The loader reads its path when a process starts.
  const addon = JSON.stringify(loadBinding().path);
  const script = `console.log(require(${addon}).listDevices('cuda', ${JSON.stringify(folder)}).problem)`;
  const run = spawnSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    env: { ...process.env, LD_LIBRARY_PATH: folder },
  });
  rmSync(folder, { recursive: true });
  // The fake libraries list no devices, and the message names the one that was opened.
  return /(libresnode_cuda\d*\.so)\b/.exec(run.stdout)?.[1] ?? run.stdout + run.stderr;
}

test('a current driver gets the current library, an older one the other, and without a driver the first is opened', () => {
  const both = [CURRENT, OLDER];
  assert.is(chosen(13000, both), CURRENT);
  assert.is(chosen(13020, both), CURRENT);
  assert.is(chosen(12080, both), OLDER);
  assert.is(chosen(11000, both), OLDER);
  assert.is(chosen(null, both), CURRENT);
});

test('if there is only one library, it is opened, and reports which driver it needs', () => {
  assert.is(chosen(12020, [CURRENT]), CURRENT);
  assert.is(chosen(13000, [OLDER]), OLDER);
  assert.is(chosen(12020, []), CURRENT);
});

const include = process.env.RESNODE_CUDA11_INCLUDE ?? join(repositoryFolder, 'build/cuda-11.8/include');
if (!existsSync(join(include, 'cuda_runtime_api.h'))) {
  console.log(
    "skipped: CUDA 11.8's headers are not here (scripts/install-cuda-11.8.sh puts them into build/cuda-11.8)",
  );
} else {
  const build = join(repositoryFolder, 'build/emulated11');
  const cmake = (...words: string[]) => {
    const run = spawnSync('cmake', words, { encoding: 'utf8', maxBuffer: 1 << 26 });
    assert.is(run.status, 0, `${run.stdout}${run.stderr}`.slice(-4000));
  };
  const configured = ['-S', join(repositoryFolder, 'test/cuda'), '-B', build];

  test('the sources compile against CUDA 11.8, and the library opens and runs a net', async () => {
    cmake(...configured, `-DRESNODE_CUDA_INCLUDE=${include}`, '-DRESNODE_OWN_HOST=ON');
    cmake('--build', build, '--target', 'resnode_cuda', '--parallel', '2');
    const libraryFolder = join(build, 'emulated');
    const found = devices({ libraryFolder });
    assert.is(found.runtime, '11.8');
    assert.is(found.library, join(libraryFolder, CURRENT));
    await using device = await openDevice('cuda', { libraryFolder, cudnn: false, tune: false });
    using model = await device.load({ model: join(repositoryFolder, 'examples/fashion/deploy.prototxt') });
    const [name] = Object.keys(model.inputs);
    const shape = model.inputs[name!]!;
    const input = new Float32Array(elementCount(shape)).fill(0.5);
    const [output] = Object.values(await model.run({ [name!]: input }));
    const sum = output!.data.reduce((total, value) => total + value, 0);
    assert.ok(Math.abs(sum - 1) < 1e-4, String(sum));
  });

  if (process.env.RESNODE_TEST_CUDA11_KERNELS)
    for (const target of ['kernel-tests', 'plain-kernel-tests'])
      test(`every kernel case passes there too: ${target}`, () => {
        cmake('--build', build, '--target', target, '--parallel', '2');
        const run = spawnSync(join(build, target), { encoding: 'utf8', maxBuffer: 1 << 26 });
        assert.match(run.stdout, /\d+ passed, 0 failed/);
        assert.is(run.status, 0);
      });
  else console.log('skipped: the kernel cases against CUDA 11.8 (RESNODE_TEST_CUDA11_KERNELS=1 runs them)');
}

test.run();
