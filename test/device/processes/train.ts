/**
 * Run by data-parallel-cases.ts: three steps of a small residual net. Each of several processes takes its share of
 * every batch; `frozen` or `synchronised` selects BatchNorm's mode. The first process prints the weights; on failure,
 * each process prints its device and its error. A third argument is the folder of the device's library.
 */
import { writeSync } from 'node:fs';
import { openCommunicator } from '../../../ts/device/communicator.ts';
import { type DeviceKind, openDevice } from '../../../ts/device/device.ts';
import { SGD_UPDATE } from '../../../ts/device/plan-training.ts';
import { randomInput } from '../../../ts/tools/parity/random-input.ts';
import { smallTrainingNet } from '../../support/small-training-net.ts';

const [kind, mode, libraryFolder] = process.argv.slice(2) as [DeviceKind, 'frozen' | 'synchronised', string?];
const communicator = await openCommunicator();
const { rank, size } = communicator;
const batch = 8 / size;
const device = await openDevice(kind, {
  threads: 1,
  ...(size > 1 ? { communicator } : {}),
  ...(libraryFolder === undefined ? {} : { libraryFolder, cudnn: false, tune: false }),
});
process.on('uncaughtException', ({ code, message }: Error & { code?: string }) => {
  writeSync(1, `${JSON.stringify({ rank, device: device.name, code, message })}\n`);
  setTimeout(() => process.exit(1), 500); // the launcher ends the others: let them print first
});
const trainer = await device.train({
  model: smallTrainingNet(batch),
  update: { ...SGD_UPDATE, clip_gradients: 5, weight_decay: 1e-3 },
  frozenBatchNorm: mode === 'frozen',
  synchronisedBatchNorm: mode === 'synchronised',
});
const pixels = 3 * 8 * 8;
for (let iteration = 0; iteration < 3; iteration++) {
  const data = randomInput([8, 3, 8, 8], iteration);
  const label = Float32Array.from({ length: 8 }, (_, i) => (i * 7 + iteration) % 4);
  const from = rank * batch;
  await trainer.step(
    {
      data: data.slice(from * pixels, (from + batch) * pixels),
      label: label.slice(from, from + batch),
    },
    { rate: 0.05, iteration },
  );
}
const { layers } = await trainer.weights();
const values = layers.flatMap(({ name, blobs }) =>
  blobs.map((blob, i) => {
    const bytes = Buffer.from(blob.bytes.buffer, blob.bytes.byteOffset, blob.bytes.byteLength);
    return [`${name}/${i}`, bytes.toString('base64')] as const;
  }),
);
// Every process has the same weights: the sum is the number of processes times each.
const first = Buffer.from(values[0]![1], 'base64');
const own = new Float32Array(first.buffer.slice(first.byteOffset, first.byteOffset + first.length));
const sum = await communicator.sum(own);
const same = own.every((value, i) => sum[i] === Math.fround(value * size));
if (rank === 0) console.log(JSON.stringify({ same, values: Object.fromEntries(values) }));
trainer.dispose();
device.dispose();
await communicator.finish();
