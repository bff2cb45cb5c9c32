/** Finds the rank of this process among those on its machine. */
import { env } from 'node:process';
import { ArgumentError } from '../base/errors.ts';

/** The variables of Open MPI, of Intel MPI and MPICH, of MVAPICH, and of Slurm. */
const VARIABLES = [
  'OMPI_COMM_WORLD_LOCAL_RANK',
  'MPI_LOCALRANKID',
  'MV2_COMM_WORLD_LOCAL_RANK',
  'SLURM_LOCALID',
] as const;

/** @returns The rank among the processes of this machine, from 0, and the variable that gives it; null if there is none */
export function localRank(environment: NodeJS.ProcessEnv = env): { rank: number; variable: string } | null {
  for (const variable of VARIABLES) {
    const text = environment[variable] ?? '';
    if (/^\d{1,6}$/.test(text)) return { rank: Number(text), variable };
  }
  return null;
}

/**
 * @param gpus One for each process of a machine, or one for this process.
 * @throws ArgumentError if there are several GPUs and the local rank is unknown or too large
 */
export function ownGpu(gpus: readonly number[], environment: NodeJS.ProcessEnv = env): number {
  if (gpus.length === 1) return gpus[0]!;
  const place = localRank(environment);
  if (place === null)
    throw new ArgumentError(
      'gpu',
      `one GPU, since no launcher set ${VARIABLES.join(' or ')}`,
      gpus.join(','),
    );
  const own = gpus[place.rank];
  if (own === undefined)
    throw new ArgumentError(
      'gpu',
      `a GPU for each process of a machine (${place.variable} is ${place.rank})`,
      gpus.join(','),
    );
  return own;
}
