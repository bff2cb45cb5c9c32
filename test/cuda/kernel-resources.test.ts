/** What ptxas reports for the compiled kernels: registers and shared memory are printed, and spills fail. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-ptxas-'));
test.after(() => rmSync(folder, { recursive: true }));
const resources = (...commandLine: string[]) =>
  spawnSync(process.execPath, [join(repositoryFolder, 'scripts/kernel-resources.mjs'), ...commandLine], {
    encoding: 'utf8',
  });
const entry = (name: string, spills: number) => `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '${name}' for 'sm_90'
ptxas info    : Function properties for ${name}
    16 bytes stack frame, ${spills} bytes spill stores, ${spills} bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 4224 bytes smem
`;

test('spills are found, and kernels without a source are ignored', () => {
  writeFileSync(join(folder, 'copy.cu.o.ptxas'), entry('_Z9someEntryi', 0));
  writeFileSync(join(folder, 'gone.cu.o.ptxas'), entry('_Z9goneEntryi', 8));
  const good = resources(folder, '--json');
  assert.is(good.status, 0, good.stderr);
  assert.equal(JSON.parse(good.stdout), [
    {
      source: 'copy.cu',
      name: 'someEntry',
      architecture: 'sm_90',
      registers: 40,
      spills: 0,
      stack: 16,
      shared: 4224,
    },
  ]);
  writeFileSync(join(folder, 'copy.cu.o.ptxas'), entry('_Z9someEntryi', 0) + entry('_Z5otheri', 8));
  const bad = resources(folder);
  assert.is(bad.status, 1);
  assert.match(bad.stdout, /40 +16 +16 +4224 +sm_90 +copy\.cu: other\n/);
  assert.match(bad.stdout, /2 kernels, 1 with spills/);
});

test('no kernel of this build spills', () => {
  const build = join(repositoryFolder, 'build/cuda');
  if (!existsSync(build)) {
    console.log('skipped: nvcc was not found, so that no kernel was compiled');
    assert.ok(spawnSync('nvcc', ['--version']).error, 'nvcc is here, and built nothing');
    return;
  }
  const run = resources(build);
  for (const line of run.stdout.trimEnd().split('\n')) console.log(`figures: ${line}`);
  assert.is(run.status, 0, run.stdout + run.stderr);
});

test.run();
