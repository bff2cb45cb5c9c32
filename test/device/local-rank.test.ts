/** Which GPU a process uses if several processes run on one machine. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../ts/base/errors.ts';
import { localRank, ownGpu } from '../../ts/device/local-rank.ts';

test('launchers tell a process its rank on its machine', () => {
  assert.equal(localRank({ OMPI_COMM_WORLD_LOCAL_RANK: '1' }), {
    rank: 1,
    variable: 'OMPI_COMM_WORLD_LOCAL_RANK',
  });
  assert.equal(localRank({ MPI_LOCALRANKID: '3' }), { rank: 3, variable: 'MPI_LOCALRANKID' });
  assert.equal(localRank({ SLURM_LOCALID: '0' }), { rank: 0, variable: 'SLURM_LOCALID' });
  assert.is(localRank({}), null);
  assert.is(localRank({ OMPI_COMM_WORLD_LOCAL_RANK: '' }), null);
});

test('each process takes the GPU at its index in a list', () => {
  assert.is(ownGpu([4, 2], { OMPI_COMM_WORLD_LOCAL_RANK: '1' }), 2);
  assert.is(ownGpu([4], { OMPI_COMM_WORLD_LOCAL_RANK: '1' }), 4);
  const refusal = (gpus: number[], environment: NodeJS.ProcessEnv) => {
    try {
      return assert.unreachable(`${ownGpu(gpus, environment)}`) as never;
    } catch (error) {
      assert.instance(error, ArgumentError);
      return (error as Error).message;
    }
  };
  assert.match(refusal([4, 2], {}), /no launcher set OMPI_COMM_WORLD_LOCAL_RANK or .* received "4,2"/);
  assert.match(
    refusal([4, 2], { OMPI_COMM_WORLD_LOCAL_RANK: '2' }),
    /a GPU for each process .*LOCAL_RANK is 2/,
  );
});

test.run();
