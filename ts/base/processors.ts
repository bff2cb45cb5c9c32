/** How many processors this process may keep busy. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/**
 * The processors on which the process may run, or fewer if a control group limits its processor time (`docker --cpus`,
 * Kubernetes' `limits.cpu`). More threads than that would wait for each other, because the kernel stops all of them once
 * they have used the time of a period. A part of a processor counts as one.
 * @param root The folder where the system's files are, for tests.
 */
export function usableProcessors(root = '/', available = availableParallelism()): number {
  const quotas = quotasOf(root);
  return Math.min(available, ...quotas.map((quota) => Math.max(1, Math.ceil(quota))));
}

/** The limits, in processors, of all groups of the process: a group's limit holds for those within it. */
function quotasOf(root: string): number[] {
  const memberships = linesOf(join(root, 'proc/self/cgroup')).map((line) => {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return { controllers: controllers.split(','), path };
  });
  return linesOf(join(root, 'proc/self/mountinfo')).flatMap((line) => {
    // proc_pid_mountinfo(5): ID, parent, device, root, mount point, options, tags, "-", type, source, options.
    const [mount = '', system = ''] = line.split(' - ');
    const [, , , top = '/', point = '/'] = mount.split(' ');
    const [type, , options = ''] = system.split(' ');
    const isUnified = type === 'cgroup2';
    if (!isUnified && !(type === 'cgroup' && options.split(',').includes('cpu'))) return [];
    const own = memberships.find(({ controllers }) => controllers.includes(isUnified ? '' : 'cpu'));
    if (own === undefined) return [];
    return foldersBelow(join(root, point), top, own.path).map(isUnified ? unifiedQuota : separateQuota);
  });
}

/** A mounted hierarchy's folder, and those down to a group. In a container only a part from `top` on may be mounted. */
function foldersBelow(point: string, top: string, path: string): string[] {
  const isInside = top === '/' || path === top || path.startsWith(`${top}/`);
  const names = isInside ? path.slice(top === '/' ? 0 : top.length).split('/') : [];
  const below = names.filter((name) => name !== '');
  // A group outside the container's namespace has a path such as /../other.
  if (below.includes('..')) return [point];
  return [point, ...below.map((_, i) => join(point, ...below.slice(0, i + 1)))];
}

/** https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max: the microseconds of a period, or "max". */
function unifiedQuota(folder: string): number {
  const [quota, period] = (linesOf(join(folder, 'cpu.max'))[0] ?? '').split(' ').map(Number);
  return processorsIn(quota, period);
}

/** https://docs.kernel.org/scheduler/sched-bwc.html; a quota of −1 is no limit. */
function separateQuota(folder: string): number {
  const microseconds = (name: string) => Number(linesOf(join(folder, name))[0]);
  return processorsIn(microseconds('cpu.cfs_quota_us'), microseconds('cpu.cfs_period_us'));
}

const processorsIn = (quota = Number.NaN, period = Number.NaN) =>
  quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY;

/** None if the file cannot be read. */
function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}
