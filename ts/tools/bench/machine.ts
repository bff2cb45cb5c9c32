/** What the figures were measured on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { ownPackage } from '../../base/own-package.ts';

export interface Machine {
  readonly processor: string;
  /** Instruction sets that decide between kernels; empty where the system does not say. */
  readonly flags: readonly string[];
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  /** cpufreq's; null where there is none, as in most virtual machines. */
  readonly governor: string | null;
  /** Of the last minute, when the measurement began. */
  readonly load: number;
}

const FLAGS = /^(avx2?|fma|f16c|avx512\w*|avx_vnni|amx_\w+|asimd\w*|sve2?|bf16)$/;

/** This machine, now. */
export function describeMachine(): Machine {
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(read('/proc/cpuinfo') ?? '')?.[1] ?? '';
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    flags: flags.split(' ').filter((flag) => FLAGS.test(flag)),
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    governor: read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor')?.trim() ?? null,
    load: loadavg()[0]!,
  };
}

/** The commit that is checked out, "+" where files were changed since; null outside a checkout. */
export function commit(): string | null {
  const git = (...words: string[]) =>
    execFileSync('git', words, {
      cwd: ownPackage().root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    return `${git('rev-parse', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
