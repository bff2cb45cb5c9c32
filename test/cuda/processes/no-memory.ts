/**
 * Run by data-parallel.test.ts: the GPU of the last of several processes has no memory for the net, and the others must
 * not wait for it. Each prints how it ended. The argument is the folder of the device's library.
 */
import { openCommunicator } from '../../../ts/device/communicator.ts';
import { openDevice } from '../../../ts/device/device.ts';
import { Solver } from '../../../ts/train/solver.ts';
import { smallTrainingNet } from '../../support/small-training-net.ts';

const [libraryFolder] = process.argv.slice(2) as [string];
const communicator = await openCommunicator();
const { rank, size } = communicator;
if (rank === size - 1) process.env.RESNODE_EMULATED_BYTES = String(64 << 10);
const device = await openDevice('cuda', { communicator, libraryFolder, cudnn: false, tune: false });
const batch = { data: new Float32Array(2 * 3 * 8 * 8).fill(1), label: new Float32Array(2) };
const solver = new Solver({
  solver: { net_param: smallTrainingNet(2), base_lr: 0.1, lr_policy: 'fixed', max_iter: 2, display: 0 },
  device,
  data: async () => ({
    shapes: { data: [2, 3, 8, 8], label: [2] },
    epochSize: null,
    waited: 0,
    next: async () => batch,
    state: () => null,
    restore: () => {},
    dispose: async () => {},
  }),
});
const { code, message } = await solver.step(2).then(
  () => ({ code: 'done', message: '' }),
  (error: Error & { code?: string }) => error,
);
console.log(JSON.stringify({ rank, code, message }));
device.dispose();
await communicator.finish();
