/** What a launcher of several processes says to each of them by its environment. */
import { env } from 'node:process';

/** Open MPI's; MPICH's and Intel MPI's; MVAPICH's. Slurm's tell of a whole allocation, whether or not srun started this. */
const VARIABLES = [
  ['OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK'],
  ['PMI_SIZE', 'PMI_RANK'],
  ['MV2_COMM_WORLD_SIZE', 'MV2_COMM_WORLD_RANK'],
] as const;

export interface Launched {
  readonly rank: number;
  readonly size: number;
  /** Which says the size. */
  readonly variable: string;
}

/** @returns null where no launcher started this, or this alone */
export function launched(environment: NodeJS.ProcessEnv = env): Launched | null {
  for (const [variable, place] of VARIABLES) {
    const [size, rank] = [environment[variable] ?? '', environment[place] ?? ''];
    if (/^\d{1,6}$/.test(size) && /^\d{1,6}$/.test(rank) && Number(size) > 1)
      return { rank: Number(rank), size: Number(size), variable };
  }
  return null;
}
