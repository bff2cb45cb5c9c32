/** The machine that figures were measured on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { ownPackage } from '../../base/own-package.ts';

export interface Machine {
  readonly processor: string;
  /** Instruction sets that decide between kernels; empty if the system does not list them. */
  readonly flags: readonly string[];
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  /** The governor of cpufreq; null if there is none, as in most virtual machines. */
  readonly governor: string | null;
  /** The load average of the last minute, at the start of the measurement. */
  readonly load: number;
}

const FLAGS = /^(avx2?|fma|f16c|avx512\w*|avx_vnni|amx_\w+|asimd\w*|sve2?|bf16)$/;

/** Describes this machine. */
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

/** The checked-out commit, with "+" if files were changed; null outside a checkout. */
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
