/**
 * Run by data-parallel.test.ts: the last of several processes aborts its first pass, `during` it or `before` it starts,
 * and the others must not wait. Each prints how its first and second passes ended. The second argument is the folder of
 * the device's library.
 */
import { openCommunicator } from '../../../ts/device/communicator.ts';
import { openDevice } from '../../../ts/device/device.ts';
import { SGD_UPDATE } from '../../../ts/device/plan-training.ts';
import { registerLayers } from '../../../ts/index.ts';
import { smallTrainingNet } from '../../support/small-training-net.ts';

const [when, libraryFolder] = process.argv.slice(2) as ['during' | 'before', string];
const communicator = await openCommunicator();
const { rank, size } = communicator;
const controller = new AbortController();
const leaves = rank === size - 1;
registerLayers({
  Pause: {
    shapes: ({ bottoms }) => bottoms,
    forward: ([x]) => {
      if (leaves && when === 'during') controller.abort(new Error('enough'));
      return [x!.data];
    },
    backward: ({ topDiffs: [dy] }) => [dy!.data],
  },
});
const net = smallTrainingNet(2);
const layer = net.layer!.flatMap((each) =>
  each.name === 'pool'
    ? [
        {
          name: 'pause',
          type: 'Python',
          bottom: ['conv3'],
          top: ['paused'],
          python_param: { layer: 'Pause' },
        },
        { ...each, bottom: ['paused'] },
      ]
    : [each],
);
const device = await openDevice('cuda', { communicator, libraryFolder, cudnn: false, tune: false });
const trainer = await device.train({
  model: { ...net, layer },
  update: SGD_UPDATE,
  synchronisedBatchNorm: true,
});
const inputs = { data: new Float32Array(2 * 3 * 8 * 8).fill(1), label: new Float32Array(2) };
const said: unknown[] = [];
for (let iteration = 0; iteration < 2; iteration++) {
  const pass = trainer.step(inputs, { rate: 0.05, iteration }, { signal: controller.signal });
  if (leaves && when === 'before') controller.abort(new Error('enough'));
  const { code, message } = await pass.then(
    () => ({ code: 'done', message: '' }),
    (error: Error & { code?: string }) => error,
  );
  said.push({ rank, iteration, code, message });
}
for (const each of said) console.log(JSON.stringify(each));
trainer.dispose();
device.dispose();
await communicator.finish();
