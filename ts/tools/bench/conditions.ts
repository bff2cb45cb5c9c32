/** The conditions of a measurement, which every report states first. */
import type { Machine } from './machine.ts';

export interface Conditions {
  /** ISO 8601. */
  readonly date: string;
  /** With "+" if the checkout had changes; null outside a checkout. */
  readonly commit: string | null;
  readonly machine: Machine;
  /** The number of cores that other processes used during the quiet rounds: the mean, and the maximum of a measurement. */
  readonly othersCores: { readonly mean: number; readonly max: number };
  readonly versions: Readonly<Record<string, string>>;
  readonly settings: { readonly threads: number; readonly precision: string; readonly rounds: number };
  /** The peak to which shares refer: sgemm by the faster of oneDNN and resnode's kernels, the best of all rounds. */
  readonly sgemmGflops: number;
  readonly absent: readonly { readonly engine: string; readonly reason: string }[];
}

/** @param cores The number of cores that others used during each measurement. */
export const othersCores = (cores: readonly number[]): Conditions['othersCores'] => ({
  mean: cores.reduce((sum, each) => sum + each, 0) / cores.length,
  max: Math.max(...cores),
});

/** @param limits The machine's limits in words, after sgemm. */
export function conditionLines(
  { settings, versions, sgemmGflops, absent, othersCores: others }: Conditions,
  limits = '',
): string[] {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const lines = [
    `${settings.threads} threads, ${settings.precision}, ${settings.rounds} interleaved rounds; ${named.join(', ')}`,
    `sgemm: ${sgemmGflops.toFixed(0)} GFLOP/s${limits}`,
    ...absent.map(({ engine, reason }) => `${engine}: absent, ${reason}`),
  ];
  if (others.max > 0.2)
    lines.push(
      `warning: other processes took ${others.mean.toFixed(2)} cores, ${others.max.toFixed(2)} at worst; these figures are noisy`,
    );
  return lines;
}
