/** Threads that are terminated in the middle of native work leave none of its memory behind. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeArguments } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const COUNT = 6;
// The pools of V8 and of small allocations differ by 35e6. Threads that leave their inputs behind leave 96e6 or more.
const MOST = 60e6;
// glibc raises this threshold to the size of a mapping that it frees, and keeps what lies below it (mallopt(3)), so that
// resident memory would say which thread freed last. One that is set stays, and what is freed goes back to the system.
const environment = { ...process.env, MALLOC_MMAP_THRESHOLD_: String(1 << 20) };

if (!existsSync('/proc/self/status')) console.log('skipped: there is no /proc to read memory from');
else
  test('threads that are terminated amid a run, a training step, a load, a transfer or image work leave nothing behind', () => {
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
