/** Threads that are terminated in the middle of native work leak none of its memory. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeArguments } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const COUNT = 6;
// The pools of V8 and of small allocations vary by 35e6. Threads that leak their inputs leave 96e6 or more.
const MOST = 60e6;
// glibc raises this threshold to the size of a mapping that it frees, and keeps smaller blocks (mallopt(3)), so that
// resident memory would depend on which thread freed last. If it is set, it stays fixed, and freed memory returns to
// the system.
const environment = { ...process.env, MALLOC_MMAP_THRESHOLD_: String(1 << 20) };

if (!existsSync('/proc/self/status')) console.log('skipped: there is no /proc to read memory from');
else
  test('threads that are terminated during a run, a training step, a load, a transfer or image work leak nothing', () => {
    const child = spawnSync(
      process.execPath,
      [
        '--expose-gc',
        ...nodeArguments('test/support/terminated-workers.ts'),
        'run,train,load,upload,image',
        String(COUNT),
      ],
      { encoding: 'utf8', cwd: repositoryFolder, env: environment },
    );
    assert.is(child.status, 0, child.stderr);
    for (const line of child.stdout.trim().split('\n')) {
      const { work, before, after } = JSON.parse(line) as { work: string; before: number; after: number };
      assert.ok(after - before < MOST, `${work}: ${before} bytes grew to ${after}`);
    }
  });

test.run();
