/** The default number of threads respects the limits of control groups, as containers set them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { usableProcessors } from '../../ts/base/processors.ts';
import { repositoryFolder } from '../support/golden.ts';

/** A system of 64 processors with these files. */
function onSystem(files: Readonly<Record<string, string>>): number {
  const root = mkdtempSync(join(tmpdir(), 'resnode-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return usableProcessors(root, 64);
}

const UNIFIED = '31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n';
const SEPARATE =
  '24 23 0:22 / /sys rw - sysfs sysfs rw\n' +
  '36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n' +
  '37 31 0:34 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n';

test('without limits every processor counts', () => {
  assert.is(onSystem({}), 64);
  assert.is(
    onSystem({
      'proc/self/cgroup': '0::/\n',
      'proc/self/mountinfo': UNIFIED,
      'sys/fs/cgroup/cpu.max': 'max 100000\n',
    }),
    64,
  );
  assert.is(
    onSystem({
      'proc/self/cgroup': '4:cpu,cpuacct:/\n',
      'proc/self/mountinfo': SEPARATE,
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
      'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    }),
    64,
  );
});

test('a quota counts in whole processors, at least one, and never more than there are', () => {
  const with_ = (max: string) =>
    onSystem({
      'proc/self/cgroup': '0::/\n',
      'proc/self/mountinfo': UNIFIED,
      'sys/fs/cgroup/cpu.max': `${max}\n`,
    });
  assert.equal(
    ['200000 100000', '150000 100000', '1000 100000', '12800000 100000'].map(with_),
    [2, 2, 1, 64],
  );
  assert.equal(['', 'max', '0 0', 'x y', '-5 100000'].map(with_), [64, 64, 64, 64, 64]);
});

test('the least limit of all groups around the process counts', () => {
  const files = {
    'proc/self/cgroup': '0::/kubepods/pod1/own\n',
    'proc/self/mountinfo': UNIFIED,
    'sys/fs/cgroup/kubepods/pod1/cpu.max': '300000 100000\n',
    'sys/fs/cgroup/kubepods/pod1/own/cpu.max': 'max 100000\n',
    'sys/fs/cgroup/kubepods/other/cpu.max': '100000 100000\n',
  };
  assert.is(onSystem(files), 3);
  assert.is(onSystem({ ...files, 'sys/fs/cgroup/kubepods/cpu.max': '50000 50000\n' }), 1);
});

test('version 1 has a hierarchy for processor time, of which a container may see only its own part', () => {
  const quota = (folder: string, microseconds: number) => ({
    [`sys/fs/cgroup/cpu,cpuacct${folder}/cpu.cfs_quota_us`]: `${microseconds}\n`,
    [`sys/fs/cgroup/cpu,cpuacct${folder}/cpu.cfs_period_us`]: '100000\n',
  });
  const cgroup = '11:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n';
  assert.is(
    onSystem({
      'proc/self/cgroup': cgroup,
      'proc/self/mountinfo': SEPARATE,
      ...quota('/docker/abc', 400000),
    }),
    4,
  );
  const mounted = SEPARATE.replace('0:33 / ', '0:33 /docker/abc ');
  assert.is(
    onSystem({ 'proc/self/cgroup': cgroup, 'proc/self/mountinfo': mounted, ...quota('', 500000) }),
    5,
  );
});

test('a group outside the namespace leaves the limit of what is mounted', () => {
  const files = {
    'proc/self/cgroup': '0::/../../init.scope\n',
    'proc/self/mountinfo': UNIFIED,
    'sys/fs/cgroup/cpu.max': '700000 100000\n',
  };
  assert.is(onSystem(files), 7);
});

// A group of this machine, where the test may make one.
const GROUP = `/sys/fs/cgroup/cpu/resnode-${process.pid}`;
const mayMakeGroups = (() => {
  try {
    mkdirSync(GROUP);
    writeFileSync(join(GROUP, 'cpu.cfs_quota_us'), '100000');
    return true;
  } catch {
    return false;
  }
})();
if (!mayMakeGroups) console.log('skipped: no control group of version 1 can be made here');
(mayMakeGroups ? test : Object.assign(() => {}, test))(
  'a device in a group of one processor has one thread',
  () => {
    try {
      const program = `import { openDevice } from './ts/index.ts';
      const device = await openDevice('cpu');
      console.log(device.description.threads);
      device.dispose();`;
      const inGroup = `echo $$ > ${GROUP}/cgroup.procs && exec "$0" --import tsx --input-type=module -e "$1"`;
      const { stdout, stderr } = spawnSync('sh', ['-c', inGroup, process.execPath, program], {
        encoding: 'utf8',
        cwd: repositoryFolder,
      });
      assert.is(stdout.trim(), '1', stderr);
    } finally {
      rmdirSync(GROUP);
    }
  },
);

test.run();
