/** Reads from the environment what a launcher says to each of its processes. */
import { env } from 'node:process';

/**
 * The variables of Open MPI, of MPICH and Intel MPI, and of MVAPICH. Slurm's describe a whole allocation, whether or not
 * srun started this process.
 */
const VARIABLES = [
  ['OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK'],
  ['PMI_SIZE', 'PMI_RANK'],
  ['MV2_COMM_WORLD_SIZE', 'MV2_COMM_WORLD_RANK'],
] as const;

export interface Launched {
  readonly rank: number;
  readonly size: number;
  /** The variable that gives the size. */
  readonly variable: string;
}

/** @returns null if no launcher started this process, or if it started only this one */
export function launched(environment: NodeJS.ProcessEnv = env): Launched | null {
  for (const [variable, place] of VARIABLES) {
    const [size, rank] = [environment[variable] ?? '', environment[place] ?? ''];
    if (/^\d{1,6}$/.test(size) && /^\d{1,6}$/.test(rank) && Number(size) > 1)
      return { rank: Number(rank), size: Number(size), variable };
  }
  return null;
}
