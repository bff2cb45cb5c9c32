/** Which of the processes on its machine this one is. */
import { env } from 'node:process';

/** Open MPI's; Intel MPI's and MPICH's; MVAPICH's; Slurm's. */
const VARIABLES = [
  'OMPI_COMM_WORLD_LOCAL_RANK',
  'MPI_LOCALRANKID',
  'MV2_COMM_WORLD_LOCAL_RANK',
  'SLURM_LOCALID',
] as const;

/** @returns The place among the processes of this machine, from 0, and the variable that says so; null: none does. */
export function localRank(environment: NodeJS.ProcessEnv = env): { rank: number; variable: string } | null {
  for (const variable of VARIABLES) {
    const text = environment[variable] ?? '';
    if (/^\d{1,6}$/.test(text)) return { rank: Number(text), variable };
  }
  return null;
}
